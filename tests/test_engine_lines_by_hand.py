"""What each engine prints and is started with, read by its own words alone: its options, its lines, its parts."""

import pytest

from calculator.engines import engine_log
from calculator.engines.llama_cpp.log import LOG as LLAMA_CPP_LOG
from calculator.engines.sglang.log import LOG as SGLANG_LOG
from calculator.engines.tensorrt_llm.log import LOG as TENSORRT_LLM_LOG
from calculator.engines.vllm.log import LOG as VLLM_LOG
from calculator.errors import CalculatorError
from calculator.logs.lines import vocabulary as words
from calculator.logs.lines.starts import Start
from calculator.logs.reading import StartupLog, read_log
from calculator.logs.setup import _formats

GIB = 2**30


@pytest.fixture
def own(monkeypatch):
    """Return what is known where one engine is the only one: no other's words help to read its log."""

    def only(engine):
        monkeypatch.setattr(words, "ENGINES", (engine,))
        return words.vocabulary.__wrapped__()

    return only


# Options: by the names of each engine's command line, as its help prints them

VLLM = {
    "model": ("org/m-7", "model", "org/m-7"), "model_tag": ("org/m-7", "model", "org/m-7"),
    "served_model_name": ("['a-1',", "served_name", "a-1"), "max_model_len": ("4096", "seq_len", 4_096),
    "max_seq_len": ("32k", "seq_len", 32_000), "tensor_parallel_size": ("2", "tensor_parallel_size", 2),
    "pipeline_parallel_size": ("3", "pipeline_parallel_size", 3), "data_parallel_size": ("4", "data_parallel_size", 4),
    "decode_context_parallel_size": ("2", "decode_context_parallel_size", 2),
    "gpu_memory_utilization": ("0.85", "gpu_memory_utilization", 0.85), "max_num_seqs": ("64", "max_num_seqs", 64),
    "max_num_batched_tokens": ("8192", "max_num_batched_tokens", 8_192),
    "kv_cache_dtype": ("fp8", "kv_cache_dtype", "fp8"), "quantization": ("awq", "quantization", "awq"),
    "dtype": ("half", "dtype", "half"), "block_size": ("32", "block_size", 32),
    "language_model_only": ("True", "language_model_only", True), "enforce_eager": ("True", "enforce_eager", True),
    "enable_prefix_caching": ("False", "enable_prefix_caching", False),
    "async_scheduling": ("True", "async_scheduling", True),
    "enable_expert_parallel": ("True", "enable_expert_parallel", True),
    "disable_hybrid_kv_cache_manager": ("True", "disable_hybrid_kv_cache_manager", True),
    "kv_cache_memory_bytes": ("2G", "kv_cache_memory_bytes", 2 * GIB),
    "speculative_config": ("SpeculativeConfig", "speculative", "SpeculativeConfig"),
    "enable_lora": ("True", "lora", True), "device_name": ("B200-1", "device", "B200-1"),
}  # fmt: skip
SGLANG = {
    "model_path": ("org/m-7", "model", "org/m-7"), "served_model_name": ("'a-1'", "served_name", "a-1"),
    "context_length": ("4096", "seq_len", 4_096), "tp_size": ("2", "tensor_parallel_size", 2),
    "pp_size": ("3", "pipeline_parallel_size", 3), "mem_fraction_static": ("0.85", "gpu_memory_utilization", 0.85),
    "max_total_tokens": ("9000", "max_total_tokens", 9_000), "max_running_requests": ("64", "max_num_seqs", 64),
    "chunked_prefill_size": ("8192", "max_num_batched_tokens", 8_192),
    "kv_cache_dtype": ("fp8_e5m2", "kv_cache_dtype", "fp8_e5m2"), "quantization": ("awq", "quantization", "awq"),
    "dtype": ("half", "dtype", "half"), "page_size": ("64", "block_size", 64),
    "disable_cuda_graph": ("True", "enforce_eager", True),
    "enable_dp_attention": ("True", "enable_attention_dp", True),
    "disable_radix_cache": ("True", "enable_prefix_caching", False), "dcp_size": ("2",
     "decode_context_parallel_size", 2),
    "attention_backend": ("flashinfer", "attention_backend", "flashinfer"),
}  # fmt: skip
TENSORRT = {
    "model": ("org/m-7", "model", "org/m-7"), "max_seq_len": ("4096", "seq_len", 4_096),
    "tp_size": ("2", "tensor_parallel_size", 2), "pp_size": ("3", "pipeline_parallel_size", 3),
    "free_gpu_memory_fraction": ("0.85", "gpu_memory_utilization", 0.85),
    "kv_cache_free_gpu_memory_fraction": ("0.8", "gpu_memory_utilization", 0.8),
    "max_batch_size": ("64", "max_num_seqs", 64), "max_num_tokens": ("8192", "max_num_batched_tokens", 8_192),
    "tokens_per_block": ("64", "block_size", 64), "enable_attention_dp": ("True", "enable_attention_dp", True),
}  # fmt: skip
LLAMA = {
    "hf_repo": ("org/m-7", "model", "org/m-7"), "ctx_size": ("4096", "ctx_size", 4_096),
    "parallel": ("4", "parallel", 4), "ubatch_size": ("1024", "max_num_batched_tokens", 1_024),
}  # fmt: skip
OPTIONS = {"vllm": VLLM, "sglang": SGLANG, "tensorrt-llm": TENSORRT, "llama.cpp": LLAMA}
LOGS = {"vllm": VLLM_LOG, "sglang": SGLANG_LOG, "tensorrt-llm": TENSORRT_LLM_LOG, "llama.cpp": LLAMA_CPP_LOG}


