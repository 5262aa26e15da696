"""The formats of weights and cache: what the engine runs on the device, and what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

import calculator
from calculator.catalogue.presets import load_gpu
from calculator.engines import engine_rules
from calculator.engines.support import is_offered
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.formats.names import PLAIN
from dashboard import state
from dashboard.text import tell


def ask_weights(model: calculator.ModelArchitecture) -> None:
    """Ask for the format of the weights."""
    _ask(tell("Weights"), "weight_dtype", weights.FORMATS, lambda name: (name, PLAIN), model.resolve_weight_dtype)


def ask_kv_cache(model: calculator.ModelArchitecture) -> None:
    """Ask for the format of the KV cache."""
    _ask(tell("KV cache"), "kv_cache_dtype", storage.FORMATS, lambda name: (PLAIN, name), model.resolve_kv_dtype)


def _ask(
    label: str,
    key: str,
    known: Iterable[str],
    pair: Callable[[str], tuple[str, str]],
    resolve: Callable[[str], str],
) -> None:
    """Offer what the engine runs on the device; what is asked stays, and the answer says why not."""
    offered = ["auto", *(name for name in known if _runs(*pair(name)))]
    asked = st.session_state[key]
    hidden = len(list(known)) + 1 - len(offered)
    st.selectbox(
        label,
        offered if asked in offered else [asked, *offered],
        format_func=lambda name: f"auto ({resolve(name)})" if name == "auto" else name,
        key=key,
    )
    if hidden:
        st.markdown(tell(":gray[:small[{hidden} more that this engine is not known to run there]]", hidden=hidden))


def _runs(weight: str, kv: str) -> bool:
    """Whether the engine runs a format on the device; any where one of them is not known."""
    held = state.held("engine", "engine_version", "gpu")
    if held["gpu"] == state.CUSTOM:
        return True
    try:
        rules = engine_rules(held["engine"], held["engine_version"] or None)
    except calculator.CalculatorError:
        rules = engine_rules(held["engine"])
    return is_offered(rules, load_gpu(held["gpu"]), weight, kv)
