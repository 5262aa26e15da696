"""What is asked, as the state has it: brought to what engine and model have, and as keywords of ``calculator.plan``."""

from __future__ import annotations

from typing import Any

import streamlit as st

import calculator
from calculator.engines import engine_class
from calculator.request import OPTIONS
from calculator.units import gib_to_bytes
from dashboard import state
from dashboard.inputs.engine import forget_what_it_lacks
from dashboard.inputs.split import take_engines_way, take_legal_degree
from dashboard.link import drafts
from dashboard.log import calibrating


def settle(model: calculator.ModelArchitecture | None) -> None:
    """Bring the state to what the engine and the model have, whichever controls are open; what moves is said.

    It comes before the controls of what it changes.
    """
    rules = engine_class(st.session_state["engine"])
    forget_what_it_lacks(rules)
    take_engines_way(rules)
    if model is not None:
        take_legal_degree(model)


def keywords() -> dict[str, Any]:
    """Turn the state into keywords; GiB become bytes.

    Raises
    ------
    CalculatorError
        If drafts are not as the engine writes them.
    """
    held = st.session_state.to_dict()  # at once: twenty look-ups cost as much
    asked = {name: held[name] for name in state.PARAMETERS if name in OPTIONS}
    for name, keyword in state.GIB_FIELDS.items():
        if held[name] is not None:
            asked[keyword] = gib_to_bytes(held[name])
    if asked["speculative_config"]:
        asked["speculative_config"] = drafts.read(asked["speculative_config"])
    asked |= calibrating.keywords(asked["engine"], _own_gpu())
    return {name: value for name, value in asked.items() if value not in (None, "")}


def calibration_chip() -> None:
    """Show whose log the answers go by, where there is one."""
    calibrating.chip(st.session_state["engine"], _own_gpu())


def _own_gpu() -> str | None:
    """Return the GPU whose memory must be that of a calibration; None where it is given by hand."""
    is_given = st.session_state["gpu"] == state.CUSTOM or st.session_state["gpu_memory_gib"] is not None
    return None if is_given else st.session_state["gpu"]
