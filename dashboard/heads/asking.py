"""What the page of KV heads asks: a row of fields, chips that open a setting, the number of KV heads, goals."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator.engines import engine_class
from calculator.messages import capitalised, phrase, say
from calculator.planning.heads.goals import GOALS
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.variants import divisors, query_heads
from calculator.reading.by_layer import is_by_layer, parse_by_layer
from calculator.views.heads.chosen import LATENT, LISTED, OWN, name_of, names, row_of
from dashboard import inputs, state
from dashboard.frame import lengths
from dashboard.frame.chips import CHANGED, is_changed, labelled
from dashboard.inputs.engine import MORE, OF_MEMORY
from dashboard.text import plain, tell, told

GOAL_LABELS = {
    "min_batch_size": phrase("Users that it must hold"),
    "min_output_tokens_per_second": phrase("Tokens a second, all users"),
    "max_tpot_s": phrase("Seconds a token, at most"),
}
STEPS = {"min_output_tokens_per_second": 100.0, "max_tpot_s": 0.005}
SPECIAL = {LATENT: "MLA", OWN: phrase("as it is"), LISTED: phrase("by layer")}
MOST_LISTED = 2_000


def ask() -> calculator.HeadStudy:
    """Show the fields and the chips; return the study of what they hold.

    Raises
    ------
    CalculatorError
        If a model is not possible, or no number of KV heads can be planned.
    """
    _take_link()
    row, below = st.grid(4, min_column_width=150), st.container()
    with row.container():
        model = _model(below)
    with row.container():
        gpu = inputs.ask_gpu()
    with row.container():
        inputs.ask_number(tell("Users at once"), "batch_size", help=tell("Sequences that one replica must hold"))
    with row.container():
        lengths.field(tell("Tokens each"), "seq_len", help=tell("Prompt and generated"))
        if not isinstance(model, calculator.CalculatorError):
            inputs.ask_encoder(model)
    if isinstance(model, calculator.CalculatorError):
        raise model
    inputs.settle(model)
    with st.container(horizontal=True, gap="xsmall"):
        _chips(model, gpu)
    lengths.check("seq_len")
    asked = {**inputs.keywords(), "model": model, "gpu": gpu}
    asked = {name: value for name, value in asked.items() if value is not None}
    return calculator.head_study(
        **asked, **_by_layer(model), constant_parameters=bool(st.session_state["constant_parameters"])
    )


def _by_layer(model: calculator.ModelArchitecture) -> dict[str, Any]:
    """Return what is asked layer by layer; a list that the model cannot have is left out, and said.

    The list of KV heads stands beside all numbers, the windows are those of every row.
    """
    asked: dict[str, Any] = {}
    given = st.session_state["heads_by_layer"]
    if given:
        try:
            counts = parse_by_layer(given, phrase("KV heads by layer"))
            model.with_kv_heads([count or 0 for count in counts])
            asked["kv_heads"] = [*divisors(model), counts]
        except calculator.CalculatorError as error:
            state.say(say("heads.list_left_out", "{error}; the list is left out.", error=capitalised(str(error))))
    given = st.session_state["windows_by_layer"]
    if given:
        try:
            windows = parse_by_layer(given, phrase("windows by layer"), may_be_none=True)
            model.with_windows(windows)
            asked["sliding_window"] = windows
        except calculator.CalculatorError as error:
            state.say(
                say("heads.windows_left_out", "{error}; the windows are left out.", error=capitalised(str(error)))
            )
    return asked


def _take_link() -> None:
    """Take a list that a link says in place of a number: it is the list of the page, and chosen."""
    given = st.session_state["kv_heads"]
    if given and is_by_layer(given):
        st.session_state["heads_by_layer"], st.session_state["kv_heads"] = given, LISTED


def _model(
    below: st.delta_generator.DeltaGenerator,
) -> calculator.ModelArchitecture | calculator.CalculatorError:
    """Ask for the model; return why it is none where it is not possible, so that the rest is still asked."""
    try:
        return inputs.ask_model(below)
    except calculator.CalculatorError as error:
        return error


def _chips(model: calculator.ModelArchitecture, gpu: calculator.Accelerator | None) -> None:
    """Show each setting by its present value; a click opens it."""
    ranks, engine = st.session_state["tensor_parallel_size"], engine_class(st.session_state["engine"])
    with _chip(f"TP {ranks}", "tp", is_changed("tensor_parallel_size")):
        inputs.ask_tensor_parallel(model)
    weights, own = (model.resolve_weight_dtype(name) for name in (st.session_state["weight_dtype"], "auto"))
    with _chip(tell("Weights {format}", format=weights), "weights", weights != own):
        inputs.ask_weights(model)
    kept, own = (model.resolve_kv_dtype(name) for name in (st.session_state["kv_cache_dtype"], "auto"))
    with _chip(f"KV {kept}", "kv", kept != own):
        inputs.ask_kv_cache(model)
    with _chip(engine.title, "engine", is_changed("engine", "engine_version", *OF_MEMORY, *MORE)):
        inputs.ask_engine(gpu)
    inputs.calibration_chip()
    constant = bool(st.session_state["constant_parameters"])
    with _chip(tell("Parameters kept") if constant else tell("Parameters shrink"), "parameters", constant):
        st.markdown(
            tell("Fewer KV heads need smaller projections. What they free can go to the MLP, as in Llama 2's ablation.")
        )
        _toggle(tell("Keep the parameters by widening the MLP"), "constant_parameters")
    listed = bool(st.session_state["heads_by_layer"] or st.session_state["windows_by_layer"])
    with _chip(tell("By layer: a list") if listed else tell("By layer"), "by_layer", listed):
        st.markdown(
            tell(
                "One entry for each of the {num_layers} layers, first to last; `8x40` is 40 of them.",
                num_layers=model.num_layers,
            )
        )
        _list_field(tell("KV heads of each layer"), "heads_by_layer", "4x40, 16x40")
        _list_field(tell("Windows, tokens"), "windows_by_layer", "none x 40, 4096 x 40")
    stated = sum(st.session_state[name] is not None for name in GOALS)
    with _chip(tell("Goals: {stated}", stated=stated) if stated else tell("Goals"), "goals", bool(stated)):
        for name, label in GOAL_LABELS.items():
            shown = "%g" if name in STEPS else None
            inputs.ask_number(told(label), name, step=STEPS.get(name, 1), placeholder=tell("no goal"), format=shown)
        _toggle(tell("No KV head on more than one GPU"), "without_copies")


def _chip(label: str, name: str, changed: bool) -> DeltaGenerator:
    """Return a chip; its control is made at once, as its value is needed."""
    return st.popover(labelled(label, changed), key=f"chip_{name}", help=told(CHANGED) if changed else None)


def _list_field(label: str, name: str, placeholder: str) -> None:
    """Ask for a list; what cannot be one is said, and not taken."""
    st.session_state[f"_{name}"] = st.session_state[name] or ""
    st.text_input(
        label, key=f"_{name}", max_chars=MOST_LISTED, placeholder=placeholder, on_change=_take_list, args=(name,)
    )


def _take_list(name: str) -> None:
    given = st.session_state[f"_{name}"].strip()
    st.session_state[name] = given or None
    if name == "heads_by_layer":
        st.session_state["kv_heads"] = LISTED if given else None


def _toggle(label: str, name: str) -> None:
    """Show a switch that a link says only where it is on."""
    st.session_state[f"_{name}"] = bool(st.session_state[name])
    st.toggle(label, key=f"_{name}", on_change=_take_toggle, args=(name,))


def _take_toggle(name: str) -> None:
    st.session_state[name] = True if st.session_state[f"_{name}"] else None


def choose(study: calculator.HeadStudy) -> HeadRow:
    """Show the numbers of KV heads that are legal; return the row of the chosen one, by default the model's own."""
    row = _asked_row(study)
    offered = names(study.rows)
    if len(offered) > 1:
        heads = query_heads(study.model)
        st.session_state["_kv_heads"] = name_of(row)
        st.select_slider(
            tell("KV heads G, from MQA (1) to MHA ({heads}, one for each query head)", heads=heads),
            offered,
            format_func=lambda name: SPECIAL.get(name, name),
            key="_kv_heads",
            on_change=_take_heads,
        )
    return row