@pytest.mark.parametrize("engine", OPTIONS)
def test_options_are_read_by_the_engines_own_names(engine, own):
    known = own(engine)
    assert known.logs == {engine: LOGS[engine]}
    # every option that is read is one of these
    assert set(LOGS[engine].arguments) == set(OPTIONS[engine])
    for name, (printed, target, value) in OPTIONS[engine].items():
        assert words.stated_by(f" {name}={printed}", "", known) == {target: value}
        assert words.stated_by(f"'{name}': {printed}", "", known) == {target: value}
        assert words.stated_by(f"$ run --{name.replace('_', '-')} {printed.strip('[,')}", "", known) == {target: value}


@pytest.mark.parametrize(
    ("engine", "line", "stated"),
    [
        ("vllm", "vllm serve a/b-1 -tp 2 -pp 3 -dp 4 -dcp 8", {
            "tensor_parallel_size": 2, "pipeline_parallel_size": 3, "data_parallel_size": 4,
            "decode_context_parallel_size": 8, "model": "a/b-1"}),
        ("llama.cpp", "llama-server -c 8192 -np 4 -ub 256",
         {"ctx_size": 8_192, "parallel": 4, "max_num_batched_tokens": 256}),
        ("vllm", "run --no-enforce-eager --enable-lora --max-num-seqs -1", {"enforce_eager": False, "lora": True}),
    ],
)  # fmt: skip
def test_short_options(engine, line, stated, own):
    assert words.stated_by(line, "", own(engine)) == stated


# Lines: each is told from the many that say nothing by one word, and read


