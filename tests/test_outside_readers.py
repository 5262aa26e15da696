"""What published configs and printed logs say, read to the last figure."""

import json

import pytest

import calculator
from calculator import read_log

COMMAND_R = {
    # CohereForAI/c4ai-command-r-v01, config.json
    "model_type": "cohere", "hidden_size": 8192, "intermediate_size": 22528, "num_attention_heads": 64,
    "num_key_value_heads": 64, "num_hidden_layers": 40, "vocab_size": 256000, "tie_word_embeddings": True,
    "max_position_embeddings": 8192, "model_max_length": 131072, "torch_dtype": "bfloat16", "use_qk_norm": False,
}  # fmt: skip


def test_of_two_longest_contexts_the_model_s_own_holds():
    # vLLM 0.33.0 transformers_utils/model_arch_config_convertor.py derive_max_model_len_and_key: "For Command-R"
    assert calculator.model_from_hf_config(COMMAND_R).max_position_embeddings == 131_072
    shorter = {key: value for key, value in COMMAND_R.items() if key != "model_max_length"}
    assert calculator.model_from_hf_config(shorter).max_position_embeddings == 8_192


@pytest.mark.parametrize(
    "secret",
    # AWS documents both of its first two as examples; the others are the prefixes that GitHub, OpenAI and JWT use
    [
        "AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghu_16C7e42F292c6912E7710c838347Ae178B4a", "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpMeJf36",
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ],
)  # fmt: skip
def test_a_line_with_a_key_is_listed_without_it(secret):
    log = read_log(f"GPU KV cache size: 1,024 tokens\nmemory of {secret} is not known\n")
    ((number, shown),) = log.not_understood
    assert number == 2
    assert shown.endswith("••• is not known")
    for part in ("IOSFODNN7", "16C7e42F", "hbGciOi", "SflKxw", "wJalrX"):
        assert part not in shown


# Flags: what the engines' command lines and printed configurations call the keywords of plan

FLAGS = {
    # vLLM 0.33.0 engine/arg_utils.py
    "vllm": (
        ("--max-model-len 16384", "seq_len", 16_384), ("--max-model-len 16k", "seq_len", 16_000),
        ("--max-model-len 16K", "seq_len", 16_384), ("--tensor-parallel-size 4", "tensor_parallel_size", 4),
        ("-tp 4", "tensor_parallel_size", 4), ("-pp 2", "pipeline_parallel_size", 2),
        ("-dp 8", "data_parallel_size", 8), ("-dcp 2", "decode_context_parallel_size", 2),
        ("--pipeline-parallel-size 2", "pipeline_parallel_size", 2),
        ("--data-parallel-size 8", "data_parallel_size", 8),
        ("--decode-context-parallel-size 2", "decode_context_parallel_size", 2),
        ("--gpu-memory-utilization 0.85", "gpu_memory_utilization", 0.85), ("--max-num-seqs 128", "max_num_seqs", 128),
        ("--max-num-batched-tokens 4096", "max_num_batched_tokens", 4_096),
        ("--kv-cache-dtype fp8", "kv_cache_dtype", "fp8"), ("--quantization awq", "quantization", "awq"),
        ("--dtype float16", "dtype", "float16"), ("--block-size 32", "block_size", 32),
        ("--language-model-only", "language_model_only", True), ("--enforce-eager", "enforce_eager", True),
        ("--enable-prefix-caching", "enable_prefix_caching", True),
        ("--no-enable-prefix-caching", "enable_prefix_caching", False),
        ("--async-scheduling", "async_scheduling", True), ("--no-async-scheduling", "async_scheduling", False),
        ("--enable-expert-parallel", "enable_expert_parallel", True),
        ("--disable-hybrid-kv-cache-manager", "disable_hybrid_kv_cache_manager", True),
        ("--kv-cache-memory-bytes 1073741824", "kv_cache_memory_bytes", 2**30),
        ("--enable-lora", "lora", True),
    ),
    # SGLang 0.5.23 server_args.py
    "sglang": (
        ("--context-length 16384", "seq_len", 16_384), ("--tp-size 4", "tensor_parallel_size", 4),
        ("--pp-size 2", "pipeline_parallel_size", 2), ("--mem-fraction-static 0.85", "gpu_memory_utilization", 0.85),
        ("--max-total-tokens 65536", "max_total_tokens", 65_536), ("--max-running-requests 32", "max_num_seqs", 32),
        ("--chunked-prefill-size 4096", "max_num_batched_tokens", 4_096), ("--page-size 64", "block_size", 64),
        ("--disable-cuda-graph", "enforce_eager", True), ("--enable-dp-attention", "enable_attention_dp", True),
        ("--model-path Qwen/Qwen3-8B", "model", "Qwen/Qwen3-8B"),
    ),
    # llama-server
    "llama.cpp": (("--hf-repo ggml-org/gemma-3-4b-it-GGUF", "model", "ggml-org/gemma-3-4b-it-GGUF"),),
    # trtllm-serve and its printed LlmArgs
    "tensorrt-llm": (
        ("--kv_cache_free_gpu_memory_fraction 0.8", "gpu_memory_utilization", 0.8),
        ("free_gpu_memory_fraction=0.8", "gpu_memory_utilization", 0.8), ("max_batch_size=64", "max_num_seqs", 64),
        ("max_num_tokens=4096", "max_num_batched_tokens", 4_096), ("max_seq_len=16384", "seq_len", 16_384),
        ("tokens_per_block=64", "block_size", 64), ("enable_attention_dp=True", "enable_attention_dp", True),
        ("tensor_parallel_size=4", "tensor_parallel_size", 4),
        ("pipeline_parallel_size=2", "pipeline_parallel_size", 2),
    ),
}  # fmt: skip
PRINTED = {
    "vllm": "GPU KV cache size: 1,024 tokens",
    "sglang": "KV Cache is allocated. #tokens: 1024, K size: 1.00 GB, V size: 1.00 GB",
    "tensorrt-llm": "Estimated max tokens in KV cache : 1024",
    "llama.cpp": "KV self size  =   82.00 MiB",
}


