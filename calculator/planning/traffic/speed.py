"""How fast one replica serves: the terms of a step, the range that was measured, and whether it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, shown
from calculator.planning.traffic.clients import decoding
from calculator.planning.traffic.domain import range_of, why_not_checked
from calculator.planning.traffic.step import Term, step_of

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

PROMPT_RANGE = (0.5, 2.9)
"""Times to the first token under load over computed ones, nine of ten: an order of magnitude [-]."""


@dataclass(frozen=True)
class Speed:
    """How fast one replica serves.

    Attributes
    ----------
    batch_size : float
        Sequences that decode at once, over all ranks of the replica [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float
        Seconds from one token of a sequence to its next, prefill of new prompts included [s].
    output_tokens_per_second, output_tokens_per_second_low, output_tokens_per_second_high : float
        Tokens of all its sequences [1/s].
    prefill_s, prefill_s_low, prefill_s_high : float
        Seconds that one prompt takes alone: an order of magnitude [s].
    terms : tuple of Term
        The parts of a step; they sum to ``time_per_output_token_s``.
    bound : str
        The largest part: weights, kv, compute, links, launch or prefill.
    checked : bool
        Whether such a set-up was measured.
    why : str
        What of it was not.
    """

    batch_size: float
    time_per_output_token_s: float
    time_per_output_token_s_low: float
    time_per_output_token_s_high: float
    output_tokens_per_second: float
    output_tokens_per_second_low: float
    output_tokens_per_second_high: float
    prefill_s: float
    prefill_s_low: float
    prefill_s_high: float
    terms: tuple[Term, ...]
    bound: str
    checked: bool
    why: str


def speed(
    plan: Plan,
    batch_size: float | None = None,
    prompt_tokens: float = 1000,
    output_tokens: float | None = 250,
    clients: float | None = None,
) -> Speed:
    """Return how fast one replica of a plan serves.

    Parameters
    ----------
    plan : Plan
        The plan; it may hold fewer sequences, which is said [-].
    batch_size : float, optional
        Sequences that decode at once, over all ranks of the replica [-].
    prompt_tokens, output_tokens : float
        Mean lengths of a request; output None for a step without new prompts [tokens].
    clients : float, optional
        In place of ``batch_size``: requests in a closed loop; those in prefill, and those for which the pool or the
        limit of sequences has no room, do not decode [-].

    Returns
    -------
    Speed
        TPOT, tokens a second and the time of one prompt, each with its range, and the terms behind them.

    Raises
    ------
    CalculatorError
        If a number is out of bounds, or the bandwidth or FLOPs of the device are not known.

    References
    ----------
    Factors fitted to public measured speeds of vLLM, SGLang and TensorRT-LLM.
    """
    for name, value in (
        ("batch_size", batch_size),
        ("prompt_tokens", prompt_tokens),
        ("output_tokens", output_tokens),
        ("clients", clients),
    ):
        if value is not None and not (_is_number(value) and 0 < value <= MAX_TOKENS):
            raise InvalidValueError(
                f"{name} must be a number above 0, at most {MAX_TOKENS:,}, not {shown(value)}", what=name
            )
    if (batch_size is None) == (clients is None):
        raise InvalidValueError("give one of batch_size and clients")
    prompt = float(prompt_tokens)
    if batch_size is not None:
        count = float(batch_size)
    else:
        count = decoding(plan, float(clients or 0), prompt, float(output_tokens or 1))
    step = step_of(plan, count, prompt, output_tokens)
    why = why_not_checked(plan, count, prompt, output_tokens, clients)
    low, high = range_of(plan, count, bool(why))
    seconds = step.seconds
    return Speed(
        batch_size=count,
        time_per_output_token_s=seconds,
        time_per_output_token_s_low=seconds * low,
        time_per_output_token_s_high=seconds * high,
        output_tokens_per_second=count / seconds,
        output_tokens_per_second_low=count / (seconds * high),
        output_tokens_per_second_high=count / (seconds * low),
        prefill_s=step.prompt_s,
        prefill_s_low=step.prompt_s * PROMPT_RANGE[0],
        prefill_s_high=step.prompt_s * PROMPT_RANGE[1],
        terms=step.terms,
        bound=max(step.terms, key=lambda term: term.seconds).name,
        checked=not why,
        why=why,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
