"""Speed over the number of sequences that decode at once: where it bends, and how many a rate keeps decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.limits import MAX_TOKENS
from calculator.planning.traffic.arrivals.in_service import InService
from calculator.planning.traffic.timing.speed import Speed, speed

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.timing.step import Lengths
    from calculator.planning.traffic.workload import Workload

HALF = 0.5


@dataclass(frozen=True, slots=True)
class Bend:
    """Where more sequences at once give ever less.

    Attributes
    ----------
    batch_size : int
        Sequences from which one replica gives half of its limit or more [-].
    limit_tokens_per_second : float
        What it gives with ever more sequences, were there memory for them [1/s].
    """

    batch_size: int
    limit_tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """What arrivals keep decoding on one replica.

    Attributes
    ----------
    batch_size : float
        Requests that decode, in the mean over time [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float
        From one token of a request to its next, in the mean over requests [s].
    """

    batch_size: float
    time_per_output_token_s: float
    time_per_output_token_s_low: float
    time_per_output_token_s_high: float


def bend(plan: Plan, lengths: Lengths) -> Bend:
    """Return where tokens a second reach half of their limit.

    Parameters
    ----------
    plan : Plan
        The plan of one replica [-].
    lengths : Lengths
        Mean lengths of a request [tokens].

    Returns
    -------
    Bend
        Up to it a step is mostly what every batch pays, beyond it what each sequence adds.

    Notes
    -----
    With ``TPOT = a + b N`` the limit is ``1 / b``, and half of it is reached at ``N = a / b``.
    """
    limit = speed_at(plan, MAX_TOKENS, lengths).output_tokens_per_second
    low, high = 1e-6, float(MAX_TOKENS)
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        if speed_at(plan, middle, lengths).output_tokens_per_second >= HALF * limit:
            high = middle
        else:
            low = middle
    return Bend(max(1, -int(-high // 1)), limit)


def decoding_at(plan: Plan, workload: Workload, requests_per_second: float) -> Decoding | None:
    """Return what arrivals keep decoding on one replica, as ``open_arrivals`` finds it.

    Parameters
    ----------
    plan : Plan
        The plan; each of its replicas takes its share of the arrivals [-].
    workload : Workload
        The traffic; a trace comes as unevenly as it came [-].
    requests_per_second : float
        Mean rate of arrivals over all replicas [1/s].

    Returns
    -------
    Decoding or None
        None where the replicas do not keep up.
    """
    service = InService(plan, workload)
    load = service.at_rate(requests_per_second / plan.request.data_parallel_size)
    if not math.isfinite(load.requests):
        return None
    low, high = service.range_of_speed(load.decoding)
    return Decoding(load.decoding, load.step_s, load.step_s * low, load.step_s * high)


def speed_at(plan: Plan, count: float, lengths: Lengths) -> Speed:
    """Return the speed of so many sequences of such requests."""
    return speed(
        plan,
        batch_size=count,
        prompt_tokens=lengths.prompt,
        output_tokens=lengths.output,
        computed_prompt_tokens=lengths.computed,
        resident_tokens=lengths.resident,
    )
