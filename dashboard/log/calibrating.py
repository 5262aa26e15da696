"""What one machine holds, as a log of it says: kept in the session and in links, used where it holds, and said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

import calculator
from calculator.catalogue.presets import load_gpu
from calculator.engines import engine_class, engine_rules
from calculator.reading.strict_json import bounded, parse_config
from calculator.request.calibration import Calibration, calibration_of
from calculator.units import format_gib
from dashboard.frame import chips
from dashboard.frame.chips import labelled
from dashboard.text import plain, sentence, tell

NAME = "calibration"
MOST_GIVEN = 20_000
_GIVEN, _WRONG = "_calibration_given", "_calibration_wrong"


def read(text: str) -> Calibration:
    """Return the calibration that a text holds.

    Raises
    ------
    CalculatorError
        If it holds none, or its engine is not known.
    """
    found = calibration_of(dict(bounded(parse_config(text, NAME))))
    engine_rules(found.engine)
    return found


def parameter(text: str) -> str:
    """Return the text of a calibration, checked."""
    return written(read(text))


def written(calibration: Calibration) -> str:
    """Return a calibration as the state and a link have it."""
    return json.dumps(calibration.stated(), separators=(",", ":"))


def keywords(engine: str, gpu: str | None) -> dict[str, Any]:
    """Return the keyword of ``plan`` where there is a calibration and it is of this engine and device."""
    return of_text(st.session_state[NAME], engine, gpu)


def of_text(held: str | None, engine: str, gpu: str | None) -> dict[str, Any]:
    """Return the keyword of ``plan`` of a calibration as a link has it, where it is of this engine and device."""
    if not held:
        return {}
    calibration = read(held)
    return {} if _why_not(calibration, engine, gpu) else {NAME: calibration}


def searched(engines: Sequence[str], gpus: Sequence[str]) -> dict[str, Any]:
    """Return the keyword of ``size`` where there is a calibration and it is of something that is searched."""
    held = st.session_state[NAME]
    if not held:
        return {}
    calibration = read(held)
    return {} if _why_none(calibration, engines, gpus) else {NAME: calibration}


def _why_none(calibration: Calibration, engines: Sequence[str], gpus: Sequence[str]) -> str:
    """Return why a calibration holds for nothing that is searched; empty where it holds for some."""
    whys = [_why_not(calibration, engine, gpu) for engine in engines for gpu in gpus]
    return "" if not all(whys) else next((why for why in whys if why), "")


def _why_not(calibration: Calibration, engine: str, gpu: str | None) -> str:
    """Return why a calibration does not hold here; empty where it does."""
    try:
        calibration.check(engine, load_gpu(gpu) if gpu else None)
    except calculator.CalculatorError as error:
        return str(error)
    return ""


def chip(engine: str, gpu: str | None) -> None:
    """Show that answers go by a log of a machine, or why they do not, with a button to drop it; nothing without one."""
    held = st.session_state[NAME]
    if not held:
        return
    calibration = read(held)
    _chip(calibration, _why_not(calibration, engine, gpu))


def chip_of_search(engines: Sequence[str], gpus: Sequence[str]) -> None:
    """Show the same of all that is searched; without a calibration a field that takes one."""
    held = st.session_state[NAME]
    if held:
        calibration = read(held)
        _chip(calibration, _why_none(calibration, engines, gpus))
        return
    with st.popover(labelled(tell("No log of a machine"), False)):
        st.text_area(tell("Calibration, as JSON"), key=_GIVEN, max_chars=MOST_GIVEN, on_change=_take)
        wrong = st.session_state.get(_WRONG)
        if wrong:
            st.error(plain(sentence(wrong)))
        st.markdown(tell("A log that is checked gives one: what its machine holds then counts in the search."))


def _take() -> None:
    """Take the calibration that was given, or keep why it is none."""
    text = st.session_state[_GIVEN].strip()
    st.session_state.pop(_WRONG, None)
    try:
        if text:
            st.session_state[NAME] = parameter(text)
    except calculator.CalculatorError as error:
        st.session_state[_WRONG] = str(error)


def _chip(calibration: Calibration, why: str) -> None:
    title = f"{engine_class(calibration.engine).title} {calibration.engine_version}"
    chips.chip(
        tell("Log of {title} not used", title=title) if why else tell("By a log of {title}", title=title),
        "chip_calibration",
        _opened,
        calibration,
        why,
        changed=True,
    )


def _opened(calibration: Calibration, why: str) -> None:
    """Say what the machine holds, or why that is not used here, and offer to drop it."""
    if why:
        st.markdown(plain(sentence(why)))
    else:
        outside = format_gib(calibration.non_torch_bytes)
        st.markdown(
            plain(
                tell(
                    "One GPU holds {outside} outside weights and estimates, as a log of this machine says.",
                    outside=outside,
                )
            )
        )
        if calibration.gpu_memory_bytes:
            st.markdown(plain(tell("Its memory is {size}, as logged.", size=format_gib(calibration.gpu_memory_bytes))))
    st.button(tell("Drop it"), on_click=partial(st.session_state.update, {NAME: None}), key="_drop_calibration")
