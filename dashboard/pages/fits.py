"""Does it fit: this model on these GPUs, how many users and how long, and what would change it."""

from __future__ import annotations

import streamlit as st

import calculator
from dashboard import state
from dashboard.fits import answer, asking, changes, formula, four_views, memory, prices, refusal
from dashboard.frame import page as frame
from dashboard.frame import turning
from dashboard.inputs import totals
from dashboard.link.tab_names import ON_PAGES
from dashboard.text import plain

_LAST = "_fits_last"
"""The last answer, and for how many users."""


def show() -> None:
    """Show the answer, the question below it, and what follows."""
    _turn()
    with frame.centred():
        said = st.container(gap="xsmall")
        asked = asking.fields()
        plan, users, error = _answered(asked)
        asking.settings(asked, plan)
        dimmed = error is not None or asked.gpus is not None
        if plan is not None:
            refusal.at_field(asked, error)
            _show(plan, users, dimmed, said)
        elif error is not None:
            with said:
                refusal.instead(asked, error)
        for problem in state.problems():
            said.warning(plain(problem))
        state.save()


def _turn() -> None:
    """Turn to the page of what a link asks for that stood below the answer once."""
    address = ON_PAGES.get(st.session_state["view"])
    if address is not None:
        st.session_state["view"] = state.OPENING_VIEW
        st.switch_page(turning.to(address), query_params=state.link_of(state.held(*state.PARAMETERS)))


def _answered(asked: asking.Asked) -> tuple[calculator.Plan | None, int, calculator.CalculatorError | None]:
    """Return the answer with its users; where there is none the last one, and why."""
    error = asked.refusal
    if error is None:
        try:
            plan, users = calculator.plan(**asked.keywords), totals.users()
            st.session_state[_LAST] = plan, users
        except calculator.CalculatorError as refused:
            error = refused
        else:
            return plan, users, None
    last = st.session_state.get(_LAST)
    return (*last, error) if last is not None else (None, 0, error)


def _show(plan: calculator.Plan, users: int, dimmed: bool, said: st.delta_generator.DeltaGenerator) -> None:
    own_prices = prices.given()
    rows = changes.tried(plan, own_prices)
    with said:
        answer.say(plan, users, dimmed)
        if not dimmed:
            changes.smallest(plan, rows)
    memory.of_one_gpu(plan, dimmed)
    answer.metrics(plan, users, own_prices, dimmed)
    answer.notes(plan, dimmed)
    with st.grid(2, min_column_width=480, gap="medium"):
        with st.container():
            changes.show(plan, rows, dimmed)
        with st.container():
            formula.show(plan, dimmed)
    four_views.show(plan, dimmed)
