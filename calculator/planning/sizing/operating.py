"""Where one replica is run: as many sequences at once as memory, the goals of latency and prefill allow.

::

    N        = the least of what memory holds, TPOT(N) <= goal, TTFT(N) <= goal, N (1 + P / O) <= tokens of a step
    capacity = N / (O TPOT(N))                                                  requests a second of one replica
    R        = the largest mean in service that leaves room for arrivals at random:
               R m + z sqrt(R (s² + D m²)) <= pool   where memory stops it,   else R + z sqrt(D R) <= N
    rate     = R / (O TPOT(R))                                                  what one replica is asked to take

z is the normal quantile of the risk, D the dispersion of arrivals (1 for Poisson), m and s² mean and variance of what a
resident request holds. Replicas are taken to have arrivals of their own: a router that knows their queues does better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import floor, isfinite, sqrt
from typing import TYPE_CHECKING

from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say
from calculator.planning.sizing.bounds import MOST_SECONDS
from calculator.planning.traffic.timing.speed import PROMPT_RANGE
from calculator.planning.traffic.timing.step import Lengths as OfStep
from calculator.planning.traffic.timing.step import Pace, pace_of

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

TTFT_BAND = PROMPT_RANGE
"""Measured over computed, nine of ten, under a closed loop [-]."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean lengths of the requests that a replica serves.

    Attributes
    ----------
    prompt_tokens : float
        Of the prompt [tokens].
    output_tokens : float or None
        Of the output; None for sequences that bring no new prompts [tokens].
    held_tokens : float
        Mean of what a sequence in decode holds [tokens].
    computed_tokens : float or None
        What of a prompt is computed, where a prefix cache holds the rest; None for all [tokens].
    """

    prompt_tokens: float
    output_tokens: float | None
    held_tokens: float
    computed_tokens: float | None = None

    @property
    def of_step(self) -> OfStep:
        """The same as a step takes them."""
        return OfStep(self.prompt_tokens, self.output_tokens, self.computed_tokens, self.held_tokens)


@dataclass(frozen=True, slots=True)
class Goals:
    """What latency must not exceed, in the mean; None where nothing is asked.

    Attributes
    ----------
    max_ttft_s, max_tpot_s : float or None
        Time to the first token, and from one token to the next [s].
    """

    max_ttft_s: float | None = None
    max_tpot_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        for name in ("max_ttft_s", "max_tpot_s"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and isfinite(value) and 0 < value <= MOST_SECONDS):
                raise InvalidValueError(
                    say(
                        "operating.must_number_seconds_more",
                        "{name} must be a number of seconds, more than 0 and at most {most_seconds:,.0f}, not {asked}",
                        name=name,
                        most_seconds=MOST_SECONDS,
                        asked=shown(value),
                    ),
                    what=name,
                    asked=value,
                    allowed=(0, MOST_SECONDS),
                )

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return self.max_ttft_s is not None or self.max_tpot_s is not None

    def missed_by(self, tpot_s: float | None, ttft_s: float | None) -> float:
        """Return how many times over its worst goal something is; 1 where it meets them all [-]."""
        pairs = ((tpot_s, self.max_tpot_s), (ttft_s, self.max_ttft_s))
        return max(1.0, *(reached / goal if reached and goal else 1.0 for reached, goal in pairs))


@dataclass(frozen=True, slots=True)
class Point:
    """Where a replica is run.

    Attributes
    ----------
    batch_size : int
        Sequences that decode at once; 0 where memory holds none, 1 where even one misses a goal [-].
    limited_by : str
        What stops it there: memory, tpot, ttft, prefill or max_num_seqs.
    meets : bool
        Whether it meets the goals.
    """

    batch_size: int
    limited_by: str
    meets: bool


class Replica:
    """One replica under requests of some lengths: how long a step and a first token take with so many at once.

    Parameters
    ----------
    plan : Plan
        Its plan [-].
    lengths : Lengths
        Of its requests [-].
    """

    def __init__(self, plan: Plan, lengths: Lengths) -> None:
        self.plan, self.lengths = plan, lengths
        self._goals: dict[tuple[str, float], tuple[int, int]] = {}

    @cached_property
    def pace(self) -> Pace:
        """What a step takes, for any number of sequences."""
        return pace_of(self.plan, self.lengths.of_step)

    @property
    def _output(self) -> float:
        """Mean output of a request; of sequences that bring no new prompts no rate is asked [tokens]."""
        assert self.lengths.output_tokens is not None
        return self.lengths.output_tokens

    def time_per_output_token_s(self, count: float) -> float:
        """Return the mean time from one token to the next [s]."""
        return self.pace.seconds(count)

    def time_to_first_token_s(self, count: float) -> float:
        """Return the mean time to the first token in a closed loop: an order of magnitude [s]."""
        return self.plan.rules.speed.first_token(self.pace.prompt_s, count, self.pace.seconds(count))

    def requests_per_second(self, count: float) -> float:
        """Return how many requests a second leave with so many in service [1/s]."""
        return count / (self._output * self.time_per_output_token_s(count))

    def count_at(self, rate: float, most: int) -> float:
        """Return how many are in service where so many requests a second leave, at most a bound [-]."""

        def over(count: float) -> float:  # what is in service beyond what the rate brings
            return count - rate * self._output * self.time_per_output_token_s(count)

        last, high = float(most), over(most)
        if high <= 0:
            return last
        count = rate * self._output * self.time_per_output_token_s(last / 2)
        for _ in range(20):
            left = over(count)
            if abs(left) <= 1e-6 * count or left == high:
                break
            last, high, count = count, left, max(1e-9, count - left * (count - last) / (left - high))
        return min(count, float(most))

    def point(self, room: int, goals: Goals) -> Point:
        """Return where it is run, of as many sequences as memory holds."""
        request = self.plan.request
        limits: list[tuple[int, str]] = [(room, "memory")]
        if (asked := self.plan.asked.get("max_num_seqs")) is not None:
            limits.append((asked * request.attention_replicas, "max_num_seqs"))
        if self.lengths.output_tokens:
            tokens = request.max_num_batched_tokens * request.attention_replicas * request.pipeline_parallel_size
            computed = self.lengths.computed_tokens
            prompt = self.lengths.prompt_tokens if computed is None else computed
            share = 1 + prompt / self.lengths.output_tokens
            limits.append((max(1, int(tokens // share)), "prefill"))
        most, limited_by = min(limits)
        if most < 1:
            return Point(0, limited_by, meets=False)
        for goal, reached, name in (
            (goals.max_tpot_s, self.time_per_output_token_s, "tpot"),
            (goals.max_ttft_s, self.time_to_first_token_s, "ttft"),
        ):
            if goal is None:
                continue
            within = self._within(name, reached, goal, most)
            if not within:
                return Point(1, name, meets=False)
            if within < most:
                most, limited_by = within, name
        return Point(most, limited_by, meets=True)

    def _within(self, name: str, reached: Callable[[float], float], goal: float, most: int) -> int:
        """Return the largest count up to a bound that meets a goal; what was found for one bound says it for others."""
        known = self._goals.get((name, goal))
        if known is None or known[0] == known[1] < most:
            known = self._goals[name, goal] = most, largest_within(reached, goal, most)
        return min(known[1], most)


def largest_within(reached: Callable[[float], float], goal: float, most: int) -> int:
    """Return the largest count up to a bound whose time is within a goal, 0 for none; times grow with the count."""
    if (at_high := reached(most)) <= goal:
        return most
    if (at_low := reached(1)) > goal:
        return 0
    low, high, halves = 1, most, False
    while high - low > 1:  # the goal is met at low and missed at high
        guess = low + floor((high - low) * (goal - at_low) / (at_high - at_low))
        middle = (low + high) // 2 if halves else min(high - 1, max(low + 1, guess))
        if (between := reached(middle)) <= goal:
            low, at_low = middle, between
        else:
            high, at_high = middle, between
        halves = not halves
    return low


def most_in_service(slots: float, quantile: float, dispersion: float) -> float:
    """Return the largest mean R with ``R + z √(D R) ≤ slots`` [-]."""
    spread = quantile * sqrt(max(0.0, dispersion))
    root = (sqrt(spread * spread + 4 * slots) - spread) / 2
    return root * root


def known_speed(plan: Plan) -> str:
    """Return why no speed can be computed for a plan; empty where it can."""
    try:
        pace_of(plan, OfStep(1.0, None))
    except UnsupportedError as error:
        return str(error)
    return ""
