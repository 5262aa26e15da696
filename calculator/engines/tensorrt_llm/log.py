"""What TensorRT-LLM prints at start-up."""

from __future__ import annotations

from typing import Any, ClassVar

from calculator.engines.log import Log
from calculator.engines.patterns import as_flag, count, number, pattern, word
from calculator.units import GIB

PATTERNS = (
    pattern(r"TensorRT[- ]LLM version: ?<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=word),
    pattern(r"\[I\] Use <checkpoint_gib> GB for model weights", checkpoint_gib=number),
    pattern(r"Peak memory during memory usage profiling \(torch \+ non-torch\): <peak_gib> GiB",
             peak_gib=number),
    pattern(r"available KV cache memory when calculating max tokens: <kv_pool_gib> GiB",
             kv_pool_gib=number),
    pattern(r"fraction is set <gpu_memory_utilization>", gpu_memory_utilization=number),
    pattern(r"kv size (?:is|per token is) <kv_bytes_per_token>", kv_bytes_per_token=count),
    pattern(r"device total memory <memory_gib> GiB", memory_gib=number),
    pattern(r"Allocated <allocated_gib> GiB for max tokens in paged KV cache \(<allocated_tokens>\)",
             allocated_gib=number, allocated_tokens=count),
    pattern(r"\btmp kv_mem <temporary_gib> GiB", temporary_gib=number),
    pattern(r"max_seq_len is not specified, using inferred value <seq_len>", seq_len=count),
    pattern(r"Estimated max tokens in KV cache ?: <kv_tokens>", kv_tokens=count),
    pattern(r"blocks in KV cache primary pool: <num_blocks>", num_blocks=count),
    pattern(r"calculating max tokens in paged kv cache: total: <memory_gib> GiB, available: <free_gib> GiB",
             memory_gib=number, free_gib=number),
    pattern(r"\btokens per block: <block_size>", block_size=count),
    pattern(r"Using <kv_tokens> tokens in paged KV cache", kv_tokens=count),
    pattern(r"after loading model weights \(inside torch\).{0,60}?: <weights_gib> GiB", weights_gib=number),
    pattern(r"after loading model weights \(outside torch\).{0,60}?: <non_torch_gib> GiB",
             non_torch_gib=number),
    pattern(r"allocated during inference \(inside torch\).{0,60}?: <activation_gib> GiB", activation_gib=number),
    pattern(r"Memory used outside torch.{0,80}?: <outside_torch_gib> GiB", outside_torch_gib=number),
    pattern(r"(?:Loading|prefetching|Found) <model:/[\w./@+-]{2,300}>/(?:model[\w-]{0,60}+\.safetensors|hf_quant_config\.json)",
             model=word),
    pattern(r"Allocate <pool_bytes:[0-9]{6,20}> bytes for k/v cache", pool_bytes=count),
    pattern(r"tokens per block=<block_size>, primary blocks=<primary_blocks>",
             block_size=count, primary_blocks=count),
)  # fmt: skip

LAST = {"allocated_gib": "kv_pool_gib", "allocated_tokens": "kv_tokens", "primary_blocks": "num_blocks"}
"""Figures that the profiling run prints of a pool of its own before."""


class TensorRtLlmLog(Log):
    """The log of TensorRT-LLM."""

    patterns: ClassVar = PATTERNS
    arguments: ClassVar = {
        "model": ("model", word), "max_seq_len": ("seq_len", count),
        "tp_size": ("tensor_parallel_size", count), "pp_size": ("pipeline_parallel_size", count),
        "free_gpu_memory_fraction": ("gpu_memory_utilization", number),
        "kv_cache_free_gpu_memory_fraction": ("gpu_memory_utilization", number),
        "max_batch_size": ("max_num_seqs", count), "max_num_tokens": ("max_num_batched_tokens", count),
        "tokens_per_block": ("block_size", count), "enable_attention_dp": ("enable_attention_dp", as_flag),
    }  # fmt: skip
    telling: ClassVar = ("kv size", "fraction")

    def join(self, figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
        """Take the pool that is allocated last, after the profiler's, and what is used outside of torch without that."""
        profiled = max((place for place, (name, *_) in enumerate(values) if name == "peak_gib"), default=-1)
        for name, common in LAST.items():
            after = [value for place, (key, value, _) in enumerate(values) if key == name and place > profiled]
            figures.pop(name, None)
            if after:
                figures[common] = min(after)
        if "pool_bytes" in figures:
            figures.setdefault("kv_pool_gib", figures.pop("pool_bytes") / GIB)
        if "outside_torch_gib" in figures:
            outside = figures.pop("outside_torch_gib") - figures.get("temporary_gib", 0.0)
            figures["non_torch_gib"] = round(outside, 4)
        return []


LOG = TensorRtLlmLog()
