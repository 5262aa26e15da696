"""How the numbers are made: three formulas with their symbols, what is not modelled, and where rules were read."""

from __future__ import annotations

import streamlit as st

from calculator.messages import phrase
from calculator.planning.traffic.timing.step import EXPERT_FACTOR, KV_FACTOR
from calculator.views import words
from calculator.views.pages import method
from dashboard.text import ended, plain, sentence, tell

FORMULAS = (
    (
        phrase("KV of one user"),
        r"2\,G\,d\,L\,s\,b",
        phrase(
            "G KV heads, d elements of a head, L layers, s tokens, b bytes an element. One of TP "
            "GPUs holds G / TP heads, rounded up. Layers with a window stop at it; latent and state "
            "layers keep rows of their own."
        ),
    ),
    (
        phrase("KV pool of one GPU"),
        r"u\,M - W - A - O - C",
        phrase(
            "u share that the engine may use, M memory that a program sees, W weights, A "
            "activations, O outside the allocator, C graphs. Each engine takes its own of them; only "
            "A, O and C are estimates, with a range."
        ),
    ),
    (
        phrase("Time of one step"),
        rf"\frac{{W_d + {EXPERT_FACTOR:g}\,W_e + {KV_FACTOR:g}\,K}}{{BW}} + \frac{{2\,P\,N}}{{F}} + c\,L",
        phrase(
            "What a step reads over bandwidth BW: W_d dense weights, W_e experts that N tokens "
            "touch, K cache; P active parameters at F FLOP a second; c a layer's launches. Links and "
            "prompts that join come on top."
        ),
    ),
)
"""A title, the formula, and its symbols."""


def show() -> None:
    """Show the three formulas beside each other."""
    st.subheader(tell("How it is computed"), anchor=False)
    with st.grid(3, min_column_width=260, gap="large"):
        for title, formula, symbols in FORMULAS:
            with st.container(gap="xsmall"):
                st.markdown(f"**{plain(title)}**")
                st.latex(formula)
                st.markdown(f":gray[{plain(symbols)}]")


def not_modelled() -> None:
    """Show what is not modelled: here, and on no other page."""
    st.subheader(tell("What is not modelled"), anchor=False)
    st.markdown(ended(sentence(words.LEFT_OUT)))


def sources() -> None:
    """Show where the rules of each engine were read."""
    st.subheader(tell("Where the rules are from"), anchor=False)
    st.markdown(
        tell(
            "Presets carry the config that they were read from and a date; engines' rules are read "
            "from the engines' own packages, version by version. Public start-ups and speeds are "
            "shipped as tables, each row with its link."
        )
    )
    for title, version, source in method.sources():
        with st.expander(tell("{title}, up to {version}", title=plain(title), version=plain(version))):
            st.markdown(f":small[{plain(source)}]")
