"""What do I need: which GPUs serve a load, how fast and at what cost; and what runs on GPUs that are there."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator.messages import phrase
from dashboard import state
from dashboard.frame import lengths, turning
from dashboard.inputs import traffic
from dashboard.link.need_parameters import GPUS, MODELS
from dashboard.need import asking, found, owned, searching
from dashboard.text import plain, sentence, tell, told

WIDTH = 1200
SEARCHES = {GPUS: phrase("Find GPUs"), MODELS: phrase("I have GPUs")}
_LAST = "_need_last"


def show() -> None:
    """Show the answer, the question below it, and what follows."""
    _turn()
    with st.container(horizontal_alignment="center").container(width=WIDTH):
        problems, answer = st.container(), st.empty()
        st.segmented_control(
            tell("Search"),
            list(SEARCHES),
            format_func=lambda search: told(SEARCHES[search]),
            key="search",
            required=True,
            label_visibility="collapsed",
        )
        _SHOWN[st.session_state["search"]](answer)
        for problem in state.problems():
            problems.warning(plain(problem))
    state.save()


def _turn() -> None:
    """Turn to the plan of a row that was clicked; run anew where a click below the question changed what is above."""
    opens = st.session_state.pop(found.OPENS, None)
    if opens is not None:
        st.switch_page(turning.to(turning.FITS), query_params=opens)
    if st.session_state.pop(found.CHANGED, False):
        st.rerun()


def _find(slot: DeltaGenerator) -> None:
    asking.fields()
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        asking.chips()
        actions = st.container(horizontal=True, gap="xsmall", vertical_alignment="center", width="content")
    try:
        asked, error = asking.asked(), None
    except calculator.CalculatorError as wrong:
        asked, error = None, wrong
    _answer(slot, actions, asked, error)


@st.fragment
def _answer(
    slot: DeltaGenerator,
    actions: DeltaGenerator,
    asked: asking.Asked | None,
    error: calculator.CalculatorError | None,
) -> None:
    """Search and show what is found, by itself: what is opened below the question asks nothing again."""
    _turn()
    result = None
    if asked is not None:
        try:
            result = asked, searching.search(asked, slot)
            _keep(result)
        except calculator.CalculatorError as refusal:
            error = refusal
    dimmed = result is None
    if result is None and error is not None:
        result = _refused(slot, error)
    if result is None:
        return
    asked, what = result
    found.say(slot, what, dimmed)
    with actions:
        found.actions(what)
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
    if not isinstance(error, lengths.SaidAtField):
        (st.info if traffic.awaits_trace() else st.error)(plain(sentence(str(error))))
    last = st.session_state.get(_LAST, {}).get(st.session_state["search"])
    if last is None:
        slot.title(tell("This cannot be searched"), anchor=False)
    return last


def _keep(result: Any) -> None:
    st.session_state[_LAST] = {**st.session_state.get(_LAST, {}), st.session_state["search"]: result}


_SHOWN = {GPUS: _find, MODELS: _own}
