"""Goals that nothing meets, loosened until something does."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, log10, sqrt

from calculator.planning.sizing.found import Found
from calculator.planning.sizing.service import Service

NEAR_ENOUGH = 1.04
FEW = 3
DIGITS = 3
"""The goals that are found are at most a few percent, and rounding, above the least that would do."""


def reachable_goals(found: Found, search: Callable[..., Found]) -> dict[str, float]:
    """Return the goals that something would meet, all loosened by the same factor.

    Parameters
    ----------
    found : Found
        A search that found nothing [-].
    search : callable
        Takes ``gpus``, ``max_tpot_s`` and ``max_ttft_s``, and searches for the same load with them [-].

    Returns
    -------
    dict
        By the keywords of ``size``, with three digits; empty where something was found, no goals were set, or goals are
        not what stands in the way [s].

    Notes
    -----
    What runs without goals meets those that it reaches there: an upper bound of the factor. Between it and 1 the factor
    is bisected, over the few kinds of GPU that come nearest.
    """
    goals = {
        name: value
        for name, value in (("max_tpot_s", found.goals.max_tpot_s), ("max_ttft_s", found.goals.max_ttft_s))
        if value is not None
    }
    if found.best is not None or not goals:
        return {}
    nearest: dict[str, float] = {}
    for option in search(gpus=None).options:
        gpu = option.plan.accelerator.id
        nearest[gpu] = min(nearest.get(gpu, float("inf")), _factor(found, option))
    few = sorted(nearest, key=lambda gpu: nearest[gpu])[:FEW]
    if not few:
        return {}
    low, high = 1.0, max(1.0, nearest[few[0]])
    while high / low > NEAR_ENOUGH:
        middle = sqrt(low * high)
        loosened = {name: value * middle for name, value in goals.items()}
        low, high = (low, middle) if search(gpus=few, **loosened).best is not None else (middle, high)
    return {name: _up(value * high) for name, value in goals.items()}


def _factor(found: Found, option: Service) -> float:
    """Return by how much the goals must be loosened for an option as it runs without any [-]."""
    return found.goals.missed_by(option.time_per_output_token_s, option.time_to_first_token_s)


def _up(seconds: float) -> float:
    """Round up, to three digits."""
    digits = DIGITS - 1 - floor(log10(seconds))
    return round(ceil(seconds * 10.0**digits - 1e-6) / 10.0**digits, 15)
