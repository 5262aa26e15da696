"""Does it fit: this model on these GPUs, how many sequences and how long, and what would change it."""

from __future__ import annotations

import streamlit as st

import calculator
from dashboard import answer, changes, downloads, inputs, state, turning
from dashboard.fits import memory, tabs
from dashboard.link.tab_names import MOVED
from dashboard.text import plain, sentence


def show() -> None:
    """Show the inputs, the answer and what follows from it."""
    moved = MOVED.get(st.session_state["view"])
    if moved is not None:
        st.session_state["view"] = state.OPENING_VIEW
        st.switch_page(turning.to(moved))
    with st.sidebar:
        st.markdown("**KV-cache planner**")
        try:
            plan = calculator.plan(**inputs.ask())
            refusal = None
        except calculator.CalculatorError as error:
            refusal = str(error)
    for problem in state.problems():
        st.warning(plain(problem))
    if refusal:
        st.title("This cannot be planned", anchor=False)
        st.error(plain(sentence(refusal)))
        st.markdown("Change the input in the sidebar; nothing else was lost.")
        state.save()
        return
    answer.show(plan)
    inputs.calibration_chip()
    memory.of_one_gpu(plan)
    answer.notes(plan)
    if plan.model.ignored_keys or plan.model.assumed:
        answer.understood(plan.model)
    with st.grid(2, min_column_width=420, gap="large"):  # side by side only where neither is cut
        with st.container():
            changes.show(plan)
        with st.container():
            memory.formula(plan)
    tabs.show(plan)
    state.save()
    downloads.show_link()
