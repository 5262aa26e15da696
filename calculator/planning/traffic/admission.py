"""What a full queue does to a pool: requests let in, answered, and thrown out again, step by step.

A seeded simulation of a scheduler: in each step every running request writes one token; where its blocks are not
there, the one let in last is thrown out and computed again; then requests are let in while the rule of the engine
allows. Prefill is instantaneous. Steps in which all only write are taken together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STEPS, FEWEST_STEPS, WARM_UP = 12_000, 200, 0.3
ANSWERS = 48
"""Mean answers that a slot gives in the time that is simulated, where ``STEPS`` are enough."""
STAYS, COUNTED_STAYS = 4, 8
"""Stays until a queue has forgotten its beginning, and those that count at least: a stay is ``E[O²] / E[O]``, how long
the answer lasts that one meets in a slot."""
MOST_WORKED = 40_000
"""Steps that are worked out one by one, at most: half of them until the queue counts."""
PARTS = 8
"""Parts of the time that counts, which say how far the mean is off."""
MOST_RUNNING = 16_384
LONGEST_LISTED = 2**22
"""The blocks of requests up to so many tokens are looked up."""


@dataclass(frozen=True)
class Settled:
    """What a saturated scheduler settles at.

    Attributes
    ----------
    running : float
        Requests that run at once, in the mean [-].
    preemptions_per_request : float
        Times that a finished request was thrown out, in the mean [-].
    deviation : float
        Standard deviation of that mean, from one draw of requests to another [-].
    """

    running: float
    preemptions_per_request: float
    deviation: float = 0.0


def settle(
    blocks_of: Callable[[Any], Any],
    free: int,
    prompts: Any,
    outputs: Any,
    weights: Any,
    watermark: float,
    most: int,
    seed: int,
    steps: int | None = None,
) -> Settled:
    """Run a scheduler with a full queue that lets requests in while their known tokens fit.

    Parameters
    ----------
    blocks_of : function of an array of int
        Blocks that requests of so many tokens take; more tokens take no fewer [-].
    free : int
        Blocks of the pool [-].
    prompts, outputs, weights : arrays
        Lengths of requests [tokens] and their shares [-].
    watermark : float
        Share of the blocks that must stay free when a request is let in beside others [-].
    most : int
        Requests that may run at once [-].
    seed : int
        Of the draws [-].
    steps : int, optional
        Decode steps, of which the first 30 % are left out; by default as many as the answers ask for [-].

    Returns
    -------
    Settled
        Means over the rest.
    """
    import numpy

    begin, steps = (round(steps * WARM_UP), steps) if steps else steps_for(outputs, weights)
    longest = int((prompts + outputs).max())
    if longest <= LONGEST_LISTED:
        blocks_of = blocks_of(numpy.arange(longest + 1)).__getitem__
    random = numpy.random.default_rng(seed)
    cumulative = numpy.cumsum(weights)
    size = min(most, MOST_RUNNING)
    tokens, ends, taken = (numpy.zeros(size, numpy.int64) for _ in range(3))
    count = 0  # running ones stand in the order in which they were let in
    waiting: list[tuple[int, int]] = []  # those that were thrown out, with what is known of them
    kept = round(watermark * free)
    tally = _Tally(begin, steps)
    drawn: list[int] = []
    used = step = worked = 0
    while step < steps and worked < MOST_WORKED:
        worked += 1
        if step < tally.begin and worked > MOST_WORKED // 2:
            tally = _Tally(step, steps)
        tokens[:count] += 1
        needed = blocks_of(tokens[:count])
        total = int(needed.sum())
        before = count
        while total > free and count > 1:
            count -= 1
            total -= int(needed[count])
            waiting.append((int(tokens[count]) - 1, int(ends[count])))
        tally.add(step, preempted=before - count)
        taken[:count] = needed[:count]
        used = total
        while count < size:
            if waiting:
                known, end = waiting[-1]
            else:
                if not drawn:
                    drawn = numpy.searchsorted(cumulative, random.random(4096) * cumulative[-1]).tolist()
                index = drawn[-1]
                known, end = int(prompts[index]), int(prompts[index] + outputs[index])
            more = int(blocks_of(numpy.int64(known)))
            if count and used + more > free - kept:
                break
            (waiting if waiting else drawn).pop()
            tokens[count], ends[count], taken[count] = known, end, more
            used += more
            count += 1
        left = ends[:count] - tokens[:count]
        done = left <= 0
        finished = int(done.sum())
        if finished:
            stays = numpy.flatnonzero(~done)
            for column in (tokens, ends, taken):
                column[: stays.size] = column[stays]
            count = stays.size
            used = int(taken[:count].sum())
        tally.add(step, finished=finished)
        tally.run(step, 1, count)
        step += 1
        if count and not finished:  # whom the rule kept out stays out: nobody leaves, and all that run take more
            quiet = _quiet(blocks_of, tokens[:count], free, min(int(left.min()) - 1, steps - step))
            tokens[:count] += quiet
            tally.run(step, quiet, count)
            step += quiet
    return tally.settled(step)


def steps_for(outputs: Any, weights: Any) -> tuple[int, int]:
    """Return the steps until a queue has forgotten its beginning, and those to simulate in all, as answers are long."""
    mean = float((weights * outputs).sum() / weights.sum())
    stay = float((weights * outputs.astype(float) ** 2).sum() / weights.sum()) / mean
    usual = min(STEPS, max(FEWEST_STEPS, ANSWERS * round(mean)))
    begin = max(round(WARM_UP * usual), round(STAYS * stay))
    return begin, begin + max(usual - round(WARM_UP * usual), round(COUNTED_STAYS * stay))


def _quiet(blocks_of: Callable[[Any], Any], tokens: Any, free: int, most: int) -> int:
    """Return for how many steps, of so many at most, all that run can write and find the blocks there."""
    if most <= 0:
        return 0
    if int(blocks_of(tokens + most).sum()) <= free:
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if int(blocks_of(tokens + middle).sum()) <= free else (low, middle)
    return low


class _Tally:
    """What is counted from a step on, in equal parts of the time."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self._end = begin, end
        self._preempted, self._finished, self._running = [0] * PARTS, [0] * PARTS, 0

    def add(self, step: int, preempted: int = 0, finished: int = 0) -> None:
        if step >= self.begin:
            part = (step - self.begin) * PARTS // max(1, self._end - self.begin)
            self._preempted[part] += preempted
            self._finished[part] += finished

    def run(self, step: int, steps: int, count: int) -> None:
        self._running += count * max(0, step + steps - max(step, self.begin))

    def settled(self, step: int) -> Settled:
        """Return the means, and how far parts of the time are from that of all of it."""
        finished = max(1, sum(self._finished))
        mean = sum(self._preempted) / finished
        off = [preempted - mean * done for preempted, done in zip(self._preempted, self._finished, strict=True)]
        deviation = (PARTS / (PARTS - 1) * sum(part**2 for part in off)) ** 0.5 / finished
        return Settled(self._running / max(1, step - self.begin), mean, deviation)