@pytest.mark.parametrize(
    ("engine", "flag", "keyword", "value"),
    [(engine, *row) for engine, table in FLAGS.items() for row in table],
    ids=lambda value: str(value),
)
def test_a_flag_is_read_by_the_name_that_plan_has(engine, flag, keyword, value):
    log = read_log(f"args of the server: {flag}\n{PRINTED[engine]}\n")
    assert log.engine == engine
    beside = ("words_beside", "states_apart")  # what is no flag: prose, and how the engine prints its pools
    assert {name: read for name, read in log.flags.items() if name not in beside} == {keyword: value}
    assert type(log.flags[keyword]) is type(value)


@pytest.mark.parametrize(
    ("engine", "line", "version"),
    [
        ("vllm", "vLLM API server version 0.11.0", "0.11.0"),
        ("vllm", "Initializing a V1 LLM engine (v0.11.0) with config: x", "0.11.0"),
        ("vllm", "docker run vllm/vllm-openai:v0.10.2", "0.10.2"),
        ("sglang", "docker run lmsysorg/sglang:v0.5.5-cu129", "0.5.5"),
        ("tensorrt-llm", "[TensorRT-LLM] TensorRT LLM version: 1.2.0", "1.2.0"),
        ("llama.cpp", "build: 6317 (009b709d)", "6317 (009b709d)"),
    ],
)  # fmt: skip
def test_the_version_is_read_where_it_is_printed(engine, line, version):
    log = read_log(f"{line}\n{PRINTED[engine]}\n")
    assert (log.engine, log.flags["engine_version"]) == (engine, version)


@pytest.mark.parametrize("key", ["torch_dtype", "dtype"])
@pytest.mark.parametrize("value", ["bfloat16", "float16", "float32", "torch.bfloat16"])
def test_the_checkpoint_s_format_has_an_old_and_a_new_key(key, value):
    # transformers 5.23.0 writes dtype, older ones torch_dtype
    config = {name: entry for name, entry in COMMAND_R.items() if name != "torch_dtype"}
    assert calculator.model_from_hf_config({**config, key: value}).torch_dtype == value.removeprefix("torch.")
    assert calculator.model_from_hf_config(config).torch_dtype is None


# Patterns: each line as its engine prints it, and what it says

