"""Beside the log what it does not say, one question at a time, and what was taken by default."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import streamlit as st

import calculator
from calculator.catalogue.presets import load_gpu, load_model
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.logs.both import ask_for_both
from calculator.logs.implied import likely, sized
from calculator.logs.questions import Question, ask_for_model
from calculator.logs.reconciliation import Reconciliation, reconcile
from calculator.messages import Message, phrase, template
from calculator.reading.fields import Between, Count, Number
from calculator.request import OPTIONS
from calculator.units import GIB, gib_to_bytes
from calculator.views.pages.log import knows_device
from dashboard.frame import chips
from dashboard.log.box import Kept, kept
from dashboard.text import ended, plain, sentence, tell

OWN_MEMORY = phrase("its memory")
"""What stands in place of a GPU that is none of the presets."""
_ONE_BY_ONE = "one_by_one"
"""Among the answers where none of the pairs of model and GPU was it: then both are asked for, one by one."""


def compare(held: Kept) -> Question | None:
    """Set the log beside its plan by what is answered so far; return the question that must come first."""
    if held.log is None:
        return None
    answers = {name: value for name, value in held.answers.items() if name != _ONE_BY_ONE}
    model, gpu = answers.pop("model", None), answers.pop("gpu", None)
    if gpu == OWN_MEMORY:
        gpu = None
    try:
        held.result = reconcile(held.log, model, gpu, **answers)
    except calculator.CalculatorError as error:
        if error.what == "model" and model is None:
            both = ask_for_both(held.log) if gpu is None and _ONE_BY_ONE not in held.answers else None
            if both is not None:
                return both
            some = likely(held.log.flags, held.log.figures) or sized(held.log.flags, held.log.figures)
            return ask_for_model(str(held.log.flags.get("model", "")), some or calculator.model_ids())
        held.problem = held.problem or str(error)
        return None
    asked = "gpu" in held.answers
    return None if asked or not held.result.missing else held.result.missing[0]


def questions(held: Kept, question: Question | None) -> None:
    """Show what was answered, then the one thing that is asked next; nothing is ever taken unasked."""
    if question is None and not {"model", "gpu"} & set(held.answers):
        return
    st.subheader(tell("Not in the log"), anchor=False)
    for name in ("model", "gpu"):
        if name in held.answers:
            _choose(held, name, _LABELS[name], ())
    if question is not None and question.pairs:
        _choose_both(question)
    elif question is not None:
        _choose(held, question.keyword, sentence(question.text), question.choices)
    if held.answers.get("gpu") == OWN_MEMORY:
        own = held.answers.get("gpu_memory_bytes")
        st.number_input(
            tell("Memory that a program sees, GiB"),
            0.1,
            1e6,
            value=own / GIB if own else None,
            step=0.25,
            format="%.2f",
            key="_log_memory",
            placeholder=tell("needed"),
            on_change=_take_memory,
        )


_LABELS = {"model": phrase("Model"), "gpu": "GPU"}


def _choose(held: Kept, name: str, label: str, likely: Iterable[str]) -> None:
    known = {"model": calculator.model_ids, "gpu": lambda: (*calculator.gpu_ids(), OWN_MEMORY)}.get(name)
    if known is None:
        _control(held, name, label)
        return
    options = list(dict.fromkeys([*likely, *known()]))
    chosen = held.answers.get(name)
    st.selectbox(
        plain(label),
        options,
        index=options.index(chosen) if chosen in options else None,
        format_func=_MODELS_AND_GPUS[name],
        key=f"_log_{name}",
        placeholder=tell("Choose one"),
        on_change=partial(_take, name),
    )


def _choose_both(question: Question) -> None:
    """Show pairs of model and GPU in one field, the last of which asks for both one by one."""
    st.selectbox(
        plain(sentence(question.text)),
        [*question.pairs, (_ONE_BY_ONE, "")],
        index=None,
        format_func=_pair_name,
        key="_log_both",
        placeholder=tell("Choose one"),
        on_change=_take_both,
    )


def _pair_name(pair: tuple[str, str]) -> str:
    if pair[0] == _ONE_BY_ONE:
        return tell("Another model or GPU")
    return tell("{model} on {gpu}", model=load_model(pair[0]).name, gpu=load_gpu(pair[1]).name)


def _take_both() -> None:
    """Keep both answers, or ask for them one by one."""
    given, held = st.session_state["_log_both"], kept()
    held.problem = ""
    if given is None:
        return
    if given[0] == _ONE_BY_ONE:
        held.answers[_ONE_BY_ONE] = True
    else:
        held.answers["model"], held.answers["gpu"] = given


def _gpu_name(key: str) -> str:
    return tell("Another: by its memory") if key == OWN_MEMORY else load_gpu(key).name


_MODELS_AND_GPUS = {"model": lambda key: f"{load_model(key).name} · {key}", "gpu": _gpu_name}


def _take(name: str) -> None:
    """Keep an answer; one that is taken back is asked again."""
    given, held = st.session_state[f"_log_{name}"], kept()
    held.problem = ""
    if given in (None, ""):
        held.answers.pop(name, None)
    else:
        held.answers[name] = given
    if name == "gpu":
        held.answers.pop("gpu_memory_bytes", None)


def _take_memory() -> None:
    given = st.session_state["_log_memory"]
    kept().answers.pop("gpu_memory_bytes", None)
    if given is not None:
        kept().answers["gpu_memory_bytes"] = gib_to_bytes(given)


OF_ASSUMPTION = {
    "logs.assumed.weight_dtype": "weight_dtype",
    "logs.assumed.size_of_weights": "weight_dtype",
    "logs.assumed.not_its_own": "weight_dtype",
    "logs.assumed.file_name": "weight_dtype",
    "logs.assumed.kv_cache_dtype": "kv_cache_dtype",
    "logs.assumed.newest": "engine_version",
    "logs.assumed.dated": "engine_version",
    "logs.assumed.ranks": "tensor_parallel_size",
}
"""Which keyword says otherwise what was assumed."""
BY_DEVICE = ("gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens")
"""Defaults that an engine may take by the device's memory."""
SAID_BY_THE_QUESTION = ("logs.assumed.no_device",)
_SHORT = {
    "weight_dtype": template("weights {value}"),
    "kv_cache_dtype": "KV {value}",
    "gpu_memory_utilization": template("{value} of memory"),
    "max_num_batched_tokens": template("batched tokens {value}"),
    "tensor_parallel_size": "TP {value}",
}


