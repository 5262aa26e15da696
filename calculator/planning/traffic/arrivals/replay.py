"""A trace replayed: how many of its requests are in service over time, at steps that they share."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FILLING = 20
"""A replay starts with nobody in service: the first of so many parts of the requests does not count."""
MOST_REPLAYED, FEWEST_REPLAYED, SEED = 12_000, 100, 20_260_102
MOST_COPIES = MOST_REPLAYED // FEWEST_REPLAYED


@dataclass(frozen=True, slots=True)
class Replayed:
    """Requests in service over a replay: their mean, variance over mean, and the mean of those that decode [-]."""

    requests: float
    dispersion: float
    decoding: float


def at_rate(times: Any, order: Any, rate: float) -> tuple[Any, Any] | None:
    """Return rows of a trace in order, and when they come, at another rate than its own.

    Below it rows are left out at random, as on one of several replicas; above it each comes several times, spread over
    the mean time between two: what makes one user busy makes all of them busy. Beyond ``MOST_COPIES`` time is squeezed.
    None where fewer than ``FEWEST_REPLAYED`` are left.
    """
    import numpy

    random = numpy.random.default_rng(SEED)
    own = len(times) / float(times[order[-1]] - times[order[0]])
    squeeze = max(1.0, rate / own / MOST_COPIES)
    own *= squeeze
    factor = rate / own
    order = order[: max(FEWEST_REPLAYED, int(MOST_REPLAYED / factor))]
    often = (factor + random.random(len(order))).astype(numpy.int64)
    rows = numpy.repeat(order, often)
    if len(rows) < FEWEST_REPLAYED:
        return None
    spread = random.random(len(rows)) / own * (numpy.repeat(often, often) > 1)
    come = times[rows] / squeeze + spread
    again = numpy.argsort(come, kind="stable")
    return rows[again], come[again]


def replay(
    times: Sequence[float],
    prefill_s: Sequence[float],
    outputs: Sequence[float],
    step_s: Sequence[float],
    chunk_s: float,
) -> Replayed:
    """Run requests through a replica whose steps they share.

    Parameters
    ----------
    times, prefill_s, outputs : sequences of float
        When each request comes, in order [s], what its prompt takes alone [s], and its output [tokens].
    step_s : sequence of float
        How long a step of so many decoding requests takes, for every number of them [s].
    chunk_s : float
        Prefill that a step carries beside its decoding, one prompt after the other [s].

    Returns
    -------
    Replayed
        Over the time from the first twentieth of the requests on to the last one.
    """
    decoding: list[float] = []
    prompts: deque[tuple[float, float]] = deque()
    left = now = virtual = 0.0
    whole = first = second = decode = 0.0
    begin = times[len(times) // FILLING]
    index, count = 0, len(times)
    while index < count:
        running = len(decoding)
        period = step_s[running] if running else 0.0
        ready = done = float("inf")
        if prompts:
            period += chunk_s
            ready = now + left * period / chunk_s
        if running:
            done = now + (decoding[0] - virtual) * period
        then = min(times[index], ready, done)
        if then > begin:
            lasting = then - max(now, begin)
            inside = running + len(prompts)
            whole += lasting
            first += inside * lasting
            second += inside * inside * lasting
            decode += running * lasting
        if period:
            virtual += (then - now) / period
            left -= (then - now) * chunk_s / period if prompts else 0.0
        now = then
        if done <= then:
            heapq.heappop(decoding)
        elif ready <= then:
            heapq.heappush(decoding, virtual + prompts.popleft()[1])
            left = prompts[0][0] if prompts else 0.0
        else:
            if not prompts:
                left = prefill_s[index]
            prompts.append((prefill_s[index], outputs[index]))
            index += 1
    if whole <= 0 or first <= 0:
        return Replayed(0.0, 1.0, 0.0)
    mean = first / whole
    return Replayed(mean, (second / whole - mean**2) / mean, decode / whole)
