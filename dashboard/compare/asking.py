"""What of the other plan is other: a row of fields, each empty where it stays as it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

import calculator
from calculator.catalogue.presets import load_gpu, load_model
from calculator.engines import ENGINES, engine_class
from calculator.engines.versions import in_words
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.planning.answer import Plan
from calculator.views import on_engine
from dashboard.link.compare_parameters import COMPARE, OTHER, SAME


def other() -> dict[str, Any]:
    """Show the fields; return the keywords that are other."""
    now = st.session_state["to_engine"] or st.session_state["engine"]
    chosen = engine_class(now)
    with st.grid(4, min_column_width=150):
        _select("Model", "to_model", calculator.model_ids(), lambda key: load_model(key).name)
        _select("GPU", "to_gpu", calculator.gpu_ids(), lambda key: load_gpu(key).name)
        _select("Engine", "to_engine", tuple(ENGINES), lambda key: engine_class(key).title)
        _versions(chosen)
        bounds = COMPARE["to_tensor_parallel_size"]
        st.number_input(
            "Tensor parallel", bounds.least, bounds.most, value=None, key="to_tensor_parallel_size", placeholder=SAME
        )
        _select("Weights", "to_weight_dtype", ("auto", *weights.FORMATS))
        _select("KV cache", "to_kv_cache_dtype", ("auto", *storage.FORMATS))
    return {name.removeprefix(OTHER): st.session_state[name] for name in COMPARE if st.session_state[name] is not None}


def _select(label: str, name: str, options: tuple[str, ...], shown: Any = str) -> None:
    st.selectbox(label, options, index=None, format_func=shown, key=name, placeholder=SAME)


def _versions(engine: type[calculator.engines.base.Engine]) -> None:
    """Offer the versions at which rules change; any other can be typed."""
    versions = list(dict.fromkeys(in_words(change.since) for change in reversed(engine.changes)))
    asked = st.session_state["to_engine_version"]
    options = versions if asked in (None, *versions) else [asked, *versions]
    st.selectbox(
        f"Version of {engine.title}", options, index=None, key="to_engine_version", placeholder=SAME,
        accept_new_options=True,
    )  # fmt: skip


def planned(before: Plan, changes: dict[str, Any]) -> Plan:
    """Return the other plan: on another engine the same request with that engine's own defaults, then what is other.

    Raises
    ------
    CalculatorError
        If it cannot be.
    """
    rest = {name: value for name, value in changes.items() if name != "engine"}
    return calculator.vary(on_engine(before, changes.get("engine", before.request.engine)), **rest)