@pytest.mark.parametrize(
    ("engine", "line", "read"),
    [
        ("vllm", "Graph capturing finished in 20 secs, took 0.55 GiB", {"cuda_graph_gib": 0.55}),
        ("vllm", "kv_cache_dtype: fp8", {"kv_cache_dtype": "fp8"}),
        ("vllm", "# GPU blocks: 34501, # CPU blocks: 2080", {"num_blocks": 34_501, "v0_lines": 1}),
        ("vllm", "gpu_memory_utilization: 0.85", {"gpu_memory_utilization": 0.85}),
        ("vllm", "vLLM API server version 0.11.0", {"engine_version": "0.11.0"}),
        ("vllm", "model: org/m-7", {"model": "org/m-7"}),
        ("vllm", "non-default args: {'quantization': 'fp8'}", {"args_whole": 1, "quantization": "fp8"}),
        ("vllm", "run --quantization awq", {"quantization": "awq"}),
        ("vllm", "speculative_config: 'eagle'", {"speculative": "eagle"}),
        ("vllm", "max_num_batched_tokens=512", {"max_num_batched_tokens": 512}),
        ("vllm", "Model ID: org/m-7", {"model": "org/m-7"}),
        ("vllm", "Running on NVIDIA L40S", {"device": "NVIDIA L40S"}),
        ("vllm", "Device 0: GeForce RTX 2080", {"device": "GeForce RTX 2080"}),
        ("vllm", "Device 0: Instinct MI300X", {"device": "Instinct MI300X"}),
        ("vllm", "Device 0: Tesla T4", {"device": "Tesla T4"}),
        ("vllm", "Device 0: Quadro RTX 8000", {"device": "Quadro RTX 8000"}),
        ("vllm", "max_seq_len=4096", {"seq_len": 4_096}),
        ("vllm", "tensor_parallel_size: 4", {"tensor_parallel_size": 4}),
        ("vllm", "Initializing a V1 LLM engine (v0.33.0) with", {"engine_version": "0.33.0"}),
        ("vllm", "rocm/vllm-dev:v0.10.2", {"engine_version": "0.10.2"}),
        ("vllm", "vllm/vllm:v0.9.2", {"engine_version": "0.9.2"}),
        ("vllm", "$ vllm serve org/m-7", {"model": "org/m-7"}),
        ("vllm", "    -tp 2", {"tensor_parallel_size": 2}), ("vllm", "    -pp 2", {"pipeline_parallel_size": 2}),
        ("vllm", "    -dp 2", {"data_parallel_size": 2}), ("vllm", "    -dcp 2", {"decode_context_parallel_size": 2}),
        ("sglang", "Using KV cache dtype: torch.bfloat16", {"k_type": "bfloat16", "dtype": "torch.bfloat16"}),
        ("sglang", "Load weight begin. avail mem=15.16 GB", {"free_at_start_gib": 15.16}),
        ("sglang", "rocm/sgl-dev:v0.5.8", {"engine_version": "0.5.8"}),
        ("sglang", "lmsys/sglang:v0.5.4", {"engine_version": "0.5.4"}),
        ("sglang", "SGLang v0.4.9", {"engine_version": "0.4.9"}),
        ("sglang", "mem_fraction_static=0.8", {"gpu_memory_utilization": 0.8}),
        ("sglang", "chunked_prefill_size: 2048", {"max_num_batched_tokens": 2_048}),
        ("tensorrt-llm", "kv size per token is 35136.", {"kv_bytes_per_token": 35_136}),
        ("tensorrt-llm", "fraction is set 0.9", {"gpu_memory_utilization": 0.9}),
        ("tensorrt-llm", "Loaded engine size: 6144 MiB", {"engine_gib": 6}),
        # https://github.com/NVIDIA/TensorRT-LLM/issues/1400: 64.75 GiB
        ("tensorrt-llm", "[TensorRT-LLM][INFO] Allocate 69524783104 bytes for k/v cache.",
         {"pool_bytes": 69_524_783_104}),
        ("tensorrt-llm", "max_num_tokens=8192", {"max_num_batched_tokens": 8_192}),
        ("llama.cpp", "build: 6123 (79c1160b)", {"engine_version": "6123 (79c1160b)"}),
        ("llama.cpp", "n_ctx         = 4096", {"n_ctx": 4_096}), ("llama.cpp", "n_seq_max     = 4", {"sequences": 4}),
        ("llama.cpp", "n_ubatch      = 512", {"max_num_batched_tokens": 512}),
        ("llama.cpp", "general.name = Qwen3 8B", {"model": "Qwen3 8B"}),
        ("llama.cpp", "file type   = Q4_K - Medium", {"file_type": "Q4_K - Medium"}),
        ("llama.cpp", "-m ./qwen3-8b.gguf", {"file": "qwen3-8b.gguf"}),
        ("llama.cpp", "flash_attn    = disabled", {"flash_attention": 0}),
        ("llama.cpp", "kv_unified    = true", {"unified": 1}),
        ("llama.cpp", "llama-server -c 8192", {"ctx_size": 8_192}),
        ("llama.cpp", "llama-cli -c 8192", {"ctx_size": 8_192}),
    ],
)  # fmt: skip
def test_a_line_is_told_by_one_word_and_read(engine, line, read, own):
    known = own(engine)
    assert words.may_be_of_the_start(line, known)
    found = {name: value for _, _, values in words.hits_of(line, known) for name, value in values.items()}
    assert {**found, **words.stated_by(line, "", known)} == read
    assert not words.may_be_of_the_start("Uvicorn is up", known)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("llama_model_loader: - kv   5: qwen3.block_count u32 = 36", ("qwen3.block_count", "u32 = 36")),
        ("print_info: n_layer = 36", ("n_layer", "36")), ("llm_load_print_meta: n_layer = 36", ("n_layer", "36")),
    ],
)  # fmt: skip
def test_metadata_of_a_file_are_told(line, said, own):
    known = own("llama.cpp")
    assert words.may_be_of_the_start(line, known)
    assert list(words.described_by(line, known)) == [("llama.cpp", *said)]


def test_a_draft_is_told(own):
    known = own("llama.cpp")
    line = "srv: creating draft context"
    assert words.may_be_of_the_start(line, known)
    assert list(words.begins_drafts(line, known)) == ["llama.cpp"]


@pytest.mark.parametrize(
    "line",
    ["Avg prompt throughput: 1 tokens/s", '"POST /v1/chat HTTP/1.1" 200 model', "#running-req: 1 tokens",
     "Received request x: max_tokens", "Receive: obj=GenerateReqInput(model", "log_server_r: model",
     "prompt_token_ids=None, tokens", "served 1 req, tokens 5", "reqs with tokens"],
)  # fmt: skip
def test_lines_of_a_running_server_are_none_of_the_start(line, own):
    assert not words.may_be_of_the_start(line, own("vllm"))
    assert words.may_be_of_the_start("required tokens", own("vllm"))  # no request


# Parts: what all of them together are, and what a draft prints for itself


def read_of(engine, content):
    found = read_log(content)
    assert found.engine == engine
    return found


MIB_LINES = {
    "cells_gib": "llama_kv_cache: size = {} MiB (  4096 cells,  40 layers,  1/1 seqs)",
    "buffer_gib": "load_tensors:        CUDA{device} model buffer size = {} MiB",
    "kv_buffer_gib": "llama_kv_cache:      CUDA{device} KV buffer size =  {} MiB",
    "state_buffer_gib": "llama_memory_recurrent:      CUDA{device} RS buffer size =  {} MiB",
}


