"""A wrong input: why, at the field, and the nearest values that work, each a click away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import streamlit as st

import calculator
from calculator.messages import template
from dashboard import state
from dashboard.fits.asking import GPUS, Asked
from dashboard.frame import lengths
from dashboard.frame.page import strong
from dashboard.inputs import totals
from dashboard.text import plain, sentence, tell

MOST = 3
PLACES = {
    **dict.fromkeys(("model", "config_json", *state.OWN_FIELDS), "model"),
    **dict.fromkeys(("gpu", "gpu_memory_bytes"), "gpu"),
    **dict.fromkeys(totals.SPLIT, GPUS),
    "batch_size": "users",
    **dict.fromkeys(("seq_len", "encoder_seq_len"), "tokens"),
}
"""Which field a message belongs to, by what is at fault; all else is among the chips."""
FORGOTTEN = ("engine_version", "kv_cache_dtype", "weight_dtype", "speculative_config", "gpu_memory_utilization")
"""What is left at its default where nothing nearer works, each by itself."""
_LABELS = {
    "tensor_parallel_size": "TP {value}",
    "pipeline_parallel_size": "PP {value}",
    "data_parallel_size": template("{value} replicas"),
    "num_key_value_heads": template("{value} KV heads"),
    "batch_size": template("{value} users"),
    "seq_len": template("{value} tokens"),
}


def at_field(asked: Asked, error: calculator.CalculatorError | None) -> None:
    """Say at the field what is wrong, with what would do; of what has none below the chips, where this is called."""
    if asked.gpus is not None:
        with asked.cells[GPUS]:
            _message(asked.gpus.why)
            _buttons([(offer.label, totals.take, (offer,)) for offer in asked.gpus.offers], GPUS)
    if error is not None and not isinstance(error, lengths.SaidAtField):
        place = PLACES.get(error.what, "chips")
        with asked.cells[place] if place in asked.cells else nullcontext():
            _message(str(error))
            _buttons(_nearest(asked, error), place)


def instead(asked: Asked, error: calculator.CalculatorError) -> None:
    """Say why nothing can be answered, where nothing was before, with the nearest plans that can be."""
    if st.session_state["model"] == state.CONFIG and not st.session_state["config_json"]:
        st.title(tell("Paste a config.json, and see what fits"), anchor=False)
    else:
        st.title(tell("This cannot be planned"), anchor=False)
        st.error(plain(sentence(str(error))))
    opening = {**state.OPENING, **{name: state.PARAMETERS[name].default for name in (*FORGOTTEN, "engine")}}
    found = [*_nearest(asked, error), (tell("Open with LLaMA 3 70B on 4 × A100 80GB"), _change, (opening,))]
    _buttons(found, "instead", first=True)


def _message(text: str) -> None:
    st.markdown(f":red[:material/error: {plain(sentence(text))}]")


def _buttons(found: list[tuple[str, Callable[..., None], tuple[Any, ...]]], place: str, first: bool = False) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        for index, (label, act, args) in enumerate(found):
            kind = strong() if first and not index else "secondary"
            st.button(plain(label), key=f"nearest-{place}-{index}", on_click=act, args=args, type=kind)


def _nearest(asked: Asked, error: calculator.CalculatorError) -> list[tuple[str, Callable[..., None], tuple[Any, ...]]]:
    """Return the nearest changes with which a plan can be made, the first few."""
    found = []
    for label, changes in _candidates(error):
        if len(found) == MOST:
            break
        if _works(asked, changes):
            found.append((label, _change, (changes,)))
    return found


def _candidates(error: calculator.CalculatorError) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what might do: the nearest value, those beside it, then each setting left at its default."""
    name, seen = error.what, []
    if name in state.PARAMETERS:
        allowed = error.allowed if isinstance(error.allowed, tuple | list) else ()
        for value in (error.nearest, *_beside(allowed, error.asked)):
            if value is not None and value not in seen and isinstance(value, int | float | str):
                seen.append(value)
                yield _labelled(name, value), {name: value}
    for name in FORGOTTEN:
        default = state.PARAMETERS[name].default
        if st.session_state[name] not in (None, "", default):
            yield tell("{name} as it opens", name=name), {name: default}


def _labelled(name: str, value: object) -> str:
    shown = f"{value:,}" if isinstance(value, int) else str(value)
    return tell(_LABELS.get(name, "{value}"), value=shown)


def _beside(allowed: Any, asked: object) -> list[Any]:
    """Return the allowed numbers just below and just above what was asked."""
    if not isinstance(asked, int | float):
        return []
    numbers = [value for value in allowed if isinstance(value, int | float)]
    return [*sorted(value for value in numbers if value < asked)[-1:], *sorted(v for v in numbers if v > asked)[:1]]


def _works(asked: Asked, changes: Mapping[str, Any]) -> bool:
    """Whether a plan can be made with a change; of a model's own numbers it is the model that is tried."""
    try:
        if set(changes) <= set(state.OWN_FIELDS):
            fields = {name: st.session_state[name] for name in state.OWN_FIELDS} | dict(changes)
            calculator.custom_model(**{name: value for name, value in fields.items() if value is not None})
            return True
        if not asked.keywords or asked.model is None:
            return False
        names = {name: state.GIB_FIELDS.get(name, name) for name in changes}
        given = {names[name]: value for name, value in changes.items() if value not in (None, "")}
        kept = {name: value for name, value in asked.keywords.items() if name not in names.values()}
        calculator.plan(**kept, **given)
    except calculator.CalculatorError:
        return False
    return True


def _change(changes: dict[str, Any]) -> None:
    state.change(**changes)
