"""What do I need: which GPUs serve a load, how fast and at what cost; and what runs on GPUs that are there."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from dashboard import state, traffic, turning
from dashboard.link.need_parameters import GPUS, MODELS
from dashboard.need import asking, found, owned, searching
from dashboard.text import plain, sentence

WIDTH = 1200
SEARCHES = {GPUS: "Find GPUs", MODELS: "I have GPUs"}
_LAST = "_need_last"


def show() -> None:
    """Show the answer, the question below it, and what follows."""
    opens = st.session_state.pop(found.OPENS, None)
    if opens is not None:
        st.switch_page(turning.to(turning.FITS), query_params=opens)
    with st.container(horizontal_alignment="center").container(width=WIDTH):
        problems, answer = st.container(), st.empty()
        st.segmented_control(
            "Search", list(SEARCHES), format_func=SEARCHES.get, key="search", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
        _SHOWN[st.session_state["search"]](answer)
        for problem in state.problems():
            problems.warning(plain(problem))
    state.save()


def _find(slot: DeltaGenerator) -> None:
    asking.fields()
    with st.container(horizontal=True, gap="xsmall"):
        asking.chips()
        last_chip = st.container(width="content")
    try:
        asked = asking.asked()
        result = asked, searching.search(asked, slot)
        dimmed = False
        _keep(result)
    except calculator.CalculatorError as error:
        result, dimmed = _refused(slot, error), True
    if result is not None:
        asked, what = result
        found.say(slot, what, dimmed)
        with last_chip:
            found.left_out(what)
        found.show(what, asked, dimmed)


def _own(slot: DeltaGenerator) -> None:
    try:
        result, dimmed = owned.ask(), False
        _keep(result)
    except calculator.CalculatorError as error:
        result, dimmed = _refused(slot, error), True
    if result is not None:
        owned.say(slot, result, dimmed)
        owned.show(result)


def _refused(slot: DeltaGenerator, error: calculator.CalculatorError) -> Any:
    """Say at the fields why not; return the last answer, which stays dimmed."""
    (st.info if traffic.awaits_trace() else st.error)(plain(sentence(str(error))))
    last = st.session_state.get(_LAST, {}).get(st.session_state["search"])
    if last is None:
        slot.title("This cannot be searched", anchor=False)
    return last


def _keep(result: Any) -> None:
    st.session_state[_LAST] = {**st.session_state.get(_LAST, {}), st.session_state["search"]: result}


_SHOWN = {GPUS: _find, MODELS: _own}
