"""What would change the answer, each change alone; a click applies it."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

import calculator
from calculator.units import GIB, dollars
from dashboard import state
from dashboard.text import plain, sentence


def show(plan: calculator.Plan) -> None:
    """Show what would change the answer, each change alone; a click applies it."""
    st.header("What would change it", anchor=False)
    found = calculator.levers(plan)
    shown = calculator.what_would_fit(plan) or calculator.next_steps(plan)
    if not shown:
        st.markdown("No single change of format, GPUs or length gains anything.")
    for lever in shown:
        _lever(lever, "best")
    if not found:
        return
    with st.expander(f"All {len(found)} single changes", on_change="rerun", key="all_levers") as more:
        if more.open:
            for lever in found:
                _lever(lever, "all")


def _lever(lever: calculator.Lever, group: str) -> None:
    button, gain = st.columns([3, 2], vertical_alignment="center")
    button.button(
        plain(lever.label),
        key=f"{group}-{lever.label}",
        help=plain(lever.cost),
        on_click=partial(state.change, **_as_state(lever.changes)),
        width="stretch",
    )
    fits = "" if lever.plan.fits else ", does not fit"
    price = f"{dollars(*lever.usd_per_hour)} an hour" if lever.usd_per_hour else "no price known"
    said = [f"**{lever.users:,}** ({lever.gain:+,}){fits} · {plain(price)} · {plain(lever.cost)}"]
    said += [f":gray[:small[{plain(sentence(text))}]]" for text in (lever.quality, lever.risk) if text]
    gain.markdown("  \n".join(said))


def _as_state(changes: dict[str, Any]) -> dict[str, Any]:
    names = {keyword: name for name, keyword in state.GIB_FIELDS.items()}
    return {
        names.get(keyword, keyword): value / GIB if keyword in names and value is not None else value
        for keyword, value in changes.items()
    }
