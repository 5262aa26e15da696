"""Pipeline stages whose pools are unlike each other: the one that holds the fewest sequences decides, everywhere."""

import numpy
import pytest

import calculator
from calculator.planning.sweep.grid import sweep_arrays

UNLIKE = [
    ("jamba-v0.1", "sglang", 5),
    ("qwen3-next-80b-a3b", "sglang", 4),
    ("gemma-3-27b", "tensorrt-llm", 13),
    ("gpt-oss-20b", "tensorrt-llm", 13),
    ("gemma-2-9b", "tensorrt-llm", 5),
    ("gemma-2-9b", "llama.cpp", 5),
    ("jamba-v0.1", "vllm", 5),
]


@pytest.mark.parametrize(("model", "engine", "stages"), UNLIKE)
@pytest.mark.parametrize("seq_len", [1024, 131_072])
def test_blocks_tokens_and_concurrency_are_of_the_stage_that_holds_the_fewest(model, engine, stages, seq_len):
    plan = calculator.plan(model, "h200", engine=engine, pipeline_parallel_size=stages, seq_len=seq_len)
    held = [stage.geometry.sequences(stage.memory.kv_pool_bytes, seq_len) for stage in plan.stages]
    assert plan.max_batch_size == min(held)
    assert plan.max_batch_size <= plan.max_concurrency < plan.max_batch_size + 2
    assert plan.kv_pool_tokens < (plan.max_batch_size + 2) * seq_len
    assert held[plan.stages.index(plan.stage)] == plan.max_batch_size


@pytest.mark.parametrize(("model", "engine", "stages"), UNLIKE)
def test_a_sweep_answers_each_length_as_a_plan_does(model, engine, stages):
    asked = {"gpu": "h200", "engine": engine, "pipeline_parallel_size": stages}
    lengths = [1024, 8192, 131_072]
    swept = sweep_arrays(model, {**asked, "seq_len": lengths, "batch_size": [1, 3]})
    for index, (length, batch) in enumerate(zip(swept["seq_len"], swept["batch_size"], strict=True)):
        plan = calculator.plan(model, **asked, seq_len=int(length), batch_size=int(batch))
        expected = {
            "weights_bytes_per_gpu": plan.per_gpu.weights_bytes,
            "kv_pool_bytes_per_gpu": plan.kv_pool_bytes,
            "num_blocks": plan.num_blocks,
            "max_batch_size": plan.max_batch_size,
            "max_context_len": plan.max_context_len,
            "kv_bytes_per_gpu": plan.kv_bytes_per_gpu * int(batch),
        }
        assert {name: swept[name][index] for name in expected} == expected


def test_the_longest_context_where_defaults_start_anew_beyond_a_length():
    # vLLM 0.7 takes prompts of up to 32,768 tokens in one pass, longer ones in chunks of 2,048, which take less memory
    plan = calculator.plan("llama-3.1-8b", "rtx-4090", engine_version="0.7.3", seq_len=40_000)
    assert plan.fits
    assert plan.max_context_len >= 40_000
    assert calculator.vary(plan, seq_len=plan.max_context_len).fits
    assert not calculator.vary(plan, seq_len=plan.max_context_len + 1).fits


def test_what_runs_outside_a_fraction_counts_at_its_least():
    # 2 x RTX 4090 at 0.98 started and printed 81,536 tokens (vLLM issue 13061): CUDA graphs lay outside its budget
    asked = {"gpu": "rtx-4090", "tensor_parallel_size": 2, "engine_version": "0.7", "gpu_memory_utilization": 0.98}
    plan = calculator.plan("qwen2.5-14b", **asked, seq_len=8192)
    assert plan.fits
    assert any("may run out of memory after start-up" in note for note in plan.notes)
    # a pool given outright is allocated beside all that is expected
    given = calculator.vary(plan, kv_cache_memory_bytes=plan.kv_pool_bytes)
    assert not given.fits
    least = numpy.sum([line.low for line in plan.stage.overheads if line.in_slack])
    assert given.stage.missing_bytes > plan.per_gpu.in_slack_bytes - least - given.per_gpu.in_slack_bytes
