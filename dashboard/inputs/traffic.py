"""What is asked of traffic: means, a shipped table or a trace, and the risk; a trace is kept by this session alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import streamlit as st

import calculator
from calculator.messages import phrase, say
from calculator.planning.traffic.tables import columns_of, workload_from_text
from dashboard.frame import lengths
from dashboard.link import packing
from dashboard.link.traffic_parameters import MEANS, OF_MEANS, TRACE, TRAFFIC
from dashboard.text import plain, sentence, tell, told

TABLE = "table"
KINDS = {MEANS: phrase("Means"), TABLE: phrase("Shipped table"), TRACE: phrase("Trace")}
MAX_TRACE_MIB = 8
MAX_PASTED = 1_000_000
LABELS = {
    "prompt_tokens": phrase("Prompt, tokens"),
    "output_tokens": phrase("Output, tokens"),
    "prompt_cv": phrase("Variation of prompts"),
    "output_cv": phrase("Variation of outputs"),
    "correlation": phrase("Correlation"),
    "risk": phrase("Risk"),
    "requests_per_second": phrase("Requests per second, in all"),
    "shared_prefix_tokens": phrase("Shared prefix, tokens"),
    "max_output_tokens": phrase("Longest output asked"),
}
HELP = {
    "prompt_cv": phrase("Coefficient of variation: standard deviation over mean"),
    "output_cv": phrase("Coefficient of variation: standard deviation over mean"),
    "correlation": phrase("Of the two lengths, from -1 to 1"),
    "risk": phrase("Share of the time in which the pool may be exceeded: 0.01 is 1 %"),
    "requests_per_second": phrase("Over all replicas; marks how many decode at that rate"),
    "shared_prefix_tokens": phrase("Leading tokens that all prompts share, kept once"),
    "max_output_tokens": phrase("Answers end there; some engines set all of it aside"),
}
STEPS = {"prompt_cv": 0.1, "output_cv": 0.1, "correlation": 0.1, "risk": 0.005, "requests_per_second": 1.0}
LENGTHS = ("prompt_tokens", "output_tokens", "shared_prefix_tokens", "max_output_tokens")
_KEPT, _WRONG = "_trace_kept", "_trace_wrong"


@dataclass(frozen=True)
class Traffic:
    """What is asked.

    Attributes
    ----------
    workload : Workload
        The traffic.
    risk : float
        That the pool is exceeded [-].
    requests_per_second : float or None
        Arrivals, where they were given [1/s].
    """

    workload: calculator.Workload
    risk: float
    requests_per_second: float | None


def ask() -> Traffic:
    """Show the inputs; return what is asked.

    Raises
    ------
    CalculatorError
        If there can be no such traffic, or the trace is not read.
    """
    chosen = choose_kind()
    names = [name for name in LABELS if chosen == MEANS or name not in OF_MEANS]
    with st.grid(5, min_column_width=150):
        for name in names:
            field(name)
    return asked()


def choose_kind() -> str:
    """Ask where the lengths are from, and for the table or the trace; return which it is."""
    chosen = st.session_state["_traffic"] = kind()
    st.segmented_control(
        tell("Traffic"),
        list(KINDS),
        format_func=lambda kind: told(KINDS[kind]),
        key="_traffic",
        required=True,
        on_change=_take_kind,
    )
    if chosen == TABLE:
        _table(st.session_state["workload"])
    if chosen == TRACE:
        _trace()
    return chosen


def asked() -> Traffic:
    """Return what is asked by the fields as they stand.

    Raises
    ------
    CalculatorError
        If there can be no such traffic, or the trace is not read.
    """
    lengths.check(*(name for name in LENGTHS if kind() == MEANS or name not in OF_MEANS))
    return Traffic(_workload(kind()), value("risk"), value("requests_per_second"))


def kind() -> str:
    """Return where the lengths are from: means, a table or a trace."""
    asked = st.session_state["workload"]
    return asked if asked in (MEANS, TRACE) else TABLE


def field(name: str) -> None:
    """Show the field of a number."""
    bounds = TRAFFIC[name]
    if name in LENGTHS:
        lengths.field(LABELS[name], name, help=HELP.get(name, ""))
        return
    st.number_input(
        told(LABELS[name]),
        bounds.least,
        bounds.most,
        value=None,
        step=STEPS[name],
        format="%g",
        key=name,
        help=told(HELP[name]) if name in HELP else None,
        placeholder=told(bounds.absent),
    )


def value(name: str) -> Any:
    """Return what a field holds; what a link means that says nothing where it was cleared."""
    held = st.session_state[name]
    return TRAFFIC[name].default if held is None else held


def _workload(kind: str) -> calculator.Workload:
    more = {"shared_prefix_tokens": value("shared_prefix_tokens"), "max_output_tokens": value("max_output_tokens")}
    rate = value("requests_per_second")
    if kind == MEANS:
        return calculator.Workload(rate or 1.0, **{name: value(name) for name in OF_MEANS}, **more)
    found = calculator.workload(st.session_state["workload"]) if kind == TABLE else _of_trace()
    return replace(found, requests_per_second=rate or found.requests_per_second, **more)


def _take_kind() -> None:
    chosen = st.session_state["_traffic"]
    st.session_state["workload"] = calculator.workload_ids()[0] if chosen == TABLE else chosen


def _take_table() -> None:
    st.session_state["workload"] = st.session_state["_table"]


def _table(asked: str) -> None:
    """Offer the shipped tables; each with its licence and source."""
    st.session_state["_table"] = asked
    st.selectbox(tell("Table"), calculator.workload_ids(), key="_table", on_change=_take_table)
    found = calculator.workload(asked)
    st.caption(
        plain(
            tell(
                "{lengths}. Licence {licence}. Source: {source}.",
                lengths=_lengths(found),
                licence=found.licence,
                source=found.source,
            )
        )
    )


def _trace() -> None:
    """Ask for a trace, pasted or as a file; say what was read of it, and at the field what was wrong."""
    st.markdown(
        tell(
            "A trace has a request a line: CSV with the columns `input_tokens` and `output_tokens`, "
            "and `timestamp_s` if it is known, or JSON lines with these names. It is read in memory "
            "alone; it is not stored and not sent on."
        )
    )
    st.text_area(tell("Paste a trace"), key="_trace_pasted", height=120, max_chars=MAX_PASTED)
    st.file_uploader(
        tell("Or choose the file"),
        type=["csv", "jsonl", "json", "txt"],
        key="_trace_file",
        max_upload_size=MAX_TRACE_MIB,
        on_change=_read,
    )
    st.button(tell("Read the trace"), on_click=_read, key="_trace_read")
    wrong = st.session_state.get(_WRONG)
    if wrong:
        st.error(plain(sentence(wrong)))
    if not awaits_trace():
        found = _of_trace()
        st.caption(plain(tell("Read: {lengths}.", lengths=_lengths(found))))
        if not st.session_state["trace"]:
            st.caption(tell("This trace is too long for a link: whoever opens the link is asked for it."))


def wrong() -> bool:
    """Whether what was last tried as a trace could not be read, so that an older one still stands."""
    return bool(st.session_state.get(_WRONG)) and st.session_state["workload"] == TRACE


def awaits_trace() -> bool:
    """Whether a trace is asked for and none was read yet."""
    has_one = st.session_state["trace"] or st.session_state.get(_KEPT)
    return st.session_state["workload"] == TRACE and not has_one


def _lengths(found: calculator.Workload) -> str:
    requests = len(found.trace[0]) if found.trace else 0
    return tell(
        "{requests:,} requests, in the mean {prompt_tokens:,.0f} tokens in and "
        "{output_tokens:,.0f} out, variation {prompt_cv:.2f} and {output_cv:.2f}",
        requests=requests,
        prompt_tokens=found.prompt_tokens,
        output_tokens=found.output_tokens,
        prompt_cv=found.prompt_cv,
        output_cv=found.output_cv,
    )


def _read() -> None:
    """Read what was pasted, else what was chosen; keep it packed for the link, or for this session where it is long."""
    pasted, file = st.session_state.get("_trace_pasted"), st.session_state.get("_trace_file")
    if not pasted and not file:
        st.session_state[_WRONG] = phrase("there is no trace yet: paste one, or choose a file")
        return
    content = pasted.encode("utf-8", "surrogatepass") if pasted else file.getvalue()
    try:
        if len(content) > MAX_TRACE_MIB * 2**20:
            raise calculator.InvalidValueError(
                say(
                    "traffic.trace_larger_than_mib",
                    "the trace is larger than {max_trace_mib} MiB, the most that is read",
                    max_trace_mib=MAX_TRACE_MIB,
                )
            )
        found = workload_from_text(content, "trace")
        packed = packing.pack_trace(columns_of(BytesIO(content), "trace"))
    except calculator.CalculatorError as error:
        st.session_state[_WRONG] = str(error)
        return
    st.session_state.update({"trace": packed, _KEPT: None if packed else found, _WRONG: None, "_trace_pasted": ""})


def _of_trace() -> calculator.Workload:
    packed, kept = st.session_state["trace"], st.session_state.get(_KEPT)
    if packed:
        return _unpacked(packed)
    if kept is None:
        raise calculator.InvalidValueError(
            say("traffic.no_trace_read_yet", "no trace is read yet: paste one, or choose a file")
        )
    found: calculator.Workload = kept
    return found


@lru_cache(maxsize=8)
def _unpacked(packed: str) -> calculator.Workload:
    return workload_from_text(packing.unpack_trace(packed).encode(), "trace")