@pytest.mark.parametrize(
    ("printed", "figure"),
    [("cells_gib", "kv_pool_gib"), ("kv_buffer_gib", "kv_pool_gib"), ("buffer_gib", "weights_gib"),
     ("state_buffer_gib", "state_gib")],
)  # fmt: skip
def test_buffers_of_llama_cpp_are_added_up_and_those_of_a_draft_are_not(printed, figure):
    line = MIB_LINES[printed]
    lines = [line.format(many, device=i) for i, many in enumerate((512, 256))]
    more = "load_tensors: CUDA0 model buffer size = 1 MiB" if figure != "weights_gib" else ""
    content = "\n".join([*lines, more, "srv: creating draft context", line.format(1024, device=0)])
    found = read_of("llama.cpp", content)
    assert found.figures[figure] == pytest.approx(0.75)  # 512 + 256 MiB
    assert found.flags["speculative"] == "draft"


def test_one_figure_of_llama_cpp_before_a_draft_and_after_is_that_of_the_model():
    found = read_of("llama.cpp", "loading draft model\nKV self size  =  512 MiB\nllama_context: n_ctx = 4096\n"
                    "load_tensors: CUDA0 model buffer size = 1 MiB\n"
                    "llama_memory_recurrent: size =  598.50 MiB (     4 cells,  65 layers,  4 seqs)\n")  # fmt: skip
    assert "kv_pool_gib" not in found.figures
    assert "weights_gib" not in found.figures
    assert found.figures["state_gib"] == 598.5 / 1_024


@pytest.mark.parametrize(
    ("figures", "flags", "lengths"),
    # cells of one stream: of all, where they are divided, a share
    [
        ({}, {}, {"batch_size": 1}),
        ({"sequences": 4, "n_ctx": 4_096}, {}, {"batch_size": 4, "seq_len": 1_024}),
        ({"sequences": 4, "unified": 1, "n_ctx": 4_096}, {}, {"batch_size": 1, "seq_len": 4_096}),
        ({"sequences": 4, "unified": 0, "n_ctx": 4_096}, {}, {"batch_size": 4, "seq_len": 1_024}),
        ({"sequences": 4, "streams": 2, "n_ctx": 4_096}, {}, {"batch_size": 2, "seq_len": 2_048}),
        ({"sequences": 4, "streams": 0, "n_ctx": 4_096}, {}, {"batch_size": 1, "seq_len": 4_096}),
        ({"cells": 100, "n_ctx": 4_096}, {"ctx_size": 8, "seq_len": 9}, {"batch_size": 1, "seq_len": 100}),
        ({}, {"parallel": 3, "ctx_size": 3_072}, {"batch_size": 3, "seq_len": 1_024}),
        ({"sequences": 2}, {"parallel": 3, "seq_len": 512}, {"batch_size": 2, "seq_len": 512}),
        ({"sequences": 4}, {"ctx_size": 2}, {"batch_size": 4}),
    ],
)  # fmt: skip
def test_streams_of_llama_cpp_and_their_cells(figures, flags, lengths):
    assert engine_log("llama.cpp").lengths(StartupLog("llama.cpp", figures, flags, 1, (), 0)) == lengths


def test_the_last_of_two_starts_of_llama_cpp_is_summed():
    # weights after a compute buffer begin another start: 2 + 3 GiB of it, after 7 GiB
    def buffer(gib):
        return f"load_tensors: CUDA0 model buffer size = {1_024 * gib} MiB\n"

    compute = "llama_context: CUDA0 compute buffer size = 100 MiB\n"
    for content, weights in (
        (buffer(7) + compute + buffer(2) + buffer(3), 5), (buffer(7) + buffer(2) + compute, 9),
        (buffer(7) + compute + buffer(2) + compute + buffer(4) + compute, 4), (compute + buffer(2) + buffer(1), 3),
    ):  # fmt: skip
        assert read_of("llama.cpp", content).figures["weights_gib"] == weights


SGLANG_LINES = {
    "k_gib": "KV Cache is allocated. #tokens: 4096, K size: 2.00 GB, V size: 1.50 GB",
    "kv_pool_gib": "KV Cache is allocated. #tokens: 4096, KV size: 3.50 GB",
    "window_pools_gib": "SWAKVPool mem usage: 3.50 GB, swa size: 64, full size: 4096",
}


@pytest.mark.parametrize("printed", SGLANG_LINES)
def test_pools_of_sglang_behind_the_end_of_its_memory_are_a_drafts(printed):
    line, end = SGLANG_LINES[printed], "Memory pool end. avail mem=22.56 GB\n"
    one = read_of("sglang", f"{line}\n{end}")
    again = line.replace("2.00", "0.50").replace("3.50", "0.75").replace("1.50", "0.25")
    both = read_of("sglang", f"{line}\n{end}{again}\n{end}")
    assert (one.figures["kv_pool_gib"], both.figures["kv_pool_gib"]) == (3.5, 3.5)
    assert (one.flags.get("speculative"), both.flags.get("speculative")) == (None, "draft")


