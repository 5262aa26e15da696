"""The language of a session: what a link says, else what the reader chose, else the browser's."""

from __future__ import annotations

from contextvars import ContextVar

import streamlit as st

from calculator.errors import unknown_name
from calculator.languages import Language, language, languages, meant_by
from calculator.messages import phrase
from dashboard.frame import page
from dashboard.link.parameters import Parameter

NAME = "lang"
_LINKED = "_language_linked"
_NOW: ContextVar[Language] = ContextVar("language of a run")


def now() -> Language:
    """Return the language that this run speaks; a run of a fragment or of a callback speaks the session's."""
    try:
        return _NOW.get()
    except LookupError:
        found = _of_session()
        _NOW.set(found)
        return found


def choose() -> None:
    """Choose the language of a run of the whole script, before anything is said."""
    linked = st.query_params.get(NAME)
    if linked in languages() and linked != st.session_state.get(_LINKED):
        st.session_state[NAME] = linked
    st.session_state[_LINKED] = st.session_state.get(NAME)  # what the link will say once the page has written it
    _NOW.set(_of_session())


def switch() -> None:
    """Offer the other languages, each by its own name, below the page."""
    others = [language(code) for code in languages() if code != now().code]
    with st.container(horizontal=True, horizontal_alignment="center"):
        for other in others:
            st.button(
                other.name,
                key=f"language-{other.code}",
                type=page.quiet(),
                icon=":material/translate:",
                on_click=_turn,
                args=(other.code,),
            )


def _turn(code: str) -> None:
    st.session_state[NAME] = code


def _of_session() -> Language:
    code = st.session_state.get(NAME)
    return language(code) if code in languages() else meant_by(st.context.locale)


def _parameter(text: str) -> str:
    if text not in languages():
        raise unknown_name("language", text, languages())
    return text


LANGUAGE = {NAME: Parameter(_parameter, None, absent=phrase("the browser's"), keeps=True)}
"""What a link says of the language; nothing means the browser's."""
