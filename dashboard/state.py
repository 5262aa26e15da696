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
from calculator.engines import engine_rules
from calculator.errors import shown, unknown_name
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.reading.fields import Count, Flag, Number
from calculator.reading.strict_json import parse_config
from calculator.request import OPTIONS, Option, Page
from dashboard.tab_names import TABS

CUSTOM, CONFIG = "custom", "config"
CLEARED = "default"
"""What a link says of a field that was cleared: nothing is asked, so the planner's own default holds."""
MAX_LINK_VALUE = 100
MAX_LINK_CONFIG = 16_384
MAX_CONFIG_BYTES = 262_144
MAX_NAMED = 5
_SEEN, _PROBLEMS, _PAGE = "_link", "_link_problems", "_page"


def _on_page(name: str) -> str:
    """Return what the page calls an option: a size is in GiB there."""
    return name.removesuffix("_bytes") + "_gib" if OPTIONS[name].is_bytes else name


GIB_FIELDS = {_on_page(name): name for name, option in OPTIONS.items() if option.page and option.is_bytes}
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


def _number(field: Count | Number, default: Any, absent: str, page: Page) -> Parameter:
    """Return the parameter of a number, within the bounds that the page has or the field."""
    least = page.least if page.least is not None else getattr(field, "least", 0.0)
    most = page.most if page.most is not None else field.most
    kind = _float if isinstance(least, float) else _whole
    return Parameter(lambda text: _bounded(kind(text), least, most), default, least, most, absent, page.clears)


def _parameter(name: str, option: Option) -> Parameter:
    """Return the parameter of an option, by what the table says of it."""
    default = OPENING.get(name, option.default)
    if isinstance(option.field, Flag):
        return Parameter(_flag, default)
    if isinstance(option.field, Count | Number) and option.page:
        return _number(option.field, default, option.absent, option.page)
    read = _READERS[name]
    return Parameter(read, default, absent=option.absent) if default is None else _choice(read, default, default)


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


VIEW_IDS = tuple(TABS)


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


OPENING = {
    "model": "llama-3-70b",
    "gpu": "a100-80gb-sxm",
    "tensor_parallel_size": 4,
    "seq_len": 8192,
    "batch_size": 16,
}
"""What a page opens with that a link says nothing to."""
_READERS: dict[str, Callable[[str], Any]] = {
    "weight_dtype": weight_format,
    "kv_cache_dtype": storage_format,
    "engine": engine_rules,
    "engine_version": _version,
}
"""How text is checked that not every text may be."""

PARAMETERS = {
    "model": _choice(_preset(calculator.model_ids, "model"), OPENING["model"], CUSTOM, CONFIG),
    "gpu": _choice(_preset(calculator.gpu_ids, "GPU"), OPENING["gpu"], CUSTOM),
    **{_on_page(name): _parameter(name, option) for name, option in OPTIONS.items() if option.page},
    **{
        name: _number(ARCHITECTURE_FIELDS[name], None, "nothing", Page(least=1))
        for name in (*ARCHITECTURE_COUNTS, *OPTIONAL_COUNTS)
    },
    "tie_word_embeddings": Parameter(_flag, None),
    "config_json": Parameter(_packed_config, None),
    "view": Parameter(_view, OPENING_VIEW),
    "log_x": Parameter(_flag, False),
}
_BELONGS_TO = {**dict.fromkeys(OWN_FIELDS, CUSTOM), "config_json": CONFIG}
_STREAMLITS_OWN = ("embed", "embed_options")


def load(page: str = "") -> None:
    """Read the link into the widgets' state where it is new; forget old problems once the reader changes something.

    Turning to another page empties the link: what was asked there holds on.
    """
    link = st.query_params.to_dict()
    turned = st.session_state.get(_PAGE, page) != page
    st.session_state[_PAGE] = page
    if turned and not set(link) - set(_STREAMLITS_OWN):
        st.session_state[_PROBLEMS] = []
    elif link != st.session_state.get(_SEEN):
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
