"""The tables of measured speeds beside computed ones, given and held out, as ``make accuracy`` prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculator.logs.proof.tables import quantile, table
from calculator.planning.traffic.judged.accuracy import Judged, judged

HALVES = {"given": True, "held out": False}
SERVED, FULL = ("serve",), ("full",)


@dataclass(frozen=True)
class SpeedSummary:
    """How far off a set of answers is: of a step, of tokens a second, of the first token.

    Attributes
    ----------
    name : str
        What the rows have in common, and which half they are.
    rows : int
        How many there are [-].
    step, rate, first : tuple of float
        Computed over measured, less 1 [-].
    held : tuple of two int
        Measured steps, or first tokens of single requests, within their range, and all [-].
    """

    name: str
    rows: int
    step: tuple[float, ...]
    rate: tuple[float, ...]
    first: tuple[float, ...]
    held: tuple[int, int]


def summarise_speeds(name: str, some: Sequence[Judged]) -> SpeedSummary:
    """Summarise some rows."""
    ranged = [one.in_range for one in some if one.in_range is not None]
    return SpeedSummary(
        name,
        len(some),
        tuple(one.step_error for one in some if one.step_error is not None),
        tuple(one.rate_error for one in some if one.rate_error is not None),
        tuple(one.first_error for one in some if one.first_error is not None),
        (sum(ranged), len(ranged)),
    )


def served(kinds: tuple[str, ...] = SERVED) -> list[SpeedSummary]:
    """Summarise running servers by group, given apart from held out; those inside what was measured; all."""
    rows = [one for one in judged() if one.plan and one.row.kind in kinds]
    found = []
    for group in sorted({one.group for one in rows}):
        found += _halves(group, [one for one in rows if one.group == group])
    found += _halves("inside what was measured", [one for one in rows if one.checked])
    return found + _halves("all", rows)


def batches() -> list[SpeedSummary]:
    """Summarise single batches, given apart from held out."""
    return _halves("one batch", [one for one in judged() if one.plan and one.row.kind == "static"])


def queues() -> list[SpeedSummary]:
    """Summarise full queues by group, with this package's own pool, and bursts."""
    rows = [one for one in judged() if one.plan and one.row.kind in FULL]
    found = []
    for group in sorted({one.group for one in rows}):
        found += _halves(group, [one for one in rows if one.group == group])
    return found + _halves("bursts of requests", [one for one in judged() if one.plan and one.row.kind == "burst"])


def alone() -> list[SpeedSummary]:
    """Summarise single requests on an idle server, given apart from held out."""
    return _halves("one request alone", [one for one in judged() if one.plan and one.row.kind == "ttft1"])


def not_computed() -> Counter[str]:
    """Count the rows that have no plan, by the reason."""
    return Counter(one.refused for one in judged() if not one.plan)


def _halves(name: str, rows: Sequence[Judged]) -> list[SpeedSummary]:
    return [
        summarise_speeds(f"{name}, {half}", [one for one in rows if one.row.given == given])
        for half, given in HALVES.items()
    ]


def _share(errors: Iterable[float], share: float) -> str:
    sizes = [abs(error) for error in errors]
    return f"{quantile(sizes, share):.1%}" if sizes else ""


def _bias(errors: Sequence[float]) -> str:
    return f"{quantile(errors, 0.5):+.1%}" if errors else ""


_HEAD: Mapping[str, Callable[[Any], str]] = {
    "rows": lambda summary: summary.name,
    "points": lambda summary: f"{summary.rows}",
}
_HELD: Mapping[str, Callable[[Any], str]] = {"range held": lambda summary: "{} of {}".format(*summary.held)}
_STEP: Mapping[str, Callable[[Any], str]] = {
    "TPOT, median": lambda summary: _share(summary.step, 0.5),
    "nine of ten within": lambda summary: _share(summary.step, 0.9),
    "signed": lambda summary: _bias(summary.step),
    **_HELD,
}
_RATE: Mapping[str, Callable[[Any], str]] = {
    "tokens/s, median": lambda summary: _share(summary.rate, 0.5),
    "nine of ten within ": lambda summary: _share(summary.rate, 0.9),
}
_FIRST: Mapping[str, Callable[[Any], str]] = {
    "TTFT, median": lambda summary: _share(summary.first, 0.5),
    "nine of ten within  ": lambda summary: _share(summary.first, 0.9),
}


def speed_markdown() -> str:
    """Return the report of speeds."""
    absent = [f"- {reason}: {count}" for reason, count in not_computed().items()]
    parts = [
        _ABOUT,
        table({**_HEAD, **_STEP, **_RATE, **_FIRST}, served()),
        "",
        table({**_HEAD, **_STEP}, batches()),
        _QUEUES,
        table({**_HEAD, **_RATE}, queues()),
        _ALONE,
        table({**_HEAD, **_FIRST, **_HELD}, alone()),
        _ABSENT,
        *absent,
    ]
    return "\n".join(parts)


_ABOUT = """
## Speed

Public measured speeds (`speed_figures.csv`, figures and where they were printed) beside what `speed()` answers for the
same set-up; errors are computed over measured, less 1. The factors of the sum and the figure of each kind of
architecture come from a first fit to these rows. Rows are told apart by the hash of their id: the figures of versions
are fitted to those given, the ranges hold them, and those held out judge both. TPOT is judged at the sequences that
decoded, tokens/s with only the number of clients known, TTFT in the same closed loop: an order of magnitude.
"""
_QUEUES = """
More requests than memory holds: tokens/s with the sequences of this package's own pool, to which nothing was fitted. Of
models with experts, and of bursts, that is not described, and `speed()` says so.
"""
_ALONE = "\nThe first token of one request alone on an idle server, old versions among them:\n"
_ABSENT = "\nRows not computed, by what of them is not known here:\n"
