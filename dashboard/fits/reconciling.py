"""A start-up log beside the plan: pasted or chosen, read, shown, and kept nowhere."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.engines import titles
from calculator.logs.reading import MAX_LOG_BYTES, read_log
from calculator.logs.reconciliation import Reconciliation, reconcile
from calculator.views import words
from dashboard.text import plain, sentence

LONGEST_PASTE = 2_000_000
SHOWN_LINES = 40
RESULT = "_reconciled"


def show(plan: calculator.Plan) -> None:
    """Ask for a log, and set it beside the plan of the set-up that it states."""
    st.markdown(
        f"Paste what {titles()} printed at start-up: each figure is set beside the "
        "predicted one. The log is read in memory alone; it is not stored, not sent on, and not part of the link."
    )
    st.text_area("Start-up log", key="_log", height=180, max_chars=LONGEST_PASTE)
    st.file_uploader(
        "Or choose the file", key="_log_file", max_upload_size=MAX_LOG_BYTES // 2**20, on_change=_read, args=(plan,)
    )
    st.button("Reconcile it", on_click=_read, args=(plan,), key="_reconcile")
    kept = st.session_state.get(RESULT)
    if isinstance(kept, str):
        st.error(plain(sentence(kept)))
    elif kept is not None:
        _result(kept)


def _read(plan: calculator.Plan) -> None:
    """Read what was pasted, else what was chosen, and forget it; what it does not name is taken from the page."""
    pasted, file = st.session_state.get("_log"), st.session_state.get("_log_file")
    if not pasted and not file:
        st.session_state[RESULT] = "there is no log yet: paste one, or choose a file"
        return
    try:
        log = read_log(pasted if pasted else file.getvalue())
        names_model = "model" in log.flags
        names_device = "device" in log.flags or "memory_gib" in log.figures
        gpu = None if names_device else plan.accelerator
        try:
            st.session_state[RESULT] = reconcile(log, None if names_model else plan.model, gpu)
        except calculator.CalculatorError:
            st.session_state[RESULT] = reconcile(log, plan.model, gpu)
    except calculator.CalculatorError as error:
        st.session_state[RESULT] = str(error)
    st.session_state["_log"] = ""


def _result(result: Reconciliation) -> None:
    """Show the sentence, the cause, the two columns, and what was not understood."""
    (st.success if result.agrees else st.warning)(plain(result.finding))
    for cause in result.causes:
        st.markdown(plain(f"Cause: {cause}."))
    names = ("Figure", "Unit", "Predicted", "Range", "Reported", "Difference")
    rows = [dict(zip(names, words.term_cells(term), strict=True)) for term in result.terms]
    st.dataframe(rows, hide_index=True, key="reconciled", alt="Predicted beside reported, figure by figure")
    lines = [f"Assumed: {assumption}" for assumption in result.assumed] + list(result.log.problems)
    for line in lines:
        st.caption(plain(sentence(line)))
    unread = result.log.not_understood
    more = result.log.unlisted + max(0, len(unread) - SHOWN_LINES)
    if unread:
        with st.expander(f"Lines that were not understood ({len(unread) + result.log.unlisted:,})"):
            st.code("\n".join(f"{number}: {text}" for number, text in unread[:SHOWN_LINES]), language=None)
            if more:
                st.caption(f"And {more:,} more.")
