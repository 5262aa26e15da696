"""How many tokens: a number, and a slider with the usual lengths as marks."""

from __future__ import annotations

import streamlit as st

import calculator
from dashboard.frame import lengths
from dashboard.text import tell

FIRST_MARK = 512
_MARK = "_seq_len_mark"


def ask_length(model: calculator.ModelArchitecture | None) -> None:
    """Ask for the tokens of a sequence: by number, or by a slider up to the model's longest."""
    lengths.field(
        tell("Tokens each"), "seq_len", tell("the model's longest"), tell("Prompt and answer together"), boxed=False
    )
    if model is None:
        return
    longest = model.max_position_embeddings
    asked = st.session_state["seq_len"] or longest
    offered = sorted({*marks(longest), asked})
    st.session_state[_MARK] = asked
    if len(offered) > 1:
        st.select_slider(
            tell("Tokens each, from the usual lengths"),
            offered,
            format_func=in_short,
            key=_MARK,
            on_change=_take,
            label_visibility="collapsed",
        )


def marks(longest: int) -> list[int]:
    """Return the usual lengths up to the longest: powers of two, and the longest itself [tokens]."""
    powers = [1 << power for power in range(FIRST_MARK.bit_length() - 1, longest.bit_length())]
    return sorted({*powers, longest})


def in_short(tokens: int) -> str:
    """Write a length as people say it: 8K and 1M where it is such a multiple of 1,024, else the number."""
    for size, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if tokens >= size and not tokens % size:
            return f"{tokens // size:,}{letter}"
    return f"{tokens:,}"


def _take() -> None:
    st.session_state["seq_len"] = st.session_state[_MARK]
