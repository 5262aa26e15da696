"""Pinned plans: a short list that a session keeps, each as what a link says of a plan; in the link as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import streamlit as st

import calculator
from calculator.catalogue.presets import all_gpu_ids, load_model
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.request import OPTIONS
from calculator.request.calibration import Calibration
from calculator.units import GIB, gib_to_bytes
from calculator.views.comparing.side_by_side import MOST
from dashboard import state
from dashboard.link import drafts, packing
from dashboard.link.pinned import MOST_PINNED, link_of
from dashboard.log import calibrating
from dashboard.text import tell

OF_PLAN = tuple(
    name
    for name in state.PARAMETERS
    if name in ("model", "gpu", "config_json", calibrating.NAME, *OPTIONS, *state.GIB_FIELDS, *state.OWN_FIELDS)
)
"""What of a link makes a plan."""
assert MOST == MOST_PINNED


def pinned() -> list[str]:
    """Return the pins of this session, the oldest first."""
    pins: list[str] = st.session_state["pinned"]
    return pins


def of_page() -> str:
    """Return the pin of the plan that the landing page shows."""
    return of_link(state.link_of(state.held(*OF_PLAN)))


def of_link(link: Mapping[str, str]) -> str:
    """Return the pin of the plan that a link opens."""
    return packing.pack_text(urlencode({name: value for name, value in link.items() if name in OF_PLAN}))


def of_plan(plan: Plan, model: str = "") -> str:
    """Return the pin of a plan: of a preset, or of the model that the landing page asks for."""
    held = {name: state.PARAMETERS[name].default for name in OF_PLAN}
    held |= {"model": model} if model else state.held("model", *state.OWN_FIELDS, "config_json")
    held["gpu"] = plan.accelerator.id if plan.accelerator.id in all_gpu_ids() else state.CUSTOM
    in_gib = {keyword: name for name, keyword in state.GIB_FIELDS.items()}
    for name, value in plan.asked.items():
        if name in in_gib:
            held[in_gib[name]] = None if value is None else value / GIB
        elif name in held and name not in ("model", "gpu"):
            held[name] = _as_text(value)
    return of_link(state.link_of(held))


def _as_text(value: Any) -> Any:
    """Return what a parameter holds of a keyword's value: mappings and calibrations as text."""
    if isinstance(value, Calibration):
        return calibrating.written(value)
    return json.dumps(value) if isinstance(value, Mapping) else value


def add(pin: str) -> None:
    """Pin a plan; one that is pinned already stays where it is, and of too many the oldest goes."""
    if pin not in pinned():
        st.session_state["pinned"] = [*pinned(), pin][-MOST:]


def drop(pin: str) -> None:
    """Take a pin away."""
    st.session_state["pinned"] = [one for one in pinned() if one != pin]


def toggle(pin: str) -> None:
    """Pin a plan, or take its pin away."""
    (drop if pin in pinned() else add)(pin)


def _toggle_page() -> None:
    toggle(of_page())


def button() -> None:
    """Offer to pin the plan that the landing page shows."""
    held = bool(pinned()) and of_page() in pinned()
    st.button(
        tell("Pinned") if held else tell("Pin"),
        icon=":material/keep:" if held else ":material/keep_public:",
        type="tertiary",
        key="pin",
        on_click=_toggle_page,
        help=tell("Pinned plans stand side by side under Compare, up to {most} of them", most=MOST),
    )


@lru_cache(maxsize=32)
def plan_of(pin: str) -> Plan:
    """Return a pinned plan.

    Raises
    ------
    CalculatorError
        If what is pinned cannot be planned, or is none of this page.
    """
    link = link_of(pin)
    held: dict[str, Any] = {name: state.PARAMETERS[name].default for name in OF_PLAN}
    for name, text in link.items():
        if name not in held:
            raise calculator.InvalidValueError(
                say("pins.pin_names_what_makes", "a pin names what makes no plan"), what="pinned", asked=name
            )
        parameter = state.PARAMETERS[name]
        cleared = parameter.clears and text == state.CLEARED
        # whether there is such a version is for the pinned engine to say
        held[name] = None if cleared else text if name == "engine_version" else parameter.read(text)
    gpu = None if held["gpu"] == state.CUSTOM else held["gpu"]
    asked = {name: held[name] for name in held if name in OPTIONS and name not in ("model", "gpu")}
    for name, keyword in state.GIB_FIELDS.items():
        asked[keyword] = None if held[name] is None else gib_to_bytes(held[name])
    if asked.get("speculative_config"):
        asked["speculative_config"] = drafts.read(asked["speculative_config"])
    own_memory = gpu is None or held["gpu_memory_gib"] is not None
    asked |= calibrating.of_text(held[calibrating.NAME], held["engine"], None if own_memory else gpu)
    asked = {name: value for name, value in asked.items() if value not in (None, "")}
    return calculator.plan(**{"model": _model(held), "gpu": gpu, **asked})


def _model(held: Mapping[str, Any]) -> calculator.ModelArchitecture:
    if held["model"] == state.CUSTOM:
        fields = {name: held[name] for name in state.OWN_FIELDS if held[name] is not None}
        return calculator.custom_model(**fields)
    if held["model"] == state.CONFIG:
        if not held["config_json"]:
            raise calculator.InvalidValueError(
                say("pins.pin_config_without_config", "a pin of a config without the config"), what="pinned"
            )
        from calculator.configs.reader import model_from_hf_config
        from calculator.reading.strict_json import parse_config

        return model_from_hf_config(parse_config(held["config_json"], "config.json"))
    return load_model(held["model"])
