"""Requests of every kind: each engine, each kind of cache, each switch. What is not possible is refused by ``plan``."""

from functools import cache

import calculator

GPU = "h100-sxm"
ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp")

_SMALL = {"num_hidden_layers": 4, "hidden_size": 1024, "intermediate_size": 2816, "vocab_size": 32_000}
_HEADS = {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 64}
CONFIGS = {
    "mamba 2 alone": {
        "model_type": "mamba2", "num_hidden_layers": 4, "hidden_size": 2048, "num_heads": 64, "head_dim": 64,
        "state_size": 128, "n_groups": 8, "vocab_size": 32_000, "torch_dtype": "bfloat16",
    },
    "attention and state in one layer": {
        "model_type": "falcon_h1", **_SMALL, **_HEADS, "mamba_d_ssm": 2048, "mamba_n_heads": 32, "mamba_d_head": 64,
        "mamba_d_state": 128, "mamba_n_groups": 1, "max_position_embeddings": 131_072, "torch_dtype": "bfloat16",
    },
    "latent and state": {
        "model_type": "kimi_linear", **_SMALL, "num_attention_heads": 16, "num_key_value_heads": 16,
        "q_lora_rank": None, "num_hidden_layers": 8, "num_experts": 16, "num_experts_per_token": 4,
        "moe_intermediate_size": 512,
        "max_position_embeddings": 131_072, "torch_dtype": "bfloat16",
        "linear_attn_config": {
            "full_attn_layers": [4, 8], "kda_layers": [1, 2, 3, 5, 6, 7], "num_heads": 16, "head_dim": 128,
            "short_conv_kernel_size": 4,
        },
    },
    "shared cache": {
        "model_type": "gemma3n_text", "num_hidden_layers": 10, "num_kv_shared_layers": 5, "torch_dtype": "bfloat16",
    },
    "encoder and decoder": {
        "model_type": "whisper", "d_model": 1280, "encoder_layers": 4, "decoder_layers": 4,
        "encoder_attention_heads": 20, "decoder_attention_heads": 20, "encoder_ffn_dim": 5120,
        "decoder_ffn_dim": 5120, "vocab_size": 51_866, "num_mel_bins": 128, "torch_dtype": "float16",
    },
}  # fmt: skip
PRESETS = {
    "full": "llama-3-8b",
    "one KV head": "falcon-7b",
    "experts": "qwen3-30b-a3b",
    "window alone": "mistral-7b-v0.1",
    "window and full": "gemma-2-9b",
    "window, full, experts and sinks": "gpt-oss-20b",
    "chunk and full": "llama-4-scout",
    "latent": "deepseek-v2-lite",
    "sparse latent": "glm-5",
    "state and full": "qwen3-next-80b-a3b",
    "mamba 1 and full": "jamba-v0.1",
    "an encoder of images": "qwen3.5-27b",
}
KINDS = (*PRESETS, *CONFIGS)

SWITCHES = {
    "plain": {},
    "TP 2": {"tensor_parallel_size": 2},
    "TP 8, 64 at once": {"tensor_parallel_size": 8, "batch_size": 64},
    "PP 2": {"pipeline_parallel_size": 2},
    "TP 2, PP 2, DP 2": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2, "data_parallel_size": 2},
    "experts whole": {"tensor_parallel_size": 4, "data_parallel_size": 2, "enable_expert_parallel": True},
    "attention DP": {"tensor_parallel_size": 4, "enable_attention_dp": True, "batch_size": 30},
    "context over 2": {"tensor_parallel_size": 8, "decode_context_parallel_size": 2},
    "context over all": {"tensor_parallel_size": 4, "decode_context_parallel_size": 4, "batch_size": 7},
    "both": {"tensor_parallel_size": 4, "enable_attention_dp": True, "decode_context_parallel_size": 2},
    "fp8 cache": {"kv_cache_dtype": "fp8"},
    "4 bit weights": {"weight_dtype": "awq-int4"},
    "q4 weights, q8 cache": {"weight_dtype": "q4_k_m", "kv_cache_dtype": "q8_0"},
    "a small pool given": {"kv_cache_memory_bytes": 2**30},
    "a pool given that exceeds the GPU": {"kv_cache_memory_bytes": 79 * 2**30},
    "a pool of one byte": {"kv_cache_memory_bytes": 1},
    "a small GPU": {"gpu_memory_bytes": 12 * 2**30},
    "a tiny GPU": {"gpu_memory_bytes": 2**20},
    "half of the memory": {"gpu_memory_utilization": 0.5},
    "hardly any of the memory": {"gpu_memory_utilization": 1e-9},
    "eager": {"enforce_eager": True},
    "eager, with a graph size of one's own": {"enforce_eager": True, "cuda_graph_bytes": 2**30},
    "own overheads": {"activation_bytes": 2**31, "non_torch_bytes": 0, "cuda_graph_bytes": 2**29},
    "full-length windows": {"disable_hybrid_kv_cache_manager": True},
    "full-length windows (swa)": {"swa_full": True},
    "prefix caching on": {"enable_prefix_caching": True},
    "prefix caching off": {"enable_prefix_caching": False},
    "not ahead": {"async_scheduling": False},
    "text alone": {"language_model_only": True},
    "blocks of 64": {"block_size": 64},
    "few at once": {"max_num_seqs": 8, "max_num_batched_tokens": 1024},
    "long": {"seq_len": 1_000_000},
    "one token": {"seq_len": 1},
    "many": {"batch_size": 100_000},
    "old": {"engine_version": "0.8.5"},
    "before 0.20": {"engine_version": "0.19"},
}


@cache
def model(kind):
    if kind in PRESETS:
        return calculator.load_model(PRESETS[kind])
    return calculator.model_from_hf_config(CONFIGS[kind], name=kind)


@cache
def planned(kind, engine, switch):
    """Return the plan, None where it is refused."""
    built = model(kind)
    given = {"gpu": GPU, "seq_len": 4096, **SWITCHES[switch]}
    if built.needs_encoder:
        given["encoder_seq_len"] = 1500
    try:
        return calculator.plan(built, engine=engine, **given)
    except calculator.CalculatorError:
        return None
