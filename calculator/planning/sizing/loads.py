"""What is to be served: a workload at its rate, or so many users at once; both say what a replica takes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, shown
from calculator.messages import say
from calculator.planning.sizing.bounds import MOST_USERS
from calculator.planning.sizing.operating import Lengths, Point, Replica, most_in_service
from calculator.planning.traffic.concurrency import settled_in
from calculator.planning.traffic.inputs import EVEN
from calculator.planning.traffic.pools.loaded import held_between, held_by, loaded_at, traffic_of
from calculator.planning.traffic.residence import Residents, quantile_of_normal
from calculator.planning.traffic.reuse.prefixes import caches_prefixes, computed_of, states_sharing
from calculator.planning.traffic.workload import check_workload

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.pools.loaded import LoadedPool
    from calculator.planning.traffic.workload import Pairs, Workload

MOST_KEPT = 128
"""Plans whose pools under traffic are kept: those of one kind of hardware."""
WHOLE = 0.999
"""The share of requests that the longest sequence holds whole, where none is given [-]."""


@dataclass(frozen=True)
class Load:
    """What is to be served.

    Attributes
    ----------
    lengths : Lengths
        Mean lengths of its requests.
    risk : float
        The risk that is taken [-].
    workload : Workload or None
        The traffic; None for users.
    users : int or None
        Sequences at once; None for a workload [-].
    some, pairs : Residents, Pairs, or None
        What a resident request of the workload holds, and the lengths of its requests.
    """

    lengths: Lengths
    risk: float = 0.01
    workload: Workload | None = None
    users: int | None = None
    some: Residents | None = field(default=None, repr=False, compare=False)
    pairs: Pairs | None = field(default=None, repr=False, compare=False)
    _last: dict[int, tuple[Plan, dict[int | None, Any]]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def output_tokens(self) -> float | None:
        """Mean output of a request [tokens]."""
        return self.lengths.output_tokens

    @property
    def asked(self) -> float:
        """What all replicas are asked for: requests a second, or sequences at once."""
        return float(self.users) if self.workload is None else self.workload.requests_per_second  # type: ignore[arg-type]

    @cached_property
    def _with_prefixes(self) -> Lengths:
        """The lengths where an engine keeps what prompts share, as the traffic states it."""
        if self.workload is None or self.pairs is None or not states_sharing(self.workload):
            return self.lengths
        computed = computed_of(self.workload, self.pairs)
        return replace(self.lengths, computed_tokens=min(computed, self.lengths.prompt_tokens))

    def lengths_on(self, plan: Plan) -> Lengths:
        """Return the lengths as a plan serves them: what is stated of prefixes in common is not computed again.

        What hashes of a trace say depends on the cache, and is left out: all of its prompts are computed.
        """
        return self._with_prefixes if caches_prefixes(plan) else self.lengths

    def room(self, plan: Plan, end: int) -> int:
        """Return what memory holds at the low end of its range (0), in the middle (1) or at the high end (2) [-].

        Of a workload that is what the risk allows, and no more than the engine's own admission settles at.
        """
        if self.workload is None or plan.rules.admission.whole_context:
            return (plan.max_batch_size_low, plan.max_batch_size, plan.max_batch_size_high)[end]
        return int(self._held(plan, self.risk, (0, None, 1)[end]))

    def _held(self, plan: Plan, risk: float, end: int | None) -> float:
        """Return what one replica holds of the workload at a risk, as its engine lets requests in [-]."""
        if not plan.fits:
            return 0.0
        loads, settled = self._under(plan, end)
        return min(settled, min(held_by(pools, risk) for pools in loads) * plan.request.attention_replicas)

    def _under(self, plan: Plan, end: int | None) -> tuple[Sequence[Sequence[LoadedPool]], float]:
        """Return the pools of a plan under the workload, and what its engine settles at; kept of the last plans."""
        if id(plan) not in self._last:
            if len(self._last) >= MOST_KEPT:
                self._last.clear()
            self._last[id(plan)] = plan, {}
        kept = self._last[id(plan)][1]
        if end not in kept:
            assert self.workload is not None
            assert self.some is not None
            assert self.pairs is not None
            loads = loaded_at(plan, self.workload, self.some, end)
            settled = settled_in(plan, self.workload, plan.rules.admission, self.pairs, self.some, loads)
            kept[end] = loads, settled
        found: tuple[Sequence[Sequence[LoadedPool]], float] = kept[end]
        return found

    def room_between(self, plan: Plan, end: int) -> tuple[int, int]:
        """Return bounds of ``room``, from what pools near to those of the plan hold [-]."""
        if self.workload is None or plan.rules.admission.whole_context:
            return (self.room(plan, end),) * 2
        low, high = self._held_between(plan, self.risk, (0, None, 1)[end])
        return int(low), int(high)

    def _held_between(self, plan: Plan, risk: float, end: int | None) -> tuple[float, float]:
        """Return bounds of ``_held`` [-]."""
        if not plan.fits:
            return 0.0, 0.0
        loads, settled = self._under(plan, end)
        ranks, found = plan.request.attention_replicas, [held_between(pools, risk) for pools in loads]
        return tuple(min(settled, ranks * min(each)) for each in zip(*found, strict=True))

    def taken(self, plan: Plan, replica: Replica, point: Point, end: int) -> float:
        """Return what one replica takes of the load: requests a second that leave room, or sequences [-]."""
        if self.workload is None:
            return float(point.batch_size)
        in_service = self.in_service(plan, point, end)
        return replica.requests_per_second(in_service) if in_service > 0 else 0.0

    def in_service(self, plan: Plan, point: Point, end: int) -> float:
        """Return the largest mean in service that leaves room for arrivals at random [-]."""
        assert self.workload is not None
        by_slots = most_in_service(point.batch_size, quantile_of_normal(self.risk), self.workload.dispersion)
        if point.limited_by != "memory" or plan.rules.admission.whole_context:
            return by_slots
        return self._in_pool(self._held(plan, EVEN, (0, None)[end]), point)

    def _in_pool(self, even: float, point: Point) -> float:
        """Return the same where memory stops a replica that holds so many at even odds [-]."""
        assert self.workload is not None
        assert self.some is not None
        mean, variance, _ = self.some.moments(self.some.tokens)
        spread = self.workload.dispersion + variance / mean**2
        return min(most_in_service(even, quantile_of_normal(self.risk), spread), float(point.batch_size))

    def taken_between(self, plan: Plan, replica: Replica, points: tuple[Point, Point], end: int) -> tuple[float, float]:
        """Return bounds of ``taken`` at two points that the same limit stops [-]."""
        if self.workload is None or points[0].limited_by != "memory" or plan.rules.admission.whole_context:
            low, high = (self.taken(plan, replica, point, end) for point in points)
            return low, high
        evens = self._held_between(plan, EVEN, (0, None)[end])
        counts = [self._in_pool(even, point) for even, point in zip(evens, points, strict=True)]
        low, high = (replica.requests_per_second(count) if count > 0 else 0.0 for count in counts)
        return low, high

    def capacity(self, replica: Replica, point: Point) -> float:
        """Return what one full replica serves: requests a second, or sequences [-]."""
        if self.workload is None or not point.batch_size:
            return float(point.batch_size)
        return replica.requests_per_second(point.batch_size)


def load_of(seq_len: int, workload: Workload, risk: float) -> Load:
    """Return a workload as an engine with that longest sequence serves it."""
    check_workload(workload)
    pairs, some = traffic_of(workload, seq_len)
    mean = some.moments(some.tokens)[0]
    lengths = Lengths(pairs.mean(pairs.prompt_tokens), pairs.mean(pairs.output_tokens), mean)
    return Load(lengths, risk, workload, some=some, pairs=pairs)


def users_of(users: Any, seq_len: Any, output_tokens: Any = None) -> Load:
    """Return so many sequences of one length at once; their outputs may be known."""
    for name, value, most in (("users", users, MOST_USERS), ("seq_len", seq_len, MAX_TOKENS)):
        if type(value) is not int or not 1 <= value <= most:
            raise InvalidValueError(
                say(
                    "loads.must_whole_number_from",
                    "{name} must be a whole number from 1 to {most:,}, not {asked}",
                    name=name,
                    most=most,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
                allowed=(1, most),
                nearest=min(most, max(1, value)) if type(value) is int else None,
            )
    if output_tokens is None:
        return Load(Lengths(seq_len, None, seq_len), users=users)
    number = isinstance(output_tokens, int | float) and not isinstance(output_tokens, bool)
    if not number or not 0 < output_tokens < seq_len:
        raise InvalidValueError(
            say(
                "loads.output_tokens_must_more",
                "output_tokens must be more than 0 and less than seq_len {seq_len:,}, of which they are "
                "a part, not {output_tokens}",
                seq_len=seq_len,
                output_tokens=shown(output_tokens),
            ),
            what="output_tokens",
            asked=output_tokens,
            allowed=(0, seq_len),
        )
    prompt = seq_len - output_tokens
    return Load(Lengths(prompt, output_tokens, prompt + output_tokens / 2), users=users)


def length_of(workload: Workload, longest: int) -> int:
    """Return the least power of two that holds all but one in a thousand requests whole, at most a bound [tokens]."""
    import numpy

    pairs = workload.pairs(MAX_TOKENS)
    powers = numpy.ceil(numpy.log2(pairs.prompt_tokens + pairs.output_tokens)).astype(numpy.int64)
    held = numpy.cumsum(numpy.bincount(powers, pairs.weights))
    return min(longest, 1 << int(numpy.searchsorted(held, WHOLE)))
