"""The formula with a plan's numbers, step by step; exact bytes and blocks where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

import calculator
from calculator import views
from calculator.messages import phrase
from calculator.units import format_bytes, format_size, plural
from calculator.views import words
from calculator.views.fits.formula import factors
from dashboard import state
from dashboard.fits import memory, shown
from dashboard.frame.page import quiet
from dashboard.link.tab_names import BESIDE_FORMULA
from dashboard.text import listed, plain, sentence, tell, told

EXACT = "exact"
BYTES, IN_USE, MODEL = phrase("Exact bytes"), phrase("KV in use"), phrase("Model")
PANELS = {BYTES: "memory", IN_USE: "kv-in-use", MODEL: ""}
"""What can be shown, and what links call it."""
MAX_NAMES, MAX_NAME = 40, 120


def show(plan: calculator.Plan, dimmed: bool) -> None:
    """Show what one user's cache is made of."""
    total = _total(plan)
    heading = tell("Why {total} a user", total=format_size(total))
    st.header(f":gray[{heading}]" if dimmed else heading, anchor=False)
    found = factors(plan)
    if found:
        parts = [rf"\underset{{\text{{{told(name)}}}}}{{{value}}}" for value, name in found]
        joined = r" \times ".join(parts)
        product = rf"$\displaystyle {joined}$"  # in a line of text: one of its own would be a region to scroll
        product = f":gray[{product}]" if dimmed else product
    else:
        product = ""
        st.code(f"{words.formula(plan)}\n= {format_size(total)}", language=None, wrap_lines=True)
    rows = [(what, how, format_size(exact)) for what, how, exact in words.formula_steps(plan)]
    before_all = len(rows) - (plan.request.batch_size > 1)
    rows[before_all:before_all] = _copies(plan)
    rows.append(
        (
            tell("Pool of one GPU"),
            tell("{kv_pool_bytes} for the blocks of each user", kv_pool_bytes=format_size(plan.kv_pool_bytes)),
            plural(plan.max_batch_size // plan.request.attention_replicas, "user"),
        )
    )
    st.markdown("\n\n".join(filter(None, (product, _table(rows, dimmed)))))
    if st.session_state["view"] in BESIDE_FORMULA and EXACT not in st.session_state:
        named = {name: label for label, name in PANELS.items()}
        st.session_state[EXACT], st.session_state["_panel"] = True, named[st.session_state["view"]]
    with st.popover(
        tell("Exact bytes and blocks"), key=EXACT, on_change="rerun", type=quiet(), icon=":material/tag:"
    ) as more:
        if more.open:
            _exact(plan)


def _total(plan: calculator.Plan) -> int:
    request = plan.request
    return calculator.kv_cache_bytes(
        plan.model, request.seq_len, 1, request.kv_cache_dtype, encoder_seq_len=request.encoder_seq_len
    )


def _copies(plan: calculator.Plan) -> list[tuple[str, str, str]]:
    """Return the step from one copy to all of a replica, where there are several."""
    if plan.kv_replication == 1:
        return []
    how = tell(
        "{copies} over {gpus_per_replica} GPUs",
        copies=plural(plan.kv_replication, "copy", "copies"),
        gpus_per_replica=plan.gpus_per_replica,
    )
    return [(tell("One user, one replica"), how, format_size(plan.kv_bytes_per_sequence))]


def _table(rows: Sequence[tuple[str, str, str]], dimmed: bool) -> str:
    def cell(text: str) -> str:
        return f":gray[{plain(text)}]" if dimmed else plain(text)

    whole = {ord(" "): "\u00a0"}  # a size is not broken before its unit
    lines = [f"| {cell(what)} | {cell(how)} | {cell(size).translate(whole)} |" for what, how, size in rows]
    return "\n".join([f"| {tell('Step')} | {tell('How')} | {tell('Size')} |", "| --- | --- | ---: |", *lines])


def _exact(plan: calculator.Plan) -> None:
    """Show one of: every figure in exact bytes, what a sequence keeps as it grows, the model as it was understood."""
    st.session_state.setdefault("_panel", BYTES)
    st.segmented_control(
        tell("Of what"),
        list(PANELS),
        format_func=told,
        key="_panel",
        required=True,
        on_change=_remember,
        label_visibility="collapsed",
    )
    chosen = st.session_state["_panel"]
    try:
        if chosen == BYTES:
            steps(plan)
            memory.table(plan)
        elif chosen == IN_USE:
            shown.show(views.VIEWS["kv-in-use"](plan))
        else:
            understood(plan.model)
    except calculator.CalculatorError as error:
        st.info(plain(sentence(str(error))))


def _remember() -> None:
    chosen = PANELS[st.session_state["_panel"]]
    if chosen:
        st.session_state["view"] = chosen
    elif st.session_state["view"] in BESIDE_FORMULA:
        st.session_state["view"] = state.OPENING_VIEW


def steps(plan: calculator.Plan) -> None:
    """Show the steps of the formula in exact bytes."""
    total = _total(plan)
    st.code(
        tell(
            "{formula}\n= {exact}\n= {size} a sequence",
            formula=words.formula(plan),
            exact=format_bytes(total),
            size=format_size(total),
        ),
        language=None,
    )
    rows = [f"| {plain(what)} | {plain(how)} | {exact:,} |" for what, how, exact in words.formula_steps(plan)]
    st.markdown("\n".join([tell("| Step | How | Bytes |"), "| --- | --- | ---: |", *rows]))


def understood(model: calculator.ModelArchitecture) -> None:
    """Show a model as it was understood: the layers, the weights by part, what was assumed and what ignored."""
    st.dataframe(model.layer_rows(), hide_index=True, key="understood_layers", alt=tell("Groups of layers"))
    parts = [{tell("Part"): part, tell("Parameters"): f"{count:,}"} for part, count in model.parts.items()]
    st.dataframe(parts, hide_index=True, key="understood_parts", alt=tell("Parameters by part"))
    for label, names in ((tell("Assumed"), model.assumed), (tell("Ignored keys"), model.ignored_keys)):
        if names:
            st.markdown(plain(tell("{of}: {what}.", of=label, what=_first(names))))


def _first(names: Sequence[str]) -> str:
    """Name the first of many, each cut to a length that can be read."""
    more = tell(" and {names:,} more", names=len(names) - MAX_NAMES) if len(names) > MAX_NAMES else ""
    return listed([name[:MAX_NAME] for name in names[:MAX_NAMES]]) + more