@pytest.mark.parametrize(
    ("lines", "figures"),
    [
        ("Load weight begin. avail mem=78.43 GB\nLoad weight end. type=X1Model, avail mem=63.12 GB",
         {"weights_gib": 15.31, "free_at_start_gib": 78.43, "free_after_weights_gib": 63.12}),
        ("Load weight begin. avail mem=78.43 GB\nLoad weight end. avail mem=63.12 GB, mem usage=15.30 GB",
         {"weights_gib": 15.3, "free_at_start_gib": 78.43, "free_after_weights_gib": 63.12}),
        ("Capture target decode CUDA graph end. mem usage=1.25 GB\n"
         "Capture target verify CUDA graph end. mem usage=0.50 GB\n"
         "Capture target prefill CUDA graph end. mem usage=0.125 GB", {"cuda_graph_gib": 1.875}),
        ("Capture target verify CUDA graph end. mem usage=0.50 GB", {"cuda_graph_gib": 0.5}),
        ("conv_state size: 0.07GB, ssm_state size: 3.05GB", {"state_gib": 3.12}),
        ("intermediate_ssm_state_cache size: 48.75GB intermediate_conv_window_cache size: 0.43GB",
         {"draft_states_gib": 49.18}),
        # of four ranks that with the least; each prints its two pools, of tokens and of windows
        ("[2025-12-19 07:42:57 TP0] K size: 4.00 GB, V size: 2.00 GB\n"
         "[2025-12-19 07:42:57 TP0] K size: 0.50 GB, V size: "
         "0.25 GB\n[2025-12-19 07:42:57 TP1] K size: 3.00 GB, V size: 2.00 GB\n"
         "[2025-12-19 07:42:57 TP1] K size: 0.50 GB, "
         "V size: 0.25 GB\nfull_layer_tokens=375360, swa_layer_tokens=300288",
         {"kv_pool_gib": 5.75, "kv_tokens": 375_360, "window_tokens": 300_288}),
        # without windows a rank that prints the same again has it once; states stand beside keys and values
        ("[2025-12-19 07:42:57 TP0] K size: 4.00 GB, V size: 2.00 GB\n"
         "[2025-12-19 07:42:57 TP0] K size: 4.00 GB, V size: "
         "2.00 GB\n"
         "[2025-12-19 07:42:57 TP0] Mamba Cache is allocated. conv_state size: 0.50GB, ssm_state size: 1.50GB",
          {"kv_pool_gib": 8.0, "state_gib": 2.0}),
    ],
)  # fmt: skip
def test_parts_of_sglang(lines, figures):
    found = read_of("sglang", lines).figures
    assert {name: value for name, value in found.items() if name.endswith(("_gib", "_tokens"))} == figures


def test_tokens_of_two_pools_of_sglang_are_no_ranks_that_differ():
    pools = "KV Cache is allocated. #tokens: 4096, K size: 2.00 GB, V size: 1.50 GB\n"
    pools += "KV Cache is allocated. #tokens: 1024, K size: 0.50 GB, V size: 0.25 GB\n"
    assert len(read_of("sglang", pools).problems) == 1
    found = read_of("sglang", pools + "full_layer_tokens=4096, swa_layer_tokens=1024")
    assert (found.problems, found.figures["kv_pool_gib"]) == ((), 4.25)


def test_what_loading_leaves_in_use_on_sglang():
    from calculator.engines.sglang.overheads import LEFT_AT_MOST, LEFT_BY_LOADING, UNIFIED_LEFT_AT_MOST

    log = engine_log("sglang")

    def in_use(memory, **figures):
        return log.in_use(StartupLog("sglang", figures, {}, 1, (), 0), memory)

    free = {"gpu_memory_bytes": 70 * GIB, "non_torch_bytes": LEFT_BY_LOADING}
    assert in_use(None, free_at_start_gib=70.0) == free
    assert in_use(None, weights_gib=15.0, free_after_weights_gib=55.0) == free
    assert in_use(None, free_at_start_gib=70.0, weights_gib=1.0, free_after_weights_gib=2.0) == free
    assert in_use(80 * GIB, free_at_start_gib=70.0) == {"non_torch_bytes": 10 * GIB + LEFT_BY_LOADING}
    assert in_use(60 * GIB, free_at_start_gib=70.0) == {"non_torch_bytes": LEFT_BY_LOADING}
    assert in_use(80 * GIB, weights_gib=15.0) == in_use(80 * GIB, free_after_weights_gib=55.0) == in_use(None) == {}
    less, unified = (LEFT_AT_MOST - LEFT_BY_LOADING) / GIB, (UNIFIED_LEFT_AT_MOST - LEFT_BY_LOADING) / GIB
    assert log.unsure_gib({"gpu": "h100-sxm"}) == (0, 0)
    assert log.unsure_gib({"gpu": "h100-sxm", "non_torch_bytes": 1}) == (less, LEFT_BY_LOADING / GIB)
    assert log.unsure_gib({"non_torch_bytes": 1}) == (less, LEFT_BY_LOADING / GIB)
    assert log.unsure_gib({"gpu": "gb10", "non_torch_bytes": 1}) == (unified, LEFT_BY_LOADING / GIB)


