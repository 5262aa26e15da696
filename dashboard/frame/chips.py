"""Chips: each says the present value of a setting and opens its control, which is made only while it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.frame import page
from dashboard.text import plain


def row() -> DeltaGenerator:
    """Return the row that chips stand in; it wraps where the screen is narrow."""
    return st.container(horizontal=True, gap="xsmall", vertical_alignment="center")


def chip(
    label: str, key: str, control: Callable[..., object], *args: Any, quiet: bool = False, icon: str | None = None,
    disabled: bool = False,
) -> None:  # fmt: skip
    """Show a chip.

    Parameters
    ----------
    label : str
        The present value [-].
    key : str
        Its name in the state of the page [-].
    control : callable
        What it opens [-].
    *args : object
        What the control is called with [-].
    quiet : bool
        Whether it is an action beside the answer, or rarely wanted [-].
    icon : str, optional
        An icon of its own [-].
    disabled : bool
        Whether it cannot be opened now [-].
    """
    kind = page.quiet() if quiet else "secondary"
    with st.popover(plain(label), key=key, on_change="rerun", type=kind, icon=icon, disabled=disabled) as opened:
        if opened.open:
            control(*args)
