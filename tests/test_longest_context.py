"""The longest context that a request can fill, and the one that the engine itself prints."""

import json

import pytest
from golden import GIB

import calculator
from calculator.engines import ENGINES

KINDS = {
    "full": "llama-3.1-8b", "windows": "gemma-3-27b", "windows alone": "mistral-7b-v0.1", "chunks": "llama-4-scout",
    "latent": "deepseek-v3", "indexer": "deepseek-v3.2", "states": "qwen3.5-27b", "states alone": "falcon_mamba",
    "encoder": "whisper",
}  # fmt: skip
SMALL = {
    "falcon_mamba": {"vocab_size": 1000, "hidden_size": 256, "num_hidden_layers": 4},
    "whisper": {
        "vocab_size": 1000, "d_model": 256, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512,
    },
}  # fmt: skip
"""Kinds of cache that no preset has, by model type."""
VERSIONS = {"vllm": ("0.7", "0.8.5", "0.13", "0.16", "0.23", None)}
REFUSED = {
    ("encoder", "sglang"), ("encoder", "tensorrt-llm"), ("encoder", "llama.cpp"), ("indexer", "llama.cpp"),
    ("states", "tensorrt-llm"), ("states alone", "tensorrt-llm"), ("states", "0.7"), ("states", "0.8.5"),
}  # fmt: skip
"""What an engine, or a version of one, does not serve or is not known to."""
CASES = [
    (kind, engine, version)
    for kind in KINDS
    for engine in ENGINES
    for version in VERSIONS.get(engine, (None,))
    if not {(kind, engine), (kind, version)} & REFUSED
]


def given_pool(model, pool, **asked):
    """Return a plan with the KV pool given outright, so that weights and overheads do not matter."""
    sixteen_bit = {"weight_dtype": "bf16"} if asked.get("engine") == "llama.cpp" else {}  # it has no fp8 by blocks
    return calculator.plan(model, gpu_memory_bytes=2**44, kv_cache_memory_bytes=pool, **sixteen_bit, **asked)


@pytest.mark.parametrize(
    ("kind", "engine", "version", "more"),
    [
        (*case, more)
        for case in CASES
        for more in ({}, {"batch_size": 3}, {"pipeline_parallel_size": 2})
        # vLLM 0.33.0 models/whisper.py: no SupportsPP
        if (case[0], *more) != ("encoder", "pipeline_parallel_size")
    ],
)
@pytest.mark.parametrize("pool", [int(0.3 * GIB) + 12_345, int(7.77 * GIB)])
def test_a_request_of_the_longest_context_fits_and_one_of_a_token_more_does_not(kind, engine, version, pool, more):
    name = KINDS[kind]
    if name in SMALL:
        model = calculator.model_from_hf_config({"model_type": name, "torch_dtype": "bfloat16"} | SMALL[name])
    else:
        model = calculator.load_model(name)
    asked = {"engine": engine, "engine_version": version, **more}
    if model.needs_encoder:
        asked["encoder_seq_len"] = 512
    longest = given_pool(model, pool, seq_len=1000, **asked).max_context_len
    if longest:
        held = given_pool(model, pool, seq_len=longest, **asked)
        # what memory holds, 0.14 to 0.16 may refuse to start with
        assert held.fits or (held.refused and held.max_batch_size >= held.request.batch_size)
    if longest < 10**9:
        assert not given_pool(model, pool, seq_len=longest + 1, **asked).fits


def test_the_figure_that_vllm_prints_of_a_model_with_states():
    # vllm-project/vllm#49064, vLLM 0.23: 3.86 GiB, "the estimated maximum model length is 123872". Blocks of 784
    # tokens: 161, of which three hold the states of a request, so 158 x 784; the pool keeps one of them for itself
    answer = given_pool("qwen3.5-27b", 4_144_643_440, tensor_parallel_size=2, seq_len=132_000, engine_version="0.23")
    assert (answer.request.block_size, answer.num_blocks) == (784, 161)
    assert (answer.reported_max_context_len, answer.max_context_len) == (158 * 784, 157 * 784) == (123_872, 123_088)
    (said,) = (note for note in answer.notes if "the engine itself" in note)
    assert said.startswith(
        "the engine itself prints 123,872 as the longest sequence, but one of more than 123,088 tokens never finishes"
    )


