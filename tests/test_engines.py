"""The four engines' own accounting, against what their own code answers and what public logs print."""

import math

import pytest
from golden import GIB, rows

import calculator
from calculator import plan, vary
from calculator.engines import ENGINES, engine_rules

HYBRIDS = rows("engine_hybrids.csv")
POOL = 20 * GIB
VARIANTS = {
    "default": {"max_num_batched_tokens": 8192},
    "2048": {"max_num_batched_tokens": 2048, "async_scheduling": False},
    "no hybrid manager": {"max_num_batched_tokens": 8192, "disable_hybrid_kv_cache_manager": True},
}


def given_pool(model, pool=POOL, **asked):
    """Return a plan with the KV pool given outright, so that weights and overheads do not matter."""
    return plan(model, gpu_memory_bytes=2**44, kv_cache_memory_bytes=pool, **asked)


@pytest.mark.parametrize(
    "row",
    HYBRIDS,
    ids=lambda row: "-".join(row[name] for name in ("preset", "tp", "dtype", "max_model_len", "variant")),
)
def test_hybrids_are_allocated_as_vllm_does(row):
    asked = {
        "tensor_parallel_size": int(row["tp"]),
        "kv_cache_dtype": row["dtype"],
        "seq_len": int(row["max_model_len"]),
        **VARIANTS[row["variant"]],
    }
    if not row["num_blocks"]:
        with pytest.raises(calculator.UnsupportedError, match="without its hybrid KV cache manager"):
            given_pool(row["preset"], **asked)
        return
    answer = given_pool(row["preset"], **asked)
    assert answer.request.block_size == int(row["block_size"])
    assert answer.stage.geometry.pools[0].block_bytes == int(row["bytes_per_block"])
    assert answer.num_blocks == int(row["num_blocks"])
    assert answer.reported_kv_tokens == int(row["kv_tokens"])
    assert answer.max_concurrency == float(row["max_concurrency"])


@pytest.mark.parametrize(
    ("preset", "kv_dtype", "old"),
    # what 0.20 and older print for the same pool: blocks // groups x block size
    [("gemma-3-27b", "bf16", 37_440), ("gpt-oss-20b", "bf16", 436_896), ("llama-4-scout", "bf16", 109_216)],
)
def test_the_token_count_of_the_log_follows_the_version(preset, kv_dtype, old):
    asked = {"seq_len": 8192, "kv_cache_dtype": kv_dtype, "max_num_batched_tokens": 8192}
    assert given_pool(preset, engine_version="0.20", **asked).reported_kv_tokens == old
    newer = given_pool(preset, engine_version="0.21", **asked)
    assert newer.reported_kv_tokens == int(newer.max_concurrency * 8192)


@pytest.mark.parametrize(
    ("version", "utilisation", "graphs_inside", "copies"),
    [
        ("0.11.0", 0.9, False, 96),
        ("0.16", 0.9, False, 96),
        ("0.17.1", 0.9, False, 37),
        ("0.19.1", 0.9, False, 37),
        ("0.19.2rc1.dev206+g95995bbef", 0.9, False, 37),
        ("0.20.0", 0.92, True, 37),
        ("0.22", 0.92, True, 37),
        ("v0.33.0", 0.92, True, 37),
    ],
)
def test_rules_of_vllm_follow_its_version(version, utilisation, graphs_inside, copies):
    rules = engine_rules("vllm", version)
    assert bool(rules.note) == ("dev" in version)
    assert (rules.gpu_memory_utilization, rules.graphs_in_budget, rules.sampler_copies_tenths) == (
        utilisation,
        graphs_inside,
        copies,
    )


def test_graphs_outside_the_budget_leave_the_pool_alone():
    old = plan("llama-3.1-8b", gpu="h100-sxm", engine_version="0.19")
    eager = vary(old, enforce_eager=True)
    assert old.per_gpu.cuda_graph_bytes == old.per_gpu.in_slack_bytes > 0
    assert eager.per_gpu.cuda_graph_bytes == 0
    assert old.kv_pool_bytes == eager.kv_pool_bytes
    new = vary(old, engine_version="0.22", gpu_memory_utilization=0.9)
    assert old.kv_pool_bytes - new.kv_pool_bytes == new.per_gpu.cuda_graph_bytes
    for answer in (old, eager, new):
        memory = answer.per_gpu
        lines = memory.weights_bytes + memory.activation_bytes + memory.non_torch_bytes + memory.cuda_graph_bytes
        assert lines + memory.kv_pool_bytes + memory.unused_bytes == memory.total_bytes


