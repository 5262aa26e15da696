"""The frame of a page: its name in the bar, and one column of a width that can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

WIDTH, ANSWER_WIDTH = 1200, 720
NAME = "KV-cache planner"
WEIGHTS_ON_LIGHT, KV_ON_LIGHT, KV_SOFT_ON_LIGHT, TEXT_ON_LIGHT = "#b65c12", "#2a70d2", "#93b8ec", "#0b0f17"
WEIGHTS_ON_DARK, KV_ON_DARK, KV_SOFT_ON_DARK, TEXT_ON_DARK = "#b05e1c", "#3274d0", "#7fa9e6", "#e6eaf0"
_BLOCKS = (
    '<rect x="0" y="6" width="12" height="16" rx="2" fill="{weights}"/>'
    '<rect x="14" y="6" width="8" height="16" rx="2" fill="{soft}"/>'
    '<rect x="24" y="6" width="14" height="16" rx="2" fill="{kv}"/>'
)
_ICON = f'<svg xmlns="http://www.w3.org/2000/svg" width="38" height="38" viewBox="0 -5 38 38">{_BLOCKS}</svg>'
_LOGO = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="216" height="28" viewBox="0 0 216 28">{_BLOCKS}'
    '<text x="47" y="20" font-family="Source Sans, Helvetica, Arial, sans-serif" font-size="17" font-weight="600" '
    'fill="{text}">{name}</text></svg>'
)


def is_dark() -> bool:
    """Whether the reader's page is dark."""
    return bool(st.context.theme.type == "dark")


def strong() -> Literal["primary", "secondary"]:
    """Return the kind of the button that is proposed first: white on its hue is too faint on a dark page."""
    return "secondary" if is_dark() else "primary"


def quiet() -> Literal["secondary", "tertiary"]:
    """Return the kind of a chip of an action: without an edge its text is too faint on a dark page while it is open."""
    return "secondary" if is_dark() else "tertiary"


def icon() -> str:
    """Return the icon of the browser's tab; one of one's own, as others would be fetched from elsewhere."""
    return _ICON.format(weights=WEIGHTS_ON_LIGHT, soft=KV_SOFT_ON_LIGHT, kv=KV_ON_LIGHT)


def name_it() -> None:
    """Show the product's name in the bar, in the colours of weights and KV."""
    if is_dark():
        weights, kv, soft, text = WEIGHTS_ON_DARK, KV_ON_DARK, KV_SOFT_ON_DARK, TEXT_ON_DARK
    else:
        weights, kv, soft, text = WEIGHTS_ON_LIGHT, KV_ON_LIGHT, KV_SOFT_ON_LIGHT, TEXT_ON_LIGHT
    st.logo(_LOGO.format(weights=weights, kv=kv, soft=soft, text=text, name=NAME), size="large")


@contextmanager
def beside_actions(actions: Callable[[], None]) -> Iterator[None]:
    """Put the answer first and what is done with it right of it, below it where there is no room, as on a phone."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top"):
        with st.container(gap="xsmall", width=ANSWER_WIDTH):
            yield
        actions()


def centred() -> DeltaGenerator:
    """Return the column that a page stands in: capped and centred on a wide screen, whole on a phone."""
    return st.container(horizontal_alignment="center").container(width=WIDTH)