@pytest.mark.parametrize(
    ("lines", "figures"),
    [
        # the pool that is allocated behind the profiler's, the least of ranks; without a profiler all are of the start
        ("Allocated 4.00 GiB for max tokens in paged KV cache (400)\n"
         "Peak memory during memory usage profiling (torch + "
         "non-torch): 17.76 GiB\nAllocated 9.00 GiB for max tokens in paged KV cache (900)\nAllocated 8.00 GiB for max "
         "tokens in paged KV cache (800)", {"kv_pool_gib": 8.0, "kv_tokens": 800, "peak_gib": 17.76}),
        ("Allocated 4.00 GiB for max tokens in paged KV cache (400)", {"kv_pool_gib": 4.0, "kv_tokens": 400}),
        ("Allocated 4.00 GiB for max tokens in paged KV cache (400)\n"
         "Peak memory during memory usage profiling (torch + "
         "non-torch): 17.76 GiB, available KV cache memory when calculating max tokens: 6.00 GiB",
         {"peak_gib": 17.76, "kv_pool_gib": 6.0}),
        ("Allocate 2147483648 bytes for k/v cache\ntokens per block=32, primary blocks=77",
         {"kv_pool_gib": 2.0, "num_blocks": 77}),
        ("available KV cache memory when calculating max tokens: 6.00 GiB\nAllocate 2147483648 bytes for k/v cache",
         {"kv_pool_gib": 6.0}),
        ("Memory used outside torch (e.g., NCCL) in memory usage profiling: 5.25 GiB, tmp kv_mem 4.00 GiB",
         {"non_torch_gib": 1.25, "temporary_gib": 4.0}),
        # an engine that was built: its size is its weights, context, buffers and decoder its activations
        ("Loaded engine size: 6144 MiB\nAllocated 512.00 MiB for execution context memory\n"
         "Allocated 256.00 MB GPU memory "
         "for runtime buffers\nAllocated 1.50 GB GPU memory for decoder\n"
         "calculating max tokens in paged kv cache: total: "
         "80.00 GiB, available: 70.00 GiB",
         {"weights_gib": 6, "activation_gib": 2.25, "memory_gib": 80, "free_gib": 70, "non_torch_gib": 1.75}),
        ("Loaded engine size: 6144 MiB\nAllocated 512.00 MiB for execution context memory", {"weights_gib": 6}),
        ("Loaded engine size: 6144 MiB\nAllocated 512 MiB for execution context memory\n"
         "Allocated 1048576 KB GPU memory "
         "for runtime buffers\nAllocated 1073741824 B GPU memory for decoder",
         {"weights_gib": 6, "activation_gib": 2.5}),
    ],
)  # fmt: skip
def test_parts_of_tensorrt_llm(lines, figures):
    found = read_of("tensorrt-llm", lines).figures
    assert {name: value for name, value in found.items() if name.endswith(("_gib", "_tokens", "_bytes", "_blocks"))} \
        == figures  # fmt: skip


PEAK = "Peak memory during memory usage profiling (torch + non-torch): 17.76 GiB\n"
ENGINE, CONTEXT = "Loaded engine size: 6144 MiB\n", "Allocated 512.00 MiB for execution context memory\n"
POOL = "available KV cache memory when calculating max tokens: 6.00 GiB\n"


@pytest.mark.parametrize(
    ("version", "lines", "rules", "said"),
    # the PyTorch backend profiles its peak; engines that trtllm-build made print their size and their context
    [
        ("1.2.0", PEAK, "1.2.0", []), ("0.20.0", PEAK, "1.0", ["pytorch_backend"]),
        ("0.20.0", POOL, "0.20.0", []), ("1.2.0", ENGINE, "0.21", ["built_engine"]),
        ("1.2.0", CONTEXT, "0.21", ["built_engine"]),
        ("0.20.0", ENGINE, "0.20.0", []), ("0.20.0", PEAK + ENGINE, "0.20.0", []),
    ],
)  # fmt: skip
def test_a_start_of_tensorrt_llm_is_of_the_backend_that_prints_it(version, lines, rules, said):
    found = read_of("tensorrt-llm", f"TensorRT-LLM version: {version}\n{lines}")
    assert found.flags["engine_version"] == rules
    assert [problem.key.removeprefix("logs.problem.") for problem in found.problems] == said


