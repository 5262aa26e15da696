"""What is asked of the search: model, load, context; engines, formats, GPUs, goals and prices as chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator.catalogue.presets import all_gpu_ids, load_gpu, proposed_gpu_ids
from calculator.engines import ENGINES, engine_class
from calculator.formats import kv, weights
from calculator.messages import phrase
from calculator.planning.sizing.prices import prices_in_text
from calculator.units import plural
from dashboard import inputs, state
from dashboard.frame import lengths
from dashboard.frame.chips import CHANGED, is_changed, labelled
from dashboard.frame.names import gpu_label
from dashboard.inputs import traffic
from dashboard.link.need_parameters import LEAST_MS, MOST_MS, NEED, TRAFFIC, USERS
from dashboard.link.traffic_parameters import MEANS
from dashboard.link.traffic_parameters import TRAFFIC as TRAFFIC_PARAMETERS
from dashboard.log import calibrating
from dashboard.text import listed, tell, told

LOADS = {USERS: phrase("Users at once"), TRAFFIC: phrase("Traffic")}
GOALS = {"max_tpot_ms": "max_tpot_s", "max_ttft_ms": "max_ttft_s"}
"""What the page calls a goal, in ms, and its keyword of ``size``, in seconds."""
FOLDED = ("prompt_cv", "output_cv", "correlation", "shared_prefix_tokens", "max_output_tokens", "risk")
OF_MODEL = ("model", *state.OWN_FIELDS, "config_json")
SEARCHED = ("engines", "weight_dtypes", "kv_cache_dtypes", "gpus", "max_gpus", *GOALS, "prices", calibrating.NAME)
LENGTH = 14
PRICES = "h100-sxm=2.0, mi300x=1.5:3"


@dataclass(frozen=True)
class Asked:
    """What is asked: a model and the other keywords of ``calculator.size``, and by what its answer is known again."""

    model: calculator.ModelArchitecture
    keywords: Mapping[str, Any]
    key: tuple[Any, ...]


def fields() -> None:
    """Show the question: model, users or traffic, context in and out."""
    with st.grid(4, min_column_width=150):
        inputs.choose_model()
        if st.session_state["load"] == USERS:
            _number(tell("Users at once, in all"), "users", 10)
            lengths.field(tell("Tokens each, in and out"), "seq_len", placeholder=tell("the model's longest"))
            lengths.field(
                tell("Of them the answer, tokens"), "answer_tokens",
                help=tell("Empty: the time of a token has no share of new prompts"),
            )  # fmt: skip
        else:
            for name in ("requests_per_second", *(("prompt_tokens", "output_tokens") if _by_means() else ())):
                traffic.field(name)


def chips() -> None:
    """Show what bears on the search besides, each as a chip that says its value."""
    _load()
    _engines()
    _formats()
    _gpus()
    _goals()
    _prices()
    calibrating.chip_of_search(st.session_state["engines"], _searched_gpus())


def _searched_gpus() -> Sequence[str]:
    return st.session_state["gpus"] or proposed_gpu_ids()


def asked() -> Asked:
    """Return what is asked; a model of one's own is asked for here.

    Raises
    ------
    CalculatorError
        If it is not possible.
    """
    model = inputs.chosen_model()
    held = state.held(*SEARCHED)
    keywords: dict[str, Any] = {name: held[name] for name in ("engines", "weight_dtypes", "kv_cache_dtypes")}
    keywords["gpus"] = held["gpus"] or None
    keywords["max_gpus"] = held["max_gpus"] or NEED["max_gpus"].default
    keywords |= {keyword: held[name] / 1e3 for name, keyword in GOALS.items() if held[name] is not None}
    keywords |= calibrating.searched(held["engines"], _searched_gpus())
    if held["prices"]:
        keywords["prices"] = prices_in_text(held["prices"])
    mark = ""
    names = OF_MODEL
    if st.session_state["load"] == USERS:
        lengths.check("seq_len", "answer_tokens")
        names += ("users", "seq_len", "answer_tokens")
        keywords["users"] = st.session_state["users"] or NEED["users"].default
        keywords["seq_len"] = st.session_state["seq_len"]
        keywords["output_tokens"] = st.session_state["answer_tokens"]
    else:
        names += tuple(TRAFFIC_PARAMETERS)
        of = traffic.asked()
        keywords |= {"workload": of.workload, "risk": of.risk}
        mark = _mark(of.workload)
    link = state.link_of(state.held("load", *SEARCHED, *names))
    return Asked(model, keywords, (*sorted(link.items()), mark))


def _mark(workload: calculator.Workload) -> str:
    """Return by what the lengths of a trace are known again; it may be too long for a link."""
    digest = sha256()
    for column in workload.trace or ():
        digest.update(memoryview(column).tobytes())
    return digest.hexdigest()


def _by_means() -> bool:
    return traffic.kind() == MEANS


def _number(label: str, key: str, step: int, **options: Any) -> None:
    bounds = NEED[key]
    st.number_input(
        label, bounds.least, bounds.most, value=None, step=step, key=key, placeholder=told(bounds.absent), **options
    )


def _chip(label: str, *names: str) -> DeltaGenerator:
    """Return a chip of some parameters."""
    changed = is_changed(*names)
    return st.popover(labelled(label, changed), help=told(CHANGED) if changed else None)


def _load() -> None:
    kind = st.session_state["load"]
    said = (
        told(LOADS[kind]).lower()
        if kind == USERS
        else tell("traffic, {kind}", kind=told(traffic.KINDS[traffic.kind()]).lower())
    )
    with _chip(tell("Load: {said}", said=said), "load"):
        st.segmented_control(
            tell("Load"), list(LOADS), format_func=lambda load: told(LOADS[load]), key="load", required=True
        )
        if kind == TRAFFIC:
            traffic.choose_kind()
            for name in FOLDED:
                if _by_means() or name not in ("prompt_cv", "output_cv", "correlation"):
                    traffic.field(name)


def _engines() -> None:
    _at_least_one("engines")
    chosen = st.session_state["engines"]
    with _chip(_said([engine_class(name).title for name in chosen], "engine"), "engines"):
        st.multiselect(tell("Engines"), list(ENGINES), format_func=lambda name: engine_class(name).title, key="engines")


def _formats() -> None:
    for name in ("weight_dtypes", "kv_cache_dtypes"):
        _at_least_one(name)
    label = tell("Weights {said}, ", said=_said(st.session_state["weight_dtypes"], "format"))
    label += f"KV {_said(st.session_state['kv_cache_dtypes'], 'format')}"
    with _chip(label, "weight_dtypes", "kv_cache_dtypes"):
        st.multiselect(
            tell("Weights"), ["auto", *weights.FORMATS], key="weight_dtypes", help=tell("auto: the checkpoint's own")
        )
        st.multiselect(
            tell("KV cache"), ["auto", *kv.FORMATS], key="kv_cache_dtypes", help=tell("auto: the checkpoint's own")
        )


def _gpus() -> None:
    chosen = st.session_state["gpus"]
    label = _said([load_gpu(name).name for name in chosen], "GPU") if chosen else tell("All GPUs")
    most = st.session_state["max_gpus"] or NEED["max_gpus"].default
    with _chip(tell("{label}, up to {max_gpus}", label=label, max_gpus=most), "gpus", "max_gpus"):
        st.multiselect(tell("GPUs"), all_gpu_ids(), format_func=gpu_label, key="gpus", placeholder=tell("All"))
        _number(tell("GPUs at most"), "max_gpus", 8)


def _goals() -> None:
    tpot, ttft = (st.session_state[name] for name in GOALS)
    parts = [tell("at most {tpot:,.4g} ms a token", tpot=tpot)] if tpot is not None else []
    parts += [tell("first token within {ttft:,.4g} ms", ttft=ttft)] if ttft is not None else []
    label = listed(parts) if parts else tell("No goals")
    with _chip(label[:1].upper() + label[1:], *GOALS):
        for label, key in (
            (tell("Most ms a token (TPOT)"), "max_tpot_ms"),
            (tell("Most ms to the first token (TTFT)"), "max_ttft_ms"),
        ):
            st.number_input(
                label,
                LEAST_MS,
                MOST_MS,
                value=None,
                step=10.0,
                format="%g",
                key=key,
                placeholder=told(NEED[key].absent),
            )
        st.markdown(tell("Goals are judged on central means; the table shows the range."))


def _prices() -> None:
    with _chip(tell("Own prices") if st.session_state["prices"] else tell("Prices seen"), "prices"):
        st.text_input(
            tell("Own prices, USD per GPU and hour"), key="prices", placeholder=PRICES, max_chars=1_000,
            help=tell("By the ids of GPUs: one number, or the lowest and the highest with a colon between"),
        )  # fmt: skip
        st.markdown(tell("Without a price of your own the catalogue's dated examples hold; they are no offers."))


def _at_least_one(name: str) -> None:
    """Take the default where everything was taken out."""
    if not st.session_state[name]:
        st.session_state[name] = list(NEED[name].default)


def _said(names: list[str], what: str) -> str:
    text = listed(names)
    return text if len(names) == 1 or len(text) <= 2 * LENGTH else plural(len(names), what)
