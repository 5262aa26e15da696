"""Pools under traffic: what each request that is resident takes of a pool, how many fit, and at what risk.

What is derived of one workload and length, and of one plan, is kept for the next question, a few of each.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from calculator.architecture.counts import NO_LIMIT
from calculator.planning.stage import distinct
from calculator.planning.traffic.inputs import EVEN
from calculator.planning.traffic.residence import (
    LawOfSum,
    Residents,
    exceeding,
    most_at_risk,
    residents,
)
from calculator.planning.traffic.reuse.prefixes import caches_prefixes, computed_tokens
from calculator.planning.traffic.timing.step import Lengths

if TYPE_CHECKING:
    from calculator.engines.pools import Pool
    from calculator.planning.answer import Plan
    from calculator.planning.stage import Stage
    from calculator.planning.traffic.workload import Pairs, Workload

NEAR = 1000
"""Where the sequences that fit whatever they hold come this near, one part in so many, they are the answer."""
MOST_SUMMED = 2_048
"""Of more sequences the expansion is taken as it is: what it is off is a small part of how little their sum spreads."""

WIDE, ROUGH = 1.15, 500
"""How far apart two pools may be that say what one between them holds, and how far the law, the expansion and what
always fits may be apart, one part in so many."""


@dataclass(frozen=True, eq=False)
class LoadedPool:
    """One pool of blocks under traffic.

    Attributes
    ----------
    some : Residents
        Requests that are resident, by the tokens they hold.
    blocks : array of float
        Blocks that each of them takes for itself [-].
    free : int
        Blocks that they may take together [-].
    pool : Pool
        Whose blocks they are.
    shared : int
        Blocks of a shared prefix, which are kept once [-].
    """

    some: Residents
    blocks: Any
    free: int
    pool: Pool
    shared: int

    @cached_property
    def _worked_out(self) -> tuple[tuple[float, float, float], float]:
        known, key = self.some.known, ("moments", id(self.blocks))
        if key not in known:
            known[key] = self.some.moments(self.blocks), float(self.blocks.max()), self.blocks
        moments, largest, _ = known[key]
        return moments, largest

    @property
    def moments(self) -> tuple[float, float, float]:
        """Mean, variance and third central moment of the blocks of a resident."""
        return self._worked_out[0]

    @cached_property
    def law(self) -> LawOfSum:
        """The law of what residents take together."""
        return LawOfSum(self.blocks, self.some.weights, self.free, self.some.known)

    def most(self, risk: float) -> int:
        """Return the most residents that exceed the pool at no more than a risk [-]."""
        count, by_law = self._expanded(risk)
        return self.law.most(risk, count) if by_law else count

    def between(self, risk: float) -> tuple[int, int]:
        """Return bounds of ``most(risk)``: what was found for a pool a little smaller and one a little larger [-].

        Where no such pools are known, it is worked out, and known from then on.
        """
        found = self.some.known.setdefault(("most", id(self.blocks), risk), [])
        place = bisect_left(found, (self.free,))
        near = found[max(0, place - 1) : place + 1]
        if near and near[-1][0] == self.free:
            return near[-1][1], near[-1][1]
        if len(near) == 2 and near[1][0] <= WIDE * near[0][0]:
            low, high = near[0][1], near[1][1]
            return max(0, low - 2 - low // ROUGH), high + 2 + high // ROUGH
        count = self.most(risk)
        insort(found, (self.free, count))  # in one step: sessions of a page share what was found
        return count, count

    def _expanded(self, risk: float) -> tuple[int, bool]:
        """Return the most by the expansion, or those that always fit; and whether the law itself must decide."""
        if not self._worked_out[1]:  # what takes none counts as one block, as in ``Pool.sequences``
            return self.free, False
        count, trusted = most_at_risk(self.moments, self.free, risk)
        certain = self._certain
        if count - certain <= count // NEAR:
            return certain, False
        return count, not trusted and count <= MOST_SUMMED

    @property
    def _certain(self) -> int:
        return int(self.free // (self._worked_out[1] or 1.0))

    def risks(self, counts: Sequence[int], risk: float) -> Any:
        """Return the risk that each number of residents exceeds the pool, as ``most(risk)`` sees it."""
        import numpy

        numbers = numpy.asarray(counts)
        if self._expanded(risk)[1]:
            found = numpy.asarray([self.law.exceeds(number) for number in numbers.tolist()])
        else:
            found = exceeding(self.moments, self.free, numbers)
        return numpy.where(numbers <= self._certain, 0.0, found)

    def held(self, count: int, ends: Any, risk: float) -> Any:
        """Return the share of moments in which so many residents hold more blocks than each of some ends."""
        import numpy

        if self._expanded(risk)[1]:
            return LawOfSum(self.blocks, self.some.weights, math.ceil(max(ends))).beyond(count, ends)
        return exceeding(self.moments, ends, numpy.full(len(ends), count))


def loaded(plan: Plan, workload: Workload) -> tuple[tuple[LoadedPool, ...], ...]:
    """Return the pools of each stage of a plan under a workload, like stages once."""
    return _loaded(asked(plan, workload))


def tightest_pool(plan: Plan, workload: Workload, risk: float) -> tuple[int, int]:
    """Return the place of that stage, and of the pool in it that holds the fewest."""
    stage = tightest_stage(plan, workload, risk)
    pools = loaded(plan, workload)[stage]
    held = [pool.most(share_of_risk(risk, len(pools))) for pool in pools]
    return stage, held.index(min(held))


def tightest_stage(plan: Plan, workload: Workload, risk: float) -> int:
    """Return the place, among the unlike stages of a plan, of the one that holds the fewest sequences."""
    held = [held_by(pools, risk) for pools in loaded(plan, workload)]
    return held.index(min(held))


def held_by(pools: Sequence[LoadedPool], risk: float) -> int:
    """Return the sequences that all pools of a stage hold."""
    return min((pool.most(share_of_risk(risk, len(pools))) for pool in pools), default=0)


def held_between(pools: Sequence[LoadedPool], risk: float) -> tuple[int, int]:
    """Return bounds of that, from what is known of pools near to these [-]."""
    found = [pool.between(share_of_risk(risk, len(pools))) for pool in pools]
    return min((low for low, _ in found), default=0), min((high for _, high in found), default=0)


def share_of_risk(risk: float, pools: int) -> float:
    """Return the risk of each of several pools: any of them may be the one that is exceeded [-]."""
    return risk / pools if risk < EVEN else risk


def traffic_of(workload: Workload, seq_len: int) -> tuple[Pairs, Residents]:
    """Return the pairs of a workload cut at a length, and what its residents hold."""
    return _traffic_of(_Lengths(_key(workload), seq_len, workload))


def lengths_served(plan: Plan, workload: Workload) -> Lengths:
    """Return the mean lengths of a workload as a plan serves them: cut, what is computed, and what residents hold."""
    pairs, some = traffic_of(workload, plan.request.seq_len)
    return Lengths(
        prompt=pairs.mean(pairs.prompt_tokens),
        output=pairs.mean(pairs.output_tokens),
        computed=computed_tokens(workload, plan),
        resident=some.moments(some.tokens)[0],
    )


def free_pools(
    stage: Stage, plan: Plan, workload: Workload, pool_bytes: int | None = None
) -> list[tuple[Pool, int, int]]:
    """Return each pool of a stage with its free blocks and the blocks of a shared prefix, which are kept once."""
    size = stage.usable_bytes if pool_bytes is None else pool_bytes
    counts = stage.geometry.counts(size, plan.request.seq_len)
    found = []
    kept_once = min(workload.shared_prefix_tokens, plan.request.seq_len - 1) if caches_prefixes(plan) else 0
    for pool, count in zip(stage.geometry.pools, counts, strict=True):
        shared = 0
        if kept_once:
            shared = sum(
                claim.weight * (kept_once // claim.block_size)
                for claim in pool.claims
                if claim.block_size and claim.limit >= NO_LIMIT
            )
        found.append((pool, max(0, int(count) - pool.held_back - shared), shared))
    return found


def own_blocks(pool: Pool, tokens: Any, shared: int) -> Any:
    """Return the blocks of a pool that residents of so many tokens take for themselves, as float64."""
    import numpy

    return numpy.maximum(0, pool.blocks(tokens) - shared).astype(numpy.float64)


@dataclass(frozen=True)
class Asked:
    """A plan and a workload, told apart by all that bears on what is derived of them."""

    key: tuple[Any, ...]
    plan: Plan = field(compare=False, repr=False)
    workload: Workload = field(compare=False, repr=False)


def asked(plan: Plan, workload: Workload) -> Asked:
    """Return a plan and a workload as a key of what is kept."""
    return Asked((plan.stages, plan.request, plan.rules.admission, _key(workload)), plan, workload)


@dataclass(frozen=True)
class _Lengths:
    key: tuple[Any, ...]
    seq_len: int
    workload: Workload = field(compare=False, repr=False)


def _key(workload: Workload) -> tuple[Any, ...]:
    """Return what tells a workload apart; two traces may have the same means."""
    lengths = [] if workload.trace is None else workload.trace
    return (workload, *(blake2b(column.tobytes(), digest_size=16).digest() for column in lengths))


@lru_cache(maxsize=2)
def _traffic_of(lengths: _Lengths) -> tuple[Pairs, Residents]:
    pairs = lengths.workload.pairs(lengths.seq_len)
    return pairs, residents(pairs)


@lru_cache(maxsize=8)
def _loaded(one: Asked) -> tuple[tuple[LoadedPool, ...], ...]:
    _, some = traffic_of(one.workload, one.plan.request.seq_len)
    return loaded_at(one.plan, one.workload, some)


def loaded_at(
    plan: Plan, workload: Workload, some: Residents, end: int | None = None
) -> tuple[tuple[LoadedPool, ...], ...]:
    """Return the pools of each stage, like stages once, at the low (0) or the high end (1) of their range.

    ``some`` are the residents of the workload at the plan's longest sequence; what is worked out of them is kept there.
    """
    return tuple(
        tuple(
            LoadedPool(some, _own_blocks(pool, some, shared), free, pool, shared)
            for pool, free, shared in free_pools(stage, plan, workload, None if end is None else stage.usable_at(end))
        )
        for stage in distinct(plan.stages)
    )


def _own_blocks(pool: Pool, some: Residents, shared: int) -> Any:
    """Return the blocks of a pool that each resident takes for itself, worked out once."""
    key = "blocks", pool.claims, shared
    if key not in some.known:
        some.known[key] = own_blocks(pool, some.tokens, shared)
    return some.known[key]