@pytest.mark.parametrize(
    ("lines", "figures"),
    [
        ("INFO 10-02 09:12:05 [api_server.py:1839] GPU KV cache size: 16 tokens", {"usage_context": "server"}),
        ("INFO 10-02 09:12:05 [utils.py:233] non-default args: {'a': 1}\nGPU KV cache size: 16 tokens",
         {"usage_context": "offline", "args_whole": 1}),
        ("INFO 10-02 09:12:05 [utils.py:233] non-default args: {'a': 1}\n"
         "(APIServer pid=1) GPU KV cache size: 16 tokens",
         {"usage_context": "server", "args_whole": 1}),
        ("GPU KV cache size: 16 tokens", {}),
        ("Current kv cache memory in use is 2147483648 bytes", {"kv_pool_gib": 2.0}),
        ("model weights take 7.50GiB\nMemory profiling results: total_gpu_memory=80.00GiB, peak_torch_memory=9.75GiB",
         {"weights_gib": 7.5, "memory_gib": 80.0, "activation_gib": 2.25, "v0_lines": 1}),
        ("Memory profiling results: total_gpu_memory=80.00GiB, peak_torch_memory=9.75GiB",
         {"memory_gib": 80.0, "peak_torch_gib": 9.75, "v0_lines": 1}),
    ],
)  # fmt: skip
def test_parts_of_vllm(lines, figures):
    found = read_of("vllm", lines)
    got = {**found.figures, **{name: found.flags[name] for name in ("usage_context",) if name in found.flags}}
    assert {name: value for name, value in got.items() if name != "kv_tokens"} == figures


@pytest.mark.parametrize(
    ("figures", "first", "last"),
    # the shapes that only some releases print: from 0.28, from 0.22, from 0.11, from 0.8; of V0 up to 0.8
    [
        ({}, 0, 99), ({"v1_lines": 1}, 8, 99), ({"since_0_11": 1}, 11, 99), ({"second_runner": 1}, 22, 99),
        ({"since_0_28": 1}, 28, 99), ({"v0_lines": 1}, 0, 8), ({"v1_lines": 1, "since_0_28": 1}, 28, 99),
        ({"v0_lines": 1, "v1_lines": 1}, 8, 8),
    ],
)  # fmt: skip
def test_which_versions_of_vllm_print_lines_of_a_shape(figures, first, last):
    log, own = StartupLog("vllm", figures, {}, 1, (), 0), engine_log("vllm")
    assert [minor for minor in range(100) if own.may_be(f"0.{minor}", log)] == list(range(first, last + 1))


@pytest.mark.parametrize(
    ("line", "version", "key"),
    [
        ("the current vLLM instance can use total_gpu_memory (12.00GiB) x gpu_memory_utilization (0.95) = 11.40GiB",
         "0.7", "v0_lines"),
        ("GPU KV cache size: 1,024 tokens, Maximum concurrency for 512 tokens per request: 2.00x", None, "since_0_28"),
        ("(EngineCore pid=9) INFO [model_runner.py:77] Model loading took 14.9889 GiB", "0.27", "second_runner"),
        ("Desired GPU memory utilization is (0.9, 71.26 GiB)", None, "since_0_11"),
        ("INFO [gpu_worker.py:298] Available KV cache memory: 9.00 GiB", None, "v1_lines"),
        ("Available KV cache memory: 9.00 GiB", None, "newest"),
    ],
)  # fmt: skip
def test_the_version_that_a_shape_means(line, version, key):
    from calculator.logs.setup import _version_of

    assumed = []
    assert _version_of(read_log(line), engine_log("vllm"), assumed) == version
    assert [text.key for text in assumed] == [f"logs.assumed.{key}"]


# Formats, by the names that each engine has of them


@pytest.mark.parametrize(
    ("engine", "flags", "formats"),
    [
        ("vllm", {"quantization": "awq_marlin"}, {"weight_dtype": "awq-int4"}),
        ("vllm", {"quantization": "gptq_marlin"}, {"weight_dtype": "gptq-int4"}),
        ("vllm", {"quantization": "gpt_oss_mxfp4"}, {"weight_dtype": "mxfp4"}),
        ("vllm", {"quantization": "modelopt_fp4"}, {"weight_dtype": "nvfp4"}),
        ("sglang", {"quantization": "awq_marlin"}, {"weight_dtype": "awq-int4"}),
        ("sglang", {"quantization": "gptq_marlin"}, {"weight_dtype": "gptq-int4"}),
        ("sglang", {"quantization": "modelopt_fp4"}, {"weight_dtype": "nvfp4"}),
        ("sglang", {"quantization": "w8a8_int8"}, {"weight_dtype": "int8"}),
        ("vllm", {"quantization": "modelopt", "model": "nvidia/x-NVFP4"}, {"weight_dtype": "nvfp4"}),
        ("vllm", {"model": "x/y-AWQ"}, {"weight_dtype": "awq-int4"}),
        ("sglang", {"kv_cache_dtype": "fp4_e2m1"}, {"kv_cache_dtype": "nvfp4"}),
        ("sglang", {"kv_cache_dtype": "torch.float4_e2m1fn_x2"}, {"kv_cache_dtype": "nvfp4"}),
        ("llama.cpp", {"kv_cache_dtype": "f16"}, {"kv_cache_dtype": "fp16"}),
        ("llama.cpp", {"kv_cache_dtype": "f32"}, {"kv_cache_dtype": "fp32"}),
        ("llama.cpp", {"kv_cache_dtype": "Q8_0"}, {"kv_cache_dtype": "q8_0"}),
        ("vllm", {"kv_cache_dtype": "auto"}, {}), ("vllm", {"kv_cache_dtype": "None"}, {}),
        ("vllm", {"kv_cache_dtype": ""}, {}),
        # what vLLM says of weights that are not quantised is their own type; what SGLang says is that of computing
        ("vllm", {"quantization": "none", "dtype": "torch.float16"}, {"weight_dtype": "fp16"}),
        ("vllm", {"dtype": "torch.float16"}, {}), ("vllm", {"quantization": "none", "dtype": "torch.float32"}, {}),
        ("sglang", {"quantization": "none", "dtype": "float16"}, {}),
        ("llama.cpp", {"file_type": "Q8_0", "file": "x.q6_k.gguf"}, {"weight_dtype": "q8_0"}),
        ("llama.cpp", {"file": "x-Q6_K.gguf"}, {"weight_dtype": "q6_k"}),
        ("llama.cpp", {"model": "/m/x-Q6_K.GGUF"}, {"weight_dtype": "q6_k"}),
        ("llama.cpp", {"file": "x-Q6_K.bin"}, {}),
    ],
)  # fmt: skip
def test_formats_by_the_engines_names(engine, flags, formats):
    from calculator import load_model

    log = StartupLog(engine, {}, flags, 1, (), 0)
    assert _formats(log, engine_log(engine), load_model("llama-3.1-8b"), []) == formats


