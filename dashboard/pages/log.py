"""Check my log: a start-up log beside the plan of the set-up that it states, what differs and why."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.frame import page
from dashboard.log import asking, box, shown
from dashboard.text import plain


def show() -> None:
    """Show how the log compares, the log itself and what it does not say, and where the difference is."""
    with page.centred():
        said = st.container(gap="xsmall")
        held = box.kept()
        question = asking.compare(held)
        result = held.result
        dimmed = bool(held.problem) and result is not None
        with said:
            shown.answer(result, dimmed, held.log if question is not None else None)
        log, beside = st.columns([3, 2], gap="large")
        with log:
            box.show()
            if result is not None:
                shown.what_was_read(result)
        with beside:
            asking.questions(held, question)
            if result is not None:
                asking.assumptions(held, result)
        if result is not None:
            left, right = st.columns([3, 2], gap="large")
            with left:
                shown.difference(result, dimmed)
            with right:
                shown.causes(result, dimmed)
        for problem in state.problems():
            st.warning(plain(problem))
        state.save()
