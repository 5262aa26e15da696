"""How far off the answers have been, as a page says it: by engine, log by log, and what is outside its range."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.engines import ENGINES, engine_class, engine_rules
from calculator.logs.proof.judged import JudgedLog, JudgedSpeeds, proof
from calculator.logs.proof.tables import quantile
from calculator.messages import Message, joined, phrase, say, template

INSIDE_HELD_OUT = phrase("inside what was measured, held out")
"""Speeds that judge those which are shown as checked."""


@dataclass(frozen=True)
class EngineRow:
    """How far off the answers for one engine have been.

    Attributes
    ----------
    engine, title : str
        The engine.
    logs : int
        Public start-ups whose capacity is compared [-].
    machines, machines_held : int
        Machines that they are of, and those on which every range held [-].
    median, nine_of_ten : float or None
        Errors of the KV pool without their sign that half and nine of ten do not exceed; None without a log [-].
    held : int
        Logs within their range [-].
    exact, checked : int
        Logs whose printed pool holds the printed tokens, and those that print both [-].
    """

    engine: str
    title: str
    logs: int
    machines: int
    machines_held: int
    median: float | None
    nine_of_ten: float | None
    held: int
    exact: int
    checked: int


def engine_rows() -> list[EngineRow]:
    """Return how far off the answers have been, a row an engine, those without a log among them."""
    return [_engine_row(name) for name in ENGINES]


def _engine_row(engine: str) -> EngineRow:
    judged = proof()
    own = [one for one in judged.logs if one.engine == engine]
    errors = [abs(one.error) for one in own if one.error is not None]
    machines = judged.machines.get(engine, ())
    return EngineRow(
        engine,
        engine_class(engine).title,
        len(errors),
        len(machines),
        sum(held for _, held in machines),
        quantile(errors, 0.5) if errors else None,
        quantile(errors, 0.9) if errors else None,
        sum(bool(one.in_range) for one in own if one.error is not None),
        sum(bool(one.tokens_exact) for one in own),
        sum(one.tokens_exact is not None for one in own),
    )


def headline() -> Message:
    """Say how many logs were compared, how far off they are, and how many are in their range."""
    compared = proof().compared
    return say(
        "pages.method.headline",
        "{logs} public start-up logs: the KV pool is {median:.1%} off in the middle, and in its range for {held}",
        logs=len(compared),
        median=quantile([abs(one.error or 0.0) for one in compared], 0.5),
        held=len(compared) - len(proof().misses),
    )


def verdict() -> Message:
    """Say of which engines nothing was measured, and how many logs most are of."""
    rows = engine_rows()
    most = max(rows, key=lambda row: row.logs)
    absent = [row.title for row in rows if not row.logs]
    text = template("{logs} of them are of {engine}.")
    if absent:
        text = template("{logs} of them are of {engine}. Of {absent} there is no log whose capacity could be compared.")
    return say("pages.method.verdict", text, logs=most.logs, engine=most.title, absent=joined(" and ", absent))


def held_back() -> Message:
    """Say how those did that no range was calibrated on."""
    own = [one for one in proof().compared if one.held_out]
    return say(
        "pages.method.held_back",
        "{logs} of them were kept back while ranges were set: {held} of those are in their range.",
        logs=len(own),
        held=sum(bool(one.in_range) for one in own),
    )


def calibrated() -> Message:
    """Say how far off a start is that is predicted from another of its machine."""
    same, every = proof().calibrated[0], proof().calibrated[-1]
    return say(
        "pages.method.calibrated",
        "One log of a machine predicts another of it: the same model is {median:.1%} off in the middle, {plain:.1%} "
        "without that log, of {pairs} pairs; the narrowed range held for {held} of all {every}.",
        median=same.median,
        plain=same.plain_median,
        pairs=same.pairs,
        held=every.held,
        every=every.pairs,
    )


def speeds() -> Message | None:
    """Say how far off speeds are that were never fitted; None where there are none."""
    found = next((one for one in proof().speeds if one.name == INSIDE_HELD_OUT), None)
    return _of_speeds(found) if found else None


def _of_speeds(one: JudgedSpeeds) -> Message:
    return say(
        "pages.method.speeds",
        "Speed: a step is {median:.1%} off in the middle and {most:.0%} for nine of ten, of {rows:,} points to "
        "which nothing was fitted; {held:,} of {ranged:,} are in their range.",
        median=one.median,
        most=one.nine_of_ten,
        rows=one.rows,
        held=one.held,
        ranged=one.ranged,
    )


def outside() -> tuple[JudgedLog, ...]:
    """Return the logs that fell outside their range, the furthest off first."""
    return proof().misses


def sources() -> list[tuple[str, str, str]]:
    """Return of each engine its name, the newest version whose rules are known, and where they were read."""
    rules = [engine_rules(name) for name in ENGINES]
    return [(one.title, one.version, one.source) for one in rules]
