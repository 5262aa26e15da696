"""The answer and what follows from it, in the order in which a person asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

import calculator
from calculator import charts, views
from calculator.planning.search import shape
from calculator.units import format_bytes, format_gib, format_size, plural
from calculator.views import words
from dashboard import about, downloads, reconciling, state
from dashboard.text import plain, sentence

VIEW_NAMES = {
    "sequence-length": "Sequence length",
    "kv-heads": "KV heads",
    "tensor-parallel": "Tensor parallel",
    "engines": "Engines",
    "kv-in-use": "KV in use",
    "parallelism": "Ways to split",
    "memory": "Memory table",
    "reconcile": "Reconcile",
    "about": "About",
}
MADE = views.VIEWS
UNLIMITED = 999_000_000
MAX_NAMES, MAX_NAME = 40, 120
CHART_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def answer(plan: calculator.Plan) -> None:
    """Show the verdict: the headline, one sequence, the numbers, and why not where it does not fit."""
    title, actions = st.columns([4, 1.6], vertical_alignment="bottom")
    title.title(plain(words.headline(plan)), anchor=False)
    with actions:
        downloads.save_and_share(plan)
    around = words.spread(plan)
    st.markdown(plain(f"{words.detail(plan)} Range: {around}." if around and plan.fits else words.detail(plan)))
    if not plan.fits:
        st.error(plain(sentence(plan.notes[0])))
    smallest = calculator.smallest_fit(plan)
    memory, asked = plan.per_gpu, f"{plan.request.batch_size:,}"
    with st.grid(5, min_column_width=150):
        st.metric("Sequences that fit, all replicas", f"{plan.total_max_batch_size:,}")
        st.metric("KV per sequence, one replica", format_size(plan.kv_bytes_per_sequence))
        st.metric(f"Longest by memory, {asked} at once", _tokens(plan))
        st.metric("KV pool, one GPU", format_size(memory.kv_pool_bytes))
        st.metric("Fewest GPUs that would do", f"{smallest.num_gpus}" if smallest else "over 64")
    st.caption(plain(_small_print(plan, smallest)))


def _own_name(plan: calculator.Plan, keyword: str) -> str:
    return plan.rules.flags[keyword].strip("-").replace("-", "_")


def _is_dark() -> bool:
    return bool(st.context.theme.type == "dark")


def _tokens(plan: calculator.Plan) -> str:
    return "no limit" if plan.max_context_len >= UNLIMITED else f"{plan.max_context_len:,} tokens"


def _small_print(plan: calculator.Plan, smallest: calculator.Plan | None) -> str:
    request = plan.request
    parts = [f"{plural(request.batch_size, 'sequence')} at once asked of one replica"]
    if smallest:
        parts.append(f"fewest GPUs: {words.hardware(smallest)} with {shape(smallest)}")
    parts += [
        f"rules of {plan.rules.title} {plan.rules.version}",
        plan.rules.budget_words(plan.model, request),
        f"weights {request.weight_dtype}",
        f"KV {request.kv_cache_dtype}",
        f"TP {request.tensor_parallel_size}, PP {request.pipeline_parallel_size}, DP {request.data_parallel_size}",
        f"blocks of {request.block_size} tokens",
        f"{_own_name(plan, 'max_num_seqs')} {request.max_num_seqs:,}",
        f"{_own_name(plan, 'max_num_batched_tokens')} {request.max_num_batched_tokens:,}",
    ]
    own = (
        ("GPU memory", plan.asked.get("gpu_memory_bytes")),
        ("KV pool", request.kv_cache_memory_bytes),
        ("activations", request.activation_bytes),
        ("non-torch", request.non_torch_bytes),
        ("CUDA graphs", request.cuda_graph_bytes),
    )
    parts += [f"{name} given by hand: {format_gib(value)}" for name, value in own if value is not None]
    if words.price(plan):
        parts.append(words.price(plan))
    return " · ".join(parts)


def notes(plan: calculator.Plan) -> None:
    """Show assumptions and warnings, and what of the GPU is not verified."""
    lines = [sentence(note) for note in plan.notes[0 if plan.fits else 1 :]]
    if plan.accelerator.unverified:
        lines.append(f"Not verified for {plan.accelerator.name}: {', '.join(plan.accelerator.unverified)}")
    for line in (*lines, sentence(words.NOT_MODELLED)):
        st.caption(plain(line))


def memory_of_one_gpu(plan: calculator.Plan) -> None:
    """Show where the memory of one GPU goes, as one bar."""
    st.header("Memory of one GPU", anchor=False)
    total = plan.per_gpu.total_bytes
    needed = total - plan.per_gpu.unused_bytes
    parts = [(name, size) for name, size, _ in words.memory_lines(plan) if size > 0]
    lines = " · ".join(f"{name} {format_size(size)}" for name, size in parts)
    if plan.per_gpu.unused_bytes >= 0:
        lines += f" · together the {format_gib(total)} that a program sees"
    else:
        missing = f"the GPU has {format_gib(total)}, {format_gib(needed - total)} are missing"
        lines += f" · together {format_gib(needed)}; {missing}"
    st.plotly_chart(
        charts.on_ground(charts.memory_bar(plan, legend=False), _is_dark()),
        key="memory_bar",
        config={"displayModeBar": False},
        alt=f"Memory of one GPU: {lines}",
    )
    st.caption(plain(f"From left to right: {lines}"))


def understood(model: calculator.ModelArchitecture) -> None:
    """Show what was understood of a config: the layers, the weights by part, what was assumed and what ignored."""
    with st.expander("What was understood of the config"):
        st.dataframe(model.layer_rows(), hide_index=True, key="understood_layers", alt="Groups of layers")
        parts = [{"Part": part, "Parameters": f"{count:,}"} for part, count in model.parts.items()]
        st.dataframe(parts, hide_index=True, key="understood_parts", alt="Parameters by part")
        for label, names in (("Assumed", model.assumed), ("Ignored keys", model.ignored_keys)):
            if names:
                st.caption(plain(f"{label}: {_first(names)}."))


def _first(names: Sequence[str]) -> str:
    """Name the first of many, each cut to a length that can be read."""
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(name[:MAX_NAME] for name in names[:MAX_NAMES]) + more


def levers(plan: calculator.Plan) -> None:
    """Show what would change the answer, each change alone; a click applies it."""
    st.header("What would change it", anchor=False)
    found = calculator.levers(plan)
    shown = calculator.what_would_fit(plan) or calculator.next_steps(plan)
    if not shown:
        st.markdown("No single change of format, GPUs or length gains anything.")
    for lever in shown:
        _lever(lever, "best")
    with st.expander(f"All {len(found)} single changes", on_change="rerun", key="all_levers") as more:
        if more.open:
            for lever in found:
                _lever(lever, "all")


def _lever(lever: calculator.Lever, group: str) -> None:
    button, gain = st.columns([3, 2], vertical_alignment="center")
    button.button(
        plain(lever.label),
        key=f"{group}-{lever.label}",
        help=plain(lever.cost),
        on_click=partial(state.change, **_as_state(lever.changes)),
        width="stretch",
    )
    fits = "" if lever.plan.fits else ", does not fit"
    gain.markdown(f"**{lever.plan.total_max_batch_size:,}** ({lever.gain:+,}){fits} · {plain(lever.cost)}")


def _as_state(changes: dict[str, Any]) -> dict[str, Any]:
    names = {keyword: name for name, keyword in state.GIB_FIELDS.items()}
    return {names.get(keyword, keyword): value for keyword, value in changes.items()}


def formula(plan: calculator.Plan) -> None:
    """Show the formula with this plan's numbers, step by step."""
    st.header("The formula, with its numbers", anchor=False)
    total = calculator.kv_cache_bytes(
        plan.model, plan.request.seq_len, 1, plan.request.kv_cache_dtype, encoder_seq_len=plan.request.encoder_seq_len
    )
    st.code(f"{words.formula(plan)}\n= {format_bytes(total)}\n= {format_size(total)} a sequence", language=None)
    rows = [f"| {plain(what)} | {plain(how)} | {exact:,} |" for what, how, exact in words.formula_steps(plan)]
    st.markdown("\n".join(["| Step | How | Bytes |", "| --- | --- | ---: |", *rows]))


