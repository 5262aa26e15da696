"""What of another plan is other: a row of fields, each empty where it stays as it is; and which plans are compared."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import streamlit as st

import calculator
from calculator.catalogue.presets import load_model
from calculator.engines import ENGINES, engine_class
from calculator.engines.versions import in_words
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.views import on_engine
from calculator.views.comparing.side_by_side import MOST
from dashboard import inputs, state
from dashboard.compare import pins
from dashboard.frame.names import gpu_label
from dashboard.link.compare_parameters import COMPARE, OTHER, SAME
from dashboard.text import tell, told


@dataclass(frozen=True)
class Compared:
    """A plan that is compared, and its pin; what it is called beside others comes from all of them."""

    plan: Plan
    pin: str
    from_fields: bool = False


def first() -> list[Compared]:
    """Return what is pinned, and the plan of the landing page where fewer than two are; a broken pin is said.

    Raises
    ------
    CalculatorError
        If there is none.
    """
    found = []
    for pin in pins.pinned():
        try:
            found.append(Compared(pins.plan_of(pin), pin))
        except calculator.CalculatorError as error:
            state.say(
                say("asking.pin_left_out", "A pinned plan cannot be planned and was left out: {error}.", error=error)
            )
            pins.drop(pin)
    if len(found) < 2:
        now = Compared(_of_page(), pins.of_page())
        found += [now] if all(now.plan != one.plan for one in found) else []
    return found


def _of_page() -> Plan:
    """Return the plan that the landing page shows; what an own model is can be changed here too."""
    with st.popover(tell("Own inputs"), key="chip_own") if _is_own() else nullcontext():
        model = inputs.chosen_model()
    gpu = None if st.session_state["gpu"] == state.CUSTOM else st.session_state["gpu"]
    return calculator.plan(**{"model": model, "gpu": gpu, **inputs.keywords()})


def _is_own() -> bool:
    return st.session_state["model"] in (state.CUSTOM, state.CONFIG)


def other(engine: str) -> None:
    """Show the fields of what is other than on a plan of an engine."""
    chosen = engine_class(st.session_state["to_engine"] or engine)
    with st.grid(4, min_column_width=150):
        _select(tell("Model"), "to_model", calculator.model_ids(), lambda key: load_model(key).name)
        _select("GPU", "to_gpu", calculator.gpu_ids(), gpu_label)
        _select(tell("Engine"), "to_engine", tuple(ENGINES), lambda key: engine_class(key).title)
        _versions(chosen)
        bounds = COMPARE["to_tensor_parallel_size"]
        st.number_input(
            tell("Tensor parallel"),
            bounds.least,
            bounds.most,
            value=None,
            key="to_tensor_parallel_size",
            placeholder=told(SAME),
        )
        _select(tell("Weights"), "to_weight_dtype", ("auto", *weights.FORMATS))
        _select(tell("KV cache"), "to_kv_cache_dtype", ("auto", *storage.FORMATS))


def changes() -> dict[str, Any]:
    """Return the keywords that are other."""
    return {name.removeprefix(OTHER): st.session_state[name] for name in COMPARE if st.session_state[name] is not None}


def beside(before: Compared, others: dict[str, Any]) -> Compared:
    """Return the plan that the fields make of another: on another engine with that engine's own defaults.

    Raises
    ------
    CalculatorError
        If it cannot be.
    """
    rest = {name: value for name, value in others.items() if name != "engine"}
    plan = calculator.vary(on_engine(before.plan, others.get("engine", before.plan.request.engine)), **rest)
    model = others.get("model") or pins.link_of(before.pin)["model"]
    is_preset = model not in (state.CUSTOM, state.CONFIG)
    return Compared(plan, pins.of_plan(plan, model) if is_preset else pins.of_plan(plan), from_fields=True)


def keep(compared: list[Compared]) -> None:
    """Pin what is compared, in this order, and empty the fields."""
    st.session_state["pinned"] = [one.pin for one in compared][-MOST:]
    clear()


def clear() -> None:
    """Empty the fields."""
    for name in COMPARE:
        st.session_state[name] = None


def drop(one: Compared) -> None:
    """Take a plan out."""
    clear() if one.from_fields else pins.drop(one.pin)


def _select(label: str, name: str, options: tuple[str, ...], shown: Any = str) -> None:
    st.selectbox(label, options, index=None, format_func=shown, key=name, placeholder=told(SAME))


def _versions(engine: type[calculator.engines.base.Engine]) -> None:
    """Offer the versions at which rules change; any other can be typed."""
    versions = list(dict.fromkeys(in_words(change.since) for change in reversed(engine.changes)))
    asked = st.session_state["to_engine_version"]
    options = versions if asked in (None, *versions) else [asked, *versions]
    st.selectbox(
        tell("Version of {title}", title=engine.title),
        options,
        index=None,
        key="to_engine_version",
        placeholder=told(SAME),
        accept_new_options=True,
    )
