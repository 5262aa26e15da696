"""Where memory goes: of one GPU as a bar, of every scope as a table, and the formula with its numbers."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator import charts
from calculator.units import format_bytes, format_gib, format_size
from calculator.views import words
from calculator.views.memory import overhead_lines
from dashboard import figure
from dashboard.text import plain


def of_one_gpu(plan: calculator.Plan) -> None:
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
    bar = charts.memory_bar.ready(plan, legend=False)
    figure.show(bar, "memory_bar", f"Memory of one GPU: {lines}", {"displayModeBar": False})
    st.caption(plain(f"From left to right: {lines}"))


def formula(plan: calculator.Plan) -> None:
    """Show the formula with this plan's numbers, step by step."""
    st.header("The formula, with its numbers", anchor=False)
    total = calculator.kv_cache_bytes(
        plan.model, plan.request.seq_len, 1, plan.request.kv_cache_dtype, encoder_seq_len=plan.request.encoder_seq_len
    )
    st.code(f"{words.formula(plan)}\n= {format_bytes(total)}\n= {format_size(total)} a sequence", language=None)
    rows = [f"| {plain(what)} | {plain(how)} | {exact:,} |" for what, how, exact in words.formula_steps(plan)]
    st.markdown("\n".join(["| Step | How | Bytes |", "| --- | --- | ---: |", *rows]))


def table(plan: calculator.Plan) -> None:
    """Show every line of memory: of one GPU, of a replica, of all GPUs."""
    st.markdown("Every figure in exact bytes, of one GPU, of one replica and of all GPUs; they are not the same thing.")
    scopes = (plan.per_gpu, plan.per_replica, plan.all_gpus)
    overheads = {line.line.key: line.name for line in plan.stage.overheads}
    names = (
        ("Weights", lambda scope: scope.weights_bytes),
        *((name, lambda scope, key=key: scope.lines[key].bytes) for key, name in overheads.items()),
        ("KV pool", lambda scope: scope.kv_pool_bytes),
        ("Budget", lambda scope: scope.requested_bytes),
        ("Seen by programs", lambda scope: scope.total_bytes),
    )
    columns = ("One GPU", f"One replica ({plan.gpus_per_replica} GPUs)", f"All {plan.num_gpus} GPUs")
    rows = [
        {
            "Memory": label,
            **{column: f"{read(scope):,}" for column, scope in zip(columns, scopes, strict=True)},
        }
        for label, read in names
    ]
    st.dataframe(
        rows, hide_index=True, key="memory_table", alt="Memory of one GPU, of one replica and of all GPUs, in bytes"
    )
    sources = [f"{line.name}: {line.source}" for _, line in overhead_lines(plan)]
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