def _take_heads() -> None:
    st.session_state["kv_heads"] = st.session_state["_kv_heads"]


def _asked_row(study: calculator.HeadStudy) -> HeadRow:
    """Return the row that is asked for; one that this model cannot have is replaced by the nearest, and said."""
    if st.session_state["kv_heads"] == LISTED and LISTED not in names(study.rows):
        st.session_state["kv_heads"] = _number_of_list(study)
    try:
        return row_of(study, st.session_state["kv_heads"])
    except calculator.InvalidValueError as error:
        state.say(say("split.nearest_used", "{error}; that is used.", error=capitalised(str(error))))
        st.session_state["kv_heads"] = error.nearest
        return row_of(study, error.nearest)


def _number_of_list(study: calculator.HeadStudy) -> str | None:
    """Return the number that a list of equal numbers is; None for the model's own where there is no list."""
    try:
        counts = set(parse_by_layer(st.session_state["heads_by_layer"] or "", phrase("KV heads by layer"))) - {0}
    except calculator.CalculatorError:
        return None
    name = str(next(iter(counts))) if len(counts) == 1 else None
    return name if name in names(study.rows) else None


def goals(study: calculator.HeadStudy) -> None:
    """Say which numbers meet the goals, where any is stated."""
    stated: dict[str, Any] = {name: st.session_state[name] for name in GOALS if st.session_state[name] is not None}
    if stated:
        st.markdown(tell("**Goals.** {finding}", finding=plain(study.recommend(**stated).finding)))
