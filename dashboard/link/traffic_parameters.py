"""What a link says of traffic, by the names of ``calculator.Workload``, and what stands where it says nothing."""

from __future__ import annotations

import calculator
from calculator.architecture.limits import MAX_TOKENS
from calculator.messages import phrase
from calculator.planning.traffic.inputs import EVEN, LEAST_RISK, MOST_CV, MOST_RATE
from dashboard.link.packing import packed_trace
from dashboard.link.parameters import Parameter, bounded, choice, number, preset, whole

MEANS, TRACE = "means", "trace"
"""What traffic may be besides one of the shipped tables."""


def _tokens(default: int | None, least: int, absent: str) -> Parameter:
    return Parameter(
        lambda text: bounded(whole(text), least, MAX_TOKENS), default, least, MAX_TOKENS, absent, clears=True
    )


def _real(default: float | None, least: float, most: float, absent: str) -> Parameter:
    ends = float(least), float(most)
    return Parameter(lambda text: bounded(number(text), *ends), default, *ends, absent, clears=True)


OF_MEANS = {
    "prompt_tokens": _tokens(1000, 1, "1000"),
    "output_tokens": _tokens(250, 1, "250"),
    "prompt_cv": _real(1.0, 0.0, MOST_CV, "1"),
    "output_cv": _real(1.0, 0.0, MOST_CV, "1"),
    "correlation": _real(0.0, -1.0, 1.0, "0"),
}
"""What only traffic by its means has."""
TRAFFIC = {
    "workload": choice(preset(calculator.workload_ids, "workload"), MEANS, MEANS, TRACE),
    **OF_MEANS,
    "shared_prefix_tokens": _tokens(0, 0, "0"),
    "max_output_tokens": _tokens(None, 1, phrase("none")),
    "requests_per_second": _real(None, 1e-6, MOST_RATE, phrase("none")),
    "risk": _real(0.01, LEAST_RISK, EVEN, "0.01"),
    "trace": Parameter(packed_trace, None),
}