def growth(plan: calculator.Plan) -> None:
    """Show the linked views, one at a time."""
    labels = list(VIEW_NAMES.values())
    st.session_state["view_tab"] = VIEW_NAMES[st.session_state["view"]]
    tabs = st.tabs(labels, key="view_tab", on_change=_remember_view)
    for (name, _), tab in zip(VIEW_NAMES.items(), tabs, strict=True):
        if tab.open:
            with tab:
                _tab(plan, name)


def _tab(plan: calculator.Plan, name: str) -> None:
    """Show one view; where it cannot be computed say why, and leave the rest of the page as it is."""
    try:
        _PANELS[name](plan) if name in _PANELS else _view(plan, MADE[name])
    except calculator.CalculatorError as error:
        st.info(plain(sentence(str(error))))


def _remember_view() -> None:
    slugs = {label: name for name, label in VIEW_NAMES.items()}
    st.session_state["view"] = slugs[st.session_state["view_tab"]]


def _remember_log_x() -> None:
    st.session_state["log_x"] = st.session_state["_log_x"]


def _view(plan: calculator.Plan, make: Callable[[calculator.Plan], views.View]) -> None:
    with st.spinner("Computing"):
        view = make(plan)
    if not view.rows:
        st.info(plain(view.finding))
        return
    st.markdown(plain(view.finding))
    log_x = False
    if view.name == "sequence-length":
        st.session_state["_log_x"] = st.session_state["log_x"]
        log_x = st.toggle("Logarithmic length", key="_log_x", on_change=_remember_log_x)
    figure = charts.draw(view, log_x)
    st.plotly_chart(
        charts.on_ground(figure, _is_dark()), key=f"chart-{view.name}", config=CHART_CONFIG, alt=view.finding
    )
    refused = [row for row in view.rows if row.get("refused")]
    if refused:
        what, key = _NAMES[view.name]
        reasons = "; ".join(f"{what}{row[key]}: {row['refused']}" for row in refused)
        st.caption(plain(f"Not possible: {reasons}."))
    downloads.of_view(view, charts.draw(view, log_x))
    with st.expander("Table"):
        st.dataframe(view.frame(), hide_index=True, key=f"table-{view.name}", alt=f"Table of {view.title}")


