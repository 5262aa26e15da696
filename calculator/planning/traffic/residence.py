"""What a resident request holds at a random moment, and how many of them a pool holds at a risk.

A request in decode holds ``P + j`` tokens at step ``j = 1..O``. Of N slots kept full, the pair (P, O) is seen with
probability proportional to O and j is uniform in 1..O: long answers are seen more often than they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, erfc, sqrt
from typing import Any

from calculator.planning.traffic.workload import Pairs

BINS = 2**21
"""Lengths are told apart up to so many; longer ones are rounded up to the next of so many steps."""
SKEW_LIMIT = 0.6
"""Beyond this skew of the sum the expansion is left for draws."""
DRAWS, FEWEST_DRAWS, SEED = 40_000, 400, 20_260_101
MOST_DRAWN = 40_000_000
"""Residents that are drawn in all; the more a pool holds, the fewer draws, as its sum spreads the less."""
SUMMED = 4_000_000
"""Residents that are drawn in all for the sums of one number of them."""


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


def exceeding(moments: tuple[float, float, float], pools: Any, counts: Any) -> Any:
    """Return the risk that so many residents hold more than a pool: the same expansion, solved for the risk.

    Notes
    -----
    ``z + a (z² − 1) = x`` with ``x = (pool − N m) / (s √N)`` and ``a = g / 6``; the risk is ``1 − Φ(z)``.
    """
    import numpy

    mean, variance, third = moments
    spread = sqrt(max(0.0, variance))
    counts = numpy.maximum(counts, 1e-9)
    if not spread:
        return (counts * mean > pools).astype(numpy.float64)
    x = (pools - counts * mean) / (spread * numpy.sqrt(counts))
    a = third / (6 * spread**3 * numpy.sqrt(counts))
    z = 2 * (a + x) / (1 + numpy.sqrt(numpy.maximum(0.0, 1 + 4 * a * (a + x))))
    return numpy.asarray([erfc(value / sqrt(2)) / 2 for value in z.tolist()])


def drawn_shares(some: Residents, values: Any, pool: float) -> Any:
    """Return the share of seeded draws that exceed a pool, by the number of residents from 0 on."""
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
    return numpy.cumsum(exceeded) / draws


def drawn_sums(some: Residents, values: Any, count: int) -> Any:
    """Return what so many residents hold together, drawn often."""
    import numpy

    random = numpy.random.default_rng(SEED)
    cumulative = numpy.cumsum(some.weights)
    draws = max(FEWEST_DRAWS, min(DRAWS, SUMMED // max(1, count)))
    sums = numpy.zeros(draws)
    for begin in range(0, draws, rows := max(1, 1_000_000 // max(1, count))):
        drawn = random.random((min(rows, draws - begin), count)) * cumulative[-1]
        sums[begin : begin + rows] = values[numpy.searchsorted(cumulative, drawn)].sum(axis=1)
    return sums
