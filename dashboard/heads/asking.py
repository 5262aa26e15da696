"""What the page of KV heads asks: a row of fields, chips that open a setting, the number of KV heads, goals."""

from __future__ import annotations

from typing import Any

import streamlit as st

import calculator
from calculator.engines import engine_class
from calculator.planning.heads.goals import GOALS
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.variants import query_heads
from calculator.views.heads.chosen import LATENT, OWN, name_of, names, row_of
from dashboard import inputs, state
from dashboard.text import plain, sentence

GOAL_LABELS = {
    "min_batch_size": "Users that it must hold",
    "min_output_tokens_per_second": "Tokens a second, all users",
    "max_tpot_s": "Seconds a token, at most",
}
STEPS = {"min_output_tokens_per_second": 100.0, "max_tpot_s": 0.005}
SPECIAL = {LATENT: "MLA", OWN: "as it is"}


def ask() -> calculator.HeadStudy:
    """Show the fields and the chips; return the study of what they hold.

    Raises
    ------
    CalculatorError
        If a model is not possible, or no number of KV heads can be planned.
    """
    row, below = st.grid(4, min_column_width=150), st.container()
    with row.container():
        model = _model(below)
    with row.container():
        gpu = inputs.ask_gpu()
    with row.container():
        inputs.ask_number("Users at once", "batch_size", help="Sequences that one replica must hold")
    with row.container():
        inputs.ask_number("Tokens each", "seq_len", step=1024, help="Prompt and generated")
        if not isinstance(model, calculator.CalculatorError):
            inputs.ask_encoder(model)
    if isinstance(model, calculator.CalculatorError):
        raise model
    with st.container(horizontal=True, gap="xsmall"):
        _chips(model, gpu)
    asked = {**inputs.keywords(), "model": model, "gpu": gpu}
    asked = {name: value for name, value in asked.items() if value is not None}
    return calculator.head_study(**asked, constant_parameters=bool(st.session_state["constant_parameters"]))


def _model(
    below: st.delta_generator.DeltaGenerator,
) -> calculator.ModelArchitecture | calculator.CalculatorError:
    """Ask for the model; return why it is none where it is not possible, so that the rest is still asked."""
    try:
        return inputs.ask_model(below)
    except calculator.CalculatorError as error:
        return error


def _chips(model: calculator.ModelArchitecture, gpu: calculator.Accelerator | None) -> None:
    """Show each setting by its present value; a click opens it."""
    with st.popover(f"TP {st.session_state['tensor_parallel_size']}", key="chip_tp"):
        inputs.ask_tensor_parallel(model)
    with st.popover(f"Weights {model.resolve_weight_dtype(st.session_state['weight_dtype'])}", key="chip_weights"):
        inputs.ask_weights(model)
    with st.popover(f"KV {model.resolve_kv_dtype(st.session_state['kv_cache_dtype'])}", key="chip_kv"):
        inputs.ask_kv_cache(model)
    with st.popover(engine_class(st.session_state["engine"]).title, key="chip_engine"):
        inputs.ask_engine(gpu)
    constant = bool(st.session_state["constant_parameters"])
    with st.popover("Parameters kept" if constant else "Parameters shrink", key="chip_parameters"):
        st.markdown(
            "Fewer KV heads need smaller projections. What they free can go to the MLP, as in Llama 2's ablation."
        )
        _toggle("Keep the parameters by widening the MLP", "constant_parameters")
    stated = sum(st.session_state[name] is not None for name in GOALS)
    with st.popover(f"Goals: {stated}" if stated else "Goals", key="chip_goals"):
        for name, label in GOAL_LABELS.items():
            shown = "%g" if name in STEPS else None
            inputs.ask_number(label, name, step=STEPS.get(name, 1), placeholder="no goal", format=shown)
        _toggle("No KV head on more than one GPU", "without_copies")


def _toggle(label: str, name: str) -> None:
    """Show a switch that a link says only where it is on."""
    st.session_state[f"_{name}"] = bool(st.session_state[name])
    st.toggle(label, key=f"_{name}", on_change=_take_toggle, args=(name,))


def _take_toggle(name: str) -> None:
    st.session_state[name] = True if st.session_state[f"_{name}"] else None


def choose(study: calculator.HeadStudy) -> HeadRow:
    """Show the numbers of KV heads that are legal; return the row of the chosen one, by default the model's own."""
    row = _asked_row(study)
    offered = names(study.rows)
    if len(offered) > 1:
        heads = query_heads(study.model)
        st.session_state["_kv_heads"] = name_of(row)
        st.select_slider(
            f"KV heads G, from MQA (1) to MHA ({heads}, one for each query head)",
            offered,
            format_func=lambda name: SPECIAL.get(name, name),
            key="_kv_heads",
            on_change=_take_heads,
        )
    return row


def _take_heads() -> None:
    st.session_state["kv_heads"] = st.session_state["_kv_heads"]


def _asked_row(study: calculator.HeadStudy) -> HeadRow:
    """Return the row that is asked for; one that this model cannot have is replaced by the nearest, and said."""
    try:
        return row_of(study, st.session_state["kv_heads"])
    except calculator.InvalidValueError as error:
        state.say(f"{sentence(str(error))}; that is used.")
        st.session_state["kv_heads"] = error.nearest
        return row_of(study, error.nearest)


def goals(study: calculator.HeadStudy) -> None:
    """Say which numbers meet the goals, where any is stated."""
    stated: dict[str, Any] = {name: st.session_state[name] for name in GOALS if st.session_state[name] is not None}
    if stated:
        st.markdown(f"**Goals.** {plain(study.recommend(**stated).finding)}")
