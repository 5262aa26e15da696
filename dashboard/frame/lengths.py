"""Fields of lengths in tokens: 8192, 8K, 32k or 1M typed as text; what is none is said at the field."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import streamlit as st

import calculator
from calculator.messages import phrase
from calculator.units import parse_tokens
from dashboard import state
from dashboard.link.parameters import bounded
from dashboard.text import plain, sentence, tell, told

MOST_CHARS = 40
HELP = phrase("A number, or one with k or m (thousands, millions), K or M (powers of 1,024): 8192, 8K, 32k, 1M")
_IN_THREES = re.compile(r"[0-9]{1,3}(?:,[0-9]{3}){1,6}+")


class SaidAtField(calculator.InvalidValueError):
    """What was typed is no such length; the field says so."""


@dataclass(frozen=True)
class _Wrong:
    """What was typed that is no length, why, the nearest that is one, and what the field held and still holds."""

    text: str
    why: str
    nearest: int | None
    held: int | None


def key(name: str) -> str:
    """Return the key of the text of a parameter's field."""
    return f"_text_{name}"


def field(label: str, name: str, placeholder: str = "", help: str = "", *, boxed: bool = True) -> None:
    """Show the field of a length; once it is read it says the number that was taken.

    Parameters
    ----------
    label : str
        What is asked [-].
    name : str
        The parameter that holds it, an int or None [-].
    placeholder : str
        What an empty field means [-].
    help : str
        What more there is to say of it [-].
    boxed : bool
        Whether it needs a box of its own, so that what is wrong stands close below [-].
    """
    wrong = _wrong(name)
    st.session_state[key(name)] = wrong.text if wrong else _written(st.session_state[name])
    with st.container(gap="xsmall") if boxed else nullcontext():
        st.text_input(
            told(label),
            key=key(name),
            max_chars=MOST_CHARS,
            placeholder=placeholder or told(state.PARAMETERS[name].absent),
            help=tell("{help}. {more}", help=help, more=HELP) if help else told(HELP),
            on_change=_take,
            args=(name,),
        )
        if wrong:
            st.markdown(f":red[{plain(sentence(wrong.why))}]")
            if wrong.nearest is not None:
                st.button(f"{wrong.nearest:,}", key=f"_nearest_{name}", on_click=_give, args=(name, wrong.nearest))


def check(*names: str) -> None:
    """Refuse to answer while a field says that it was not read.

    Raises
    ------
    SaidAtField
        If one of these does.
    """
    for name in names:
        if wrong := _wrong(name):
            raise SaidAtField(wrong.why, what=name, asked=wrong.text, nearest=wrong.nearest)


def read(text: str, name: str) -> int | None:
    """Read a length; None for an empty text.

    Raises
    ------
    CalculatorError
        If it is none, or beyond the bounds of its parameter.
    """
    bounds, plain_text = state.PARAMETERS[name], text.strip()
    if not plain_text:
        return None
    number = plain_text.replace(",", "") if _IN_THREES.fullmatch(plain_text) else plain_text
    found: int = bounded(parse_tokens(number), bounds.least, bounds.most)
    return found


def _take(name: str) -> None:
    """Take what was typed, or keep why it is no length."""
    text = st.session_state[key(name)]
    try:
        _give(name, read(text, name))
    except calculator.CalculatorError as error:
        held = st.session_state[name]
        st.session_state[_key_of_wrong(name)] = _Wrong(text, str(error), _nearest(text, name), held)


def _give(name: str, value: int | None) -> None:
    st.session_state[name] = value
    st.session_state[_key_of_wrong(name)] = None


def _nearest(text: str, name: str) -> int | None:
    """Return the bound that a number is beyond; None where it is no number."""
    bounds = state.PARAMETERS[name]
    try:
        asked: Any = int(text.replace(",", "")) if text.strip().lstrip("-").isdigit() else parse_tokens(text.strip())
    except (calculator.CalculatorError, ValueError):
        return None
    nearest: int = min(max(asked, bounds.least), bounds.most)
    return nearest


def _wrong(name: str) -> _Wrong | None:
    """Return what is wrong with a field, as long as nothing else changed what it holds."""
    wrong: _Wrong | None = st.session_state.get(_key_of_wrong(name))
    return wrong if wrong and wrong.held == st.session_state[name] else None


def _key_of_wrong(name: str) -> str:
    return f"_wrong_{name}"


def _written(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