@pytest.mark.parametrize(("asked", "used"), [("0.99", "0.33"), ("0.5.4", "0.6"), ("1.2", "0.33")])
def test_an_unknown_version_takes_the_nearest_and_says_so(asked, used):
    answer = plan("llama-3-8b", gpu="l4", engine_version=asked)
    assert answer.request.engine_version == used
    assert f"the rules of vLLM {asked} are not known: those of {used}" in " ".join(answer.notes)


def test_windows_are_charged_for_tokens_in_flight():
    # 0.26 and newer: two batches are in flight when scheduled ahead, one before; the window itself is 1,024
    asked = {"seq_len": 32_768, "max_num_batched_tokens": 4_096}
    older = given_pool("gemma-3-27b", engine_version="0.25", **asked)
    newer = given_pool("gemma-3-27b", engine_version="0.26", **asked)
    # full: 2,048 blocks; 6 groups of windows: ceil((1,023 + 4,096 or 8,192) / 16) + 1
    assert older.stage.geometry.pools[0].blocks(32_768) == 2048 + 6 * (math.ceil((1023 + 4096) / 16) + 1)
    assert newer.stage.geometry.pools[0].blocks(32_768) == 2048 + 6 * (math.ceil((1023 + 8192) / 16) + 1)


def test_state_pages_follow_the_version_and_prefix_caching():
    # 0.27.1 with prefix caching logged 12 blocks a request of 4,096 tokens for 48 state and 16 attention layers
    asked = {"seq_len": 8192, "kv_cache_dtype": "bf16"}
    pages = {
        ("0.11", True): 1,
        ("0.14", True): 1,
        ("0.27", None): 1,
        ("0.27", True): 2,
        ("0.28", None): 2,
        ("0.32", None): 2,
        ("0.33", None): 3,
        ("0.33", False): 1,
    }
    for (version, caching), held in pages.items():
        answer = given_pool("qwen3-next-80b-a3b", engine_version=version, enable_prefix_caching=caching, **asked)
        attention = math.ceil(8192 / answer.request.block_size)
        assert answer.stage.geometry.pools[0].blocks(8192) == attention + 3 * held
    with pytest.raises(calculator.UnsupportedError, match="depends on the model"):
        given_pool("nemotron-h-56b", engine_version="0.27", enable_prefix_caching=True, **asked)


def test_unequal_pages_take_a_longer_block_for_the_smaller():
    # 40,960 beside 81,920 bytes: blocks of 32 and 16; at 8,192 tokens 256 + 5 x 513 = 2,821 blocks
    presets = [key for key in calculator.model_ids() if "mimo" in key]
    assert presets
    answer = given_pool(presets[0], seq_len=8192, kv_cache_dtype="bf16")
    sizes = {claim.block_size for claim in answer.stage.geometry.pools[0].claims}
    assert len(sizes) == 2
    assert max(sizes) % min(sizes) == 0


@pytest.mark.parametrize(
    ("preset", "tp", "dcp", "factor"),
    # vLLM config/model.py: the context is shared by ranks that would keep copies; MLA has one head
    [("deepseek-v3", 8, 1, 1), ("deepseek-v3", 8, 8, 8), ("deepseek-v3", 8, 2, 2), ("qwen3-235b-a22b", 8, 2, 2)],
)
def test_decode_context_parallelism_shares_the_context(preset, tp, dcp, factor):
    asked = {"seq_len": 8192, "tensor_parallel_size": tp}
    alone = given_pool(preset, **asked)
    shared = given_pool(preset, **asked, decode_context_parallel_size=dcp)
    assert shared.max_concurrency == pytest.approx(factor * alone.max_concurrency, rel=1e-3)


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm"])
def test_attention_data_parallelism_gives_latent_attention_a_pool_a_gpu(engine):
    asked = {"seq_len": 8192, "tensor_parallel_size": 8, "engine": engine}
    copied = given_pool("deepseek-v3", **asked)
    apart = given_pool("deepseek-v3", **asked, enable_attention_dp=True)
    assert apart.max_batch_size == 8 * copied.max_batch_size
    assert apart.kv_bytes_per_sequence * 8 == copied.kv_bytes_per_sequence
    real = plan("deepseek-v3", gpu="h200", tensor_parallel_size=8, seq_len=8192, engine=engine)
    dense = vary(real, enable_attention_dp=True)
    assert dense.per_gpu.weights_bytes > real.per_gpu.weights_bytes  # attention is copied to every GPU


