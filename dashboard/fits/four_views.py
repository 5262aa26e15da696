"""The four views below the answer, one at a time; only the chosen one is made."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator import views
from calculator.views.registry import Question
from dashboard import state
from dashboard.fits import shown
from dashboard.link.tab_names import SHOWN
from dashboard.text import plain, sentence, tell, told

WAYS = "parallelism"


def show(plan: calculator.Plan, dimmed: bool) -> None:
    """Show which views there are, and the chosen one."""
    asked = st.session_state["view"]
    st.session_state["_view"] = chosen = next((name for name, ids in SHOWN.items() if asked in ids), None)
    st.segmented_control(
        tell("View"), list(SHOWN), format_func=told, key="_view", on_change=_remember_view, label_visibility="collapsed"
    )
    with st.container(key="view"):
        try:
            if chosen is not None:
                _show(plan, SHOWN[chosen][0], dimmed)
        except calculator.CalculatorError as error:
            st.info(plain(sentence(str(error))))


def _remember_view() -> None:
    chosen = st.session_state["_view"]
    st.session_state["view"] = SHOWN[chosen][0] if chosen else state.OPENING_VIEW


def _remember_log_x() -> None:
    st.session_state["log_x"] = st.session_state["_log_x"]


def _show(plan: calculator.Plan, name: str, dimmed: bool) -> None:
    if name == "load":
        from dashboard.fits import load

        load.show(plan, dimmed)
        return
    _view(plan, views.VIEWS[name], dimmed)
    if name == "tensor-parallel":
        key = "fold-ways"
        if st.session_state["view"] == WAYS and key not in st.session_state:
            st.session_state[key] = True
        with st.expander(tell("Ways to split"), on_change="rerun", key=key) as fold:
            if fold.open:
                _view(plan, views.VIEWS[WAYS], dimmed)


def _view(plan: calculator.Plan, question: Question, dimmed: bool) -> None:
    view = question(plan)
    if not view.rows:
        shown.show(view)
        return
    shown.finding(view, dimmed)
    log_x = False
    if question.has_log_x:
        st.session_state["_log_x"] = st.session_state["log_x"]
        log_x = st.toggle(tell("Logarithmic length"), key="_log_x", on_change=_remember_log_x)
    shown.chart(view, log_x, dimmed)
