"""The question below the answer: a row of fields, and chips that open what bears on it besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator.engines import engine_class
from dashboard import inputs, state
from dashboard.fits import prices
from dashboard.frame import chips, lengths
from dashboard.inputs import engine, totals
from dashboard.inputs.split import degree_options
from dashboard.text import tell

GPUS = "gpus"
FIELDS = ("model", "gpu", GPUS, "users", "tokens")


@dataclass(frozen=True)
class Asked:
    """What is asked: a plan's keywords, or why there are none; and the cells that a message can stand in."""

    keywords: Mapping[str, Any]
    gpu: calculator.Accelerator | None
    model: calculator.ModelArchitecture | None
    refusal: calculator.CalculatorError | None
    gpus: totals.Refused | None
    cells: Mapping[str, DeltaGenerator]


def fields() -> Asked:
    """Show the row of fields; return what is asked by all that the state holds."""
    row = st.grid(5, min_column_width=150)
    cells = {name: row.container(gap="xsmall") for name in FIELDS}
    with cells["model"]:
        inputs.choose_model()
    model, refusal = _model()
    with cells["gpu"]:
        gpu = inputs.ask_gpu()
    inputs.settle(model)
    refused = totals.take_gpus(model, degree_options())
    with cells[GPUS]:
        totals.ask_gpus()
    with cells["users"]:
        totals.ask_users()
    with cells["tokens"]:
        inputs.ask_length(model)
        if model is not None:
            inputs.ask_encoder(model)
    keywords: dict[str, Any] = {}
    try:
        lengths.check("seq_len")
        keywords = {"model": model, "gpu": gpu, **inputs.keywords()}
    except calculator.CalculatorError as error:
        refusal = refusal or error
    return Asked(keywords, gpu, model, refusal, refused, cells)


def _model() -> tuple[calculator.ModelArchitecture | None, calculator.CalculatorError | None]:
    """Return the model, or why it is none, so that the rest is still asked; an own one is asked for below the row."""
    try:
        return inputs.chosen_model(), None
    except calculator.CalculatorError as error:
        return None, error


def settings(asked: Asked, plan: calculator.Plan | None) -> None:
    """Show each setting by its present value; a click opens its control."""
    held = state.held("engine_version", "weight_dtype", "kv_cache_dtype", "gpu_memory_utilization")
    rules, model = engine_class(st.session_state["engine"]), asked.model
    with chips.row():
        chips.chip(
            _engine(rules.title, held["engine_version"]),
            "chip_engine",
            inputs.ask_engine_and_version,
            changed=chips.is_changed("engine", "engine_version"),
        )
        chips.chip(_split(), "chip_split", inputs.ask_split, model, changed=chips.is_changed(*_WAYS))
        if model is not None:
            weights = model.resolve_weight_dtype(held["weight_dtype"])
            kept = model.resolve_kv_dtype(held["kv_cache_dtype"])
            own = weights == model.resolve_weight_dtype("auto"), kept == model.resolve_kv_dtype("auto")
            said = tell("Weights {weights}", weights=weights)
            chips.chip(said, "chip_weights", inputs.ask_weights, model, changed=not own[0])
            chips.chip(f"KV {kept}", "chip_kv", inputs.ask_kv_cache, model, changed=not own[1])
        chips.chip(
            _memory(plan), "chip_memory", inputs.ask_memory, asked.gpu, changed=chips.is_changed(*engine.OF_MEMORY)
        )
        label = prices.chip_label(asked.gpu, totals.num_gpus(), prices.given())
        chips.chip(label, "chip_price", prices.ask, asked.gpu, changed=chips.is_changed("prices"))
        inputs.calibration_chip()
        number = inputs.how_many_set(
            *engine.MORE, *engine.BESIDE, *engine.STATE_FORMATS_ASKED, "speculative_config", "other_memory_gib",
            *(name for name in inputs.SWITCHES if name not in engine.OF_SPLIT),
        )  # fmt: skip
        label = tell("More settings: {number} set", number=number) if number else tell("More settings")
        chips.chip(label, "chip_more", inputs.ask_more, quiet=True, changed=bool(number))


_WAYS = (
    "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size", "enable_expert_parallel",
    "enable_attention_dp",
)  # fmt: skip
"""How GPUs share a model, besides their number, which has a field."""


def _engine(title: str, version: str | None) -> str:
    try:
        known = calculator.engine_rules(st.session_state["engine"], version or None)
    except calculator.CalculatorError:
        return title
    return f"{title} {known.version}"


def _split() -> str:
    ranks, stages, replicas = (st.session_state[name] or 1 for name in totals.SPLIT)
    parts = [f"TP {ranks}"] if ranks > 1 or stages == 1 else []
    parts += [f"PP {stages}"] if stages > 1 else []
    parts += [f"DCP {st.session_state['decode_context_parallel_size']}"] if _shares_context() else []
    parts += ["EP"] if st.session_state["enable_expert_parallel"] else []
    parts += [tell("attention DP")] if st.session_state["enable_attention_dp"] else []
    return " · ".join([*parts, tell("{replicas:,} replicas", replicas=replicas) if replicas > 1 else tell("1 replica")])


def _shares_context() -> bool:
    return (st.session_state["decode_context_parallel_size"] or 1) > 1


def _memory(plan: calculator.Plan | None) -> str:
    """Return the share of memory that the engine takes, where it has one to be set."""
    if st.session_state["kv_cache_memory_gib"] is not None:
        return tell(
            "KV pool of {kv_cache_memory_gib:g} GiB", kv_cache_memory_gib=st.session_state["kv_cache_memory_gib"]
        )
    given = st.session_state["gpu_memory_utilization"]
    if given is not None:
        return tell("{given:g} of memory", given=given)
    if plan is None or "gpu_memory_utilization" not in engine_class(st.session_state["engine"]).flags:
        return tell("Memory")
    return tell("{gpu_memory_utilization:.3g} of memory", gpu_memory_utilization=plan.request.gpu_memory_utilization)
