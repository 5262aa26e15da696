"""Predicted beside reported: the term, the range and the assumption that explains a difference."""

import io
import json
import sys

import pytest
from logs import LLAMA_CPP, LOGS, SGLANG, VLLM_V0, VLLM_V1

import calculator
from calculator.log_setup import _gpu_of, _plain
from calculator.reconciliation import reconcile
from calculator.serve import serve_command


def terms(result):
    return {term.name: term for term in result.terms}


def test_a_start_of_vllm_agrees_term_by_term():
    result = reconcile(VLLM_V1)
    assert result.agrees
    assert result.plan.request.engine_version == "0.11"
    found = terms(result)
    assert found["Weights"].difference == pytest.approx(0.03, abs=0.01)
    assert abs(found["Activations"].difference) < 0.01
    assert found["KV pool"].low < 51.38 < found["KV pool"].high
    assert abs(found["KV pool"].difference) < 0.1
    assert found["Tokens that the reported pool holds"].difference == 0
    assert result.causes == ()


def test_a_start_of_v0_agrees():
    result = reconcile(VLLM_V0)
    assert result.agrees
    assert terms(result)["Blocks that the reported pool holds"].difference == pytest.approx(0, abs=3)


def test_another_utilisation_than_assumed_is_named():
    # a start of 0.22 whose log does not state the utilisation, which was 0.90: the default would be 0.92
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", engine_version="0.22", gpu_memory_utilization=0.9, seq_len=8192
    )
    log = (
        "Initializing a V1 LLM engine (v0.22.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        f"max_seq_len=8192\nAvailable KV cache memory: {plan.kv_pool_bytes / 2**30:.2f} GiB\n"
    )
    assert reconcile(log, gpu="h100-sxm").causes[0].startswith("a utilisation of 0.90 in place of 0.92")


def test_graphs_inside_or_outside_the_budget_are_named():
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", engine_version="0.22", gpu_memory_utilization=0.9, seq_len=8192
    )
    without = plan.kv_pool_bytes + plan.per_gpu.cuda_graph_bytes
    log = (
        "Initializing a V1 LLM engine (v0.22.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        "max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=1024, max_num_batched_tokens=8192\n"
        f"Available KV cache memory: {without / 2**30:.2f} GiB\n"
    )
    result = reconcile(log, gpu="h100-sxm")
    assert result.causes[0].startswith("CUDA graphs outside the budget")


def test_a_cache_format_that_the_checkpoint_asks_for_is_named():
    result = reconcile(VLLM_V1.replace("420,864", "841,856"))
    assert any(cause.startswith("the KV cache is stored in fp8_e4m3") for cause in result.causes)


def test_windows_in_flight_are_named():
    asked = {
        "gpu_memory_bytes": 2**44,
        "kv_cache_memory_bytes": 20 * 2**30,
        "seq_len": 32_768,
        "engine_version": "0.33",
    }
    tokens = calculator.plan(
        "gemma-3-27b", async_scheduling=False, max_num_batched_tokens=8192, **asked
    ).reported_kv_tokens
    log = (
        "Initializing a V1 LLM engine (v0.33.0) with config: model='google/gemma-3-27b-it', max_seq_len=32768, "
        "max_num_batched_tokens=8192\nAvailable KV cache memory: 20.00 GiB\n"
        f"GPU KV cache size: {tokens:,} tokens\nMaximum concurrency for 32,768 tokens per request: 1.00x\n"
    )
    result = reconcile(log, gpu="h100-sxm")
    assert any("one batch in flight" in cause for cause in result.causes)


def test_another_process_is_named():
    result = reconcile(VLLM_V1.replace("(78.7/79.18 GiB)", "(60.7/79.18 GiB)"))
    assert any(cause.startswith("another process: 18.48 GiB") for cause in result.causes)


def test_gb_that_are_gib_are_named():
    result = reconcile(SGLANG, gpu="t4")
    assert "the log's GB are GiB (2^30 bytes)" in result.causes


def test_llama_cpp_is_compared_to_the_byte():
    result = reconcile(LLAMA_CPP)
    assert result.agrees
    assert result.finding.endswith("a KV cache of 640.00 MiB is predicted, 640.00 MiB reported.")


def test_a_log_without_a_device_is_compared_as_far_as_it_goes():
    result = reconcile(SGLANG)
    assert result.agrees
    assert "no device: the log names none" in " ".join(result.assumed)
    assert terms(result)["KV pool"].predicted is None


def test_weights_of_another_format_are_recognised_by_their_size():
    # Llama-3.1-8B in fp8 at run time: 8.49 GiB logged
    log = VLLM_V1.replace("14.9889", "8.49").replace("14.99 GiB for weight", "8.49 GiB for weight")
    result = reconcile(log.replace("dtype=torch.bfloat16, ", ""))
    assert result.plan.request.weight_dtype.startswith("fp8")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("Available KV cache memory: 1.00 GiB\n", "the log names no model: give one, as --model"),
        ("LLM engine (v0.11.0) with config: model='acme/unheard-of-9b'\nAvailable KV cache memory: 1.00 GiB\n",
         "'acme/unheard-of-9b' is not one of the presets"),
    ],
)  # fmt: skip
def test_an_unknown_model_is_refused_and_can_be_given(text, match):
    with pytest.raises(calculator.CalculatorError, match=match):
        reconcile(text, gpu="l4")
    assert reconcile(text, "llama-3.1-8b", "l4").plan.model.id == "llama-3.1-8b"


