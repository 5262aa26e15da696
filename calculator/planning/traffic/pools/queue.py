"""How often a full queue throws requests out of the tightest pool of a plan: simulated, and kept for a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from calculator.planning.stage import distinct
from calculator.planning.traffic.admission import Settled, settle
from calculator.planning.traffic.pools.loaded import Asked, asked, free_pools, tightest_pool, traffic_of

if TYPE_CHECKING:
    from calculator.engines.base import Admission
    from calculator.engines.pools import Pool
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Workload


DEVIATIONS = 3
"""How far the range goes beyond the means, in deviations between draws: parts of one run are somewhat alike."""


def preemptions(
    plan: Plan, workload: Workload, admission: Admission, max_num_seqs: int, risk: float
) -> tuple[float, float, float]:
    """Return how often a rule of admission throws a request out with a full queue: low, central, high [-].

    A seeded simulation on the tightest pool, at either end of the pool's range, ``DEVIATIONS`` between draws on either
    side; none where output is set aside.
    """
    found = [_settled(plan, workload, admission, max_num_seqs, risk, place) for place in range(3)]
    means = [each.preemptions_per_request for each in found]
    off = [DEVIATIONS * each.deviation for each in found]
    low = min(mean - around for mean, around in zip(means, off, strict=True))
    return max(0.0, low), means[1], max(mean + around for mean, around in zip(means, off, strict=True))


def thrown_out(plan: Plan, workload: Workload, admission: Admission, max_num_seqs: int, risk: float) -> float:
    """Return the same in the middle of the pool's range."""
    return _settled(plan, workload, admission, max_num_seqs, risk, 1).preemptions_per_request


def _settled(
    plan: Plan, workload: Workload, admission: Admission, max_num_seqs: int, risk: float, place: int
) -> Settled:
    """Return what a queue settles at, at one place of the pool's range: its low end, its middle or its high end."""
    if admission.whole_output or admission.whole_context or admission.reserve_ratio:
        return Settled(0.0, 0.0)
    return _simulated(_Queue(asked(plan, workload), admission.watermark, max_num_seqs, risk, place))


@dataclass(frozen=True)
class _Queue:
    of: Asked = field(repr=False)
    watermark: float
    max_num_seqs: int
    risk: float
    place: int


@lru_cache(maxsize=64)
def _simulated(queue: _Queue) -> Settled:
    plan, workload = queue.of.plan, queue.of.workload
    pairs, _ = traffic_of(workload, plan.request.seq_len)
    place, which = tightest_pool(plan, workload, queue.risk)
    stage = distinct(plan.stages)[place]
    low, high = stage.usable_range
    size = (low, stage.usable_bytes, high)[queue.place]
    pool, free, shared = free_pools(stage, plan, workload, size)[which]
    return settle(
        partial(_own_blocks, pool, shared),
        free,
        pairs.prompt_tokens,
        pairs.output_tokens,
        pairs.weights,
        queue.watermark,
        queue.max_num_seqs,
        seed=queue.place,
    )


def _own_blocks(pool: Pool, shared: int, tokens: Any) -> Any:
    """Return the blocks that requests of so many tokens take for themselves."""
    return (pool.blocks(tokens) - shared).clip(min=0)
