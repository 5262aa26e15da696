"""What a resident request holds at a random moment, and how many of them a pool holds at a risk.

A request in decode holds ``P + j`` tokens at step ``j = 1..O``. Of N slots kept full, the pair (P, O) is seen with
probability proportional to O and j is uniform in 1..O: long answers are seen more often than they are asked for.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, erfc, exp, floor, sqrt
from typing import Any

from calculator.planning.traffic.workload import Pairs

BINS = 2**21
"""Lengths are told apart up to so many; longer ones are rounded up to the next of so many steps."""
BENT = 0.02
"""Where skew moves the expansion by more of a standard deviation, it is left for the law of the sum itself."""
STEPS, MOST_STEPS, STEPS_EACH, TILT = 4_096, 32_768, 8, 18.0
"""Steps of a grid that sums are told apart by, at least, at most and for each resident, and how much what exceeds them
is damped."""
NEGLIGIBLE, MOST_COUNTS = -45.0, 256
"""The logarithm of what is left out of a sum over frequencies, and of how many counts powers are kept."""


@dataclass(frozen=True)
class Residents:
    """The tokens of a resident request: a histogram.

    Attributes
    ----------
    tokens : array of int64
        Tokens held [tokens].
    weights : array of float64
        The share of residents that hold so many; they sum to 1 [-].
    known : dict
        What was worked out of them, by what it was worked out for.
    """

    tokens: Any
    weights: Any
    known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

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


@lru_cache(maxsize=64)
def quantile_of_normal(risk: float) -> float:
    """Return z with ``1 − Φ(z) = risk`` [-]."""
    from statistics import NormalDist

    return -NormalDist().inv_cdf(risk)


def most_at_risk(moments: tuple[float, float, float], pool: float, risk: float) -> tuple[int, bool]:
    """Return the most residents whose sum exceeds the pool at no more than a risk, and whether that can be trusted.

    Notes
    -----
    ``N m + √(N s²) (z + g (z² − 1) / 6) ≤ pool`` with ``g = k₃ / (s³ √N)``: Cornish-Fisher, whose next terms are of
    the order of the square of its last: trusted where ``|g| max(1, |z² − 1|) / 6 ≤ 0.02``.
    """
    mean, variance, third = moments
    z = quantile_of_normal(risk)
    spread = sqrt(max(0.0, variance))
    bend = third / spread**2 * (z * z - 1) / 6 if spread else 0.0

    def needs(count: int) -> float:
        return count * mean + spread * sqrt(count) * z + bend

    if mean <= 0:
        return 0, True
    count = _largest(lambda more: needs(more) <= pool, int((pool + abs(bend)) / mean))
    bends = max(1.0, abs(z * z - 1)) / 6
    trusted = not spread or bends * abs(third) <= BENT * spread**3 * sqrt(max(1, count))
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


class LawOfSum:
    """The law of what some residents hold together, as far as a pool goes.

    Parameters
    ----------
    values, weights : array of float64
        What residents hold, and the share of them that hold so much; the shares sum to 1.
    pool : float
        What is shared out.
    known : dict, optional
        Where transforms are kept for the next pool that the same values share.

    Notes
    -----
    Values are kept on a grid of 4,096 steps or more up to the next power of two, eight for each resident of its mean:
    whole ones up to so many as they are, others shared out over the two steps next to each. The law of N of them is the
    N-th power of their transform, tilted by ``exp(−θ x)`` so that what exceeds the grid does not come back. The more
    they are, the fewer of its frequencies are left, over which the law up to the pool is a sum.
    """

    def __init__(self, values: Any, weights: Any, pool: float, known: dict[Any, Any] | None = None) -> None:
        self.pool = pool
        reach = 1 << max(10, (ceil(pool) - 1).bit_length())
        key = "transform", id(values), reach
        if known is None:
            known = {}
        if key not in known:
            known[key] = _Transform(values, weights, reach), values
        self._transform: _Transform = known[key][0]
        self.mean = self._transform.mean

    def exceeds(self, count: int) -> float:
        """Return the risk that so many residents hold more than the pool [-]."""
        if count <= 0:
            return 0.0
        return min(1.0, max(0.0, 1 - self._transform.up_to(count, self.pool)))

    def beyond(self, count: int, ends: Any) -> Any:
        """Return the shares in which so many residents hold more than parts of the pool [-]."""
        import numpy

        return numpy.clip(1 - self._transform.all_up_to(count, ends), 0, 1)

    def most(self, risk: float, near: int = 0) -> int:
        """Return the most residents that exceed the pool at no more than a risk, looked for near a number [-].

        A larger pool holds no fewer: what was found for others of the same grid says where to look.
        """
        found = self._transform.found.setdefault(risk, [])
        place = bisect_left(found, (self.pool, -1))
        before, after = found[place - 1 : place] if place else [], found[place : place + 1]
        if after and after[0][0] == self.pool:
            return after[0][1]
        low, high = 0, int(self.pool // self.mean) * 2 + 2 if self.mean > 0 else 0
        low = max(low, before[0][1]) if before else low
        high = max(low, min(high, after[0][1])) if after else max(low, high)

        def holds(count: int) -> bool:
            return self.exceeds(count) <= risk

        near, step = min(max(near, low + 1), high), 1
        while low < near <= high:
            if holds(near):
                low, near = near, near + step
            else:
                high, near = near - 1, near - step
            step *= 4
        start = low
        most = start + _largest(lambda more: holds(start + more), high - start)
        insort(found, (self.pool, most))  # in one step: sessions of a page share what was found
        return most


class _Grid:
    """A grid of sums and the roots of unity of its transform, which all laws on it share."""

    def __init__(self, size: int) -> None:
        import numpy

        places, frequencies = numpy.arange(size), numpy.arange(size // 2 + 1)
        self.tilt = TILT / size
        self.damping = numpy.exp(-self.tilt * places)
        turns = 2 * numpy.pi / size * places
        self.cosines, self.sines = numpy.cos(turns), numpy.sin(turns)
        weight = numpy.where(frequencies % (size // 2), 2.0, 1.0) / size
        self.weight = weight / -numpy.expm1(self.tilt + 1j * turns[: frequencies.size])


@lru_cache(maxsize=8)
def _grid(size: int) -> _Grid:
    return _Grid(size)


class _Transform:
    """The tilted transform of what one resident holds, on a grid that several pools share.

    ``found`` holds, by the risk, pools in ascending order, each with the most residents of it.
    """

    def __init__(self, values: Any, weights: Any, reach: int) -> None:
        import numpy

        self.mean = mean = float((weights * values).sum())
        self.found: dict[float, list[tuple[float, int]]] = {}
        asked = STEPS_EACH * reach / mean if mean > 0 else STEPS
        steps = min(reach, max(STEPS, 1 << (min(MOST_STEPS, ceil(asked)) - 1).bit_length()))
        self._unit, self._steps, self._size = reach / steps, steps, 2 * steps
        place = values / self._unit
        inside = place <= steps
        place, share = place[inside], weights[inside]
        below = place.astype(numpy.int64)
        part = place - below
        law = numpy.bincount(below, share * (1 - part), self._size)
        law += numpy.bincount(below + 1, share * part, self._size)
        self._grid = grid = _grid(self._size)
        self._of_one = numpy.fft.rfft(law * grid.damping)
        with numpy.errstate(divide="ignore"):
            self._log = numpy.log(self._of_one)
        self._by_count: dict[int, tuple[Any, Any, Any, float]] = {}

    def up_to(self, count: int, pool: float) -> float:
        """Return the share in which so many residents hold no more than a pool [-]."""
        place = pool / self._unit
        below = floor(place + 1e-9)
        share = self._up_to(count, below)
        if self._unit == 1 or (part := place - below) <= 0:
            return share
        return (1 - part) * share + part * self._up_to(count, below + 1)

    def _up_to(self, count: int, step: int) -> float:
        """Return the share in which so many residents hold no more than so many steps [-].

        ``−Σ Re(w (exp((step + 1) (tilt + i 2π k / size)) − 1))`` over the frequencies k that are left: turns by whole
        steps are looked up.
        """
        if count not in self._by_count:
            if len(self._by_count) >= MOST_COUNTS:
                self._by_count.clear()
            self._by_count[count] = self._power(count)
        kept, real, imaginary, total = self._by_count[count]
        grid, turned = self._grid, kept * (step + 1) & (self._size - 1)
        summed = float(real @ grid.cosines[turned] - imaginary @ grid.sines[turned])
        return total - exp(grid.tilt * (step + 1)) * summed

    def _power(self, count: int) -> tuple[Any, Any, Any, float]:
        """Return the frequencies that are left of so many residents, their weights, and the sum of these."""
        import numpy

        kept = numpy.flatnonzero(self._log.real >= self._log.real[0] + NEGLIGIBLE / count)
        power = numpy.exp(count * self._log[kept]) * self._grid.weight[kept]
        return kept, numpy.ascontiguousarray(power.real), numpy.ascontiguousarray(power.imag), float(power.real.sum())

    def all_up_to(self, count: int, ends: Any) -> Any:
        """Return the same of many pools."""
        import numpy

        within = numpy.fft.irfft(self._of_one ** int(count), self._size)
        sums = numpy.cumsum(within / self._grid.damping)[: self._steps + 1]
        places = numpy.asarray(ends) / self._unit
        if self._unit == 1:
            places = numpy.floor(places + 1e-9)
        return numpy.interp(places, numpy.arange(sums.size), sums)