# Public start-up logs of the other engines: every figure is what the engine printed.
@pytest.mark.parametrize(
    ("preset", "asked", "pool", "tokens"),
    [
        # SGLang, Kimi-K2.5, TP 8: 2,454,421 tokens in 160.63 GiB; every rank keeps the latent vector
        ("kimi-k2.5", {"tensor_parallel_size": 8, "engine": "sglang", "kv_cache_dtype": "bf16"}, 160.63, 2_454_421),
        # SGLang, Qwen3-0.6B: 104,273 tokens in 5.57 + 5.57 GiB
        ("qwen3-0.6b", {"engine": "sglang"}, 11.14, 104_273),
        # TensorRT-LLM, Llama 3 8B on H200: 900,800 tokens in 109.96 GiB, blocks of 32
        ("llama-3-8b", {"engine": "tensorrt-llm"}, 109.96, 900_800),
        # TensorRT-LLM, Llama 3.1 8B with fp8 KV: 263,008 tokens in 16.05 GiB
        ("llama-3.1-8b", {"engine": "tensorrt-llm", "kv_cache_dtype": "fp8"}, 16.05, 263_008),
    ],
)
def test_other_engines_hold_the_tokens_that_they_log(preset, asked, pool, tokens):
    answer = given_pool(preset, pool=int(pool * GIB), **asked)
    assert answer.reported_kv_tokens == pytest.approx(tokens, rel=0.01 / pool + 1e-4)


@pytest.mark.parametrize(
    ("preset", "tokens", "kv_dtype", "mib"),
    [
        # llama.cpp and ik_llama.cpp, "KV self size": 61 x 576 x 2 bytes a token and so on
        ("qwen3-235b-a22b", 32_768, "fp16", 6016),
        ("qwen3-235b-a22b", 32_768, "q4_0", 1692),
        ("qwen3-32b", 40_960, "fp16", 10_240),
        ("qwen3-32b", 16_896, "q8_0", 2244),
        ("qwen3-0.6b", 4_096, "fp16", 448),
        ("llama-3.1-8b", 4_096, "fp16", 512),
        ("mistral-nemo-12b", 4_096, "fp16", 640),
        ("deepseek-v3", 163_840, "fp16", 10_980),  # printed for DeepSeek-R1, the same architecture
    ],
)
def test_llama_cpp_allocates_what_it_prints(preset, tokens, kv_dtype, mib):
    answer = given_pool(preset, engine="llama.cpp", seq_len=tokens, kv_cache_dtype=kv_dtype, weight_dtype="bf16")
    assert answer.allocated_bytes_per_sequence == mib * 2**20


def test_llama_cpp_pads_windows_to_256_cells():
    # gpt-oss-20b, 131,072 tokens: 3,072 MiB without windows; the windowed cache has 768 cells of 24 KiB
    answer = given_pool("gpt-oss-20b", engine="llama.cpp", seq_len=131_072, kv_cache_dtype="fp16")
    assert answer.allocated_bytes_per_sequence == 3072 * 2**20 + 768 * 24_576
    full = vary(answer, swa_full=True)
    assert full.allocated_bytes_per_sequence == 2 * 3072 * 2**20


def test_llama_cpp_keeps_states_in_32_bit():
    # Qwen3.5-35B-A3B, 4 sequences of 8,192 of 32,768 tokens: KV 640 MiB, state 251.25 MiB
    answer = given_pool("qwen3.5-35b-a3b", engine="llama.cpp", seq_len=8192, kv_cache_dtype="fp16")
    assert 4 * answer.allocated_bytes_per_sequence == int((640 + 251.25) * 2**20)