def assumptions(held: Kept, result: Reconciliation) -> None:
    """Show what was taken by default as chips, each opening the field that says otherwise."""
    found: dict[str, str] = {}
    others: list[str] = []
    for text in result.assumed:
        keyword = keyword_of(text)
        if keyword:
            found.setdefault(keyword, str(text))
        elif getattr(text, "key", "") not in SAID_BY_THE_QUESTION:
            others.append(str(text))
    given = [name for name in held.answers if name not in ("model", "gpu", "gpu_memory_bytes", *found)]
    if not found and not given and not others:
        return
    st.subheader(tell("Assumed, unless you say otherwise"), anchor=False)
    with chips.row():
        for name in (*found, *given):
            chips.chip(_short(held, result, name), f"_chip_{name}", _opened, held, name, found.get(name, ""))
    for text in others:
        st.markdown(f":gray[:small[{ended(sentence(text))}]]")


def _opened(held: Kept, name: str, said: str) -> None:
    """Say what was assumed, and ask for what it is instead."""
    if said:
        st.markdown(ended(sentence(said)))
    _control(held, name, name)


def keyword_of(text: str) -> str | None:
    """Return the keyword that says otherwise what was assumed; None for none."""
    if not isinstance(text, Message):
        return None
    keyword = text.values.get("keyword") if text.key == "logs.assumed.default" else OF_ASSUMPTION.get(text.key)
    return keyword if keyword in OPTIONS else None


def _short(held: Kept, result: Reconciliation, name: str) -> str:
    value = getattr(result.plan.request, name)
    if name in BY_DEVICE and not knows_device(result) and name not in held.answers:
        return name
    if name == "engine_version":
        return f"{result.plan.rules.title} {result.plan.rules.version}"
    shown = f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
    return tell(_SHORT[name], value=shown) if name in _SHORT else f"{name} {shown}"


def _control(held: Kept, name: str, label: str) -> None:
    """Show the field of a keyword of ``plan``: empty while the log's own word or the default holds."""
    key, take, given = f"_log_{name}", partial(_take, name), held.answers.get(name)
    options, about = _FORMATS.get(name), OPTIONS[name].field
    if options is not None:
        st.selectbox(plain(label), options, index=options.index(given) if given in options else None, key=key,
                     placeholder=tell("as assumed"), on_change=take)  # fmt: skip
    elif isinstance(about, Count | Number | Between):
        least = about.least if isinstance(about, Count | Between) else type(about.most)(about.above)
        kind = int if isinstance(about, Count) else float
        st.number_input(plain(label), kind(least), kind(about.most), value=given, step=kind(1) if kind is int else 0.01,
                        key=key, placeholder=tell("as assumed"), on_change=take)  # fmt: skip
    else:
        st.text_input(
            plain(label), value=given or "", key=key, max_chars=40, placeholder=tell("as assumed"), on_change=take
        )


_FORMATS = {"weight_dtype": list(weights.FORMATS), "kv_cache_dtype": list(storage.FORMATS)}
