"""What SGLang prints at start-up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.engines.log import Log
from calculator.engines.patterns import as_flag, as_switched_off, count, first_name, number, pattern, word
from calculator.engines.sglang.changes import BUILT
from calculator.engines.sglang.overheads import (
    LEFT_AT_MOST,
    LEFT_BY_LOADING,
    UNIFIED_LEFT_AT_MOST,
    in_use,
)
from calculator.formats.names import TORCH_CACHE
from calculator.hardware import is_unified
from calculator.messages import Message, phrase, say
from calculator.units import GIB, gib_to_bytes

if TYPE_CHECKING:
    from calculator.logs.reading import StartupLog
    from calculator.planning.answer import Plan

PATTERNS = (
    pattern(r"<recognised:ServerArgs\(>", recognised=word),
    pattern(r"(?:[Ss][Gg][Ll]ang|SGLANG)(?:[ _-][Vv]ersion['\"]?:?=?| v|==|)[ '\"]{0,3}<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+\.[0-9][\w.+]{0,40}+>",
             engine_version=word),
    pattern(r"\b(?:sglang|sgl-\w{1,20}):v<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=word),
    pattern(r", device='<platform:[a-z]{2,12}+>'", platform=word),
    pattern(r"Load weight begin\. avail mem=<free_at_start_gib> GB", free_at_start_gib=number),
    pattern(r"Load weight end\..{0,200}?avail mem=<free_after_weights_gib> GB", free_after_weights_gib=number),
    pattern(r"Load weight end\..{0,250}?mem usage=<weights_gib> GB", weights_gib=number),
    pattern(r"Load weight end\..{0,60}?type=<architecture:\w{3,80}+>", architecture=word),
    pattern(r"KV Cache is allocated\..{0,60}?#tokens: <kv_tokens>", kv_tokens=count),
    pattern(r"(?:Using KV cache|KV Cache is allocated\.) dtype: torch\.<k_type:b?float16|float8_e4m3fn|float8_e5m2>\b",
             k_type=word),
    pattern(r"\bK size: <k_gib> GB, V size: <v_gib> GB", k_gib=number, v_gib=number),
    pattern(r"\bKV size: <kv_pool_gib> GB", kv_pool_gib=number),
    pattern(r"Memory pool end\. avail mem=<free_after_pool_gib> GB", free_after_pool_gib=number),
    pattern(r"Capture (?:cuda|CUDA) graph end\..{0,80}?mem usage=<cuda_graph_gib> GB", cuda_graph_gib=number),
    pattern(r"Capture target decode CUDA graph end\..{0,80}?mem usage=<decode_graph_gib> GB", decode_graph_gib=number),
    pattern(r"Capture target verify CUDA graph end\..{0,80}?mem usage=<verify_graph_gib> GB", verify_graph_gib=number),
    pattern(r"Capture target prefill CUDA graph end\..{0,80}?mem usage=<prefill_graph_gib> GB",
             prefill_graph_gib=number),
    pattern(r"Capture draft .{0,30}graph end\..{0,80}?mem usage=<draft_graph_gib> GB", draft_graph_gib=number),
    pattern(r"max_total_num_tokens=<kv_tokens>", kv_tokens=count),
    pattern(r"max_total_num_tokens=[0-9]{1,20}, chunked_prefill_size=<max_num_batched_tokens>",
             max_num_batched_tokens=count),
    pattern(r"max_running_requests=<max_running_requests>, context_len=<seq_len>",
             max_running_requests=count, seq_len=count),
    pattern(r"full_layer_tokens=<full_tokens>, swa_layer_tokens=<window_tokens>",
             full_tokens=count, window_tokens=count),
    pattern(r"SWAKVPool mem usage: <window_pools_gib> GB, swa size: <window_tokens>, full size: <full_tokens>",
             window_pools_gib=number, window_tokens=count, full_tokens=count),
    pattern(r"[Mm]amba [Cc]ache is allocated\. max_mamba_cache_size: <state_slots>", state_slots=count),
    pattern(r"\bconv_state size: <conv_gib> ?GB, ssm_state size: <ssm_gib> ?GB", conv_gib=number, ssm_gib=number),
    pattern(r"intermediate_ssm_state_cache size: <draft_ssm_gib> ?GB", draft_ssm_gib=number),
    pattern(r"intermediate_conv_window_cache size: <draft_conv_gib> ?GB", draft_conv_gib=number),
)  # fmt: skip
BEGINS = re.compile(r"server_args=ServerArgs\(")
RANK = re.compile(r"\[[0-9]{4}-[^\]]{0,40}?((?: [A-Z]{2,3}[0-9]{1,3}){1,8}+)\]")


class SglangLog(Log):
    """The log of SGLang, whose GB are GiB."""

    patterns: ClassVar = PATTERNS
    arguments: ClassVar = {
        "model_path": ("model", word), "served_model_name": ("served_name", first_name),
        "context_length": ("seq_len", count),
        "tp_size": ("tensor_parallel_size", count), "pp_size": ("pipeline_parallel_size", count),
        "mem_fraction_static": ("gpu_memory_utilization", number), "max_total_tokens": ("max_total_tokens", count),
        "max_running_requests": ("max_num_seqs", count), "chunked_prefill_size": ("max_num_batched_tokens", count),
        "kv_cache_dtype": ("kv_cache_dtype", word), "quantization": ("quantization", word), "dtype": ("dtype", word),
        "page_size": ("block_size", count), "disable_cuda_graph": ("enforce_eager", as_flag),
        "enable_dp_attention": ("enable_attention_dp", as_flag),
        "disable_radix_cache": ("enable_prefix_caching", as_switched_off),
        "dcp_size": ("decode_context_parallel_size", count),
        "attention_backend": ("attention_backend", word),
    }  # fmt: skip
    weighs_tensors: ClassVar = False
    keeps_states_apart: ClassVar = True
    telling: ClassVar = ("sgl-", "sglang", "SGLang", "mem_fraction", "hunked")
    begins: ClassVar = BEGINS
    rank: ClassVar = RANK
    # requests at once and the length that it came to, beside tokens that it came to
    not_stated_after: ClassVar = "max_total_num_tokens="
    built: ClassVar = BUILT
    draft_after: ClassVar = "free_after_pool_gib"
    pools: ClassVar = ("k_gib", "v_gib", "kv_pool_gib", "window_pools_gib")
    together: ClassVar = {
        "cuda_graph_gib": ("decode_graph_gib", "verify_graph_gib", "prefill_graph_gib"),
        "state_gib": ("conv_gib", "ssm_gib"),
        "draft_states_gib": ("draft_ssm_gib", "draft_conv_gib"),
    }
    differs_beside: ClassVar = {"kv_tokens": "full_tokens"}
    # a byte of scale for 16 values: 8,063 bytes a token logged for 14,336 values
    kv_formats: ClassVar = {**TORCH_CACHE, "fp4_e2m1": "nvfp4", "float4_e2m1fn_x2": "nvfp4"}
    quantisations: ClassVar = {
        "awq_marlin": "awq-int4", "gptq_marlin": "gptq-int4", "modelopt_fp4": "nvfp4", "w8a8_int8": "int8",
    }  # fmt: skip

    def join(self, figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
        """Add up keys and values, windows and states: what all pools take together, and the tokens of the first."""
        problems: list[str] = []
        if "weights_gib" not in figures and {"free_at_start_gib", "free_after_weights_gib"} <= set(figures):
            figures["weights_gib"] = round(figures["free_at_start_gib"] - figures["free_after_weights_gib"], 4)
        if "full_tokens" in figures:
            figures["kv_tokens"] = figures.pop("full_tokens")
        if "k_gib" in figures:
            del figures["k_gib"], figures["v_gib"]
            problems = _token_pools(figures, values)
        if "window_pools_gib" in figures:
            figures["kv_pool_gib"] = figures.pop("window_pools_gib")
        return problems

    def in_use(self, log: StartupLog, memory_bytes: int | None) -> dict[str, Any]:
        """Take what was free before loading: the fraction is of that alone, whatever else the device holds."""
        figures = log.figures
        free = figures.get("free_at_start_gib")
        if not free and {"weights_gib", "free_after_weights_gib"} <= set(figures):
            free = figures["weights_gib"] + figures["free_after_weights_gib"]
        if not free:
            return {}
        free_bytes = gib_to_bytes(f"{free:.4f}")
        left = LEFT_BY_LOADING
        if memory_bytes is None:
            return {"gpu_memory_bytes": free_bytes, "non_torch_bytes": left}
        return {"non_torch_bytes": max(0, memory_bytes - free_bytes) + left}

    def unsure_gib(self, asked: dict[str, Any]) -> tuple[float, float]:
        """Return the range of what loading leaves, where what is in use before it is known."""
        if "non_torch_bytes" not in asked:
            return 0.0, 0.0
        device = asked.get("gpu")
        most = UNIFIED_LEFT_AT_MOST if is_unified(str(getattr(device, "id", device))) else LEFT_AT_MOST
        return (most - LEFT_BY_LOADING) / GIB, LEFT_BY_LOADING / GIB

    def usual_in_use_gib(self, plan: Plan) -> float:
        """Return the high end of what is in use on a device of this class [GiB]."""
        return in_use(plan.accelerator, plan.gpus_per_replica).high / GIB

    def held_tokens(self, held: Plan, log: StartupLog, pool_gib: float) -> int:
        """Return the tokens of the first pool, beside the windows or states that the log has in it [tokens].

        Windows share a size that is printed; states are printed apart from the size of keys and values.
        """
        pools, figures = held.stage.geometry.pools, log.figures
        beside_states = len(pools) > 1 and all(not claim.block_size for claim in pools[1].claims)
        if not beside_states and (len(pools) < 2 or not {"window_tokens", "state_gib"} & set(figures)):
            return held.reported_kv_tokens
        beside = figures.get("window_tokens", 0) * pools[1].block_bytes / held.request.block_size
        left = max(0.0, (pool_gib - figures.get("state_gib", 0.0)) * GIB - beside)
        return int(left // pools[0].block_bytes) * held.request.block_size

    def peculiarities(self, held: Plan, log: StartupLog) -> Iterator[Message]:
        """Yield that its GB are GiB."""
        yield say("logs.cause.gb_are_gib", "the log's GB are GiB (2^30 bytes)")


def _token_pools(figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
    """Add the pool of keys and values, of the rank that has least; with windows a rank prints two, states are apart."""
    windows = "window_tokens" in figures
    sizes: dict[str, list[float]] = {}
    seen: set[tuple[str, float]] = set()
    for (name, k, rank), (_, v, _) in pairwise(values):
        if name == "k_gib" and (windows or (rank, k + v) not in seen):
            sizes.setdefault(rank, []).append(k + v)
            seen.add((rank, k + v))
    whole = [sum(parts) for parts in sizes.values() if len(parts) > 1 or not windows]
    if whole:
        figures["kv_pool_gib"] = round(min(whole) + figures.get("state_gib", 0.0), 6)
    elif "window_pools_gib" not in figures:
        text = phrase("the size of one of the two pools is not printed: only their tokens are compared")
        return [say("logs.problem.one_of_two_pools", text)]
    return []


LOG = SglangLog()
