"""How GPUs share a model: ranks that share layers, stages, replicas; what a model or engine cannot have is replaced."""

from __future__ import annotations

from typing import Any

import streamlit as st

import calculator
from calculator.engines import engine_class
from calculator.engines.base import Engine
from calculator.messages import capitalised, say
from calculator.planning.resolve import check_degree, legal_degrees
from dashboard import state
from dashboard.inputs import totals
from dashboard.inputs.numbers import ask_number
from dashboard.text import tell

MAX_DEGREE = 16
OF_SPLIT = ("enable_expert_parallel", "enable_attention_dp")
LEFT_STAGES = "_left_stages"
"""Which engine of whole layers was left for one that shares layers."""


def ask_split(model: calculator.ModelArchitecture | None) -> None:
    """Ask how all GPUs are shared out: ranks, stages, replicas."""
    if model is not None and engine_class(st.session_state["engine"]).splits_layers:
        ask_tensor_parallel(model)
    with st.grid(2, min_column_width=150):
        ask_number(tell("Pipeline stages"), "pipeline_parallel_size")
        ask_number(tell("Replicas"), "data_parallel_size", on_change=totals.share_out)
    ask_ways()


def ask_ways() -> None:
    """Ask for what else an engine has to share a model with."""
    rules = engine_class(st.session_state["engine"])
    if "decode_context_parallel_size" in rules.only_here:
        ask_number(tell("GPUs that share a context"), "decode_context_parallel_size")
    st.checkbox(tell("Experts whole on their GPUs"), key="enable_expert_parallel")
    if "enable_attention_dp" in rules.flags:
        st.checkbox(tell("Attention data parallel"), key="enable_attention_dp")


def ask_tensor_parallel(model: calculator.ModelArchitecture) -> None:
    """Offer the legal degrees; one that is not legal for this model is replaced by the nearest, and said."""
    take_legal_degree(model)
    asked = st.session_state["tensor_parallel_size"]
    offered = [degree for degree in _legal(model) if degree <= MAX_DEGREE or degree == asked]
    st.segmented_control(
        tell("Tensor parallel, GPUs that share a layer"),
        offered,
        key="tensor_parallel_size",
        required=True,
        width="stretch",
    )


def take_legal_degree(model: calculator.ModelArchitecture) -> None:
    """Replace a degree that this model cannot have by the nearest, and say so."""
    asked, legal = st.session_state["tensor_parallel_size"], _legal(model)
    if asked in legal:
        return
    try:
        check_degree(model, degree_options())
    except calculator.ParallelismError as error:
        state.say(say("split.nearest_used", "{error}; that is used.", error=capitalised(str(error))))
    st.session_state["tensor_parallel_size"] = min(legal, key=lambda degree: (abs(degree - asked), degree))


def _legal(model: calculator.ModelArchitecture) -> tuple[int, ...]:
    return legal_degrees(model, degree_options())


def degree_options() -> dict[str, Any]:
    """Return what bears on the degrees that are legal, as the state has it."""
    rules = engine_class(st.session_state["engine"])
    return {
        "tensor_parallel_size": st.session_state["tensor_parallel_size"],
        "enable_attention_dp": bool(st.session_state["enable_attention_dp"]) and "enable_attention_dp" in rules.flags,
        "enable_expert_parallel": bool(st.session_state["enable_expert_parallel"]),
    }


def take_engines_way(rules: type[Engine]) -> None:
    """Share the same GPUs in the way that the engine has: by whole layers, or by ranks that share layers; say so."""
    ranks, stages = st.session_state["tensor_parallel_size"], st.session_state["pipeline_parallel_size"] or 1
    left = st.session_state.pop(LEFT_STAGES, "")
    if not rules.splits_layers and ranks > 1:
        st.session_state.update({"tensor_parallel_size": 1, "pipeline_parallel_size": ranks * stages})
        state.say(
            say(
                "split.whole_layers",
                "{title} puts whole layers on each GPU: TP {ranks} became {parts} parts of the layers.",
                title=rules.title,
                ranks=ranks,
                parts=ranks * stages,
            )
        )
    elif left and stages > 1 and ranks == 1:
        st.session_state.update({"tensor_parallel_size": stages, "pipeline_parallel_size": 1})
        state.say(
            say(
                "split.shared_layers",
                "{title} shares every layer: the {stages} parts of the layers of {left} became TP {stages}.",
                title=rules.title,
                stages=stages,
                left=left,
            )
        )
    if "decode_context_parallel_size" not in rules.only_here:
        st.session_state["decode_context_parallel_size"] = 1
