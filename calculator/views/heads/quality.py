"""Published quality beside each number of KV heads: pairs as printed, nothing between them."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.catalogue.published import PublishedPair
from calculator.messages import joined, phrase, say
from calculator.planning.heads.evidence import QualityEvidence, evidence_at, quality_evidence
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy
from calculator.planning.heads.variants import query_heads
from calculator.units import plural
from calculator.views.base import Row, View
from calculator.views.heads.chosen import known_plan

NAME, TITLE = "quality-evidence", phrase("Published quality")
POINTS = "points"


@dataclass(frozen=True, eq=False)
class QualityRow(Row):
    """One published pair in points, beside one number of KV heads.

    Attributes
    ----------
    label : str
        The row of the study that it stands beside.
    change_points : float
        The variant less multi-head attention; more is better [points].
    baseline, value : float
        As printed [points].
    benchmark, model, study, category, source : str
        What was measured, of which model, by whom, whether trained so or converted, and where it is printed.
    second_hand : bool
        Whether it was read from a summary.
    """

    label: str
    change_points: float
    baseline: float
    value: float
    benchmark: str
    model: str
    study: str
    category: str
    source: str
    second_hand: bool


def evidence_of(study: HeadStudy, row: HeadRow) -> QualityEvidence | None:
    """Return what is published at the ratio of a row; None where layers differ, of which nothing can be published."""
    if row.kind in ("mla", "mha"):
        return quality_evidence(kind=row.kind)
    if row.num_key_value_heads is None:
        return None
    return evidence_at(row.num_key_value_heads, query_heads(study.model))


def quality_view(study: HeadStudy) -> View[QualityRow]:
    """Return every published pair in points that stands beside a row of a study.

    Parameters
    ----------
    study : HeadStudy
        The study [-].

    Returns
    -------
    View
        A row a pair; speeds, perplexities and shares are left to the table of evidence.
    """
    rows = [
        _row(row.label, pair)
        for row in study.rows
        if (found := evidence_of(study, row))
        for pair in found.rows
        if is_shown(pair)
    ]
    return View(NAME, TITLE, _finding(study, rows), known_plan(study), rows)


def is_shown(pair: PublishedPair) -> bool:
    """Whether a pair is of quality, in points of which more is better."""
    return pair.unit == POINTS and pair.higher_is_better and pair.category not in ("speed", "format")


def trained(study: HeadStudy, row: HeadRow) -> list[PublishedPair]:
    """Return the pairs in points at the ratio of a row where models were trained or uptrained so, not converted."""
    found = evidence_of(study, row)
    return [pair for pair in found.rows if is_shown(pair) and pair.category != "converted"] if found else []


def _row(label: str, pair: PublishedPair) -> QualityRow:
    return QualityRow(
        label, pair.change, pair.baseline, pair.value, pair.benchmark, pair.model, pair.study, pair.category,
        pair.source, pair.second_hand,
    )  # fmt: skip


def without_evidence(study: HeadStudy, rows: list[QualityRow]) -> list[str]:
    """Return the labels of rows for which nothing is published; others are compared with multi-head attention."""
    have = {row.label for row in rows}
    return [row.label for row in study.rows if row.label not in have and row.kind != "mha"]


def _finding(study: HeadStudy, rows: list[QualityRow]) -> str:
    without = without_evidence(study, rows)
    if not rows:
        return say("quality_view.none", "Nothing is published for any of these numbers of KV heads.")
    some = say(
        "quality_view.some",
        "{pairs} in points beside {places} of these KV heads.",
        pairs=plural(len(rows), "published pair"), places=plural(len({row.label for row in rows}), "number"),
    )  # fmt: skip
    if not without:
        return some
    return say(
        "quality_view.gaps",
        "{some} None for {labels}: nothing is interpolated.",
        some=some,
        labels=joined(", ", without),
    )
