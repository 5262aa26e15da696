"""Chips: each says the present value of a setting and opens its control, which is made only while it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from calculator.messages import phrase
from dashboard import state
from dashboard.frame import page
from dashboard.text import plain, told

CHANGED = phrase("Other than by default")


def labelled(label: str, changed: bool) -> str:
    """Return what a chip says as Markdown; what is other than by default is in the accent of both themes, and bold.

    A chip of the primary kind would be white on the accent, which is too faint on a dark page.
    """
    return f":blue[**{plain(label)}**]" if changed else plain(label)


def is_changed(*names: str) -> bool:
    """Return whether any of some parameters is other than a page opens with [-]."""
    return any(
        st.session_state[name] not in (None, "", False, []) and st.session_state[name] != state.PARAMETERS[name].default
        for name in names
    )


def row() -> DeltaGenerator:
    """Return the row that chips stand in; it wraps where the screen is narrow."""
    return st.container(horizontal=True, gap="xsmall", vertical_alignment="center")


def chip(
    label: str, key: str, control: Callable[..., object], *args: Any, quiet: bool = False, icon: str | None = None,
    disabled: bool = False, changed: bool = False,
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
    changed : bool
        Whether its value is other than by default [-].
    """
    kind = page.quiet() if quiet else "secondary"
    with st.popover(
        labelled(label, changed), key=key, on_change="rerun", type=kind, icon=icon, disabled=disabled,
        help=told(CHANGED) if changed else None,
    ) as opened:  # fmt: skip
        if opened.open:
            control(*args)
