"""The blocks that a random number of requests takes of a pool, and how often they exceed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BINS = 2**15
"""Blocks of a pool are told apart up to so many; of larger pools so many parts are, each with its mean kept."""
NOISE = 1e-9
"""A share of time below which all is rounding."""
TILT = 20.0
"""Sums beyond the grid fold back with the weight e^-20."""


@dataclass(frozen=True)
class Compound:
    """Blocks that a random number of requests takes of one pool, in two states: decode and prefill.

    Attributes
    ----------
    decode, prefill : array of complex
        Transforms of the distribution of the blocks of one request [-].
    size : int
        Points of the grid [-].
    free : int
        Points that are free [-].
    """

    decode: Any
    prefill: Any
    size: int
    free: int

    def exceeded(self, requests: float, in_prefill: float, dispersion: float) -> float:
        """Return the share of time in which the pool is exceeded [-].

        Parameters
        ----------
        requests : float
            Mean number in service [-].
        in_prefill : float
            The share of them in prefill [-].
        dispersion : float
            Variance over mean of that number, at least 1 [-].

        Returns
        -------
        float
            One less the share in which all fits.

        Notes
        -----
        The number in service is Poisson, or negative binomial with the same mean and ``D`` times its variance; its
        generating function of the transform ``φ`` of one request, ``exp(R (φ − 1))`` or
        ``(1 + (D − 1) (1 − φ))^(−R / (D − 1))``, is the transform of the sum, and its inverse the distribution. All
        is exact but for the grid: neither the skew nor the tail is approximated.
        """
        import numpy

        one = (1 - in_prefill) * self.decode + in_prefill * self.prefill
        over = dispersion - 1
        power = requests * (one - 1) if over < 1e-9 else -requests / over * numpy.log1p(over * (1 - one))
        tilted = numpy.fft.irfft(numpy.exp(power), self.size)[: self.free + 1]
        fits = float((tilted * numpy.exp(TILT / self.size * numpy.arange(self.free + 1))).sum())
        return min(1.0, 1 - fits) if 1 - fits > NOISE else 0.0


def compound(blocks: tuple[Any, Any], weights: tuple[Any, Any], free: int) -> Compound:
    """Return what requests take of a pool of so many free blocks, from their blocks in decode and in prefill."""
    import numpy

    step = max(1.0, free / BINS)
    points = int(free / step)
    size = 2 ** max(4, (2 * points + 2).bit_length())
    found = []
    for values, shares in zip(blocks, weights, strict=True):
        at = values / step
        low = numpy.floor(at)
        high = at - low
        fits = low <= points
        low = low[fits].astype(numpy.int64)
        share = numpy.bincount(low, (shares * (1 - high) if step > 1 else shares)[fits], size)
        if step > 1:
            share += numpy.bincount(low + 1, (shares * high)[fits], size)
        found.append(numpy.fft.rfft(share * numpy.exp(-TILT / size * numpy.arange(size))))
    return Compound(found[0], found[1], size, points)
