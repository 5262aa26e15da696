"""Where speeds were measured: the range of a set-up, and what of it lies outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.measured import BANDS, KINDS, MOST_GPUS, UNSEEN, architecture_kind, group_of, outside
from calculator.planning.traffic.clients import room, running

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.step import Lengths


def range_of(plan: Plan, sequences: float, is_outside: bool) -> tuple[float, float]:
    """Return measured over computed, nine of ten, for a set-up inside or outside what was measured [-]."""
    low, high = BANDS[group_of(plan, sequences)]
    return (min(low, UNSEEN[0]), max(high, UNSEEN[1])) if is_outside else (low, high)


def why_not_checked(plan: Plan, sequences: float, lengths: Lengths, clients: float | None = None) -> str:
    """Say what of a set-up was not among those measured; empty where it was."""
    reasons = []
    gpus = plan.gpus_per_replica
    if gpus > MOST_GPUS:
        reasons.append(f"{gpus} GPUs a replica, measured were up to {MOST_GPUS}")
    held = room(plan, lengths)
    if not plan.fits:
        reasons.append("the plan does not fit")
    elif sequences > held:
        reasons.append(f"memory holds {held:,} such requests at once")
    if clients is not None:
        reasons += _queued(plan, clients, running(plan, lengths))
    if lengths.computed is not None and lengths.computed < lengths.prompt:
        reasons.append("no speed with hits in a prefix cache was measured")
    reasons += outside(plan, lengths.prompt, lengths.output, sequences)
    return "; ".join(reasons)


def _queued(plan: Plan, clients: float, most: int) -> list[str]:
    """Say what was not measured of more clients than run at once."""
    kind = architecture_kind(plan.model)
    longest = plan.rules.speed.longest_queue.get(kind, 1)
    if clients <= most * longest:
        return []
    return [
        f"{clients:,.0f} clients where {most:,} run at once: of {KINDS[kind]} on {plan.rules.title} "
        + ("no queue was described" if longest == 1 else f"up to {longest:g} times as many were measured")
    ]