LINES = {
    "vllm": (
        ("Model loading took 14.9889 GiB and 10.8 seconds", {"weights_gib": 14.9889}),
        ("Loading model weights took 7.5552 GB", {"weights_gib": 7.5552}),
        ("Graph capturing finished in 17 secs, took 0.86 GiB", {"cuda_graph_gib": 0.86}),
        ("Estimated CUDA graph memory: 0.86 GiB total", {"cuda_graph_estimate_gib": 0.86}),
        ("# GPU blocks: 34501, # CPU blocks: 2080", {"num_blocks": 34_501, "v0_lines": 1}),
        ("Maximum concurrency for 8,192 tokens per request: 54.44x",
         {"concurrency_at": 8_192, "max_concurrency": 54.44}),
        ("Available KV cache memory: 12.94 GiB", {"kv_pool_gib": 12.94}),
        ("Setting attention block size to 544 tokens to ensure", {"attention_block_size": 544}),
        ("Add 2 padding layers, may waste at most 5.00% KV cache memory", {"padding_layers": 2}),
        ("model weights take 7.56GiB; non_torch_memory takes 0.04GiB; PyTorch activation peak memory takes 0.74GiB; "
         "the rest of the memory reserved for KV Cache is 3.06GiB.",
         {"weights_gib": 7.56, "non_torch_gib": 0.04, "activation_gib": 0.74, "kv_pool_gib": 3.06}),
        ("Free memory on device (78.7/79.18 GiB) on startup.", {"free_at_start_gib": 78.7, "memory_gib": 79.18}),
        ("Current kv cache memory in use is 55147241472 bytes", {"kv_pool_gib": 55_147_241_472 / 2**30}),
        ("To serve at least one request with the models's max seq len (131072), (16.0 GiB KV cache is needed",
         {"concurrency_at": 131_072, "needed_gib": 16.0}),
        ("available KV cache memory (12.50 GiB). Based on it, the estimated maximum model length is 102400.",
         {"kv_pool_gib": 12.5, "max_context_len": 102_400}),
    ),
    "sglang": (
        ("Load weight begin. avail mem=15.16 GB", {"free_at_start_gib": 15.16}),
        ("Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=13.91 GB, mem usage=1.25 GB.",
         {"free_after_weights_gib": 13.91, "weights_gib": 1.25}),
        ("Memory pool end. avail mem=2.43 GB", {"free_after_pool_gib": 2.43}),
        ("Capture cuda graph end. Time elapsed: 5.00 s. mem usage=0.11 GB. avail mem=1.70 GB.",
         {"cuda_graph_gib": 0.11}),
        ("Capture target decode CUDA graph end. elapsed=4.76 s, mem usage=0.10 GB, avail mem=8.90 GB.",
         {"cuda_graph_gib": 0.1}),
        ("Mamba Cache is allocated. max_mamba_cache_size: 124, conv_state size: 0.34GB, ssm_state size: 17.58GB",
         {"state_slots": 124, "state_gib": 17.92}),
    ),
    "tensorrt-llm": (
        ("Peak memory during memory usage profiling (torch + non-torch): 17.76 GiB, available KV cache memory when "
         "calculating max tokens: 109.96 GiB, fraction is set 0.9, kv size is 131072. device total memory 139.80 GiB",
         {"peak_gib": 17.76, "kv_pool_gib": 109.96, "kv_bytes_per_token": 131_072, "memory_gib": 139.8}),
        ("Allocated 109.96 GiB for max tokens in paged KV cache (900800).",
         {"kv_pool_gib": 109.96, "kv_tokens": 900_800}),
        ("Number of blocks in KV cache primary pool: 28150", {"num_blocks": 28_150}),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "line", "figures"),
    [(engine, *row) for engine, table in LINES.items() for row in table],
    ids=lambda value: str(value)[:40],
)
def test_a_printed_line_is_read_to_its_last_digit(engine, line, figures):
    log = read_log(line)
    assert (log.engine, log.figures) == (engine, pytest.approx(figures))
    assert log.not_understood == ()


def test_a_file_of_llama_cpp_in_another_engine_s_log_is_no_second_engine():
    log = read_log(
        "vLLM API server version 0.11.0, model='models/Qwen3-8B-Q8_0.gguf'\nGPU KV cache size: 9,216 tokens\n"
    )
    assert (log.engine, log.figures) == ("vllm", {"kv_tokens": 9_216})


def test_two_pools_of_sglang_are_one_rank_s_together():
    # 41.76 + 27.84 GiB of full layers and 4.82 + 3.21 of windows, by rank; the sum is what SWAKVPool prints
    line = "[2025-12-19 07:42:57 TP{}] KV Cache is allocated. #tokens: {}, K size: {} GB, V size: {} GB\n"
    log = read_log(
        "Use sliding window memory pool. full_layer_tokens=1496958, swa_layer_tokens=1197566\n"
        + line.format(1, 1_496_958, 41.76, 27.84) + line.format(1, 1_197_566, 4.82, 3.21)
        + line.format(2, 1_496_958, 41.76, 27.84) + line.format(2, 1_197_566, 4.82, 3.21)
    )  # fmt: skip
    assert log.figures["kv_pool_gib"] == pytest.approx(77.63)
    assert (log.figures["kv_tokens"], log.figures["window_tokens"]) == (1_496_958, 1_197_566)


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("num_hidden_layers", "10,000"), ("vocab_size", "16,777,216"), ("hidden_size", "16,777,216"),
        ("intermediate_size", "16,777,216"), ("max_position_embeddings", "1,000,000,000"),
    ],
)  # fmt: skip
def test_a_size_beyond_every_model_is_refused_with_the_bound(key, most):
    config = {name: value for name, value in COMMAND_R.items() if name != "model_max_length"}
    with pytest.raises(calculator.InvalidValueError, match=f"^{key} must lie between [01] and {most}, not "):
        calculator.model_from_hf_config({**config, key: 2**40})


def test_a_file_of_an_unknown_type_is_refused_unless_it_is_said_to_be_plain(tmp_path):
    path = tmp_path / "config.json"
    plain = {key: value for key, value in COMMAND_R.items() if key not in ("model_max_length", "use_qk_norm")}
    path.write_text(json.dumps({**plain, "model_type": "novel"}), encoding="utf-8")
    with pytest.raises(calculator.UnsupportedError, match="say assume_full_attention"):
        calculator.load_model(str(path))
