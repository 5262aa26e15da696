"""The other way round: what runs on the GPUs that the reader has."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator.engines import ENGINES, engine_class
from calculator.hardware import custom_accelerator
from calculator.planning.sizing.owned import WhatRuns
from calculator.units import gib_to_bytes
from calculator.views.sizing import answer
from dashboard import downloads, inputs, state
from dashboard.frame import lengths
from dashboard.link.need_parameters import NEED
from dashboard.need import searching, tables
from dashboard.need.found import OPENS
from dashboard.need.opening import link_of_plan
from dashboard.text import plain, tell, told


def ask() -> WhatRuns:
    """Show the question; return what runs.

    Raises
    ------
    CalculatorError
        If what is asked is not possible.
    """
    count = NEED["num_gpus"]
    with st.grid(3, min_column_width=150):
        with st.container():
            gpu = inputs.ask_gpu()
        st.number_input(
            tell("GPUs"), count.least, count.most, value=None, key="num_gpus", placeholder=told(count.absent)
        )
        length = state.PARAMETERS["seq_len"].default
        lengths.field(tell("Tokens each, at least"), "seq_len", placeholder=f"{length:,}")
    with st.popover(engine_class(st.session_state["engine"]).title):
        st.selectbox(tell("Engine"), list(ENGINES), format_func=lambda name: engine_class(name).title, key="engine")
    lengths.check("seq_len")
    if gpu is None:
        gpu = custom_accelerator(gib_to_bytes(st.session_state["gpu_memory_gib"]))
    return searching.what_runs(
        gpu,
        st.session_state["num_gpus"] or count.default,
        st.session_state["engine"],
        st.session_state["seq_len"] or length,
    )


def say(slot: DeltaGenerator, found: WhatRuns, dimmed: bool) -> None:
    """Say what runs, and in which format the largest."""
    headline = plain(answer.owned_headline(found))
    with slot.container():
        st.title(tell(":gray[Before: {headline}]", headline=headline) if dimmed else headline, anchor=False)
        if found.rows:
            first = found.rows[0]
            held = tell("{max_batch_size:,} at once of the largest", max_batch_size=first.max_batch_size)
            of = tell(" on {num_gpus:,} of them", num_gpus=first.num_gpus) if first.num_gpus < found.num_gpus else ""
            said = plain(
                tell(
                    "In {weight_dtype}{of}, at the low end of the memory's range.",
                    weight_dtype=first.weight_dtype,
                    of=of,
                )
            )
            st.markdown(f":gray[{held}. {said}]" if dimmed else f":green-badge[:material/check: {held}] {said}")


def show(found: WhatRuns) -> None:
    """Show the models that run, and those that do not."""
    if found.rows:
        tables.show(tables.RUNS, found.rows, "need-runs", str(found.finding), lambda clicked: _open(found, clicked))
        downloads.of_rows("what-runs", found, {})
    if found.refused:
        with st.popover(tell("{refused:,} do not run: why", refused=len(found.refused)), type="tertiary"):
            for model, why in found.refused:
                st.markdown(f"- {plain(calculator.load_model(model).name)}: {plain(why)}")


def _open(found: WhatRuns, clicked: str) -> None:
    row = found.rows[st.session_state[clicked]["row"]]
    st.session_state[OPENS] = link_of_plan(row.plan, model=row.model, batch_size=row.max_batch_size)
