"""What a full queue does to a pool: requests let in, answered, and thrown out again, step by step.

A seeded simulation of a scheduler: in each step every running request writes one token; where its blocks are not
there, the one let in last is thrown out and computed again; then requests are let in while the rule of the engine
allows. Prefill is instantaneous.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STEPS, FEWEST_STEPS, WARM_UP = 12_000, 200, 0.3
ANSWERS = 48
"""Mean answers that a slot gives in the time that is simulated, where ``STEPS`` are enough."""
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
    """

    running: float
    preemptions_per_request: float


def settle(
    blocks_of: Callable[[Any], Any],
    free: int,
    prompts: Any,
    outputs: Any,
    weights: Any,
    watermark: float,
    most: int,
    seed: int,
    steps: int = STEPS,
) -> Settled:
    """Run a scheduler with a full queue that lets requests in while their known tokens fit.

    Parameters
    ----------
    blocks_of : function of an array of int
        Blocks that requests of so many tokens take [-].
    free : int
        Blocks of the pool [-].
    prompts, outputs, weights : arrays
        Lengths of requests [tokens] and their shares [-].
    watermark : float
        Share of the blocks that must stay free when a request is let in beside others [-].
    most : int
        Requests that may run at once [-].
    seed, steps : int
        Of the draws; decode steps at most, of which the first 30 % are left out [-].

    Returns
    -------
    Settled
        Means over the rest.
    """
    import numpy

    steps = min(steps, max(FEWEST_STEPS, ANSWERS * round(float((weights * outputs).sum()))))
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
    running = preempted = finished = 0
    drawn: list[int] = []
    used = 0
    for step in range(steps):
        counts = step >= steps * WARM_UP
        tokens[:count] += 1
        needed = blocks_of(tokens[:count])
        total = int(needed.sum())
        while total > free and count > 1:
            count -= 1
            total -= int(needed[count])
            waiting.append((int(tokens[count]) - 1, int(ends[count])))
            preempted += counts
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
        done = tokens[:count] >= ends[:count]
        if done.any():
            stays = numpy.flatnonzero(~done)
            finished += int(done.sum()) * counts
            for column in (tokens, ends, taken):
                column[: stays.size] = column[stays]
            count = stays.size
            used = int(taken[:count].sum())
        running += count * counts
    return Settled(running / max(1, steps - round(steps * WARM_UP)), preempted / max(1, finished))
