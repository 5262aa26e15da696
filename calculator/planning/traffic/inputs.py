"""What is asked of traffic and speed: tables of fields, from which checks and flags of the command line are derived."""

from __future__ import annotations

from typing import Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, shown
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.reading.fields import Between, Count, Field, Number, optional
from calculator.reading.schema import Schema

MOST_CV, MOST_RATE, MOST_DISPERSION = 100, 10**9, 10**7
LEAST_RISK, EVEN = 1e-6, 0.5

_RATE = Number(most=MOST_RATE, help="requests that arrive in a second, over all replicas, in the mean", unit="1/s")
_PREFIX = Count(
    least=0, most=MAX_TOKENS, required=False, default=0, unit="tokens",
    help="leading tokens that all prompts share and a prefix cache keeps once",
)  # fmt: skip
_MOST_OUTPUT = optional(
    Count(most=MAX_TOKENS, unit="tokens", help="what requests ask for at most, which some engines reserve")
)


def _cv(what: str) -> Between:
    help = f"standard deviation of the {what} over their mean, from 0 to 100; by default 1"
    return Between(least=0, most=MOST_CV, required=False, default=1.0, unit="-", help=help)


LENGTHS: dict[str, Field] = {
    "prompt_tokens": Between(least=1, most=MAX_TOKENS, unit="tokens", help="mean length of a prompt"),
    "output_tokens": Between(least=1, most=MAX_TOKENS, unit="tokens", help="mean length of an answer"),
    "prompt_cv": _cv("lengths of prompts"),
    "output_cv": _cv("lengths of answers"),
    "correlation": Between(
        least=-1,
        most=1,
        required=False,
        default=0.0,
        unit="-",
        help="Pearson correlation of the two lengths; by default 0",
    ),
}
"""Lengths by their means and variation; a trace has its own."""
TRAFFIC: dict[str, Field] = {
    "requests_per_second": _RATE,
    "shared_prefix_tokens": _PREFIX,
    "max_output_tokens": _MOST_OUTPUT,
}
"""What is said beside the lengths, of a trace as well."""
_DISPERSION = Between(least=0, most=MOST_DISPERSION, required=False, default=1.0, unit="-", help="variance over mean")
_HIT_RATE = optional(
    Between(least=0, most=1, unit="-", help="share of prompt tokens that a prefix cache holds, where it is known")
)
_BESIDE = {"dispersion": _DISPERSION, "prefix_hit_rate": _HIT_RATE}
OF_TRACE = Schema("Trace", {**TRAFFIC, **_BESIDE})
OF_MEANS = Schema("Traffic", {**LENGTHS, **TRAFFIC, **_BESIDE})

RISK: dict[str, Field] = {
    "risk": Between(
        least=LEAST_RISK, most=EVEN, required=False, default=0.01, unit="-",
        help="share of the time in which the pool may be exceeded, from 0.000001 to 0.5; by default 0.01",
    )
}  # fmt: skip
OF_RISK = Schema("Risk", RISK)

STEP: dict[str, Field] = {
    "batch_size": optional(Number(most=MAX_TOKENS, unit="-", help="sequences that decode at once on one replica")),
    "clients": optional(
        Number(most=MAX_TOKENS, unit="-", help="in their place: clients that each send a request when one is answered")
    ),
    "prompt_tokens": Number(
        most=MAX_TOKENS, required=False, default=1000, unit="tokens", help="mean length of a prompt; by default 1,000"
    ),
    "output_tokens": optional(
        Between(least=1, most=MAX_TOKENS, default=250, unit="tokens", help="mean length of an answer; by default 250")
    ),
    "computed_prompt_tokens": optional(
        Number(most=MAX_TOKENS, unit="tokens", help="what of a prompt is computed, where a cache holds the rest")
    ),
    "resident_tokens": optional(
        Number(most=MAX_TOKENS, unit="tokens", help="what a decoding sequence holds, where lengths vary")
    ),
}
OF_STEP = Schema("Step", STEP)


def check_plan(plan: Any) -> None:
    """Refuse what is no plan."""
    if not isinstance(plan, Plan):
        raise InvalidValueError(
            say(
                "inputs.plan_what_calculator_plan",
                "a plan is what calculator.plan answers, not {plan}",
                plan=shown(plan),
            ),
            what="plan",
            asked=plan,
            allowed=("Plan",),
        )
