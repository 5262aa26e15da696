"""What a resident request holds at a random moment, and how many of them a pool holds at a risk.

A request in decode holds ``P + j`` tokens at step ``j = 1..O``. Of N slots kept full, the pair (P, O) is seen with
probability proportional to O and j is uniform in 1..O: long answers are seen more often than they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, sqrt
from typing import Any

from calculator.planning.traffic.workload import Pairs

BINS = 2**21
"""Lengths are told apart up to so many; longer ones are rounded up to the next of so many steps."""
SKEW_LIMIT = 0.6
"""Beyond this skew of the sum the expansion is left for draws."""
DRAWS, FEWEST_DRAWS, SEED = 40_000, 400, 20_260_101
MOST_DRAWN = 40_000_000
"""Residents that are drawn in all; the more a pool holds, the fewer draws, as its sum spreads the less."""


@dataclass(frozen=True)
class Residents:
    """The tokens of a resident request: a histogram.

    Attributes
    ----------
    tokens : array of int64
        Tokens held [tokens].
    weights : array of float64
        The share of residents that hold so many; they sum to 1 [-].
    """

    tokens: Any
    weights: Any

    def moments(self, values: Any) -> tuple[float, float, float]:
        """Return mean, variance and third central moment of a value of each resident."""
        mean = float((self.weights * values).sum())
        off = values - mean
        return mean, float((self.weights * off**2).sum()), float((self.weights * off**3).sum())


def residents(pairs: Pairs) -> Residents:
    """Return what a request in decode holds at a random moment."""
    import numpy

    first, last = pairs.prompt_tokens + 1, pairs.prompt_tokens + pairs.output_tokens
    step = -(-int(last.max()) // BINS)
    begins, ends = -(-first // step), -(-last // step)
    # the last bin holds the steps up to ``last``; within a bin every step counts
    size = int(ends.max()) + 2
    slope = numpy.bincount(begins, pairs.weights * step, size) - numpy.bincount(ends + 1, pairs.weights * step, size)
    density = numpy.cumsum(slope)
    if step > 1:  # steps of the first and the last bin that lie outside
        density -= numpy.bincount(begins, pairs.weights * (first - 1 - (begins - 1) * step), size)
        density -= numpy.bincount(ends, pairs.weights * (ends * step - last), size)
    density[density < 1e-18] = 0
    held = numpy.flatnonzero(density)
    return Residents(held * step, density[held] / density[held].sum())


def quantile_of_normal(risk: float) -> float:
    """Return z with ``1 − Φ(z) = risk`` by bisection [-]."""
    low, high = -10.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 - erf(middle / sqrt(2))) / 2 > risk else (low, middle)
    return (low + high) / 2


def most_at_risk(moments: tuple[float, float, float], pool: float, risk: float) -> tuple[int, bool]:
    """Return the most residents whose sum exceeds the pool at no more than a risk, and whether that can be trusted.

    Notes
    -----
    ``N m + √(N s²) (z + g (z² − 1) / 6) ≤ pool`` with ``g = k₃ / (s³ √N)``: Cornish-Fisher, within 1 % of draws
    where ``|g| ≤ 0.6``.
    """
    mean, variance, third = moments
    z = quantile_of_normal(risk)
    spread = sqrt(max(0.0, variance))

    def needs(count: int) -> float:
        skew = third / (spread**3 * sqrt(count)) if spread else 0.0
        return count * mean + spread * sqrt(count) * (z + skew * (z * z - 1) / 6)

    if mean <= 0:
        return 0, True
    count = _largest(lambda n: needs(n) <= pool, int(pool // mean) * 2 + 2)
    trusted = not count or not spread or abs(third) <= SKEW_LIMIT * spread**3 * sqrt(count)
    return count, trusted


def _largest(holds: Callable[[int], bool], most: int) -> int:
    """Return the largest count up to which it holds, 0 for none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def drawn_at_risk(some: Residents, values: Any, pool: float, risk: float) -> int:
    """Return the same by draws, seeded: the largest N at which no more than a share ``risk`` of draws exceeds."""
    import numpy

    random = numpy.random.default_rng(SEED)
    cumulative = numpy.cumsum(some.weights)
    most = max(2, int(pool // max(1e-9, float((some.weights * values).sum()))) * 2 + 2)
    draws = max(FEWEST_DRAWS, min(DRAWS, MOST_DRAWN // most))
    exceeded = numpy.zeros(most + 1)
    rows = max(1, 4_000_000 // most)
    done = 0
    while done < draws:
        now = min(rows, draws - done)
        drawn = values[numpy.searchsorted(cumulative, random.random((now, most)) * cumulative[-1])]
        first = (numpy.cumsum(drawn, axis=1) <= pool).sum(axis=1)  # N at which a draw still fits
        exceeded += numpy.bincount(first + 1, minlength=most + 2)[: most + 1]
        done += now
    share = numpy.cumsum(exceeded) / draws  # share of draws that exceed with N residents
    return int(numpy.flatnonzero(share <= risk).max())
