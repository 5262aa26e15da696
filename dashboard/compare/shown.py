"""Plans side by side: what differs as a table, one GPU of each, and what every engine and version holds."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

import calculator
from calculator import charts, views
from calculator.messages import phrase
from calculator.planning.answer import Plan
from calculator.planning.comparing.compare import Comparison, written
from calculator.views.comparing.difference import headline
from calculator.views.comparing.side_by_side import LETTERS, Beside, SideBySide
from dashboard import downloads, figure
from dashboard.text import listed, plain, tell, told

BARS = phrase("One GPU of each, on the same scale")
QUIET = {"displayModeBar": False}
NAMES = " "
"""The head of the column that says what a row is."""
TOGETHER = "\u2060–\u2060"
"""A range that no line ends within."""
MAY_BREAK = "\u200b"
"""Where a long name may go on in the next line: a column of names is narrow on a phone."""


def differing(beside: SideBySide, dimmed: bool) -> None:
    """Show the rows in which plans differ, how many times the first's each is, and those that are the same."""
    st.subheader(tell("What differs"), anchor=False)
    if beside.differing:
        _table(beside, beside.differing, dimmed, tell("What differs. {headline}", headline=headline(beside)))
    else:
        st.markdown(tell("Nothing."))
    with st.expander(
        tell("The same in all: {same} rows", same=len(beside.same)), on_change="rerun", key="fold-same"
    ) as fold:
        if fold.open:
            _table(beside, beside.same, dimmed, tell("What is the same in all"))
    downloads.of_rows("side-by-side", beside, {}, _one_model(beside.plans))


def _one_model(plans: tuple[Plan, ...]) -> calculator.ModelArchitecture | None:
    """Return the model of plans that are all of the same."""
    return plans[0].model if len({plan.model.name for plan in plans}) == 1 else None


def _table(beside: SideBySide, rows: Iterable[Beside], dimmed: bool, alt: str) -> None:
    """Show rows as text that wraps on a phone, with how many times the first's each is: of two plans in a column."""
    letters, two = LETTERS[: len(beside.plans)], len(beside.plans) == 2
    heads = (NAMES, *letters, tell("B to A")) if two else (NAMES, *letters)
    colour = "gray" if dimmed else ""
    table = []
    for row in rows:
        read = [plain(cell.text).replace("–", TOGETHER) for cell in row.cells]
        times = [_times(row.ratio(index)) if index and row.differs else "" for index in range(len(read))]
        bold = [f"**{each}**" if each else "" for each in times]
        cells = [*read, bold[1]] if two else [" ".join(filter(None, both)) for both in zip(read, bold, strict=True)]
        name = plain(row.name).replace("\\_", f"\\_{MAY_BREAK}")
        table.append(dict(zip(heads, (_in(colour, each) for each in (name, *cells)), strict=True)))
    st.table(table, border="horizontal", hide_index=True, alt=alt)


def _in(colour: str, text: str) -> str:
    return f":{colour}[{text}]" if colour and text else text


def _times(ratio: float | None) -> str:
    """Write a ratio with a space that does not break."""
    return "" if not ratio else f"{ratio:,.2f}\u00a0×" if ratio < 10 else f"{ratio:,.3g}\u00a0×"


def bars(plans: tuple[Plan, ...], dimmed: bool) -> None:
    """Show one GPU of each plan."""
    st.subheader(told(BARS), anchor=False)
    names = listed(list(dict.fromkeys(plan.model.name for plan in plans)))
    figure.show(
        charts.memory_bars.ready(plans),
        "chart-memory-bars",
        tell("{of}: {what}", of=names, what=BARS),
        QUIET,
        dimmed=dimmed,
    )


def engines(plan: Plan, letter: str = "", dimmed: bool = False) -> None:
    """Show what every engine holds of a plan's request."""
    view = views.engines_view(plan)
    of = tell("{name}, plan {letter}", name=plan.model.name, letter=letter) if letter else plan.model.name
    st.subheader(plain(tell("Engine by engine, {of}", of=of)), anchor=False)
    figure.show(
        charts.engine_points.ready(view),
        "chart-engine-points",
        tell("{of}: {what}", of=of, what=view.finding),
        QUIET,
        dimmed=dimmed,
    )
    st.markdown(plain(view.finding))
    refused(view.refused)
    downloads.of_rows("engines", view, {view.finding: lambda: charts.engine_points.ready(view)}, plan.model)


def refused(rows: Iterable[views.Row]) -> None:
    """Say which engines or versions do not run it, where that is wanted."""
    said = [f"- {plain(tell('{of}: {what}.', of=row.called, what=row.refused))}" for row in rows]  # type: ignore[attr-defined]
    if said:
        with st.popover(tell("{said:,} do not run it: why", said=len(said)), type="tertiary"):
            st.markdown("\n".join(said))


def versions(plan: Plan, dimmed: bool) -> None:
    """Show what every version of the plan's engine holds of its request."""
    view = views.versions_view(plan)
    if not view.rows:
        return
    finding = tell("{of}: {what}", of=plan.model.name, what=view.finding)
    st.subheader(plain(finding), anchor=False)
    figure.show(charts.versions_chart.ready(view), "chart-versions", finding, QUIET, dimmed=dimmed, titled=False)
    refused(view.refused)
    downloads.of_rows(view.name, view, {view.finding: lambda: charts.versions_chart.ready(view)}, plan.model)
    with st.expander(tell("Table"), on_change="rerun", key="fold-versions") as fold:
        if fold.open:
            st.dataframe(
                downloads.table_of(view),
                hide_index=True,
                key="table-versions",
                alt=tell("Table of {title}", title=view.title),
            )


def causes(plans: tuple[Plan, ...]) -> None:
    """Show which flags bring an older answer back, and every number of two plans with what moves it."""
    if len(plans) != 2:
        return
    compared = calculator.compare(*plans)
    for one in compared.restoring:
        names = listed([row.name for row in compared.changed if row.term in one.restores])
        st.markdown(plain(tell("Brings back {names}:", names=names)))
        st.code(one.flag, language=None)
    if not compared.changed:
        return
    with st.expander(tell("Every number, and what moves it"), on_change="rerun", key="fold-causes") as fold:
        if fold.open:
            _causes(compared)


def _causes(compared: Comparison) -> None:
    rows = [
        {
            tell("What"): told(row.name),
            "A": written(row.before, row.unit),
            "B": written(row.after, row.unit),
            tell("Change"): "" if row.change is None else written(row.change, row.unit),
            tell("What moves it"): told(row.cause),
        }
        for row in compared.changed
    ]
    st.dataframe(
        rows, hide_index=True, key="compared", alt=tell("What moves each number: {finding}", finding=compared.finding)
    )
    downloads.of_rows("compared", compared, {}, _one_model((compared.before, compared.after)))
