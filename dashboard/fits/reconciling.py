"""A start-up log beside the plan: pasted or chosen, read, asked about what it does not say, shown, and kept nowhere."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.engines import titles
from calculator.logs.held import how_often_it_held
from calculator.logs.questions import Question, ask_for_gpu, ask_for_model
from calculator.logs.reading import MAX_LOG_BYTES, StartupLog, read_log
from calculator.logs.reconciliation import Reconciliation, reconcile
from calculator.views import words
from dashboard.text import plain, sentence

LONGEST_PASTE = 2_000_000
SHOWN_LINES = 40
READ, ANSWERS = "_log_read", {"model": "_log_model", "gpu": "_log_gpu"}
"""What was read of the log, or why it could not be; and the fields for what it does not say."""


def show(plan: calculator.Plan) -> None:
    """Ask for a log, and set it beside the plan of the set-up that it states."""
    st.markdown(
        f"Paste what {titles()} printed at start-up: each figure is set beside the "
        "predicted one. The log is read in memory alone; it is not stored, not sent on, and not part of the link."
    )
    st.text_area("Start-up log", key="_log", height=180, max_chars=LONGEST_PASTE)
    st.file_uploader("Or choose the file", key="_log_file", max_upload_size=MAX_LOG_BYTES // 2**20, on_change=_read)
    st.button("Reconcile it", on_click=_read, key="_reconcile")
    log = st.session_state.get(READ)
    if isinstance(log, str):
        st.error(plain(sentence(log)))
    elif log is not None:
        _compared(log, plan)


def _read() -> None:
    """Read what was pasted, else what was chosen, and forget it and what was answered to an earlier one."""
    pasted, file = st.session_state.get("_log"), st.session_state.get("_log_file")
    for key in ANSWERS.values():
        st.session_state.pop(key, None)
    try:
        if not pasted and not file:
            st.session_state[READ] = "there is no log yet: paste one, or choose a file"
            return
        st.session_state[READ] = read_log(pasted if pasted else file.getvalue())
    except calculator.CalculatorError as error:
        st.session_state[READ] = str(error)
    st.session_state["_log"] = ""


def _compared(log: StartupLog, plan: calculator.Plan) -> None:
    """Ask the first thing that the log does not say, and show how it compares as far as it goes."""
    answers = {name: st.session_state.get(key) for name, key in ANSWERS.items()}
    # a field that was answered stays, so that the answer can be changed
    if answers["model"]:
        _ask(_for_model(log), plan)
    try:
        result = reconcile(log, answers["model"], answers["gpu"])
    except calculator.CalculatorError as error:
        if error.what != "model" or answers["model"]:
            st.error(plain(sentence(str(error))))
        else:
            _ask(_for_model(log), plan)
        return
    if answers["gpu"]:
        _ask(ask_for_gpu(str(log.flags.get("device", "")), log.figures.get("free_at_start_gib", 0.0)), plan)
    elif result.missing:
        _ask(result.missing[0], plan)
    _result(result)


def _for_model(log: StartupLog) -> Question:
    return ask_for_model(str(log.flags.get("model", "")), calculator.model_ids())


def _ask(question: Question, plan: calculator.Plan) -> None:
    """Show a field beside the log for one thing; the page's own choice stands in it and is never taken unasked."""
    own = {"model": plan.model.id, "gpu": plan.accelerator.id}[question.keyword]
    known = {"model": calculator.model_ids, "gpu": calculator.gpu_ids}[question.keyword]()
    choices = list(dict.fromkeys([*question.choices, *known]))
    if own in choices and own not in question.choices[:8]:
        choices = list(dict.fromkeys([own, *choices]))
    st.selectbox(
        plain(sentence(question.text)),
        choices,
        index=None,
        key=ANSWERS[question.keyword],
        placeholder="Choose one",
    )


def _result(result: Reconciliation) -> None:
    """Show the sentence, the cause, the two columns, and what was not understood."""
    (st.success if result.agrees else st.warning)(plain(result.finding))
    for cause in result.causes:
        st.markdown(plain(f"Cause: {cause}."))
    names = ("Figure", "Unit", "Predicted", "Range", "Reported", "Difference")
    rows = [dict(zip(names, words.term_cells(term), strict=True)) for term in result.terms]
    st.dataframe(rows, hide_index=True, key="reconciled", alt="Predicted beside reported, figure by figure")
    held = how_often_it_held(result.log.engine)
    lines = [f"Assumed: {assumption}" for assumption in result.assumed] + list(result.log.problems)
    for line in ([held] if held else []) + lines:
        st.caption(plain(sentence(line)))
    unread = result.log.bears_on_memory
    more = result.log.others + max(0, len(unread) - SHOWN_LINES)
    if unread:
        with st.expander(f"Lines that were not understood ({len(unread) + result.log.others:,})"):
            st.code("\n".join(f"{number}: {text}" for number, text in unread[:SHOWN_LINES]), language=None)
            if more:
                st.caption(f"And {more:,} more.")
