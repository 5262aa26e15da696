"""The tabs: each view with its chart, table and downloads, and the panels that are no views."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

import calculator
from calculator import views
from calculator.views.registry import Question
from dashboard.fits import load, memory, shown
from dashboard.link.tab_names import TABS
from dashboard.text import plain, sentence


def show(plan: calculator.Plan) -> None:
    """Show the linked views, one at a time."""
    labels = list(TABS.values())
    st.session_state["view_tab"] = TABS[st.session_state["view"]]
    tabs = st.tabs(labels, key="view_tab", on_change=_remember_view)
    for (name, _), tab in zip(TABS.items(), tabs, strict=True):
        if tab.open:
            with tab:
                _tab(plan, name)


def _tab(plan: calculator.Plan, name: str) -> None:
    """Show one view; where it cannot be computed say why, and leave the rest of the page as it is."""
    try:
        _PANELS[name](plan) if name in _PANELS else _view(plan, views.VIEWS[name])
    except calculator.CalculatorError as error:
        st.info(plain(sentence(str(error))))


def _remember_view() -> None:
    slugs = {label: name for name, label in TABS.items()}
    st.session_state["view"] = slugs[st.session_state["view_tab"]]


def _remember_log_x() -> None:
    st.session_state["log_x"] = st.session_state["_log_x"]


def _view(plan: calculator.Plan, question: Question) -> None:
    with st.spinner("Computing"):
        view = question(plan)
    if not question.has_log_x or not view.rows:
        shown.show(view)
        return
    st.markdown(plain(view.finding))
    st.session_state["_log_x"] = st.session_state["log_x"]
    log_x = st.toggle("Logarithmic length", key="_log_x", on_change=_remember_log_x)
    shown.chart(view, log_x)


_PANELS: dict[str, Callable[[calculator.Plan], None]] = {
    "load": load.show,
    "memory": memory.table,
}
