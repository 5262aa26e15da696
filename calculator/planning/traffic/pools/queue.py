"""How often a full queue throws requests out of the tightest pool of a plan: simulated, and kept for a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from calculator.planning.stage import distinct
from calculator.planning.traffic.admission import settle
from calculator.planning.traffic.pools.loaded import Asked, asked, free_pools, tightest_stage, traffic_of

if TYPE_CHECKING:
    from calculator.engines.base import Admission
    from calculator.engines.pools import Pool
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Workload


def preemptions(
    plan: Plan, workload: Workload, admission: Admission, max_num_seqs: int, risk: float
) -> tuple[float, float, float]:
    """Return how often a rule of admission throws a request out with a full queue: low, central, high [-].

    A seeded simulation on the tightest pool, at either end of the pool's range; none where output is set aside.
    """
    low, middle, high = sorted(thrown_out(plan, workload, admission, max_num_seqs, risk, place) for place in range(3))
    return low, middle, high


def thrown_out(
    plan: Plan, workload: Workload, admission: Admission, max_num_seqs: int, risk: float, place: int
) -> float:
    """Return the same at one place of the pool's range: its low end, its middle or its high end."""
    if admission.whole_output or admission.whole_context or admission.reserve_ratio:
        return 0.0
    return _simulated(_Queue(asked(plan, workload), admission.watermark, max_num_seqs, risk, place))


@dataclass(frozen=True)
class _Queue:
    of: Asked = field(repr=False)
    watermark: float
    max_num_seqs: int
    risk: float
    place: int


@lru_cache(maxsize=64)
def _simulated(queue: _Queue) -> float:
    plan, workload = queue.of.plan, queue.of.workload
    pairs, _ = traffic_of(workload, plan.request.seq_len)
    stage = distinct(plan.stages)[tightest_stage(plan, workload, queue.risk)]
    size = (stage.usable_range[0], stage.usable_bytes, stage.usable_range[1])[queue.place]
    pool, free, shared = free_pools(stage, plan, workload, size)[0]
    settled = settle(
        partial(_own_blocks, pool, shared),
        free,
        pairs.prompt_tokens,
        pairs.output_tokens,
        pairs.weights,
        queue.watermark,
        queue.max_num_seqs,
        seed=queue.place,
    )
    return settled.preemptions_per_request


def _own_blocks(pool: Pool, shared: int, tokens: Any) -> Any:
    """Return the blocks that requests of so many tokens take for themselves."""
    return (pool.blocks(tokens) - shared).clip(min=0)
