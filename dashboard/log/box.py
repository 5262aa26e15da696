"""The log itself, pasted or chosen: it stays in its box, and what was read of it in the session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

import calculator
from calculator.engines import titles
from calculator.logs.reading import MAX_LOG_BYTES, StartupLog, read_log
from calculator.logs.reconciliation import Reconciliation
from dashboard.text import plain, sentence, tell

LONGEST_PASTE, LONGEST_SHOWN = 2_000_000, 200_000
"""Characters that the box takes, and those of a file that are put into it."""
_KEPT = "_log_kept"


@dataclass
class Kept:
    """What a session keeps of a log while other pages are shown: never in a link, never on a disk.

    Attributes
    ----------
    text, file : str
        What stands in the box, and the name of a file that is too long for it.
    log : StartupLog or None
        What was read of it last.
    problem : str
        Why the last try to read failed; empty where it did not.
    answers : dict
        Keywords of ``reconcile`` that were answered beside it.
    result : Reconciliation or None
        How it compared last.
    """

    text: str = ""
    file: str = ""
    log: StartupLog | None = None
    problem: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    result: Reconciliation | None = None


def kept() -> Kept:
    """Return what this session keeps."""
    held: Kept = st.session_state.setdefault(_KEPT, Kept())
    return held


def show() -> None:
    """Show the box and its buttons; neither is ever disabled, so that the first click acts."""
    held = kept()
    st.session_state["_log"] = st.session_state.get("_log", held.text)
    st.text_area(tell("Start-up log of {titles}", titles=titles()), key="_log", height=190, max_chars=LONGEST_PASTE)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(tell("Read it"), on_click=_read_box, icon=":material/play_arrow:", key="_read_log")
        with st.popover(tell("Choose a file"), type="tertiary", key="_log_chooser"):
            st.file_uploader(
                tell("Log file"), key="_log_file", max_upload_size=MAX_LOG_BYTES // 2**20, on_change=_read_chosen
            )
        st.button(tell("Clear"), on_click=_clear, type="tertiary", key="_clear_log")
        st.markdown(tell(":gray[Read in memory alone; not stored, not in the link.]"))
    if held.file:
        st.markdown(plain(tell("Read from {file}, which is too long to be shown here.", file=held.file)))
    if held.problem:
        st.error(plain(sentence(held.problem)))


def _read_box() -> None:
    text = st.session_state["_log"]
    if text or not kept().file:
        _read(text, text)


def _read_chosen() -> None:
    chosen = st.session_state["_log_file"]
    if chosen is None:
        return
    content = chosen.getvalue()
    shown = content.decode("utf-8", "replace") if len(content) <= LONGEST_SHOWN else ""
    st.session_state["_log"] = shown
    _read(content, shown, "" if shown else chosen.name)


def _read(content: str | bytes, shown: str, file: str = "") -> None:
    """Read a log, and forget what was answered to an earlier one; one that is none leaves the last answer."""
    held = kept()
    held.text, held.file, held.problem = shown, file, ""
    if not content.strip():
        held.problem = tell("there is no log yet: paste one, or choose a file")
        return
    try:
        held.log = read_log(content)
    except calculator.CalculatorError as error:
        held.problem = str(error)
        return
    held.answers.clear()
    held.result = None


def _clear() -> None:
    st.session_state[_KEPT] = Kept()
    st.session_state["_log"] = ""
