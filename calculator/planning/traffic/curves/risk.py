"""The risk that a pool is exceeded over the number of requests, and what a number of them holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from calculator.planning.stage import distinct
from calculator.planning.traffic.concurrency import Concurrency
from calculator.planning.traffic.pools.loaded import Asked, LoadedPool, asked, loaded, tightest_stage

POINTS, TRIED = 48, 400
LEAST_SHOWN, MOST_SHOWN = 1e-5, 0.999
REACH, BINS = 4.0, 48
"""A distribution is cut at so many standard deviations, into so many bins."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A part of the distribution of what requests hold of a pool.

    Attributes
    ----------
    low, high : float
        From where to where, of the pool's free blocks [-].
    share : float
        The share of moments in which that much is held [-].
    """

    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True)
class Holding:
    """What a number of requests holds of the tightest pool of one scheduler.

    Attributes
    ----------
    mean : float
        In the mean, of the pool's free blocks [-].
    free : int
        Blocks that the requests may take [-].
    tokens : int or None
        The same in tokens, where every block holds as many of one request; None otherwise [tokens].
    bins : tuple of Bin
        The distribution, its ends left out; one bin ends where the pool does.
    """

    mean: float
    free: int
    tokens: int | None
    bins: tuple[Bin, ...]


def risks(of: Concurrency, sequences: Sequence[int]) -> tuple[float, ...]:
    """Return the risk that a pool of one replica is exceeded at numbers of requests [-].

    Of several pools of a stage the risks are added, which is no less than the risk that any of them is exceeded.
    """
    import numpy

    ranks = of.plan.request.attention_replicas
    counts = [-(-count // ranks) for count in sequences]
    of_stages = []
    for pools in loaded(of.plan, of.workload):
        each = of.risk / len(pools)
        of_stages.append(numpy.minimum(1, sum(pool.risks(counts, each) for pool in pools)))
    return tuple(float(risk) for risk in numpy.max(of_stages, axis=0))


def risk_curve(of: Concurrency) -> tuple[tuple[int, float], ...]:
    """Return numbers of requests of one replica and the risk that each exceeds a pool, where the risk rises.

    Parameters
    ----------
    of : Concurrency
        What one replica holds; its ``sequences`` and ``sequences_even`` are among the points [-].

    Returns
    -------
    tuple of pairs
        Number and risk, rising; empty where the replica holds none even at even odds.
    """
    ranks = of.plan.request.attention_replicas
    if not of.sequences_even:
        return ()
    first, last = max(1, of.sequences // ranks // 2), of.sequences_even // ranks * 2 + 4
    tried = [ranks * count for count in _steps(first, last, TRIED)]
    found = risks(of, tried)
    shown = [count for count, risk in zip(tried, found, strict=True) if LEAST_SHOWN <= risk <= MOST_SHOWN]
    marks = {count for count in (of.sequences, of.sequences_even) if count}
    low, high = min([*shown, *marks]), max([*shown, *marks])
    aside = max(ranks, (high - low) // 20)  # where lengths are all the same, the risk is 0 and then 1
    low, high = max(ranks, low - aside), high + aside
    points = sorted({ranks * count for count in _steps(low // ranks, high // ranks, POINTS)} | marks)
    return tuple(zip(points, risks(of, points), strict=True))


def holding(of: Concurrency, sequences: int) -> Holding:
    """Return what a number of requests of one replica holds of its tightest pool.

    Parameters
    ----------
    of : Concurrency
        What one replica holds [-].
    sequences : int
        Requests in decode at once [-].

    Returns
    -------
    Holding
        Of the pool of one scheduler, which has its share of the requests.
    """
    return _holding(asked(of.plan, of.workload), -(-sequences // of.plan.request.attention_replicas), of.risk)


@lru_cache(maxsize=16)
def _holding(one: Asked, count: int, risk: float) -> Holding:
    place = tightest_stage(one.plan, one.workload, risk)
    pools = loaded(one.plan, one.workload)[place]
    pool = min(pools, key=lambda pool: pool.most(risk))
    mean, variance, _ = pool.moments
    tokens = None
    if distinct(one.plan.stages)[place].geometry.is_plain:
        request = one.plan.request
        tokens = pool.free * request.block_size * request.decode_context_parallel_size
    if not pool.free:
        return Holding(0.0, 0, tokens, ())
    around = REACH * (count * variance) ** 0.5 / pool.free
    share = count * mean / pool.free
    bins = _bins(pool, count, share, around, risk) if around else (Bin(max(0.0, share - 1 / BINS), share, 1.0),)
    return Holding(share, pool.free, tokens, bins)


def _bins(pool: LoadedPool, count: int, mean: float, around: float, risk: float) -> tuple[Bin, ...]:
    """Cut what is held in equal parts, one of which ends where the pool does."""
    import numpy

    width = 2 * around / BINS
    before, after = -(-(1 - mean + around) // width), -(-(mean + around - 1) // width)
    ends = 1 + width * numpy.arange(-before, after + 1)
    ends = ends[ends > -width]
    beyond = pool.held(count, ends * pool.free, risk)
    shares = numpy.maximum(0, beyond[:-1] - beyond[1:])
    return tuple(
        Bin(max(0.0, float(low)), float(high), float(share))
        for low, high, share in zip(ends[:-1], ends[1:], shares, strict=True)
    )


def _steps(first: int, last: int, most: int) -> list[int]:
    """Return whole numbers from first to last, no more than so many."""
    span = max(1, last - first)
    return sorted({min(last, first + round(span * step / most)) for step in range(most + 1)})