def memory_table(plan: calculator.Plan) -> None:
    """Show every line of memory: of one GPU, of a replica, of all GPUs."""
    st.markdown("Every figure in exact bytes, of one GPU, of one replica and of all GPUs; they are not the same thing.")
    scopes = (plan.per_gpu, plan.per_replica, plan.all_gpus)
    names = (
        ("Weights", "weights_bytes"),
        ("Activations", "activation_bytes"),
        ("Outside the allocator", "non_torch_bytes"),
        ("CUDA graphs", "cuda_graph_bytes"),
        ("KV pool", "kv_pool_bytes"),
        ("Budget", "requested_bytes"),
        ("Seen by programs", "total_bytes"),
    )
    columns = ("One GPU", f"One replica ({plan.gpus_per_replica} GPUs)", f"All {plan.num_gpus} GPUs")
    rows = [
        {
            "Memory": label,
            **{column: f"{getattr(scope, name):,}" for column, scope in zip(columns, scopes, strict=True)},
        }
        for label, name in names
    ]
    st.dataframe(
        rows, hide_index=True, key="memory_table", alt="Memory of one GPU, of one replica and of all GPUs, in bytes"
    )
    sources = [f"{line.name}: {line.source}" for line in plan.stage.overheads]
    st.caption(plain(f"Overheads are estimates. {'. '.join(sources)}."))
    _gpu_facts(plan)


def _gpu_facts(plan: calculator.Plan) -> None:
    """Show what is known of the GPU, what of it is not verified, and where it comes from."""
    gpu = plan.accelerator
    known = (
        ("Memory", gpu.memory_note, "memory"),
        ("Bandwidth", _amount(gpu.bandwidth_gb_per_s, "GB/s"), "bandwidth_gb_per_s"),
        ("Dense BF16", _amount(gpu.bf16_tflops, "TFLOPS"), "bf16_tflops"),
        ("Dense FP8", _amount(gpu.fp8_tflops, "TFLOPS"), "fp8_tflops"),
        ("Dense FP4", _amount(gpu.fp4_tflops, "TFLOPS"), "fp4_tflops"),
        ("Links, both directions", _amount(gpu.link_gb_per_s, "GB/s"), "link_gb_per_s"),
        ("GPUs of a usual node", str(gpu.gpus_per_node), ""),
        ("Price of one", _price_of_one(gpu), ""),
    )
    rows = [
        f"| {label} | {plain(value)}{' (not verified)' if name in gpu.unverified and name != 'memory' else ''} |"
        for label, value, name in known
        if value
    ]
    st.markdown("\n".join([f"| {plain(gpu.name)} | |", "| --- | --- |", *rows]))
    if gpu.sources:
        st.caption(plain(f"Sources: {gpu.sources}"))


def _amount(value: float | None, unit: str) -> str:
    return f"{value:,g} {unit}" if value else ""


def _price_of_one(gpu: calculator.Accelerator) -> str:
    if not gpu.price_usd_per_hour:
        return ""
    low, high = gpu.price_usd_per_hour
    return f"${low:g} to ${high:g} per hour, seen {gpu.price_date}; an example, not a quote"


_NAMES = {
    "kv-heads": ("KV heads ", "num_key_value_heads"),
    "tensor-parallel": ("TP ", "tensor_parallel_size"),
    "engines": ("", "engine"),
    "kv-in-use": ("", "engine"),
    "parallelism": ("", "way"),
}
"""What a row of a view is called where it is not possible."""
_PANELS: dict[str, Callable[[calculator.Plan], None]] = {
    "memory": memory_table,
    "reconcile": reconciling.show,
    "about": about.show,
}
