"""Speed over the number of sequences that decode at once: where it bends, and how many a rate keeps decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.limits import MAX_TOKENS
from calculator.planning.traffic.speed import Speed, speed

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

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


def bend(plan: Plan, prompt_tokens: float, output_tokens: float | None) -> Bend:
    """Return where tokens a second reach half of their limit.

    Parameters
    ----------
    plan : Plan
        The plan of one replica [-].
    prompt_tokens, output_tokens : float
        Mean lengths of a request [tokens].

    Returns
    -------
    Bend
        Up to it a step is mostly what every batch pays, beyond it what each sequence adds.

    Notes
    -----
    With ``TPOT = a + b N`` the limit is ``1 / b``, and half of it is reached at ``N = a / b``.
    """
    limit = _rate(plan, MAX_TOKENS, prompt_tokens, output_tokens)
    found = _batch(plan, HALF * limit, prompt_tokens, output_tokens)
    return Bend(max(1, -int(-found // 1)), limit)


def decoding_at(plan: Plan, requests_per_second: float, prompt_tokens: float, output_tokens: float) -> Speed | None:
    """Return the speed at which arrivals keep one replica in balance.

    Parameters
    ----------
    plan : Plan
        The plan; each of its replicas takes its share of the arrivals [-].
    requests_per_second : float
        Mean rate of arrivals over all replicas [1/s].
    prompt_tokens, output_tokens : float
        Mean lengths of a request [tokens].

    Returns
    -------
    Speed or None
        With the number that decodes in the mean, ``N = λ O TPOT(N)`` (Little); None where no batch is fast enough.
    """
    wanted = requests_per_second / plan.request.data_parallel_size * output_tokens
    if wanted >= _rate(plan, MAX_TOKENS, prompt_tokens, output_tokens):
        return None
    count = _batch(plan, wanted, prompt_tokens, output_tokens)
    return speed(plan, batch_size=count, prompt_tokens=prompt_tokens, output_tokens=output_tokens)


def _rate(plan: Plan, count: float, prompt_tokens: float, output_tokens: float | None) -> float:
    found = speed(plan, batch_size=count, prompt_tokens=prompt_tokens, output_tokens=output_tokens)
    return found.output_tokens_per_second


def _batch(plan: Plan, tokens_per_second: float, prompt_tokens: float, output_tokens: float | None) -> float:
    """Return the number at which so many tokens a second are reached: they rise with it [-]."""
    low, high = 1e-6, float(MAX_TOKENS)
    for _ in range(100):
        middle = (low * high) ** 0.5
        if _rate(plan, middle, prompt_tokens, output_tokens) >= tokens_per_second:
            high = middle
        else:
            low = middle
        if high / low < 1 + 1e-9:
            break
    return high
