"""Method and accuracy: how far off the answers have been, how they are made, and what is not modelled."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.frame import page
from dashboard.method import formulas, proof
from dashboard.text import plain


def show() -> None:
    """Show the proof, then the formulas, what is not modelled, the misses and the sources."""
    with page.centred():
        with st.container(gap="xsmall"):
            proof.answer()
        with st.grid(2, min_column_width=480, gap="large"):
            with st.container():
                proof.by_engine()
                formulas.not_modelled()
            with st.container():
                proof.chart()
        formulas.show()
        proof.misses()
        formulas.sources()
        for problem in state.problems():
            st.warning(plain(problem))
        state.save()
