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
    literal: str
    """What any line that matches holds: most lines are told apart by it alone."""


LARGEST = 10**15
"""No size, count or share that an engine prints is beyond this: a petabyte, or as many tokens."""
_DIGITS = r"-?+[0-9]{1,25}+(?:,[0-9]{1,25}+){0,8}+(?:\.[0-9]{1,20}+)?+"
_NUMBER = re.compile(rf"({_DIGITS}(?:e[-+]?[0-9]{{1,3}}+)?+)\.?([kmgKMG]?)")


def _number(text: str) -> float:
    """Read a number; one without bounds is none.

    Raises
    ------
    ValueError
        If it is no plain decimal number, or larger than anything that an engine prints.
    """
    found = _NUMBER.fullmatch(text)
    value = float(found[1].replace(",", "")) if found and not found[2] else LARGEST
    if abs(value) >= LARGEST:
        raise ValueError(text[:80])
    return value


_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
"""What vLLM's human-readable counts end in."""


def _count(text: str) -> int:
    """Read a count, with a suffix as vLLM takes it; raises as ``_number``."""
    if text[-1:] in _SUFFIXES:
        return _bounded(round(_number(text[:-1]) * _SUFFIXES[text[-1]]))
    return int(_number(text))


def _bounded(count: int) -> int:
    if abs(count) >= LARGEST:
        raise ValueError(f"{count}")
    return count


def _seen(text: str) -> int:
    """Return 0 for what is off, else 1: that a line was printed at all says something."""
    return int(text.strip() not in ("0", "false", "disabled"))


def _mib(text: str) -> float:
    return _number(text) / 1024


def _text(text: str) -> str:
    return text.strip().strip("'\"")


def as_flag(text: str) -> bool | None:
    """Return what a switch is set to, None where that is no switch's value."""
    return {"true": True, "false": False}.get(text.strip().lower())


_N = rf"((?<![0-9.,]){_DIGITS})"


def _literal(expression: str) -> str:
    """Return the longest text that stands in an expression outside of groups, classes, escapes and repeats."""
    rest = re.sub(r"<\w+>|\\.|\[[^\]]*\]", "\0", expression)
    while "(" in rest or "<" in rest:
        rest = re.sub(r"\([^()]*\)|<\w+:[^<>()|]*\|[^<>()]*>", "\0", rest)
        rest = re.sub(r"<\w+:([^<>()|]*)>", r"\1", rest)
    rest = re.sub(r".(?:[?*+]|\{[^}]*\})[?+]?", "\0", rest, flags=re.DOTALL)
    return max(re.split(r"[\0.^$]", rest), key=len) if "|" not in rest else ""


def _pattern(engine: str, expression: str, **means: Callable[[str], Any]) -> Pattern:
    """Return a pattern; ``<name>`` stands for a number of that name, ``<name:...>`` for another group."""
    literal = _literal(expression)
    expression = re.sub(r"<(\w+)>", lambda found: f"(?P<{found[1]}>{_N[1:]}", expression)
    expression = re.sub(r"<(\w+):((?:[^<>]|<[^>]*>)+)>", lambda found: f"(?P<{found[1]}>{found[2]})", expression)
    compiled = re.compile(expression)
    assert set(compiled.groupindex) == set(means), expression
    return Pattern(engine, compiled, means, literal)


