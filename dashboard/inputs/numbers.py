"""Numbers within the bounds that links have too."""

from __future__ import annotations

from typing import Any

import streamlit as st

from calculator.messages import phrase
from dashboard import state
from dashboard.text import told


def ask_number(label: str, key: str, step: float = 1, own_key: str = "", **options: Any) -> None:
    """Show a number within the bounds that links have too, by a key of its own where it is not the parameter itself."""
    bounds = state.PARAMETERS[key]
    st.number_input(label, bounds.least, bounds.most, value=None, step=step, key=own_key or key, **options)


def ask_gib(label: str, key: str, placeholder: str = phrase("estimate")) -> None:
    """Show a size in GiB."""
    ask_number(label, key, step=0.25, format="%.3f", placeholder=told(placeholder))
