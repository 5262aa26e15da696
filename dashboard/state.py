"""The page's state, all of it in the URL: a copied link opens the same answer.

Parameters carry the names of ``calculator.plan``. A link is read when it changes, not at every
run; what it asks for and cannot have is said on the page, with what is used in its place.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

import calculator
from calculator.architecture.decoder import ARCHITECTURE_FIELDS
from calculator.engines import ENGINES, engine_rules
from calculator.errors import shown, unknown_name
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.reading.strict_json import parse_config
from calculator.views import VIEWS

CUSTOM, CONFIG = "custom", "config"
CLEARED = "default"
"""What a link says of a field that was cleared: nothing is asked, so the planner's own default holds."""
MAX_LINK_VALUE = 100
MAX_LINK_CONFIG = 16_384
MAX_CONFIG_BYTES = 262_144
MAX_NAMED = 5
ENGINES_DEFAULT, ESTIMATE = "the engine's default", "the estimate"
_SEEN, _PROBLEMS = "_link", "_link_problems"

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
OPENING_VIEW = "sequence-length"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a link and of its widget: how it is read, its default, its bounds, whether it can be cleared.

    What a link leaves out is ``default``; a field that the reader cleared is written as ``CLEARED`` where that is
    something else.
    """

    read: Callable[[str], Any]
    default: Any
    least: Any = None
    most: Any = None
    absent: str = "nothing"
    clears: bool = False


def _choice(check: Callable[[str], Any], default: str, *also: str) -> Parameter:
    def read(text: str) -> str:
        if text not in also:
            check(text)
        return text

    return Parameter(read, default)


def _preset(known: Callable[[], tuple[str, ...]], what: str) -> Callable[[str], None]:
    """Return a check for preset ids alone: a link must not make the server read a file."""

    def check(text: str) -> None:
        if text not in known():
            raise unknown_name(what, text, known())

    return check


def _count(default: int | None, most: int, absent: str = ENGINES_DEFAULT, clears: bool = True) -> Parameter:
    return Parameter(lambda text: _bounded(_whole(text), 1, most), default, 1, most, absent, clears)


def _decimal(default: float | None, least: float, most: float, absent: str = ESTIMATE) -> Parameter:
    return Parameter(lambda text: _bounded(_float(text), least, most), default, least, most, absent, clears=True)


def _whole(text: str) -> int:
    plain = text.strip()
    if not plain.isascii() or not plain.removeprefix("-").isdigit():
        raise calculator.InvalidValueError(f"must be a whole number, not {shown(text)}")
    return int(plain)


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value:
        raise calculator.InvalidValueError(f"must be a number, not {shown(text)}")
    return value


def _bounded(value: Any, least: Any, most: Any) -> Any:
    if not least <= value <= most:
        raise calculator.InvalidValueError(f"must lie between {least:,} and {most:,}, not {shown(value)}")
    return value


VIEW_IDS = (*VIEWS, "memory", "reconcile", "about")


def _view(text: str) -> str:
    if text not in VIEW_IDS:
        raise unknown_name("view", text, VIEW_IDS)
    return text


def _version(text: str) -> str:
    engine_rules(st.session_state["engine"], text)
    return text


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise calculator.InvalidValueError(f"must be true or false, not {shown(text)}")
    return text == "true"


def _packed_config(text: str) -> str:
    """Unpack a config from a link, never to more than it may hold."""
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.urlsafe_b64decode(text), MAX_CONFIG_BYTES)
        whole = not unpacker.unconsumed_tail and unpacker.eof
        plain = content.decode("utf-8")
    except (binascii.Error, zlib.error, UnicodeDecodeError, ValueError):
        raise calculator.InvalidValueError("is not a config that this page packed") from None
    if not whole:
        raise calculator.InvalidValueError(f"unpacks to more than {MAX_CONFIG_BYTES:,} bytes, or is cut off")
    parse_config(plain, "the link's config")
    return plain


def pack_config(content: str) -> str:
    """Pack a config for a link; spaces are left out."""
    dense = json.dumps(parse_config(content, "the config"), separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(dense.encode("utf-8"), 9)).decode("ascii")


_MILLION, _BILLION = 1_000_000, 1_000_000_000

PARAMETERS = {
    "model": _choice(_preset(calculator.model_ids, "model"), "llama-3-70b", CUSTOM, CONFIG),
    "gpu": _choice(_preset(calculator.gpu_ids, "GPU"), "a100-80gb-sxm", CUSTOM),
    "tensor_parallel_size": _count(4, 65_536, clears=False),
    "seq_len": _count(8192, _BILLION),
    "batch_size": _count(16, _BILLION),
    "weight_dtype": _choice(weight_format, "auto", "auto"),
    "kv_cache_dtype": _choice(storage_format, "auto", "auto"),
    "pipeline_parallel_size": _count(1, 1024),
    "data_parallel_size": _count(1, 65_536),
    "encoder_seq_len": _count(None, _BILLION, "512"),
    "engine": _choice(engine_rules, next(iter(ENGINES))),
    "engine_version": Parameter(_version, None, absent="the newest known"),
    "gpu_memory_utilization": _decimal(None, 0.01, 1.0, ENGINES_DEFAULT),
    "decode_context_parallel_size": _count(1, 65_536),
    "enable_expert_parallel": Parameter(_flag, False),
    "enable_attention_dp": Parameter(_flag, False),
    "disable_hybrid_kv_cache_manager": Parameter(_flag, False),
    "swa_full": Parameter(_flag, False),
    "enforce_eager": Parameter(_flag, False),
    "language_model_only": Parameter(_flag, False),
    "block_size": _count(None, 1_048_576),
    "max_num_seqs": _count(None, 1_048_576),
    "max_num_batched_tokens": _count(None, 16_777_216),
    "gpu_memory_gib": _decimal(None, 0.1, float(_MILLION), "what the catalogue says"),
    "kv_cache_memory_gib": _decimal(None, 0.001, float(_MILLION), "what is left"),
    "activation_gib": _decimal(None, 0.0, float(_MILLION)),
    "non_torch_gib": _decimal(None, 0.0, float(_MILLION)),
    "cuda_graph_gib": _decimal(None, 0.0, float(_MILLION)),
    **{
        name: _count(None, ARCHITECTURE_FIELDS[name]["schema"]["le"], "nothing")
        for name in (*ARCHITECTURE_COUNTS, *OPTIONAL_COUNTS)
    },
    "tie_word_embeddings": Parameter(_flag, None),
    "config_json": Parameter(_packed_config, None),
    "view": Parameter(_view, OPENING_VIEW),
    "log_x": Parameter(_flag, False),
}
_BELONGS_TO = {**dict.fromkeys(OWN_FIELDS, CUSTOM), "config_json": CONFIG}
_STREAMLITS_OWN = ("embed", "embed_options")


def load() -> None:
    """Read the link into the widgets' state where it is new; forget old problems once the reader changes something."""
    link = st.query_params.to_dict()
    if link != st.session_state.get(_SEEN):
        st.session_state[_PROBLEMS] = _apply(link)
    elif _current() != link:
        st.session_state[_PROBLEMS] = []
    for name, parameter in PARAMETERS.items():
        st.session_state[name] = st.session_state.get(name, parameter.default)


