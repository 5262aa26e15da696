"""What would change the answer: one table, each change alone, the cheapest first; a click applies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

import calculator
from calculator.messages import phrase
from calculator.planning.sizing.prices import Given
from calculator.units import GIB, plural
from calculator.views import words
from calculator.views.fits import verdict
from calculator.views.fits.changes import ChangeRow, first_of, rows_of
from dashboard import columns, state
from dashboard.frame.chips import chip
from dashboard.frame.page import is_dark, strong
from dashboard.inputs import totals
from dashboard.text import ended, plain, tell, told

if TYPE_CHECKING:
    import pyarrow
    from pandas.io.formats.style import Styler

FIRST, ROW_PX = 8, 35
_OFFERED, _ALL, _APPLIED, _BEFORE = "_changes_offered", "_all_changes", "_change_applied", "_before_change"
COLUMNS = (phrase("Change, click to apply"), phrase("Users"), phrase("What it costs"), phrase("$ / h from"))
"""In the order in which a phone has room for them."""
DIMMED_ON_LIGHT, DIMMED_ON_DARK = "#8a93a0", "#7d8794"


def tried(plan: calculator.Plan, own_prices: Given | None) -> list[ChangeRow]:
    """Try every change once; return them as rows, those that hold what is asked first, none said twice."""
    found = calculator.levers(plan)
    also = () if plan.fits else calculator.what_would_fit(plan, found)
    known = {tuple(sorted(lever.changes.items(), key=str)) for lever in found}
    more = [lever for lever in also if tuple(sorted(lever.changes.items(), key=str)) not in known]
    rows = rows_of(plan, [*found, *more], own_prices)
    said: dict[tuple[str, int], ChangeRow] = {}
    for row in rows:
        said.setdefault((str(row.change), row.users), row)
    return list(said.values())


def smallest(plan: calculator.Plan, rows: list[ChangeRow]) -> None:
    """Offer what makes it fit, the cheapest first; of each knob one."""
    if plan.fits:
        return
    best: dict[str, ChangeRow] = {}
    for row in rows:
        if row.fits:
            best.setdefault(row.lever.key, row)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.markdown(tell("**Smallest change:**") if best else tell("No single change would do."), width="content")
        for index, row in enumerate(best.values()):
            price = (
                ""
                if row.usd_per_hour_low is None
                else tell(", from ${usd_per_hour_low:,.2f}", usd_per_hour_low=row.usd_per_hour_low)
            )
            st.button(
                plain(tell("{change}: {users:,}{price}", change=row.change, users=row.users, price=price)),
                key=f"fits-{row.lever.key}",
                type="secondary" if index else strong(),
                on_click=apply,
                args=_offered(row),
            )


def show(plan: calculator.Plan, rows: list[ChangeRow], dimmed: bool) -> None:
    """Show the table; what was applied last is said here, where the click was made, and can be taken back."""
    st.header(_grey(tell("What would change it"), dimmed), anchor=False)
    _what_was_applied(plan)
    every = st.session_state.get(_ALL, False)
    shown = rows if every else first_of(plan, rows, FIRST)
    if not shown:
        st.markdown(_grey(tell("No single change of format, GPUs or length gains anything."), dimmed))
    else:
        _table(shown, dimmed)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if len(rows) > len(shown) or every:
            label = tell("The first alone") if every else tell("All {changes}", changes=plural(len(rows), "change"))
            st.button(label, key="all_changes", type="tertiary", on_click=_show_all, args=(not every,))
        if shown:
            chip(tell("What each costs"), "chip_costs", _costs, shown, quiet=True, icon=":material/info:")


def _costs(rows: list[ChangeRow]) -> None:
    """Say in full what each change costs: quality as published with its source, what is not sure, a checkpoint."""
    lines = []
    for row in rows:
        costs = ended(row.costs)
        if row.checkpoint:
            costs = ended(tell("{costs}; checkpoint: {name}", costs=row.costs, name=row.checkpoint))
        lines.append(f"- **{plain(row.change)}**: {costs}")
    st.markdown("\n".join(lines))


def _table(rows: list[ChangeRow], dimmed: bool) -> None:
    st.session_state[_OFFERED] = [_offered(row) for row in rows]
    names = [told(name) for name in COLUMNS]
    opens = st.column_config.ButtonColumn(
        names[0], type="tertiary", alignment="left", key="change-apply", on_click=_clicked, pinned=False
    )
    price = st.column_config.NumberColumn(names[3], format="%.2f", width=72)
    first = st.column_config.TextColumn(names[0]) if dimmed else opens
    shown = {names[0]: first, names[1]: st.column_config.NumberColumn(width=54), names[3]: price}
    frame = _frame(rows)
    st.dataframe(
        _greyed(frame) if dimmed else frame,
        hide_index=True,
        key="changes",
        height="content" if len(rows) <= 2 * FIRST else ROW_PX * (2 * FIRST + 1),
        column_config=shown,
        placeholder=tell("not known"),
        lazy=False,  # else Streamlit imports pandas to see whether it could be
        alt=tell("What would change the answer: each change with users, price and what it costs"),
    )


def _frame(rows: list[ChangeRow]) -> pyarrow.Table:
    names = [told(name) for name in COLUMNS]
    cells: dict[str, list[Any]] = {
        names[0]: [told(row.change) for row in rows],
        names[1]: [row.users for row in rows],
        names[2]: [told(row.briefly) for row in rows],
        names[3]: [row.usd_per_hour_low for row in rows],
    }
    return columns.table(cells)


def _greyed(frame: pyarrow.Table) -> Styler:
    colour = DIMMED_ON_DARK if is_dark() else DIMMED_ON_LIGHT
    return frame.to_pandas().style.map(lambda _: f"color: {colour}")


def _clicked() -> None:
    """Apply the change of the row that was clicked."""
    row = st.session_state["change-apply"]["row"]
    apply(*st.session_state[_OFFERED][row])


def _offered(row: ChangeRow) -> tuple[str, dict[str, Any]]:
    """Return what a click needs of a row: its plan would be kept with every session, and walked after every run."""
    return row.change, row.lever.changes


def apply(change: str, keywords: dict[str, Any]) -> None:
    """Apply a change, and remember what was before it."""
    changes = _as_state(keywords)
    before = state.held(*changes, totals.USERS)
    st.session_state[_BEFORE] = before
    st.session_state[_APPLIED] = change
    state.change(**{totals.USERS: None, **changes})


def _take_back() -> None:
    state.change(**st.session_state[_BEFORE])
    st.session_state[_APPLIED] = ""


def _what_was_applied(plan: calculator.Plan) -> None:
    """Say what the last change came to, until something else moves."""
    said = st.session_state.get(_APPLIED)
    if not said:
        return
    seen = st.session_state.setdefault("_applied_to", None)
    link = state.address()
    if seen is None or seen[0] != said:
        st.session_state["_applied_to"] = (said, link)
    elif seen[1] != link:
        st.session_state[_APPLIED], st.session_state["_applied_to"] = "", None
        return
    users = words.asked_users(plan)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        colour = "green" if plan.fits else "red"
        st.markdown(
            tell(
                ":{colour}-badge[:material/check: {said}] **{total_max_batch_size:,}** users: {room}.",
                colour=colour,
                said=plain(said),
                total_max_batch_size=plan.total_max_batch_size,
                room=plain(verdict.room(plan, users)),
            ),
            width="content",
        )
        st.button(tell("Take it back"), key="take-back", type="tertiary", on_click=_take_back)


def _show_all(every: bool) -> None:
    st.session_state[_ALL] = every


def _grey(text: str, dimmed: bool) -> str:
    return f":gray[{text}]" if dimmed else text


def _as_state(changes: dict[str, Any]) -> dict[str, Any]:
    names = {keyword: name for name, keyword in state.GIB_FIELDS.items()}
    return {
        names.get(keyword, keyword): value / GIB if keyword in names and value is not None else value
        for keyword, value in changes.items()
    }
