"""The page's state, all of it in the URL: a copied link opens the same answer.

Parameters carry the names of ``calculator.plan``. A link is read when it changes, not at every
run; what it asks for and cannot have is said on the page, with what is used in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

import calculator
from calculator.decoder import ARCHITECTURE_FIELDS
from calculator.errors import shown
from calculator.request import PLAN_FIELDS
from calculator.schema import Schema, number, optional
from calculator.storage import storage_format
from calculator.views import VIEWS
from calculator.weights import weight_format

CUSTOM = "custom"
MAX_LINK_VALUE = 100
_SEEN = "_link"
_PROBLEMS = "_link_problems"

GIB_FIELDS = {
    "gpu_memory_gib": "gpu_memory_bytes",
    "kv_cache_memory_gib": "kv_cache_memory_bytes",
    "activation_gib": "activation_bytes",
    "non_torch_gib": "non_torch_bytes",
    "cuda_graph_gib": "cuda_graph_bytes",
}
ARCHITECTURE_COUNTS = (
    "num_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_size", "intermediate_size",
    "vocab_size", "max_position_embeddings",
)  # fmt: skip
OPTIONAL_COUNTS = ("num_experts", "num_experts_per_tok", "moe_intermediate_size")
OWN_FIELDS = (*ARCHITECTURE_COUNTS, *OPTIONAL_COUNTS, "tie_word_embeddings")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a link: how it is read, and what it is without one."""

    read: Callable[[str], Any]
    default: Any


def _choice(check: Callable[[str], Any], *also: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in also:
            check(text)
        return text

    return read


def _count(name: str, fields: Mapping[str, Any]) -> Callable[[str], int]:
    schema = Schema({name: fields[name]})

    def read(text: str) -> int:
        plain = text.strip()
        value: Any = int(plain) if plain.removeprefix("-").isdecimal() and plain.isascii() else _float(plain)
        return int(schema.validate({name: value})[name])

    return read


def _decimal(name: str, maximum: float, above: float = 0) -> Callable[[str], float]:
    schema = Schema({name: optional(number(maximum, above))})

    def read(text: str) -> float:
        value = _float(text)
        return float(schema.validate({name: float(value) if isinstance(value, int | float) else value})[name])

    return read


def _float(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _view(text: str) -> str:
    if text not in (*VIEWS, "memory"):
        raise calculator.InvalidValueError(f"view must be one of {', '.join((*VIEWS, 'memory'))}, not {shown(text)}")
    return text


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise calculator.InvalidValueError(f"must be true or false, not {shown(text)}")
    return text == "true"


_COUNTS = {name: field for name, field in PLAN_FIELDS.items() if not name.endswith(("_bytes", "_dtype"))}

PARAMETERS = {
    "model": Parameter(_choice(calculator.load_model, CUSTOM), "llama-3-70b"),
    "gpu": Parameter(_choice(calculator.load_gpu, CUSTOM), "a100-80gb-sxm"),
    "tensor_parallel_size": Parameter(_count("tensor_parallel_size", _COUNTS), 4),
    "seq_len": Parameter(_count("seq_len", _COUNTS), 8192),
    "batch_size": Parameter(_count("batch_size", _COUNTS), 16),
    "weight_dtype": Parameter(_choice(weight_format, "auto"), "auto"),
    "kv_cache_dtype": Parameter(_choice(storage_format, "auto"), "auto"),
    "pipeline_parallel_size": Parameter(_count("pipeline_parallel_size", _COUNTS), 1),
    "data_parallel_size": Parameter(_count("data_parallel_size", _COUNTS), 1),
    "gpu_memory_utilization": Parameter(_decimal("gpu_memory_utilization", 1), 0.9),
    "block_size": Parameter(_count("block_size", _COUNTS), None),
    "max_num_seqs": Parameter(_count("max_num_seqs", _COUNTS), None),
    "max_num_batched_tokens": Parameter(_count("max_num_batched_tokens", _COUNTS), None),
    **{name: Parameter(_decimal(name, 1e6, above=-1e-9), None) for name in GIB_FIELDS},
    **{name: Parameter(_count(name, ARCHITECTURE_FIELDS), None) for name in (*ARCHITECTURE_COUNTS, *OPTIONAL_COUNTS)},
    "tie_word_embeddings": Parameter(_flag, None),
    "view": Parameter(_view, "sequence-length"),
    "log_x": Parameter(_flag, False),
}
_STREAMLITS_OWN = ("embed", "embed_options")


def load() -> None:
    """Read the link into the widgets' state where it is new; forget old problems once the reader changes something."""
    link = st.query_params.to_dict()
    if link != st.session_state.get(_SEEN):
        st.session_state[_PROBLEMS] = _apply(link)
    elif _current() != link:
        st.session_state[_PROBLEMS] = []
    for name, parameter in PARAMETERS.items():
        if name not in st.session_state:
            st.session_state[name] = parameter.default


def problems() -> list[str]:
    """Return what the link, or a change of model, asked for in vain, and what is used in its place."""
    said: list[str] = st.session_state[_PROBLEMS]
    return said


def say(problem: str) -> None:
    """Add a problem, shown until the reader changes something."""
    st.session_state[_PROBLEMS].append(problem)


def _apply(link: Mapping[str, str]) -> list[str]:
    said = []
    for name in sorted(set(link) - set(PARAMETERS) - set(_STREAMLITS_OWN))[:5]:
        said.append(f"The link names {shown(name)}, which this page does not have; it was left out.")
    for name, parameter in PARAMETERS.items():
        st.session_state[name] = parameter.default
        text = link.get(name)
        if text is None:
            continue
        try:
            if len(text) > MAX_LINK_VALUE:
                raise calculator.InvalidValueError(f"longer than {MAX_LINK_VALUE} characters")
            st.session_state[name] = parameter.read(text)
        except calculator.CalculatorError as error:
            used = "nothing" if parameter.default is None else f"{parameter.default}"
            said.append(f"The link asked for {name}={shown(text, 40)}: {error}. Used in its place: {used}.")
    return said


def save() -> None:
    """Write the whole state to the URL, defaults included, so that links outlive a change of default."""
    state = _current()
    if state != st.query_params.to_dict():
        st.query_params.from_dict(state)
    st.session_state[_SEEN] = state


def _current() -> dict[str, str]:
    """Return the state as the parameters of a link."""
    own = st.session_state.get("model") == CUSTOM
    state = {
        name: _written(st.session_state[name])
        for name in PARAMETERS
        if st.session_state.get(name) is not None and (own or name not in OWN_FIELDS)
    }
    kept = {name: value for name, value in st.query_params.to_dict().items() if name in _STREAMLITS_OWN}
    return kept | state


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else str(value)


def change(**values: Any) -> None:
    """Change inputs from outside their widgets."""
    for name, value in values.items():
        st.session_state[name] = value
