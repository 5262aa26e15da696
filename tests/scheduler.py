"""A scheduler, step by step, written apart from the package: what its closed forms and its own simulation are held to.

In a step the running requests grow by a token first, in the order in which they were let in; where a block is missing
the one let in last is thrown out and waits at the front, with all that it has written to compute again. Then waiting
requests are let in by the rule of the engine; what has written its last token leaves at the end of the step.
"""

from collections import deque
from dataclasses import dataclass

import numpy

BLOCK = 16


@dataclass(frozen=True)
class Vllm:
    """Lets a request in while the blocks of its known tokens fit and a watermark stays free beside others."""

    watermark: float = 0.0
    block: int = BLOCK
    grows: bool = True

    def fits(self, pool, used, prompt, generated, running):
        needed = -(-(prompt + generated) // self.block)
        kept = int(self.watermark * pool) if len(running) else 0
        return used + needed <= pool - kept, needed


@dataclass(frozen=True)
class NoEvict:
    """Sets aside the blocks of the longest answer that may come."""

    most: int | None
    block: int = BLOCK
    grows: bool = False

    def fits(self, pool, used, prompt, output, _running):
        needed = -(-(prompt + (self.most or output)) // self.block)
        return used + needed <= pool, needed


@dataclass(frozen=True)
class Sglang:
    """Keeps a share of what running requests may still write, and all that a new one may write, up to 4,096."""

    most: int
    ratio: float
    block: int = 1
    grows: bool = True

    def fits(self, pool, used, prompt, generated, running):
        expected = self.ratio * numpy.minimum(self.most - running, 4096).clip(0).sum()
        needed = prompt + generated
        return used + needed + min(self.most, 4096) + expected <= pool, needed


@dataclass(frozen=True)
class Found:
    """Requests that ran at once in the mean, and preemptions in all and for each answer."""

    running: float
    preemptions: int
    per_request: float


def simulate(
    policy, pool_tokens, prompts, outputs, clients=10**9, steps=8000, warm=0.25, seed=1, requests=None, chunk=None
):
    """Run requests drawn from pairs of lengths through a pool.

    A queue is always full, but no more than ``clients`` are there at once; with ``requests`` so many are run in all,
    from an empty start; ``chunk`` bounds the tokens of a step, in which prompts are computed piece by piece.
    """
    random = numpy.random.default_rng(seed)
    pool = pool_tokens // policy.block
    order = random.integers(len(prompts), size=requests or 200_000)
    fresh = deque(zip(prompts[order].tolist(), outputs[order].tolist(), strict=True))
    again = deque()
    size = 4096
    prompt, output, written, to_compute, taken = (numpy.zeros(size, numpy.int64) for _ in range(5))
    count = preempted = finished = 0
    counted = total = 0
    step = 0
    begin = 0 if requests else int(warm * steps)
    while (requests and finished < requests) or (not requests and step < steps):
        under_way = numpy.flatnonzero(to_compute[:count]) if chunk else ()
        written[:count] += 1
        for index in under_way:
            written[index] -= 1
        budget = (chunk or 10**12) - count + len(under_way)
        if policy.grows:
            needed = -(-(prompt[:count] + written[:count]) // policy.block)
            used = int(needed.sum())
            while used > pool and count > 1:
                count -= 1
                used -= int(needed[count])
                again.appendleft(
                    (int(prompt[count]), int(output[count]), int(written[count]) - (count not in under_way))
                )
                preempted += step >= begin
            taken[:count] = needed[:count]
        else:
            used = int(taken[:count].sum())
        for index in under_way:
            if index >= count:
                break
            done = min(budget, int(to_compute[index]))
            to_compute[index] -= done
            budget -= done
        while budget > 0 and count < min(clients, size) and (again or fresh):
            p, o, w = again[0] if again else (*fresh[0], 0)
            fits, blocks = policy.fits(pool, used, p, w if policy.grows else o, written[:count])
            if not fits and count:
                break
            (again if again else fresh).popleft()
            prompt[count], output[count], written[count], taken[count] = p, o, w, blocks
            done = min(budget, p + w)
            to_compute[count] = p + w - done
            budget -= done
            used += blocks
            count += 1
        if step >= begin:
            counted += count
            total += 1
        left = written[:count] >= output[:count]
        if left.any():
            finished += int(left.sum()) if step >= begin else 0
            stays = numpy.flatnonzero(~left)
            for column in (prompt, output, written, to_compute, taken):
                column[: stays.size] = column[stays]
            count = stays.size
        step += 1
    return Found(counted / total, preempted, preempted / max(1, finished))
