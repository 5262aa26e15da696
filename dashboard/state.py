"""The page's state, all of it in the URL: a copied link opens the same answer.

Parameters carry the names of ``calculator.plan``. A link is read when it changes, not at every
run; what it asks for and cannot have is said on the page, with what is used in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

import calculator
from calculator import messages
from calculator.architecture.decoder import ARCHITECTURE_FIELDS
from calculator.architecture.limits import MAX_TOKENS
from calculator.catalogue.presets import all_gpu_ids, gpu_id
from calculator.engines import engine_rules
from calculator.errors import shown, unknown_name
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.messages import phrase
from calculator.reading.fields import Between, Choice, Count, Flag, Number
from calculator.request import OPTIONS, Option, Page
from dashboard.language import LANGUAGE
from dashboard.link import drafts
from dashboard.link.compare_parameters import COMPARE
from dashboard.link.heads_parameters import HEADS, LONG_LISTS
from dashboard.link.need_parameters import LONG, MAX_LIST, NEED
from dashboard.link.packing import MAX_LINK_PACKED, pack_config, packed_config
from dashboard.link.parameters import CLEARED, Parameter, bounded, choice, flag, model_meant, number, preset, whole
from dashboard.link.pinned import PINNED
from dashboard.link.tab_names import IDS
from dashboard.link.traffic_parameters import MEANS, OF_MEANS, TRACE, TRAFFIC
from dashboard.log import calibrating

CUSTOM, CONFIG = "custom", "config"
MAX_LINK_VALUE = 100
MAX_LINK_MAPPING = 4_000
MAX_NAMED = 5
MOST_HAD = 8
_SEEN, _PROBLEMS, _PAGE, _HAD = "_link", "_link_problems", "_page", "_links_had"


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
TOTAL_USERS = "total_batch_size"
"""Users over all replicas, where those do not share them out evenly; a link may say it in place of ``batch_size``."""


def _number(field: Count | Number | Between, default: Any, absent: str, page: Page) -> Parameter:
    """Return the parameter of a number, within the bounds that the page has or the field."""
    least = page.least if page.least is not None else getattr(field, "least", 0.0)
    most = page.most if page.most is not None else field.most
    kind = number if isinstance(least, float) else whole
    return Parameter(lambda text: bounded(kind(text), least, most), default, least, most, absent, page.clears)


def _one_of(field: Choice) -> Callable[[str], str]:
    """Return a check for the names of a choice."""

    def check(text: str) -> str:
        if text not in field.names:
            raise unknown_name("format", text, field.names)
        return text

    return check


def _parameter(name: str, option: Option) -> Parameter:
    """Return the parameter of an option, by what the table says of it."""
    default = OPENING.get(name, option.default)
    if isinstance(option.field, Flag):
        return Parameter(flag, default)
    if isinstance(option.field, Count | Number | Between) and option.page:
        return _number(option.field, default, option.absent, option.page)
    if isinstance(option.field, Choice):
        return choice(_one_of(option.field), default, default)
    read = _READERS[name]
    return Parameter(read, default, absent=option.absent) if default is None else choice(read, default, default)


VIEW_IDS = IDS


def _view(text: str) -> str:
    if text not in VIEW_IDS:
        raise unknown_name("view", text, VIEW_IDS)
    return text


def _version(text: str) -> str:
    engine_rules(st.session_state["engine"], text)
    return text


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
    "speculative_config": drafts.parameter,
}
"""How text is checked that not every text may be."""

PARAMETERS = {
    "model": choice(preset(calculator.model_ids, "model", model_meant), OPENING["model"], CUSTOM, CONFIG),
    "gpu": choice(preset(all_gpu_ids, "GPU", gpu_id), OPENING["gpu"], CUSTOM),
    **{_on_page(name): _parameter(name, option) for name, option in OPTIONS.items() if option.page},
    **{
        name: _number(ARCHITECTURE_FIELDS[name], None, "nothing", Page(least=1))
        for name in (*ARCHITECTURE_COUNTS, *OPTIONAL_COUNTS)
    },
    "tie_word_embeddings": Parameter(flag, None),
    TOTAL_USERS: Parameter(
        lambda text: bounded(whole(text), 1, MAX_TOKENS), None, 1, MAX_TOKENS, phrase("batch_size of each replica")
    ),
    "config_json": Parameter(packed_config, None),
    calibrating.NAME: Parameter(calibrating.parameter, None),
    **TRAFFIC,
    **HEADS,
    **NEED,
    **COMPARE,
    **PINNED,
    "view": Parameter(_view, OPENING_VIEW),
    "log_x": Parameter(flag, False),
    **LANGUAGE,
}
_BELONGS_TO = {
    **dict.fromkeys(OWN_FIELDS, ("model", CUSTOM)),
    "config_json": ("model", CONFIG),
    **dict.fromkeys(OF_MEANS, ("workload", MEANS)),
    "trace": ("workload", TRACE),
}
"""What is said only beside a value of another parameter."""
_MAPPINGS = ("speculative_config", calibrating.NAME)
_PACKED = ("config_json", "trace", *PINNED)
_STREAMLITS_OWN = ("embed", "embed_options")


def load(page: str = "") -> None:
    """Read the link into the widgets' state where it is new; forget old problems once the reader changes something.

    Turning to another page empties the link: what was asked there holds on.
    """
    link, known = st.query_params.to_dict(), st.session_state.to_dict()
    turned = known.get(_PAGE, page) != page
    st.session_state[_PAGE] = page
    if turned and not set(link) - set(_STREAMLITS_OWN):
        st.session_state[_PROBLEMS] = []
    elif link != known.get(_SEEN) and not _is_late(link):
        st.session_state[_PROBLEMS] = _apply(link)
        _note(link)
        known = st.session_state.to_dict()
    elif known.get(_PROBLEMS) and _but_language(_said_by(known)) != _but_language(link):
        st.session_state[_PROBLEMS] = []
    for name, parameter in PARAMETERS.items():
        value = known[name] if name in known else _opening(parameter)
        if value is not None or parameter.default is not None or name not in known:
            st.session_state[name] = value  # else a control that is not shown would lose it


def _but_language(link: Mapping[str, str]) -> dict[str, str]:
    """Return what a link asks for, in whichever language it is answered."""
    return {name: value for name, value in link.items() if name not in LANGUAGE}


def _opening(parameter: Parameter) -> Any:
    """Return what a parameter opens with; a list of its own for each session."""
    return list(parameter.default) if isinstance(parameter.default, list) else parameter.default


def _note(link: dict[str, str]) -> None:
    """Remember a link that this session has had."""
    st.session_state[_HAD] = [*st.session_state.get(_HAD, []), link][-MOST_HAD:]


def _is_late(link: Mapping[str, str]) -> bool:
    """Whether a change comes with a link that this session had before its last one.

    Who changes two inputs at once has not seen the link of the first; who goes back changes none.
    """
    return link in st.session_state.get(_HAD, []) and _current() != st.session_state[_SEEN]


def problems() -> list[str]:
    """Return what the link, or a change of model, asked for in vain, and what is used in its place.

    Texts know their keys: who turns to another language reads them in it.
    """
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
        said.append(
            messages.say(
                "state.unknown",
                "The link names {name}, which this page does not have; it was left out.",
                name=shown(name),
            )
        )
    if len(unknown) > MAX_NAMED:
        more = len(unknown) - MAX_NAMED
        said.append(
            messages.say(
                "state.unknown_more", "The link names {unknown} more that this page does not have.", unknown=more
            )
        )
    for name, parameter in PARAMETERS.items():
        if name in link or not parameter.keeps:
            st.session_state[name] = _opening(parameter)
        if name in link:
            try:
                st.session_state[name] = _read(name, parameter, link[name])
            except calculator.CalculatorError as error:
                used = (
                    parameter.absent
                    if parameter.default is None or isinstance(parameter.default, list)
                    else parameter.default
                )
                said.append(
                    messages.say(
                        "state.used",
                        "The link asked for {name}={link}: {error}. Used in its place: {used}.",
                        name=name,
                        link=shown(link[name], 40),
                        error=error,
                        used=used,
                    )
                )
    return said + _share_out(link)


def _share_out(link: Mapping[str, str]) -> list[str]:
    """Share out users that a link states in all to its replicas; return what it states of each that they are not."""
    total = st.session_state[TOTAL_USERS]
    if total is None:
        return []
    replicas, stated = st.session_state["data_parallel_size"] or 1, st.session_state["batch_size"]
    each = st.session_state["batch_size"] = -(-total // replicas)
    st.session_state[TOTAL_USERS] = total if total % replicas else None
    if "batch_size" not in link or stated == each:
        return []
    return [
        messages.say(
            "state.shared_out",
            "The link asked for {total_users}={total} and for batch_size={stated}: {each} on each replica is used.",
            total_users=TOTAL_USERS,
            total=total,
            stated=stated,
            each=each,
        )
    ]


def _read(name: str, parameter: Parameter, text: str) -> Any:
    owner, owned = _BELONGS_TO.get(name, ("", ""))
    if owner and st.session_state[owner] != owned:  # what the page took, not what the link asked for
        raise calculator.InvalidValueError(
            messages.say("state.belongs", "belongs to {owner}={owned}", owner=owner, owned=owned)
        )
    most = MAX_LINK_PACKED if name in _PACKED else MAX_LIST if name in (*LONG, *LONG_LISTS) else MAX_LINK_VALUE
    most = MAX_LINK_MAPPING if name in _MAPPINGS else most
    if len(text) > most:
        raise calculator.InvalidValueError(
            messages.say("state.longer_than_characters", "longer than {most:,} characters", most=most)
        )
    return None if parameter.clears and text == CLEARED else parameter.read(text)


def save() -> None:
    """Write the whole state to the URL, defaults included, so that links outlive a change of default."""
    state = _current()
    if state != st.query_params.to_dict():
        st.query_params.from_dict(state)
    if state != st.session_state.get(_SEEN):
        _note(state)
    st.session_state[_SEEN] = state


def link_of(held: Mapping[str, Any]) -> dict[str, str]:
    """Return a link that opens what is held by the names of parameters."""
    return {
        name: _written(name, held[name])
        for name in PARAMETERS
        if name in held and _is_said(name, held[name]) and _is_owned(name, held) and _agrees(name, held)
    }


def held(*names: str) -> dict[str, Any]:
    """Return what the state holds by such names."""
    return {name: st.session_state[name] for name in names}


def _current() -> dict[str, str]:
    """Return the state as the parameters of a link."""
    return _said_by(st.session_state.to_dict())


def _said_by(known: Mapping[str, Any]) -> dict[str, str]:
    """Return all that the state holds as the parameters of a link."""
    state = link_of({name: known.get(name) for name in PARAMETERS})
    kept = {name: value for name, value in st.query_params.to_dict().items() if name in _STREAMLITS_OWN}
    return kept | state


def address() -> str:
    """Return the address that opens what the page shows."""
    from urllib.parse import urlencode

    return f"{(st.context.url or '').split('?')[0]}?{urlencode(_current())}"


def _is_owned(name: str, held: Mapping[str, Any]) -> bool:
    """Whether a parameter belongs to what is chosen."""
    owner, owned = _BELONGS_TO.get(name, ("", ""))
    return not owner or held.get(owner) == owned


def _agrees(name: str, held: Mapping[str, Any]) -> bool:
    """Whether users in all are still those that the replicas share."""
    if name != TOTAL_USERS:
        return True
    return -(-held[name] // (held.get("data_parallel_size") or 1)) == (held.get("batch_size") or 1)


def _is_said(name: str, value: Any) -> bool:
    """Whether a link must say a value: all but what a link means that leaves it out and the field is empty."""
    return value not in (None, "", []) or (PARAMETERS[name].clears and PARAMETERS[name].default is not None)


def _written(name: str, value: Any) -> str:
    if value in (None, ""):
        return CLEARED
    if name == "config_json":
        return pack_config(value)
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def change(**values: Any) -> None:
    """Change inputs from outside their widgets."""
    for name, value in values.items():
        st.session_state[name] = value
