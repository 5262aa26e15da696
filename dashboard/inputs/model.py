"""Which model: a preset, an architecture of one's own, or a config.json."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import streamlit as st

import calculator
from calculator.catalogue.presets import stated_name
from calculator.messages import phrase
from dashboard import state
from dashboard.inputs import own
from dashboard.inputs.numbers import ask_number
from dashboard.text import tell, told

LABELS = {state.CUSTOM: phrase("Own architecture"), state.CONFIG: phrase("From a config.json")}
ENCODER_TOKENS = 512


def ask_model(below: AbstractContextManager[Any] | None = None) -> calculator.ModelArchitecture:
    """Ask for the model, and for what an own one is: here, or below a row that has no room for it.

    Raises
    ------
    CalculatorError
        If an architecture typed by hand or a config is not possible.
    """
    choose_model()
    with below or nullcontext():
        return chosen_model()


def choose_model() -> None:
    """Show the list of models."""
    st.selectbox(
        tell("Model"),
        [*calculator.model_ids(), *LABELS],
        format_func=_model_name,
        key="model",
        on_change=_forget_checkpoint,
    )


def chosen_model() -> calculator.ModelArchitecture:
    """Return the model that is chosen; ask for what an own one is.

    Raises
    ------
    CalculatorError
        If an architecture typed by hand or a config is not possible.
    """
    return _MODELS.get(st.session_state["model"], own.preset)()


def ask_encoder(model: calculator.ModelArchitecture) -> None:
    """Ask for the encoder's tokens, of a model that needs them."""
    if model.needs_encoder:
        st.session_state["encoder_seq_len"] = st.session_state["encoder_seq_len"] or ENCODER_TOKENS
        ask_number(tell("Encoder length, tokens"), "encoder_seq_len")
    else:
        st.session_state["encoder_seq_len"] = None


def _config_model() -> calculator.ModelArchitecture:
    from dashboard.inputs.config import config_model  # what reads a config is a third of what the page imports

    return config_model()


_MODELS = {state.CUSTOM: own.own_model, state.CONFIG: _config_model}


def _model_name(key: str) -> str:
    return told(LABELS[key]) if key in LABELS else _preset_name(key)


@cache
def _preset_name(key: str) -> str:
    """Return a model's name and what else it is searched by: its repository, and its id where that says more."""
    said = " · ".join(filter(None, stated_name(key)))
    return said if _is_found(key, said) else f"{said} · {key}"


def _is_found(typed: str, label: str) -> bool:
    """Whether a list that is searched by letters in their order finds a label."""
    letters = iter(label.lower())
    return all(letter in letters for letter in typed.lower())


def _forget_checkpoint() -> None:
    """Forget the stored bytes of a checkpoint when another model is chosen: they belonged to the one before."""
    st.session_state["checkpoint_gib"] = None