def test_sglang_derives_its_fraction():
    # H100 of 81,559 MiB: 512 + 1.5 x 8192 + 1024 / 8 + 2 x 256 + 8 x 58 = 13,904 MiB reserved
    assert plan("llama-3.1-8b", gpu="h100-sxm", engine="sglang").request.gpu_memory_utilization == 0.83
    eager = plan("llama-3.1-8b", gpu="h100-sxm", engine="sglang", enforce_eager=True)
    assert eager.request.gpu_memory_utilization == round((81_559 - 12_928) / 81_559, 3)


def test_sglang_keeps_two_pools_for_windows():
    # full = M / (F + 0.8 x W), windows = 0.8 x full; gpt-oss-20b: 12 full and 12 windowed layers of 2,048 bytes
    answer = given_pool("gpt-oss-20b", engine="sglang", seq_len=8192, kv_cache_dtype="bf16")
    full = int(POOL // (12 * 2048 + 0.8 * 12 * 2048))
    assert answer.reported_kv_tokens == full
    assert answer.max_batch_size == min(full // 8192, int(0.8 * full) // 129)


@pytest.mark.parametrize(
    ("engine", "preset", "granted"),
    # SGLang 0.5.23 is_hybrid_swa_model (gemma2_gemma3.py switches it off); llama.cpp 0c1e570: who sets swa_type
    [
        ("sglang", "gemma-3-27b", False), ("sglang", "mistral-7b-v0.1", False), ("sglang", "gpt-oss-20b", True),
        ("llama.cpp", "gemma-3-27b", True), ("llama.cpp", "mistral-7b-v0.1", False),
        ("llama.cpp", "phi-3-mini-4k", False), ("vllm", "mistral-7b-v0.1", True),
    ],
)  # fmt: skip
def test_windows_are_allocated_as_such_where_the_engine_does(engine, preset, granted):
    answer = given_pool(preset, engine=engine, seq_len=131_072, kv_cache_dtype="bf16")
    full = 131_072 * answer.model.groups[0].spec.kv_bytes(1, answer.request.storage, 1, 0) * answer.model.num_layers
    assert (answer.allocated_bytes_per_sequence < 0.99 * full) is granted
    assert any("at full length" in note for note in answer.notes) is not granted


@pytest.mark.parametrize(
    ("preset", "version", "copies", "inside"),
    # vLLM config/vllm.py use_v2_model_runner: from 0.25 dense models, from 0.29 all; graphs profiled there from 0.29
    [
        ("llama-3.1-8b", "0.22", 3.7, True), ("llama-3.1-8b", "0.24", 0.5, False),
        ("llama-3.1-8b", "0.27", 0.5, False), ("qwen3-30b-a3b", "0.27", 3.7, True),
        ("qwen3-next-80b-a3b", "0.27", 3.7, True), ("qwen3-30b-a3b", "0.29", 0.5, True),
        ("llama-3.1-8b", "0.33", 3.7, True),
    ],
)  # fmt: skip
def test_the_model_runner_decides_what_the_sampler_holds(preset, version, copies, inside):
    answer = plan(preset, gpu="h200", engine_version=version, max_num_batched_tokens=1024, max_num_seqs=1024)
    activation, graphs = answer.per_gpu.lines["activation"], answer.per_gpu.lines["cuda_graph"]
    assert graphs.in_slack is not inside
    logits = 4 * 1024 * answer.model.vocab_size
    assert activation.bytes >= copies * logits
    assert copies < 1 or activation.bytes < (copies + 0.6) * logits
    assert copies > 1 or activation.bytes < 3 * logits


def test_a_format_that_the_engine_ignores_is_noted_and_blocks_are_of_16_bit():
    # vLLM 0.33.0 models/falcon.py: attention without cache_config
    asked = {"gpu": "h200", "tensor_parallel_size": 2}
    eight, sixteen = (plan("falcon-40b", kv_cache_dtype=name, **asked) for name in ("fp8", "bf16"))
    assert eight.kv_bytes_per_sequence * 2 == sixteen.kv_bytes_per_sequence
    assert (eight.num_blocks, eight.max_batch_size) == (sixteen.num_blocks, sixteen.max_batch_size)
    assert any("keeps 16 bit" in note for note in eight.notes)
    assert not any("ignores" in note for note in sixteen.notes)


def test_windows_stood_at_full_length_before_vllm_grouped_layers():
    asked = {"seq_len": 131_072, "kv_cache_dtype": "bf16"}
    assert given_pool("gemma-3-27b", engine_version="0.8.5", **asked).stage.geometry.is_plain
    assert not given_pool("gemma-3-27b", engine_version="0.10", **asked).stage.geometry.is_plain
    # chunked local attention: VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE is off before 0.14
    assert given_pool("llama-4-scout", engine_version="0.13", **asked).stage.geometry.is_plain
    assert not given_pool("llama-4-scout", engine_version="0.14", **asked).stage.geometry.is_plain


def test_what_follows_the_length_is_exact_at_the_boundary_and_in_a_sweep():
    # before 0.8 a prompt is not chunked, so the tokens of a forward pass follow the length
    asked = {"gpu": "l4", "engine_version": "0.6"}
    longest = plan("llama-3.1-8b", seq_len=1000, **asked).max_context_len
    assert plan("llama-3.1-8b", seq_len=longest, **asked).fits
    assert not plan("llama-3.1-8b", seq_len=longest + 1, **asked).fits
    frame = calculator.sweep("llama-3.1-8b", seq_len=[1000, 8192], **asked)
    for row in frame.itertuples():
        answer = plan("llama-3.1-8b", seq_len=row.seq_len, **asked)
        assert (row.max_batch_size, row.num_blocks) == (answer.max_batch_size, answer.num_blocks)


@pytest.mark.parametrize(
    ("preset", "asked"),
    [
        ("gemma-2-9b", {"gpu": "h100-sxm", "engine": "llama.cpp"}),
        ("gpt-oss-120b", {"gpu": "h200", "engine": "tensorrt-llm"}),
        ("llama-4-maverick", {"gpu": "rtx-pro-6000-blackwell", "engine": "tensorrt-llm", "tensor_parallel_size": 8,
                              "pipeline_parallel_size": 4, "kv_cache_dtype": "nvfp4"}),
    ],
)  # fmt: skip
def test_a_sweep_is_its_plans_on_every_engine(preset, asked):
    for row in calculator.sweep(preset, seq_len=[300, 8192], **asked).itertuples():
        answer = plan(preset, seq_len=row.seq_len, **asked)
        figures = answer.num_blocks, answer.max_batch_size, answer.max_context_len
        assert (row.num_blocks, row.max_batch_size, row.max_context_len) == figures


def test_tensorrt_llm_takes_a_fraction_of_what_is_left():
    # a log closes so: (139.80 - 17.76 + 0.13) x 0.9 = 109.95; here the peak is given by hand
    answer = plan(
        "llama-3-8b",
        gpu_memory_bytes=int(139.80 * GIB),
        engine="tensorrt-llm",
        activation_bytes=0,
        non_torch_bytes=int(17.63 * GIB) - 8_030_261_248 * 2,
        seq_len=1025,
    )
    assert answer.kv_pool_bytes / GIB == pytest.approx(109.95, abs=0.01)


def test_tensorrt_llm_shares_memory_between_windows():
    # kvCacheManager.cpp calculateWindowSizeToShare: window x bytes a token
    answer = given_pool("gemma-3-27b", engine="tensorrt-llm", seq_len=8192, kv_cache_dtype="bf16")
    full, window = answer.stage.geometry.counts(POOL, 8192)
    share = 8192 * 10 / (8192 * 10 + 1024 * 52)
    assert full == int(POOL * share) // (32 * 81_920)
    assert window == int(POOL * (1 - share)) // (32 * 52 * 8192)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"engine": "llama.cpp", "tensor_parallel_size": 4}, "give pipeline_parallel_size 4"),
        ({"engine": "tensorrt-llm", "block_size": 48}, "a power of two above 1; the nearest is 32"),
        ({"engine": "tensorrt-llm", "gpu_memory_utilization": 1.0}, "must be less than 1 for TensorRT-LLM"),
        ({"engine": "llama.cpp", "block_size": 16}, "llama.cpp has no blocks"),
        ({"block_size": 20}, "1, 8 or a multiple of 16; the nearest is 16"),
        ({"enable_attention_dp": True}, "vLLM has no attention data parallelism"),
        ({"swa_full": True}, "vLLM has no switch"),
        ({"decode_context_parallel_size": 2}, "legal are 1, the nearest is 1"),
        ({"engine_version": "latest"}, "engine_version must look like 0.33"),
        ({"engine": "llama.cpp", "decode_context_parallel_size": 2}, "llama.cpp has no decode context parallelism"),
    ],
)
def test_what_an_engine_does_not_have_is_refused(asked, match):
    with pytest.raises(calculator.CalculatorError, match=match):
        plan("llama-3-8b", gpu="h100-sxm", **asked)