@pytest.mark.parametrize(
    ("named", "preset"),
    [
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3-8b"),
        ("/models/Llama-3.1-8B-Instruct/", "llama-3.1-8b"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("unsloth/meta-llama-3.1-8b-instruct-bnb-4bit", "llama-3.1-8b"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
    ],
)  # fmt: skip
def test_a_tuned_or_quantised_model_has_its_layers(named, preset):
    result = reconcile(f"model='{named}', max_seq_len=4096\nAvailable KV cache memory: 4.00 GiB\n", gpu="h100-sxm")
    assert result.plan.model.id == preset


def test_models_of_other_layers_are_not_taken_for_each_other():
    layers = {}
    for key in calculator.model_ids():
        model = calculator.load_model(key)
        name = _plain(model.huggingface_id or key)
        assert layers.setdefault(name, model.groups) == model.groups


@pytest.mark.parametrize(
    ("device", "memory", "preset"),
    [
        ("NVIDIA H100 80GB HBM3", 79.19, "h100-sxm"),
        ("NVIDIA H100 PCIe", None, "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", None, "a100-80gb-sxm"),
        ("NVIDIA A100-SXM4-40GB", 39.39, "a100-40gb"),
        ("NVIDIA GeForce RTX 3090", None, "rtx-3090"),
        ("Tesla T4", None, "t4"),
        ("NVIDIA L40S", None, "l40s"),
        ("AMD Instinct MI300X", None, "mi300x"),
        ("NVIDIA H200", None, "h200"),
        ("some accelerator", None, None),
    ],
)
def test_devices_are_recognised_by_their_name(device, memory, preset):
    assert _gpu_of(device, memory) == preset


def test_the_command_reads_a_file_or_stdin(run, tmp_path, monkeypatch):
    path = tmp_path / "start.log"
    path.write_text(VLLM_V1, encoding="utf-8")
    code, out, err = run("reconcile", path)
    assert (code, err) == (0, "")
    assert out.startswith("LLaMA 3.1 8B on vLLM: a KV pool of")
    assert "not understood, line" in out
    assert "hf_abcdefghijkl" not in out
    assert "sk-abcdef123456" not in out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(VLLM_V1.encode())))
    code, out, _ = run("reconcile", "-", "--format", "json")
    report = json.loads(out)
    assert (code, report["agrees"], report["engine"]) == (0, True, "vllm")
    assert {"name", "unit", "predicted", "reported", "low", "high", "difference"} == set(report["terms"][0])


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (VLLM_V1.replace("51.38 GiB", "41.38 GiB").encode(), 1, "outside the range"),
        (b"\x00\x01", 2, "error: the log is no text"),
        (b"nothing of memory", 2, "error: no line is one"),
    ],
)
def test_exit_codes(run, tmp_path, content, code, text):
    path = tmp_path / "start.log"
    path.write_bytes(content)
    found, out, err = run("reconcile", path)
    assert found == code
    assert text in out + err


def test_a_missing_file_is_bad_input(run):
    assert run("reconcile", "nowhere.log")[0] == 2


@pytest.mark.parametrize("name", LOGS)
def test_every_engines_log_can_be_written_as_json(name):
    assert json.loads(json.dumps(reconcile(LOGS[name], gpu="h200").as_dict()))["terms"]


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ({"tensor_parallel_size": 4},
         "vllm serve meta-llama/Meta-Llama-3-70B --max-model-len 8192 --tensor-parallel-size 4 "
         "--gpu-memory-utilization 0.92 --max-num-seqs 58"),
        ({"tensor_parallel_size": 4, "kv_cache_dtype": "fp8", "max_num_seqs": 16, "enforce_eager": True},
         "vllm serve meta-llama/Meta-Llama-3-70B --max-model-len 8192 --tensor-parallel-size 4 --kv-cache-dtype fp8 "
         "--gpu-memory-utilization 0.92 --max-num-seqs 16 --enforce-eager"),
        ({"tensor_parallel_size": 4, "engine": "tensorrt-llm", "max_num_seqs": 32},
         "trtllm-serve meta-llama/Meta-Llama-3-70B --max_seq_len 8192 --tp_size 4 "
         "--kv_cache_free_gpu_memory_fraction 0.9 --max_batch_size 32"),
        ({"pipeline_parallel_size": 4, "engine": "llama.cpp", "weight_dtype": "q4_k_m", "batch_size": 2},
         "llama-server --model llama-3-70b.gguf --ctx-size 16384 --cache-type-k bf16 --cache-type-v bf16 --parallel 2"),
    ],
)  # fmt: skip
def test_a_plan_is_written_as_the_engines_command(asked, command):
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", seq_len=8192, **asked)
    assert serve_command(plan) == command
