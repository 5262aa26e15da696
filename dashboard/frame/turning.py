"""Turning from one page to another; a page is known by its address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

_PAGES = "_pages"
FITS, NEED, COMPARE, LOG, METHOD = "", "need", "compare", "log", "method"


def remember(pages: Sequence[StreamlitPage]) -> None:
    """Remember the pages that there are, for links between them."""
    st.session_state[_PAGES] = {page.url_path: page for page in pages}


def to(address: str) -> StreamlitPage:
    """Return the page of an address."""
    found: StreamlitPage = st.session_state[_PAGES][address]
    return found


def has(address: str) -> bool:
    """Whether there is a page of an address."""
    return address in st.session_state[_PAGES]