@pytest.mark.parametrize(
    ("preset", "asked", "match"),
    [
        ("gemma-3-27b", {"tensor_parallel_size": 8, "decode_context_parallel_size": 2}, "context of sliding windows"),
        ("deepseek-v3.2", {"block_size": 16}, "blocks of a multiple of 64"),
        (
            "qwen3-next-80b-a3b",
            {"engine": "tensorrt-llm"},
            "keeps a state that does not grow, which the rules of TensorRT-LLM",
        ),
        ("deepseek-v3", {"engine_version": "0.6.3"}, "expanded heads"),
    ],
)
def test_pairings_that_are_not_understood_are_refused(preset, asked, match):
    with pytest.raises(calculator.CalculatorError, match=match):
        plan(preset, gpu="h200", **asked)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("preset", ["llama-3.1-8b", "gemma-3-27b", "deepseek-v2-lite"])
def test_both_answers_of_every_engine_are_exact_at_the_boundary(engine, preset):
    answer = plan(preset, gpu="h200", seq_len=8000, engine=engine, kv_cache_dtype="bf16")
    most = answer.max_batch_size
    assert most > 10
    assert vary(answer, batch_size=most).fits
    assert not vary(answer, batch_size=most + 1).fits
    longest = vary(answer, batch_size=7).max_context_len
    if engine != "tensorrt-llm" or preset != "gemma-3-27b":  # its pools follow the longest sequence
        assert vary(answer, batch_size=7, seq_len=longest).fits
        assert not vary(answer, batch_size=7, seq_len=longest + 1).fits


