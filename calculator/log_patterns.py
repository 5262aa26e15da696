"""What the engines print at start-up, as data: a line's pattern and what its groups mean.

A size that is printed as GiB, GB (SGLang, which means GiB) or MiB is read as GiB. The names of the groups are
those of ``plan`` where it takes the same, else the figure's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pattern:
    """One thing that an engine prints: how it is recognised, and what its groups mean."""

    engine: str
    expression: re.Pattern[str]
    means: Mapping[str, Callable[[str], Any]]


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _count(text: str) -> int:
    return int(text.replace(",", "").split(".")[0])


def _mib(text: str) -> float:
    return _number(text) / 1024


def _text(text: str) -> str:
    return text.strip().strip("'\"")


def _flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.strip().lower())


_N = r"(-?[\d,]+(?:\.\d+)?)"


def _pattern(engine: str, expression: str, **means: Callable[[str], Any]) -> Pattern:
    """Return a pattern; ``<name>`` stands for a number of that name, ``<name:...>`` for another group."""
    expression = re.sub(r"<(\w+)>", lambda found: f"(?P<{found[1]}>{_N[1:]}", expression)
    expression = re.sub(r"<(\w+):((?:[^<>]|<[^>]*>)+)>", lambda found: f"(?P<{found[1]}>{found[2]})", expression)
    compiled = re.compile(expression)
    assert set(compiled.groupindex) == set(means), expression
    return Pattern(engine, compiled, means)


_GIB = _number
PATTERNS = (
    # vLLM, both engines
    _pattern("vllm", r"(?:vLLM API server version |LLM engine \(v|vLLM version:? |vllm[=-]=?)<engine_version:\d+\.\d+[\w.+]*>",
             engine_version=_text),
    _pattern("vllm", r"[Ll]oading (?:model )?(?:weights )?took <weights_gib> ?Gi?B", weights_gib=_GIB),
    _pattern("vllm", r"Available KV cache memory: <kv_pool_gib> GiB", kv_pool_gib=_GIB),
    _pattern("vllm", r"(?:GPU|XPU|HPU|ROCM) KV cache size: <kv_tokens> tokens", kv_tokens=_count),
    _pattern("vllm", r"Maximum concurrency for <concurrency_at> tokens per request: <max_concurrency>x",
             concurrency_at=_count, max_concurrency=_number),
    _pattern("vllm", r"Graph capturing finished in .{0,40}took <cuda_graph_gib> GiB", cuda_graph_gib=_GIB),
    _pattern("vllm", r"Estimated CUDA graph memory: <cuda_graph_estimate_gib> GiB", cuda_graph_estimate_gib=_GIB),
    _pattern("vllm", r"# (?:GPU|rocm|cuda|ROCM|CUDA) blocks: <num_blocks>", num_blocks=_count),
    _pattern("vllm", r"total_gpu_memory \(<memory_gib>GiB\) x gpu_memory_utilization \(<gpu_memory_utilization>\)"
             r" = <requested_gib>GiB", memory_gib=_GIB, gpu_memory_utilization=_number, requested_gib=_GIB),
    _pattern("vllm", r"model weights take <weights_gib>GiB", weights_gib=_GIB),
    _pattern("vllm", r"non_torch_memory takes <non_torch_gib>GiB", non_torch_gib=_GIB),
    _pattern("vllm", r"PyTorch activation peak memory takes <activation_gib>GiB", activation_gib=_GIB),
    _pattern("vllm", r"reserved for KV Cache is <kv_pool_gib>GiB", kv_pool_gib=_GIB),
    _pattern("vllm", r"Memory profiling results: total_gpu_memory=<memory_gib>GiB", memory_gib=_GIB),
    _pattern("vllm", r"\bpeak_torch_memory=<peak_torch_gib>GiB", peak_torch_gib=_GIB),
    _pattern("vllm", r"\bnon_torch_memory=<non_torch_gib>GiB", non_torch_gib=_GIB),
    _pattern("vllm", r"\bkv_cache_size=<kv_pool_gib>GiB", kv_pool_gib=_GIB),
    _pattern("vllm", r"Free memory on device \S{0,20} ?\(<free_at_start_gib>/<memory_gib> GiB\) on startup",
             free_at_start_gib=_GIB, memory_gib=_GIB),
    _pattern("vllm", r"Desired GPU memory utilization is \(<gpu_memory_utilization>, <requested_gib> GiB\)",
             gpu_memory_utilization=_number, requested_gib=_GIB),
    _pattern("vllm", r"Actual usage is <weights_gib> GiB for weights?\b", weights_gib=_GIB),
    _pattern("vllm", r"Actual usage is <consumed_gib> GiB for consumed memory", consumed_gib=_GIB),
    _pattern("vllm", r"<non_torch_gib> GiB for non-torch", non_torch_gib=_GIB),
    _pattern("vllm", r"Actual usage is .{0,80}GiB for consumed.{0,30}, <activation_and_graphs_gib> GiB for peak activation",
             activation_and_graphs_gib=_GIB),
    _pattern("vllm", r"GiB for weights?, <activation_gib> GiB for peak activation", activation_gib=_GIB),
    _pattern("vllm", r"<cuda_graph_gib> GiB for CUDAGraph memory", cuda_graph_gib=_GIB),
    _pattern("vllm", r"[Cc]urrent kv cache memory in use is <kv_pool_gib> GiB", kv_pool_gib=_GIB),
    _pattern("vllm", r"[Cc]urrent kv cache memory in use is <kv_pool_bytes:\d{6,20}> bytes", kv_pool_bytes=_count),
    _pattern("vllm", r"max seq len \(<concurrency_at>\), \(<needed_gib> GiB KV cache is needed",
             concurrency_at=_count, needed_gib=_GIB),
    _pattern("vllm", r"available KV cache memory \(<kv_pool_gib> GiB\)", kv_pool_gib=_GIB),
    _pattern("vllm", r"estimated maximum model length is <max_context_len>", max_context_len=_count),
    _pattern("vllm", r"Chunked prefill is enabled with max_num_batched_tokens=<max_num_batched_tokens>",
             max_num_batched_tokens=_count),
    _pattern("vllm", r"Setting attention block size to <attention_block_size> tokens", attention_block_size=_count),
    _pattern("vllm", r"Add <padding_layers> padding layers", padding_layers=_count),
    _pattern("vllm", r"Using max model len <seq_len>", seq_len=_count),
    _pattern("vllm", r"<nothing_left:No available memory for the cache blocks>", nothing_left=_text),
    _pattern("vllm", r"max seq len \(<concurrency_at>\) is larger than .{0,80}stored in KV cache \(<kv_tokens>\)",
             concurrency_at=_count, kv_tokens=_count),
    _pattern("vllm", r"Multiplying the GPU KV cache size by the \w+ <context_ranks>", context_ranks=_count),
    # SGLang
    _pattern("sglang", r"<server_args:ServerArgs\(>", server_args=_text),
    _pattern("sglang", r"[Ss][Gg][Ll]ang(?: version:?| v|==) ?<engine_version:\d+\.\d+[\w.+]*>", engine_version=_text),
    _pattern("sglang", r"Load weight begin\. avail mem=<free_at_start_gib> GB", free_at_start_gib=_GIB),
    _pattern("sglang", r"Load weight end\..{0,200}?avail mem=<free_after_weights_gib> GB", free_after_weights_gib=_GIB),
    _pattern("sglang", r"Load weight end\..{0,250}?mem usage=<weights_gib> GB", weights_gib=_GIB),
    _pattern("sglang", r"KV Cache is allocated\..{0,60}?#tokens: <kv_tokens>", kv_tokens=_count),
    _pattern("sglang", r"\bK size: <k_gib> GB, V size: <v_gib> GB", k_gib=_GIB, v_gib=_GIB),
    _pattern("sglang", r"\bKV size: <kv_pool_gib> GB", kv_pool_gib=_GIB),
    _pattern("sglang", r"Memory pool end\. avail mem=<free_after_pool_gib> GB", free_after_pool_gib=_GIB),
    _pattern("sglang", r"Capture (?:cuda|CUDA) graph end\..{0,80}?mem usage=<cuda_graph_gib> GB", cuda_graph_gib=_GIB),
    _pattern("sglang", r"max_total_num_tokens=<kv_tokens>, chunked_prefill_size=<max_num_batched_tokens>",
             kv_tokens=_count, max_num_batched_tokens=_count),
    _pattern("sglang", r"max_running_requests=<max_running_requests>, context_len=<seq_len>",
             max_running_requests=_count, seq_len=_count),
    _pattern("sglang", r"full_layer_tokens=<kv_tokens>, swa_layer_tokens=<window_tokens>",
             kv_tokens=_count, window_tokens=_count),
    _pattern("sglang", r"[Mm]amba [Cc]ache is allocated\. max_mamba_cache_size: <state_slots>", state_slots=_count),
    # TensorRT-LLM
    _pattern("tensorrt-llm", r"TensorRT[- ]LLM version: ?<engine_version:\d+\.\d+[\w.+]*>", engine_version=_text),
    _pattern("tensorrt-llm", r"Peak memory during memory usage profiling \(torch \+ non-torch\): <peak_gib> GiB",
             peak_gib=_GIB),
    _pattern("tensorrt-llm", r"available KV cache memory when calculating max tokens: <kv_pool_gib> GiB",
             kv_pool_gib=_GIB),
    _pattern("tensorrt-llm", r"fraction is set <gpu_memory_utilization>", gpu_memory_utilization=_number),
    _pattern("tensorrt-llm", r"kv size is <kv_bytes_per_token>", kv_bytes_per_token=_count),
    _pattern("tensorrt-llm", r"device total memory <memory_gib> GiB", memory_gib=_GIB),
    _pattern("tensorrt-llm", r"Allocated <kv_pool_gib> GiB for max tokens in paged KV cache \(<kv_tokens>\)",
             kv_pool_gib=_GIB, kv_tokens=_count),
    _pattern("tensorrt-llm", r"Estimated max tokens in KV cache ?: <kv_tokens>", kv_tokens=_count),
    _pattern("tensorrt-llm", r"blocks in KV cache primary pool: <num_blocks>", num_blocks=_count),
    _pattern("tensorrt-llm", r"calculating max tokens in paged kv cache: total: <memory_gib> GiB, available: <free_gib> GiB",
             memory_gib=_GIB, free_gib=_GIB),
    _pattern("tensorrt-llm", r"\btokens per block: <block_size>", block_size=_count),
    _pattern("tensorrt-llm", r"Using <kv_tokens> tokens in paged KV cache", kv_tokens=_count),
    _pattern("tensorrt-llm", r"after loading model weights \(inside torch\).{0,60}?: <weights_gib> GiB", weights_gib=_GIB),
    _pattern("tensorrt-llm", r"after loading model weights \(outside torch\).{0,60}?: <non_torch_gib> GiB",
             non_torch_gib=_GIB),
    _pattern("tensorrt-llm", r"tokens per block=<block_size>, primary blocks=<num_blocks>",
             block_size=_count, num_blocks=_count),
    # llama.cpp
    _pattern("llama.cpp", r"\bbuild: <engine_version:\d+ \([0-9a-f]+\)>", engine_version=_text),
    _pattern("llama.cpp", r"general\.name\s*(?:str)?\s*=\s*<model:\S.{0,80}>", model=_text),
    _pattern("llama.cpp", r"\bn_ctx\s*= <n_ctx>", n_ctx=_count),
    _pattern("llama.cpp", r"\bn_ctx_(?:seq|per_seq)\s*= <seq_len>", seq_len=_count),
    _pattern("llama.cpp", r"\bn_seq_max\s*= <sequences>", sequences=_count),
    _pattern("llama.cpp", r"\bn_ubatch\s*= <max_num_batched_tokens>", max_num_batched_tokens=_count),
    _pattern("llama.cpp", r"KV self size\s*=\s*<kv_pool_gib> MiB", kv_pool_gib=_mib),
    _pattern("llama.cpp", r"llama_kv_cache(?:_unified)?: size = +<cells_gib> MiB \( *<cells> cells, +<layers> layers",
             cells_gib=_mib, cells=_count, layers=_count),
    _pattern("llama.cpp", r"MiB \( *[\d,]+ cells, +[\d,]+ layers, +<sequences:\d+>/ ?\d+ seqs\)", sequences=_count),
    _pattern("llama.cpp", r"\bK \(<kv_cache_dtype:\w+>\): ", kv_cache_dtype=_text),
    _pattern("llama.cpp", r"llama_memory_recurrent: size = +<state_gib> MiB", state_gib=_mib),
    _pattern("llama.cpp", r"creating non-SWA KV cache, size = <cells> cells", cells=_count),
    _pattern("llama.cpp", r"(?<!non-)SWA KV cache, size = <window_cells> cells", window_cells=_count),
    _pattern("llama.cpp", r"(?:CUDA|ROCm|Vulkan|SYCL|CANN|Metal)\d* model buffer size = +<buffer_gib> MiB", buffer_gib=_mib),
    _pattern("llama.cpp", r"(?:CUDA|ROCm|Vulkan|SYCL|CANN|Metal)\d* compute buffer size = +<activation_gib> MiB",
             activation_gib=_mib),
    _pattern("llama.cpp", r"using device \w+ \(<device:[^)]{2,80}>\).{0,40}? - <free_at_start_gib> MiB free",
             device=_text, free_at_start_gib=_mib),
    _pattern("llama.cpp", r"flash_attn\s*= <flash_attention>", flash_attention=_count),
)  # fmt: skip
SUMMED = ("cells_gib", "buffer_gib")
"""Figures of parts: all of them together are the whole."""
SMALLEST = ("kv_pool_gib", "kv_tokens", "num_blocks", "max_concurrency", "kv_pool_bytes")
"""Figures that ranks print each for itself: the smallest holds for all."""

ARGUMENTS = {
    # the names that engines give to what plan() takes, in their printed configuration and on their command lines
    "model": ("model", _text), "model_path": ("model", _text), "model_tag": ("model", _text), "hf_repo": ("model", _text),
    "max_model_len": ("seq_len", _count), "max_seq_len": ("seq_len", _count), "context_length": ("seq_len", _count),
    "tensor_parallel_size": ("tensor_parallel_size", _count), "tp_size": ("tensor_parallel_size", _count),
    "pipeline_parallel_size": ("pipeline_parallel_size", _count), "pp_size": ("pipeline_parallel_size", _count),
    "data_parallel_size": ("data_parallel_size", _count),
    "decode_context_parallel_size": ("decode_context_parallel_size", _count),
    "gpu_memory_utilization": ("gpu_memory_utilization", _number),
    "mem_fraction_static": ("gpu_memory_utilization", _number),
    "free_gpu_memory_fraction": ("gpu_memory_utilization", _number),
    "kv_cache_free_gpu_memory_fraction": ("gpu_memory_utilization", _number),
    "max_num_seqs": ("max_num_seqs", _count), "max_running_requests": ("max_num_seqs", _count),
    "max_batch_size": ("max_num_seqs", _count),
    "max_num_batched_tokens": ("max_num_batched_tokens", _count),
    "chunked_prefill_size": ("max_num_batched_tokens", _count), "max_num_tokens": ("max_num_batched_tokens", _count),
    "kv_cache_dtype": ("kv_cache_dtype", _text), "quantization": ("quantization", _text), "dtype": ("dtype", _text),
    "block_size": ("block_size", _count), "page_size": ("block_size", _count), "tokens_per_block": ("block_size", _count),
    "enforce_eager": ("enforce_eager", _flag), "disable_cuda_graph": ("enforce_eager", _flag),
    "enable_prefix_caching": ("enable_prefix_caching", _flag), "async_scheduling": ("async_scheduling", _flag),
    "enable_expert_parallel": ("enable_expert_parallel", _flag), "enable_dp_attention": ("enable_attention_dp", _flag),
    "enable_attention_dp": ("enable_attention_dp", _flag),
    "disable_hybrid_kv_cache_manager": ("disable_hybrid_kv_cache_manager", _flag),
    "kv_cache_memory_bytes": ("kv_cache_memory_bytes", _count), "speculative_config": ("speculative", _text),
    "enable_lora": ("lora", _flag), "device_name": ("device", _text),
}  # fmt: skip
