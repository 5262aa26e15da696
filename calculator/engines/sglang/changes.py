"""SGLang release by release: rule values, since when, and where they are read from.

Ten releases were read. What was found in one and not in the one before begins at the first that has it; between two
that were read the nearer one is taken, with a note.
"""

from __future__ import annotations

from dataclasses import dataclass

from calculator.engines.base import Admission, Change, DeviceDefaults
from calculator.engines.sglang.fraction import ByMemory, ByRanks, ByWork

READ = (
    (0, 4, 4), (0, 4, 9), (0, 4, 10), (0, 5, 1), (0, 5, 5), (0, 5, 8), (0, 5, 10), (0, 5, 12), (0, 5, 18), (0, 5, 23),
)  # fmt: skip
NO_LIMIT_SEQUENCES = 2_048
"""Stands for requests at once that nothing but memory limits."""
ANY_MIB = 2**40


@dataclass(frozen=True, slots=True)
class GraphDefaults:
    """Largest batch captured as a CUDA graph, on devices up to a size, below and from TP 4 on."""

    below_mib: int
    few_ranks: int
    many_ranks: int


def _chunks(*rows: tuple[int, int]) -> tuple[DeviceDefaults, ...]:
    return tuple(DeviceDefaults(at_least, tokens, NO_LIMIT_SEQUENCES) for at_least, tokens in rows)


CHANGES = (
    Change(
        (0, 4, 4),
        {
            "fraction_rule": ByRanks(((16, 0.79), (8, 0.81), (4, 0.85), (2, 0.87), (1, 0.88))),
            "fixed_encoder_factor": 0.95,
            "device_defaults": _chunks((25_000, 8_192), (0, 2_048)),
            "graphs": (GraphDefaults(25_000, 8, 80), GraphDefaults(ANY_MIB, 160, 160)),
            "window_ratio": 0.8,
            # managers/schedule_policy.py: 0.7 of conservativeness falls to 0.14 of itself in a steady state
            "admission": Admission(reserve_ratio=0.098, reserve_most_tokens=4096),
        },
        "SGLang 0.4.4 server_args.py, model_executor/model_runner.py",
    ),
    Change(
        (0, 4, 9),
        {
            "fraction_rule": ByMemory(
                ((35 * 1024, 2.8, 0.1), (90 * 1024, 9.5, 0.5), (160 * 1024, 12, 0.5), (ANY_MIB, 32, 0)), 4 * 1024
            ),
            "fixed_encoder_factor": 0.9,
            "device_defaults": _chunks((160 * 1024, 16_384), (35 * 1024, 8_192), (0, 2_048)),
            "graphs": (
                GraphDefaults(35 * 1024, 8, 80),
                GraphDefaults(90 * 1024, 160, 160),
                GraphDefaults(160 * 1024, 256, 256),
                GraphDefaults(ANY_MIB, 512, 512),
            ),
            "long_context_factor": 0.85,
        },
        "SGLang 0.4.9 server_args.py, model_executor/model_runner.py (aiter)",
    ),
    Change(
        (0, 4, 10), {"fixed_encoder_factor": None}, "SGLang 0.4.10.post2 server_args.py adjust_mem_fraction_for_vlm"
    ),
    Change(
        (0, 5, 5),
        {
            "fraction_rule": ByWork(prefill_graphs=False),
            "device_defaults": _chunks((160 * 1024, 16_384), (60 * 1024, 8_192), (35 * 1024, 4_096), (0, 2_048)),
            "graphs": (
                GraphDefaults(20 * 1024, 8, 8),
                GraphDefaults(35 * 1024, 24, 80),
                GraphDefaults(60 * 1024, 32, 160),
                GraphDefaults(160 * 1024, 256, 512),
                GraphDefaults(ANY_MIB, 512, 512),
            ),
            "state_ratio": 0.9,
            "slots_follow_requests": True,
            "most_slots": 512,
            "counts_plain_rows": True,
        },
        "SGLang 0.5.5 server_args.py, model_executor/model_runner.py, mem_cache/memory_pool.py NSATokenToKVPool",
    ),
    Change(
        (0, 5, 10),
        {"fraction_rule": ByWork(prefill_graphs=True), "prefill_graphs_with_attention_dp": False},
        "SGLang 0.5.10 server_args.py _handle_piecewise_cuda_graph",
    ),
    Change(
        (0, 5, 12),
        {"most_slots": 0},
        "SGLang 0.5.12 model_executor/model_runner_kv_cache_mixin.py handle_max_mamba_cache",
    ),
    Change(
        (0, 5, 18),
        {"prefill_graphs_with_attention_dp": True, "padding_slots": 1, "counts_plain_rows": False},
        "SGLang 0.5.18 server_args.py reserve_for_graph_mb, mem_cache/kv_cache_configurator.py",
    ),
    Change(
        (0, 5, 23),
        {
            "device_defaults": _chunks((160 * 1024, 16_384), (60 * 1024, 8_192), (20 * 1024, 4_096), (0, 2_048)),
            "graphs": (
                GraphDefaults(20 * 1024, 8, 8),
                GraphDefaults(35 * 1024, 48, 160),
                GraphDefaults(60 * 1024, 32, 160),
                GraphDefaults(160 * 1024, 256, 512),
                GraphDefaults(ANY_MIB, 512, 512),
            ),
            "requests_cap_graphs": True,
        },
        "SGLang 0.5.23 arg_groups/memory_hook.py, arg_groups/cuda_graph_hook.py, arg_groups/attention_hook.py, "
        "model_executor/pool_configurator.py, mem_cache/kv_cache_configurator.py",
    ),
)

BUILT = {
    (0, 4, 4): "2025-03-13", (0, 4, 9): "2025-07-06", (0, 4, 10): "2025-08-03", (0, 5, 1): "2025-08-23",
    (0, 5, 5): "2025-11-06", (0, 5, 8): "2026-01-23", (0, 5, 10): "2026-04-05", (0, 5, 12): "2026-05-16",
    (0, 5, 18): "2026-08-21", (0, 5, 23): "2026-10-30",
}  # fmt: skip
"""When the packages of the releases that were read were built."""
