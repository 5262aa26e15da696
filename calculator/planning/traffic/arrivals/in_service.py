"""One replica and its traffic at a rate: how many requests decode, how long they stay, and how unevenly.

::

    λ = N / (O t(N)),   t(N) = t_decode(N + 1) + prefill(N),   R = N + λ TTFT
    D = s D_a,   s = 1 / (1 − ε),   ε = (N / t_decode) dt_decode / dN

N requests decode in the mean, R are in service; one that decodes sees N others beside itself. Its steps last longer the
more there are, so that a crowd stays longer: with Poisson arrivals the number in service is then negative binomial with
variance ``s`` times its mean (the product form of processor sharing whose step is ``a + b n``). ``D_a`` is the same
ratio of a trace's own arrivals, replayed with the mean residence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.planning.stage import distinct
from calculator.planning.traffic.arrivals.compound import Compound, compound
from calculator.planning.traffic.arrivals.replay import MOST_REPLAYED, at_rate, replay
from calculator.planning.traffic.pools.loaded import free_pools, own_blocks
from calculator.planning.traffic.residence import Residents, residents
from calculator.planning.traffic.reuse.prefixes import computed_tokens
from calculator.planning.traffic.timing.speed import speed
from calculator.planning.traffic.timing.step import Lengths, Pace, pace_of

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Pairs, Workload

FEWEST, MOST, REPLAYS = 1e-9, 1e8, 16
"""Decoding requests between which a load is looked for, and the replays of a trace in which one is."""


@dataclass(frozen=True, slots=True)
class Load:
    """A replica at a rate: its rate [1/s], requests in all and in decode [-], their dispersion [-], its times [s]."""

    rate: float
    requests: float
    decoding: float
    dispersion: float
    first_token_s: float
    step_s: float

    @property
    def in_prefill(self) -> float:
        """The share of the requests in service that do not decode yet [-]."""
        return 1 - self.decoding / self.requests if 0 < self.requests < math.inf else 0.0


@dataclass(frozen=True)
class InService:
    """One replica and its traffic: what is worked out once for all rates."""

    plan: Plan
    workload: Workload
    computed_prompt_tokens: float | None = None

    @cached_property
    def pairs(self) -> Pairs:
        """The lengths, cut to the plan's longest sequence."""
        return self.workload.pairs(self.plan.request.seq_len)

    @cached_property
    def decode(self) -> Residents:
        """What a request in decode holds."""
        return residents(self.pairs)

    @cached_property
    def prefill(self) -> Residents:
        """What a request in prefill holds: its prompt, for a time in proportion to it."""
        pairs = self.pairs
        share = pairs.weights * pairs.prompt_tokens
        return Residents(pairs.prompt_tokens, share / share.sum())

    @cached_property
    def _output_tokens(self) -> float:
        return self.pairs.mean(self.pairs.output_tokens)

    @cached_property
    def lengths(self) -> Lengths:
        """Means of the lengths [tokens]."""
        mean = self.decode.moments(self.decode.tokens)[0]
        prompt = self.pairs.mean(self.pairs.prompt_tokens)
        computed = self.computed_prompt_tokens
        if computed is None:
            computed = computed_tokens(self.workload, self.plan)
        return Lengths(prompt, self._output_tokens, None if computed is None else min(computed, prompt), mean)

    @cached_property
    def _pace(self) -> Pace:
        return pace_of(self.plan, self.lengths)

    def range_of_speed(self, count: float) -> tuple[float, float]:
        """Return seconds a token at either end of their range over those expected, where so many decode [-]."""
        lengths = self.lengths
        found = speed(
            self.plan,
            min(MOST, max(1.0, count)),
            lengths.prompt,
            lengths.output,
            computed_prompt_tokens=lengths.computed,
            resident_tokens=lengths.resident,
        )
        central = found.time_per_output_token_s
        return found.time_per_output_token_s_low / central, found.time_per_output_token_s_high / central

    @cached_property
    def stages(self) -> tuple[tuple[Compound, ...], ...]:
        """The pools of each stage that differs, with what requests take of them."""
        found = []
        for stage in distinct(self.plan.stages):
            pools = []
            for pool, free, shared in free_pools(stage, self.plan, self.workload):
                both = tuple(own_blocks(pool, some.tokens, shared) for some in (self.decode, self.prefill))
                pools.append(compound(both, (self.decode.weights, self.prefill.weights), free))
            found.append(tuple(pools))
        return tuple(found)

    def tokens(self, load: Load) -> tuple[float, float]:
        """Return mean and variance of the tokens that a request in service holds [tokens]."""
        parts = [some.moments(some.tokens)[:2] for some in (self.decode, self.prefill)]
        shares = (1 - load.in_prefill, load.in_prefill)
        mean = sum(share * part[0] for share, part in zip(shares, parts, strict=True))
        square = sum(share * (part[1] + part[0] ** 2) for share, part in zip(shares, parts, strict=True))
        return mean, max(0.0, square - mean**2)

    def with_decoding(self, count: float) -> Load:
        """Return the load at which so many requests decode in the mean, with the law of Poisson arrivals."""
        decode_s = self._decode_s(count + 1)
        step = decode_s + self._prefill_s(count)
        rate = count / (self._output_tokens * step)
        first = self.plan.rules.speed.first_token(self._pace.prompt_s, count, step)
        near = max(1e-6, 1e-3 * count)
        grows = (self._decode_s(count + 1 + near) - decode_s) / near
        stretch = 1 / max(1e-9, 1 - count * grows / decode_s)
        own = 1 + max(0.0, self.workload.dispersion - 1) * rate / self.workload.requests_per_second
        if self.workload.times is not None:
            own = 1.0
        return Load(rate, count + rate * first, count, stretch * own, first, step)

    def _decode_s(self, count: float) -> float:
        step = self._pace.at(count)
        return sum(term.seconds for term in step.terms if term.name != "prefill")

    def _prefill_s(self, count: float) -> float:
        """Return what prefill adds to a step [s]."""
        return next(term.seconds for term in self._pace.at(count).terms if term.name == "prefill")

    @cached_property
    def _steps(self) -> list[float]:
        """How long a step of so many decoding requests takes, from none to all that are replayed [s]."""
        import numpy

        nodes = numpy.unique(numpy.geomspace(1, 2 * MOST_REPLAYED, 60).astype(numpy.int64))
        found = [self._decode_s(float(node)) for node in nodes]
        steps: list[float] = numpy.interp(numpy.arange(2 * MOST_REPLAYED + 1), nodes, found).tolist()
        return steps

    @cached_property
    def _order(self) -> Any:
        """The rows of a trace as they came."""
        return self.workload.times.argsort(kind="stable")

    def _replayed(self, rate: float) -> Load | None:
        """Return the load at a rate from a trace's own times, None where too few of them are left."""
        workload, pairs = self.workload, self.pairs
        if workload.times is None or workload.times.max() <= workload.times.min():
            return None
        rows = at_rate(workload.times, self._order, rate)
        if rows is None:
            return None
        prompt_s = self._pace.prompt_s
        each = prompt_s / self.lengths.prompt / self.plan.request.pipeline_parallel_size
        prompts = each * pairs.prompt_tokens[rows[0]]
        chunk = each * self.plan.request.max_num_batched_tokens
        found = replay(rows[1].tolist(), prompts.tolist(), pairs.output_tokens[rows[0]].tolist(), self._steps, chunk)
        step = found.decoding / rate / self._output_tokens or self.with_decoding(1.0).step_s
        law = self.plan.rules.speed.first_token(prompt_s, found.decoding, step)
        first = max(law, (found.requests - found.decoding) / rate)
        return Load(rate, found.decoding + rate * first, found.decoding, max(1.0, found.dispersion), first, step)

    @cached_property
    def capacity(self) -> float:
        """The rate that the replica keeps up with, if its pool held all [1/s]."""
        return self.with_decoding(MOST).rate

    def at_rate(self, rate: float) -> Load:
        """Return the load at a rate; one of infinitely many requests where the replica does not keep up."""
        if rate >= self.capacity:
            return Load(rate, math.inf, math.inf, 1.0, math.inf, math.inf)
        return self._replayed(rate) or _most(self.with_decoding, lambda load: load.rate <= rate, FEWEST, MOST)

    def exceeded(self, load: Load) -> float:
        """Return the share of time in which a pool of the tightest stage is exceeded [-]."""
        if not math.isfinite(load.requests):
            return 1.0
        ranks = self.plan.request.attention_replicas
        each, own = load.requests / ranks, 1 + (load.dispersion - 1) / ranks
        return max(min(1.0, sum(pool.exceeded(each, load.in_prefill, own) for pool in pools)) for pools in self.stages)

    def largest(self, risk: float) -> Load:
        """Return the load at which the pool is exceeded with a risk; none where it does not hold a single request."""
        if any(pool.free < 1 for pools in self.stages for pool in pools):
            none = self.with_decoding(FEWEST)
            return Load(0.0, 0.0, 0.0, 1.0, none.first_token_s, none.step_s)

        def holds(load: Load) -> bool:
            return self.exceeded(load) <= risk

        if self.workload.times is None:
            return _most(self.with_decoding, holds, FEWEST, MOST)
        return _most(self.at_rate, holds, FEWEST * self.capacity, self.capacity, REPLAYS)


def _most(
    load_at: Callable[[float], Load], holds: Callable[[Load], bool], least: float, most: float, times: int = 36
) -> Load:
    """Return the largest load that holds, by bisection of a logarithm."""
    low, high = math.log(least), math.log(most)
    found = load_at(least)
    for _ in range(times):
        middle = (low + high) / 2
        load = load_at(math.exp(middle))
        if holds(load):
            low, found = middle, load
        else:
            high = middle
    return found