def test_what_lies_between_the_two_figures_starts_and_never_finishes():
    asked = {"tensor_parallel_size": 2, "engine_version": "0.23"}
    answer = given_pool("qwen3.5-27b", 4_144_643_440, seq_len=123_500, **asked)
    assert not answer.fits
    assert any("so that it starts, but one of more than 123,088 tokens never finishes" in note for note in answer.notes)
    held = given_pool("qwen3.5-27b", 4_144_643_440, seq_len=123_088, **asked)
    assert held.fits
    assert not any("the engine itself" in note for note in held.notes)


@pytest.mark.parametrize(
    ("version", "printed", "held"),
    [
        # LLaMA 3.1 8B takes 131,072 bytes a token, so 3 GiB are 24,576 tokens in 1,536 blocks of 16.
        # 0.7.3 core/block_manager.py keeps no block; 0.8.5 prints no figure (kv_cache_utils.py, a message cut in two)
        ("0.7.3", 24_576, 24_576), ("0.8.5", None, 24_560), ("0.9.1", 24_576, 24_560), ("0.13", 24_576, 24_560),
        ("0.16", 24_576, 24_560), ("0.28", 24_576, 24_560),
        # 0.29.0 kv_cache_utils.py: "Reserve the null block BlockPool permanently holds back"
        ("0.29", 24_560, 24_560), ("0.33", 24_560, 24_560),
    ],
)  # fmt: skip
def test_which_versions_take_the_block_off_that_the_pool_keeps(version, printed, held):
    # a forward pass of a whole prompt does not bear on a pool that is given
    answer = given_pool("llama-3.1-8b", 3 * GIB, seq_len=100_000, engine_version=version)
    assert (answer.num_blocks, answer.reported_max_context_len, answer.max_context_len) == (1536, printed, held)
    assert any("the engine itself prints" in note for note in answer.notes) == (printed not in (None, held))


@pytest.mark.parametrize(
    ("version", "printed"),
    [
        # vllm-project/vllm#34076, a build of 0.15.2: 3.18 GiB and 34,736 tokens printed, 98,304 bytes a token of all
        # 48 layers against the pool of one stage; 3.18 to two places is 34,680 to 34,789 tokens
        ("0.15.2", 34_720), ("0.14", 34_720),
        # 0.13.0 check_enough_kv_cache_memory and 0.17.0 _project_kv_cache_groups_to_worker: a stage's own 24 layers
        ("0.13", 69_456), ("0.17", 69_456),
    ],
)  # fmt: skip
def test_which_versions_set_all_layers_against_the_pool_of_one_stage(version, printed):
    asked = {"pipeline_parallel_size": 2, "engine_version": version}
    pool = int(3.18 * GIB)
    answer = given_pool("qwen3-30b-a3b", pool, seq_len=40_000, **asked)
    assert (answer.fits, answer.reported_max_context_len, answer.max_context_len) == (
        printed >= 40_000,
        printed,
        69_440,
    )
    refused = f"prints {printed:,} as the longest sequence and does not start with 40,000, though memory holds 69,440"
    assert any(refused in note for note in answer.notes) == (printed < 40_000)


def test_versions_that_check_layers_by_themselves_count_no_padding():
    # Gemma 3 27B: 10 full layers, 52 of a window of 1,024; a block of a layer is 16 x 2 x 16 x 128 x 2 = 131,072
    # bytes. vLLM 0.13 sums, for 3 GiB and batches of 8,192 tokens, min(length, 1023 + 8192) and one block more
    blocks = 3 * GIB // (16 * 2 * 16 * 128 * 2)
    length = (blocks - 52) // 62 * 16
    answer = given_pool("gemma-3-27b", 3 * GIB, seq_len=100_000, engine_version="0.13", max_num_batched_tokens=8192)
    assert answer.reported_max_context_len == length
    assert length < 1023 + 8192


def test_the_printed_figure_is_of_one_sequence_and_in_the_json():
    answer = given_pool("llama-3.1-8b", 3 * GIB, seq_len=1000, batch_size=4, engine_version="0.23")
    # 1,535 blocks for four are 383 each
    assert (answer.reported_max_context_len, answer.max_context_len) == (24_576, 383 * 16)
    assert json.loads(json.dumps(answer.as_dict()))["reported_max_context_len"] == 24_576
    assert given_pool("llama-3.1-8b", 3 * GIB, seq_len=1000, engine="sglang").reported_max_context_len is None


def test_a_batch_and_the_concurrency_that_vllm_prints_differ_by_the_block_that_is_kept():
    # 0.33.0 get_max_concurrency_for_kv_cache_config: all 1,536 blocks over the 512 of a request; 1,535 hold two
    answer = given_pool("llama-3.1-8b", 3 * GIB, seq_len=8192)
    assert (answer.max_concurrency, answer.max_batch_size) == (3.0, 2)