def problems() -> list[str]:
    """Return what the link, or a change of model, asked for in vain, and what is used in its place."""
    said: list[str] = st.session_state[_PROBLEMS]
    return said


def say(problem: str) -> None:
    """Add a problem, shown until the reader changes something."""
    if problem not in st.session_state[_PROBLEMS]:
        st.session_state[_PROBLEMS].append(problem)


def _apply(link: Mapping[str, str]) -> list[str]:
    said = []
    unknown = sorted(set(link) - set(PARAMETERS) - set(_STREAMLITS_OWN))
    for name in unknown[:MAX_NAMED]:
        said.append(f"The link names {shown(name)}, which this page does not have; it was left out.")
    if len(unknown) > MAX_NAMED:
        said.append(f"The link names {len(unknown) - MAX_NAMED} more that this page does not have.")
    for name, parameter in PARAMETERS.items():
        st.session_state[name] = parameter.default
        if name in link:
            try:
                st.session_state[name] = _read(name, parameter, link[name], link.get("model"))
            except calculator.CalculatorError as error:
                used = parameter.absent if parameter.default is None else parameter.default
                said.append(f"The link asked for {name}={shown(link[name], 40)}: {error}. Used in its place: {used}.")
    return said


def _read(name: str, parameter: Parameter, text: str, model: str | None) -> Any:
    owner = _BELONGS_TO.get(name)
    if owner and model != owner:
        raise calculator.InvalidValueError(f"belongs to model={owner}")
    most = MAX_LINK_CONFIG if name == "config_json" else MAX_LINK_VALUE
    if len(text) > most:
        raise calculator.InvalidValueError(f"longer than {most:,} characters")
    return None if parameter.clears and text == CLEARED else parameter.read(text)


def save() -> None:
    """Write the whole state to the URL, defaults included, so that links outlive a change of default."""
    state = _current()
    if state != st.query_params.to_dict():
        st.query_params.from_dict(state)
    st.session_state[_SEEN] = state


def _current() -> dict[str, str]:
    """Return the state as the parameters of a link."""
    model = st.session_state.get("model")
    state = {
        name: _written(name, st.session_state[name])
        for name in PARAMETERS
        if _is_said(name, st.session_state.get(name)) and _BELONGS_TO.get(name, model) == model
    }
    kept = {name: value for name, value in st.query_params.to_dict().items() if name in _STREAMLITS_OWN}
    return kept | state


def _is_said(name: str, value: Any) -> bool:
    """Whether a link must say a value: all but what a link means that leaves it out and the field is empty."""
    return value not in (None, "") or (PARAMETERS[name].clears and PARAMETERS[name].default is not None)


def _written(name: str, value: Any) -> str:
    if value in (None, ""):
        return CLEARED
    if name == "config_json":
        return pack_config(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def change(**values: Any) -> None:
    """Change inputs from outside their widgets."""
    for name, value in values.items():
        st.session_state[name] = value
