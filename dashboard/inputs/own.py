"""A preset, and an architecture typed by hand: one form, taken when it is sent."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.catalogue.presets import load_model, model_file
from calculator.messages import joined, phrase, say
from dashboard import state
from dashboard.frame.page import strong
from dashboard.inputs.numbers import ask_number
from dashboard.text import tell, told

ARCHITECTURE_LABELS = {
    "num_layers": phrase("Layers, L"),
    "num_attention_heads": phrase("Query heads, H"),
    "num_key_value_heads": phrase("KV heads, G"),
    "head_dim": phrase("Head size, d_k"),
    "hidden_size": phrase("Hidden size"),
    "intermediate_size": phrase("MLP size"),
    "vocab_size": phrase("Vocabulary"),
    "max_position_embeddings": phrase("Longest context"),
    "num_experts": phrase("Experts"),
    "num_experts_per_tok": phrase("Experts a token"),
    "moe_intermediate_size": phrase("Expert size"),
}
_LAST, _FILLED = "_last_model", "_own_filled"
"""The model that was shown before, and what was last put into the fields by another than the reader."""


def field_key(name: str) -> str:
    """Return the key of a field of the form: what is typed there is no parameter until it is sent."""
    return f"_own_{name}"


def _fill_in() -> None:
    """Put parameters into their fields where they come from elsewhere; what is typed and not sent yet stays."""
    filled = st.session_state.setdefault(_FILLED, {})
    for name in state.OWN_FIELDS:
        held, key = st.session_state[name], field_key(name)
        if key not in st.session_state or filled.get(name) != held:
            st.session_state[key] = filled[name] = held


def _take() -> None:
    """Take what stands in the fields, all at once."""
    taken = {name: st.session_state[field_key(name)] for name in state.OWN_FIELDS}
    st.session_state.update({**taken, _FILLED: dict(taken)})


def preset() -> calculator.ModelArchitecture:
    """Return the preset that is chosen."""
    model = load_model(st.session_state["model"])
    st.session_state[_LAST] = model.id
    return model


def own_model() -> calculator.ModelArchitecture:
    """Ask for an architecture by hand, starting from the preset that was shown before.

    Raises
    ------
    CalculatorError
        If it is not possible.
    """
    raw = model_file().entries[st.session_state.get(_LAST, state.PARAMETERS["model"].default)]
    raw = raw if "num_layers" in raw else model_file().entries[state.PARAMETERS["model"].default]
    given = [name for name in state.OWN_FIELDS if st.session_state[name] is not None]
    missing = [name for name in (*state.ARCHITECTURE_COUNTS, "tie_word_embeddings") if name not in given]
    for name in missing if given else state.OWN_FIELDS:
        st.session_state[name] = raw.get(name)
    if given and missing:
        state.say(
            say(
                "own.taken",
                "An own architecture needs more than was given; taken from {name}: {taken}.",
                name=raw["name"],
                taken=joined(", ", [f"{name} {raw.get(name)}" for name in missing]),
            )
        )
    _fill_in()
    with st.form("own_architecture"):
        with st.grid(6, min_column_width=120):
            for name, label in ARCHITECTURE_LABELS.items():
                needed = tell("none") if name in state.OPTIONAL_COUNTS else tell("needed")
                ask_number(told(label), name, own_key=field_key(name), placeholder=needed)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.form_submit_button(tell("Use this architecture"), type=strong(), on_click=_take)
            st.checkbox(tell("The head is the embedding"), key=field_key("tie_word_embeddings"))
            st.markdown(tell(":gray[:small[A gated MLP, two norms a layer and no biases are assumed.]]"))
    fields = {name: st.session_state[name] for name in state.OWN_FIELDS}
    return calculator.custom_model(**{name: value for name, value in fields.items() if value is not None})
