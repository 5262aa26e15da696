"""What TensorRT-LLM prints at start-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from calculator.engines.log import Log
from calculator.engines.patterns import as_flag, count, mib, number, pattern, word
from calculator.formats.names import KV_ALGORITHMS, MODELOPT
from calculator.messages import say, template
from calculator.units import GIB

IN_GIB = {"B": GIB, "KB": 2**20, "MB": 2**10, "GB": 1}


def sized(text: str) -> float:
    """Read what the runtime prints with a unit, all of which it counts in 1,024s [GiB]; raises as ``number``."""
    figure, unit = text.split()
    return number(figure) / IN_GIB[unit.replace("i", "")]


def _one_of(names: Mapping[str, str]) -> Callable[[str], str]:
    """Return how one of these names is read; any other is not understood."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(text[:80])
        return names[text]

    return read


ALGORITHMS = {
    **MODELOPT, "FP8_BLOCK_SCALES": "fp8-block", "W4A16_AWQ": "awq-int4", "W4A16_GPTQ": "gptq-int4",
}  # fmt: skip
"""Its names of weight formats, ``quantization/mode.py`` ``QuantAlgo``."""
PATTERNS = (
    pattern(r"TensorRT[- ]LLM version: ?<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=word),
    pattern(r"Engine version <engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+> found in the config file",
             engine_version=word),
    pattern(r"TRTGptModel maxBatchSize: <max_num_seqs>", max_num_seqs=count),
    pattern(r"TRTGptModel maxSequenceLen: <seq_len>", seq_len=count),
    pattern(r"TRTGptModel maxNumTokens: <max_num_batched_tokens>", max_num_batched_tokens=count),
    pattern(r"Loaded engine size: <engine_gib> MiB", engine_gib=mib),
    pattern(r"Allocated <context_gib> MiB for execution context memory", context_gib=mib),
    pattern(r"Allocated <buffers_gib:[0-9][0-9.]{0,15}+ [KMG]?i?B> GPU memory for runtime buffers", buffers_gib=sized),
    pattern(r"Allocated <decoder_gib:[0-9][0-9.]{0,15}+ [KMG]?i?B> GPU memory for decoder", decoder_gib=sized),
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
    pattern(r"Setting quant_algo=<quantization:[A-Z]\w{2,40}+> ", quantization=_one_of(ALGORITHMS)),
    pattern(r"Setting kv_cache_quant_algo=<kv_cache_dtype:[A-Z]\w{2,40}+> ", kv_cache_dtype=_one_of(KV_ALGORITHMS)),
    pattern(r"start MpiSession with <ranks> workers", ranks=count),
    pattern(r"\bMPI size: <ranks>", ranks=count),
    pattern(r"Allocate <pool_bytes:[0-9]{6,20}> bytes for k/v cache", pool_bytes=count),
    pattern(r"tokens per block=<block_size>, primary blocks=<primary_blocks>",
             block_size=count, primary_blocks=count),
)  # fmt: skip

PYTORCH_SINCE, BUILT_LAST = "1.0", "0.21"
"""The version whose rules are those of the PyTorch backend, and the last that is known by built engines."""
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
    quantisations: ClassVar = {form: form for form in ALGORITHMS.values()}
    telling: ClassVar = (
        "kv size", "fraction", "engine size", "Engine version", "TRTGptModel", "quant_algo", "MpiSession", "MPI size",
        "k/v cache",
    )  # fmt: skip

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
        return _backend(figures)


def _backend(figures: dict[str, Any]) -> list[str]:
    """Take a start for one of built engines or of the PyTorch backend, by what it prints, whatever its version."""
    engine, *parts = (figures.pop(name, None) for name in ("engine_gib", "context_gib", "buffers_gib", "decoder_gib"))
    asked = str(figures.get("engine_version", ""))
    is_old = asked.startswith("0.")
    if engine is None and parts[0] is None:
        if "peak_gib" not in figures or not is_old:
            return []
        figures["engine_version"] = PYTORCH_SINCE
        text = template(
            "the PyTorch backend of TensorRT-LLM {asked}: the rules of {used} are taken, the first that are known"
        )
        return [say("logs.problem.pytorch_backend", text, asked=asked, used=PYTORCH_SINCE)]
    if engine is not None:
        figures.setdefault("weights_gib", round(engine, 4))
        if all(part is not None for part in parts):
            figures["activation_gib"] = round(sum(parts), 4)
            if {"memory_gib", "free_gib"} <= figures.keys():
                used = figures["memory_gib"] - figures["free_gib"]
                figures["non_torch_gib"] = round(used - engine - figures["activation_gib"], 4)
    if is_old:
        return []
    figures["engine_version"] = BUILT_LAST
    text = template(
        "an engine built by trtllm-build is loaded: the rules of TensorRT-LLM {used}, the last made for them, are taken"
    )
    return [say("logs.problem.built_engine", text, used=BUILT_LAST)]


LOG = TensorRtLlmLog()