@pytest.mark.parametrize("engine", ENGINES)
def test_the_range_holds_the_answer_and_names_its_cause(engine):
    answer = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8192, engine=engine)
    assert answer.max_batch_size_low <= answer.max_batch_size <= answer.max_batch_size_high
    assert answer.kv_pool_bytes_low < answer.kv_pool_bytes < answer.kv_pool_bytes_high
    assert answer.range_cause in ("activation memory", "memory outside the allocator", "CUDA graphs")
    sure = vary(answer, activation_bytes=2**30, non_torch_bytes=2**28, cuda_graph_bytes=0)
    assert sure.kv_pool_bytes_low == sure.kv_pool_bytes == sure.kv_pool_bytes_high
    assert sure.range_cause == ""


@pytest.mark.parametrize(
    ("gpu", "version", "context", "tokens"),
    # vLLM engine/arg_utils.py get_batch_defaults, 0.11.0 to 0.33.0: LLM class and server, from 70 GiB on and below; an
    # A100 counts as below, from 160 GiB on both are 16,384 since 0.28
    [
        ("rtx-5090", "0.28", None, 2_048), ("rtx-5090", "0.28", "server", 2_048),
        ("rtx-5090", "0.28", "offline", 8_192),
        ("h100-sxm", "0.19", "server", 8_192), ("h100-sxm", "0.19", "offline", 16_384),
        ("a100-80gb-sxm", None, "offline", 8_192), ("b200", None, "offline", 16_384), ("b200", None, "server", 16_384),
    ],
)  # fmt: skip
def test_vllm_takes_more_tokens_at_once_without_a_server(gpu, version, context, tokens):
    answer = plan("llama-3.1-8b", gpu=gpu, engine_version=version, usage_context=context, seq_len=8_192)
    assert answer.request.max_num_batched_tokens == tokens
    said = calculator.serve_command(answer)
    assert (f"--max-num-batched-tokens {tokens}" in said) is (context == "offline")
    assert "usage_context" not in said


def test_a_usage_context_that_vllm_does_not_have_is_refused():
    with pytest.raises(
        calculator.InvalidValueError, match="usage_context 'batch' is none of vLLM's: server or offline"
    ):
        plan("llama-3.1-8b", gpu="l4", usage_context="batch")
    with pytest.raises(
        calculator.UnsupportedError, match="usage_context: SGLang has no other defaults without a server"
    ):
        plan("llama-3.1-8b", gpu="l4", engine="sglang", usage_context="offline")