# A start: what its lines are of


def test_what_another_part_of_a_log_states_does_not_replace_what_a_start_has():
    one = Start(flags={"a": 1, "quantization": "none"}, found={"vllm": [("x", 1, "")]}, described={"e": {"k": "1"}})
    one.add(Start(flags={"a": 2, "b": 3, "quantization": "fp8"}, found={"vllm": [("y", 2, "")], "sglang": [("z", 3,
     "")]},
                  described={"e": {"k": "2", "l": "3"}}))  # fmt: skip
    assert one.flags == {"a": 1, "b": 3, "quantization": "fp8"}
    assert one.found == {"vllm": [("x", 1, ""), ("y", 2, "")], "sglang": [("z", 3, "")]}
    assert one.described == {"e": {"k": "1", "l": "3"}}


@pytest.mark.parametrize("name", [
    "kv_pool_gib", "kv_tokens", "num_blocks", "kv_buffer_gib", "cells_gib", "allocated_gib", "k_gib", "nothing_left",
    "refused_gib", "refused_sequences", "needed_gib"])  # fmt: skip
def test_after_a_capacity_or_why_there_is_none_another_start_begins(name):
    lines = {
        "kv_pool_gib": "Available KV cache memory: 9.00 GiB", "kv_tokens": "GPU KV cache size: 16 tokens",
        "num_blocks": "# GPU blocks: 16", "kv_buffer_gib": "llama_kv_cache: CUDA0 KV buffer size =  16 MiB",
        "cells_gib": "llama_kv_cache: size = 16 MiB (  16 cells,  40 layers,  1/1 seqs)",
        "allocated_gib": "Allocated 4.00 GiB for max tokens in paged KV cache (400)",
        "k_gib": "K size: 2.00 GB, V size: 1.50 GB", "nothing_left": "No available memory for the cache blocks",
        "refused_gib": "CUDA out of memory. Tried to allocate 2.00 GiB",
        "refused_sequences": "max_num_seqs (8) exceeds available Mamba cache blocks (4)",
        "needed_gib": "1.25 GiB KV cache is needed",
    }  # fmt: skip
    start = Start()
    start.take(lines[name], words.vocabulary())
    assert start.has_ended
    ended = any(found == name for values in start.found.values() for found, *_ in values)
    assert ended
    other = Start()
    other.take("Model loading took 1.50 GiB", words.vocabulary())
    assert not other.has_ended
    assert other.prints_memory()
    assert start.prints_memory() is (name != "refused_gib")
    assert any(start.prints_a_capacity(engine) for engine in start.found) is (name != "refused_gib")


@pytest.mark.parametrize(
    "figure",
    [
        "engine_version",
        "file",
        "architecture",
        "refused_gib",
        "capacity_gib",
        "server_lines",
        "offline_lines",
        "draft_method",
        "draft_tokens",
        "args_whole",
    ],
)
def test_figures_that_say_nothing_of_memory(figure):
    # neither do they make a start, nor say whose log it is
    assert not Start(found={"vllm": [(figure, 1, "")]}).prints_memory()
    start = Start(found={"vllm": [("kv_pool_gib", 1, "")], "sglang": [(figure, 1, "")]})
    assert start.prints_memory()


@pytest.mark.parametrize(
    "line", ["SGLang v0.4.9", "run x-1.gguf", "Resolved architecture: X1ForCausalLM", "(APIServer pid=1) version",
             "speculative_config={'method': 'eagle', 'num_speculative_tokens': 3}", "non-default args: {'a': 1}"],
)  # fmt: skip
def test_lines_that_do_not_say_whose_log_it_is(line):
    log = read_log(f"{line}\nAllocated 4.00 GiB for max tokens in paged KV cache (400)\n")
    assert log.engine == "tensorrt-llm"
    with pytest.raises(CalculatorError, match="no line is one"):
        read_log(line)
