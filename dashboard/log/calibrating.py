"""What one machine holds, as a log of it says: kept in the session and in links, used where it holds, and said."""

from __future__ import annotations

import json
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
from dashboard.text import plain, sentence, tell

NAME = "calibration"


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
    why = _why_not(calibration, engine, gpu)
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