_GIB = _number
PATTERNS = (
    # vLLM, both engines
    _pattern("vllm", r"(?:vLLM API server version |LLM engine \(v|vLLM version:? |vllm[=-]=?)<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>",
             engine_version=_text),
    _pattern("vllm", r"\bvllm[\w-]{0,20}:v<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=_text),
    _pattern("vllm", r"<v0_lines:the current vLLM instance can use|Memory profiling results: total_gpu|# \w{1,40}+ blocks: >",
             v0_lines=_seen),
    _pattern("vllm", r"<v1_lines:gpu_worker\.py.{0,20}Available KV cache memory>", v1_lines=_seen),
    _pattern("vllm", r"<since_0_28:GPU KV cache size: [0-9,]{1,40} tokens, Maximum>", since_0_28=_seen),
    _pattern("vllm", r"EngineCore.{0,60}<second_runner:\[model_runner\.py:[0-9]{1,9}+\] Model loading took>", second_runner=_seen),
    _pattern("vllm", r"<since_0_11:Desired GPU memory utilization is \(>", since_0_11=_seen),
    _pattern("vllm", r"CUDA graph pool memory: <cuda_graph_gib> GiB \(actual\), <cuda_graph_estimate_gib> GiB",
             cuda_graph_gib=_GIB, cuda_graph_estimate_gib=_GIB),
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
    _pattern("vllm", r"[Cc]urrent kv cache memory in use is <kv_pool_bytes:[0-9]{6,20}> bytes", kv_pool_bytes=_count),
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
    _pattern("vllm", r"Multiplying the GPU KV cache size by the \w{1,40}+ <context_ranks>", context_ranks=_count),
    # SGLang
    _pattern("sglang", r"<server_args:ServerArgs\(>", server_args=_text),
    _pattern("sglang", r"[Ss][Gg][Ll]ang(?: version:?| v|==) ?<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=_text),
    _pattern("sglang", r"\b(?:sglang|sgl-\w{1,20}):v<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=_text),
    _pattern("sglang", r"Load weight begin\. avail mem=<free_at_start_gib> GB", free_at_start_gib=_GIB),
    _pattern("sglang", r"Load weight end\..{0,200}?avail mem=<free_after_weights_gib> GB", free_after_weights_gib=_GIB),
    _pattern("sglang", r"Load weight end\..{0,250}?mem usage=<weights_gib> GB", weights_gib=_GIB),
    _pattern("sglang", r"KV Cache is allocated\..{0,60}?#tokens: <kv_tokens>", kv_tokens=_count),
    _pattern("sglang", r"(?:Using KV cache|KV Cache is allocated\.) dtype: torch\.<k_type:b?float16|float8_e4m3fn|float8_e5m2>\b",
             k_type=_text),
    _pattern("sglang", r"\bK size: <k_gib> GB, V size: <v_gib> GB", k_gib=_GIB, v_gib=_GIB),
    _pattern("sglang", r"\bKV size: <kv_pool_gib> GB", kv_pool_gib=_GIB),
    _pattern("sglang", r"Memory pool end\. avail mem=<free_after_pool_gib> GB", free_after_pool_gib=_GIB),
    _pattern("sglang", r"Capture (?:cuda|CUDA) graph end\..{0,80}?mem usage=<cuda_graph_gib> GB", cuda_graph_gib=_GIB),
    _pattern("sglang", r"Capture target decode CUDA graph end\..{0,80}?mem usage=<decode_graph_gib> GB", decode_graph_gib=_GIB),
    _pattern("sglang", r"Capture target verify CUDA graph end\..{0,80}?mem usage=<verify_graph_gib> GB", verify_graph_gib=_GIB),
    _pattern("sglang", r"Capture target prefill CUDA graph end\..{0,80}?mem usage=<prefill_graph_gib> GB",
             prefill_graph_gib=_GIB),
    _pattern("sglang", r"Capture draft .{0,30}graph end\..{0,80}?mem usage=<draft_graph_gib> GB", draft_graph_gib=_GIB),
    _pattern("sglang", r"max_total_num_tokens=<kv_tokens>, chunked_prefill_size=<max_num_batched_tokens>",
             kv_tokens=_count, max_num_batched_tokens=_count),
    _pattern("sglang", r"max_running_requests=<max_running_requests>, context_len=<seq_len>",
             max_running_requests=_count, seq_len=_count),
    _pattern("sglang", r"full_layer_tokens=<full_tokens>, swa_layer_tokens=<window_tokens>",
             full_tokens=_count, window_tokens=_count),
    _pattern("sglang", r"SWAKVPool mem usage: <window_pools_gib> GB, swa size: <window_tokens>, full size: <full_tokens>",
             window_pools_gib=_GIB, window_tokens=_count, full_tokens=_count),
    _pattern("sglang", r"[Mm]amba [Cc]ache is allocated\. max_mamba_cache_size: <state_slots>", state_slots=_count),
    _pattern("sglang", r"\bconv_state size: <conv_gib> ?GB, ssm_state size: <ssm_gib> ?GB", conv_gib=_GIB, ssm_gib=_GIB),
    _pattern("sglang", r"intermediate_ssm_state_cache size: <draft_ssm_gib> ?GB", draft_ssm_gib=_GIB),
    _pattern("sglang", r"intermediate_conv_window_cache size: <draft_conv_gib> ?GB", draft_conv_gib=_GIB),
    # TensorRT-LLM
    _pattern("tensorrt-llm", r"TensorRT[- ]LLM version: ?<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=_text),
    _pattern("tensorrt-llm", r"Peak memory during memory usage profiling \(torch \+ non-torch\): <peak_gib> GiB",
             peak_gib=_GIB),
    _pattern("tensorrt-llm", r"available KV cache memory when calculating max tokens: <kv_pool_gib> GiB",
             kv_pool_gib=_GIB),
    _pattern("tensorrt-llm", r"fraction is set <gpu_memory_utilization>", gpu_memory_utilization=_number),
    _pattern("tensorrt-llm", r"kv size (?:is|per token is) <kv_bytes_per_token>", kv_bytes_per_token=_count),
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
    _pattern("tensorrt-llm", r"allocated during inference \(inside torch\).{0,60}?: <activation_gib> GiB", activation_gib=_GIB),
    _pattern("tensorrt-llm", r"Memory used outside torch.{0,80}?: <outside_torch_gib> GiB", outside_torch_gib=_GIB),
    _pattern("tensorrt-llm", r"tokens per block=<block_size>, primary blocks=<num_blocks>",
             block_size=_count, num_blocks=_count),
    # llama.cpp
    _pattern("llama.cpp", r"\bbuild: <engine_version:[0-9]{1,9}+ \([0-9a-f]{1,40}+\)>", engine_version=_text),
    _pattern("llama.cpp", r"general\.name\s{0,40}+(?:str)?\s{0,40}+=\s{0,40}+<model:\S.{0,80}>", model=_text),
    _pattern("llama.cpp", r"\bn_ctx\s{0,40}+= <n_ctx>", n_ctx=_count),
    _pattern("llama.cpp", r"\bn_ctx_(?:seq|per_seq)\s{0,40}+= <seq_len>", seq_len=_count),
    _pattern("llama.cpp", r"\bn_seq_max\s{0,40}+= <sequences>", sequences=_count),
    _pattern("llama.cpp", r"\bn_ubatch\s{0,40}+= <max_num_batched_tokens>", max_num_batched_tokens=_count),
    _pattern("llama.cpp", r"KV self size\s{0,40}+=\s{0,40}+<kv_pool_gib> MiB", kv_pool_gib=_mib),
    _pattern("llama.cpp", r"llama_kv_cache(?:_unified)?: size = {1,40}+<cells_gib> MiB \( {0,40}+<cells> cells, {1,40}+<layers> layers",
             cells_gib=_mib, cells=_count, layers=_count),
    _pattern("llama.cpp", r"MiB \( {0,40}+[0-9,]{1,40} cells, {1,40}+[0-9,]{1,40} layers, {1,40}+<sequences:[0-9]{1,9}+>/ ?<streams:[0-9]{1,9}+> seqs\)",
             sequences=_count, streams=_count),
    _pattern("llama.cpp", r"kv_unified\s{0,40}+= {0,40}+'?<unified:true|false>", unified=_seen),
    _pattern("llama.cpp", r"\bK \(<k_type:\w{1,40}+>\): ", k_type=_text),
    _pattern("llama.cpp", r"\bV \(<v_type:\w{1,40}+>\): ", v_type=_text),
    _pattern("llama.cpp", r"\w {1,40}+KV buffer size = {1,40}+<kv_buffer_gib> MiB", kv_buffer_gib=_mib),
    _pattern("llama.cpp", r"\w {1,40}+RS buffer size = {1,40}+<state_buffer_gib> MiB", state_buffer_gib=_mib),
    _pattern("llama.cpp", r"file type\s{1,40}+= {1,40}+<file_type:\w[\w .-]{0,30}>", file_type=_text),
    _pattern("llama.cpp", r"(?<![\w.-])<file:[\w.-]{1,200}\.gguf\b>", file=_text),
    _pattern("llama.cpp", r"llama_memory_recurrent: size = {1,40}+<state_gib> MiB", state_gib=_mib),
    _pattern("llama.cpp", r"creating non-SWA KV cache, size = <cells> cells", cells=_count),
    _pattern("llama.cpp", r"(?<!non-)SWA KV cache, size = <window_cells> cells", window_cells=_count),
    _pattern("llama.cpp", r"load_tensors: {1,40}+(?!CPU|\w{1,40}_Host)\w{1,40}+ {1,40}+(?:model )?buffer size = {1,40}+<buffer_gib> MiB", buffer_gib=_mib),
    _pattern("llama.cpp", r"(?<!\w)(?!CPU|\w{1,40}_Host)\w{1,40}+ {1,40}+compute buffer size = {1,40}+<activation_gib> MiB", activation_gib=_mib),
    _pattern("llama.cpp", r"using device \w{1,40}+ \(<device:[^)]{2,80}+>\).{0,40}? - <free_at_start_gib> MiB free",
             device=_text, free_at_start_gib=_mib),
    _pattern("llama.cpp", r"flash_attn\s{0,40}+= <flash_attention:\w{1,40}+>", flash_attention=_seen),
)  # fmt: skip
SUMMED = ("cells_gib", "buffer_gib", "kv_buffer_gib", "state_buffer_gib")
"""Figures of parts: all of them together are the whole."""
TOGETHER = {
    "cuda_graph_gib": ("decode_graph_gib", "verify_graph_gib", "prefill_graph_gib"),
    "state_gib": ("conv_gib", "ssm_gib"),
    "draft_states_gib": ("draft_ssm_gib", "draft_conv_gib"),
}
"""Figures that are printed in parts of different names."""
POOLS = ("k_gib", "v_gib", "kv_pool_gib", "window_pools_gib", *SUMMED)
"""Figures that a draft model prints again for itself, after the model."""
DRAFT = re.compile(r"creating (?:MTP )?draft context|loading draft model")
"""From such a line on, llama.cpp prints what a draft takes."""
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
    "max_total_tokens": ("max_total_tokens", _count),
    "max_num_seqs": ("max_num_seqs", _count), "max_running_requests": ("max_num_seqs", _count),
    "max_batch_size": ("max_num_seqs", _count),
    "max_num_batched_tokens": ("max_num_batched_tokens", _count),
    "chunked_prefill_size": ("max_num_batched_tokens", _count), "max_num_tokens": ("max_num_batched_tokens", _count),
    "kv_cache_dtype": ("kv_cache_dtype", _text), "quantization": ("quantization", _text), "dtype": ("dtype", _text),
    "block_size": ("block_size", _count), "page_size": ("block_size", _count), "tokens_per_block": ("block_size", _count),
    "language_model_only": ("language_model_only", as_flag),
    "enforce_eager": ("enforce_eager", as_flag), "disable_cuda_graph": ("enforce_eager", as_flag),
    "enable_prefix_caching": ("enable_prefix_caching", as_flag), "async_scheduling": ("async_scheduling", as_flag),
    "enable_expert_parallel": ("enable_expert_parallel", as_flag), "enable_dp_attention": ("enable_attention_dp", as_flag),
    "enable_attention_dp": ("enable_attention_dp", as_flag),
    "disable_hybrid_kv_cache_manager": ("disable_hybrid_kv_cache_manager", as_flag),
    "kv_cache_memory_bytes": ("kv_cache_memory_bytes", _count), "speculative_config": ("speculative", _text),
    "enable_lora": ("lora", as_flag), "device_name": ("device", _text),
}  # fmt: skip
SHORT_ARGUMENTS = {
    "tp": "tensor_parallel_size", "pp": "pipeline_parallel_size", "dp": "data_parallel_size",
    "dcp": "decode_context_parallel_size",
}  # fmt: skip
