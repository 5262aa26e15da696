"""Experts that ranks hold as wholes: over the ranks of one replica, or over those of several that stand together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calculator.engines.base import Engine
    from calculator.request import Request


def joins_replicas(rules: Engine, request: Request) -> bool:
    """Whether the replicas of a request share its experts, so that they stand or fall together."""
    return request.enable_expert_parallel and rules.shares_experts_across_replicas


def replicas_joined(rules: Engine, request: Request) -> int:
    """Return the replicas that share one set of experts; 1 where each has its own [-]."""
    return request.data_parallel_size if joins_replicas(rules, request) else 1


def expert_ranks(rules: Engine, request: Request) -> int:
    """Return the ranks that share the experts as wholes: TP × such replicas; 1 where ranks hold slices of all [-].

    References
    ----------
    vLLM 0.33.0, ``fused_moe/config.py`` ``FusedMoEParallelConfig.make`` (TP × DP); SGLang 0.5.23,
    ``distributed/parallel_state.py`` (groups within TP) and ``arg_groups/parallel_hook.py`` (``ep_size × moe_dp_size``
    is ``tp_size``): replicas there are apart.
    """
    return request.tensor_parallel_size * replicas_joined(rules, request) if request.enable_expert_parallel else 1
