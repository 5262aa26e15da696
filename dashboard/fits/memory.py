"""Where the memory of one GPU goes: a bar with its legend, and every figure in exact bytes."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator import charts
from calculator.units import GIB
from calculator.views.fits import verdict
from calculator.views.memory import gauge, overhead_lines
from dashboard import figure
from dashboard.text import listed, plain, tell, told

MARKS = {
    "weights": ":orange[■]",
    "overheads": ":gray[■]",
    "kv": ":blue[■]",
    "room": ":blue[▨]",
    "missing": ":red[▨]",
    "free": ":gray[□]",
}


def of_one_gpu(plan: calculator.Plan, dimmed: bool) -> None:
    """Show where the memory of one GPU goes, as one bar and its legend, which sums to what a program sees.

    Where it does not fit the sum is what is needed, and what of it does not fit stands behind it.
    """
    segments = gauge(plan)
    parts = [one for one in segments if one.key != "missing"]
    sizes, total = _rounded([one.whole_bytes for one in parts]), sum(one.whole_bytes for one in parts)
    said = [tell("{name} {size} GiB", name=part.name, size=size) for part, size in zip(parts, sizes, strict=True)]
    said.append(tell("together {total:,.2f} GiB{limit}", total=total / GIB, limit=_limit(plan, total)))
    with st.container(gap="xsmall"):
        bar = charts.memory_bar.ready(plan, legend=False)
        alt = tell("Memory of one GPU: {parts}", parts=listed(said))
        figure.show(bar, "memory_bar", alt, {"displayModeBar": False}, dimmed=dimmed)
        entries = []
        for part, size in zip(parts, sizes, strict=True):
            text = f"{plain(part.name)} {plain(size)}" if dimmed else f"{plain(part.name)} **{plain(size)}**"
            if part.key == "overheads":
                text += f" :gray[({plain(verdict.overheads_in_words(plan))})]" if not dimmed else ""
            entries.append(text if dimmed else f"{MARKS[part.key]}\u00a0{text}")
        if plan.stage.exceeds and total > plan.per_gpu.total_bytes:
            sums = tell("= {total:,.2f} GiB of one GPU{limit}", total=total / GIB, limit=_limit(plan, total))
        elif len(parts) < len(segments):
            sums = tell("= {total:,.2f} GiB needed", total=total / GIB)
        else:
            sums = f"=\u00a0{total / GIB:,.2f}\u00a0GiB"
        entries.append(plain(sums))
        for one in segments[len(parts) :]:
            size = f"{one.bytes / GIB:,.2f}"
            entries.append(
                f"{told(one.name)} {size}" if dimmed else f"{MARKS[one.key]}\u00a0{plain(one.name)} **{plain(size)}**"
            )
        line = " \u2003".join(entries)
        st.markdown(f":gray[{line}]" if dimmed else line)


def _limit(plan: calculator.Plan, needed: int) -> str:
    memory = plan.per_gpu
    if plan.stage.exceeds and needed > memory.total_bytes:
        return tell(", which has {total_bytes:,.2f}", total_bytes=memory.total_bytes / GIB)
    return tell(
        "; the engine may use {requested_bytes:,.2f} of {total_bytes:,.2f}",
        requested_bytes=memory.requested_bytes / GIB,
        total_bytes=memory.total_bytes / GIB,
    )


def _rounded(sizes: list[int]) -> list[str]:
    """Write sizes in hundredths of a GiB that sum to the sum as it is written."""
    exact = [100 * size / GIB for size in sizes]
    kept = [int(size) for size in exact]
    short = round(sum(exact)) - sum(kept)
    for index in sorted(range(len(exact)), key=lambda index: kept[index] - exact[index])[:short]:
        kept[index] += 1
    return [f"{size / 100:,.2f}" for size in kept]


def table(plan: calculator.Plan) -> None:
    """Show every line of memory: of one GPU, of a replica, of all GPUs."""
    st.markdown(tell("In exact bytes, of one GPU, of one replica and of all GPUs; they are not the same thing."))
    scopes = (plan.per_gpu, plan.per_replica, plan.all_gpus)
    overheads = {line.line.key: line.name for line in plan.stage.overheads}
    names = (
        (tell("Weights"), lambda scope: scope.weights_bytes),
        *((name, lambda scope, key=key: scope.lines[key].bytes) for key, name in overheads.items()),
        (tell("KV pool"), lambda scope: scope.kv_pool_bytes),
        (tell("Budget"), lambda scope: scope.requested_bytes),
        (tell("Seen by programs"), lambda scope: scope.total_bytes),
    )
    columns = (
        tell("One GPU"),
        tell("One replica ({gpus_per_replica} GPUs)", gpus_per_replica=plan.gpus_per_replica),
        tell("All {num_gpus} GPUs", num_gpus=plan.num_gpus),
    )
    rows = [
        {
            tell("Memory"): label,
            **{column: f"{read(scope):,}" for column, scope in zip(columns, scopes, strict=True)},
        }
        for label, read in names
    ]
    st.dataframe(
        rows,
        hide_index=True,
        key="memory_table",
        alt=tell("Memory of one GPU, of one replica and of all GPUs, in bytes"),
    )
    sources = [f"{line.name}: {line.source}" for _, line in overhead_lines(plan)]
    request = plan.request
    st.markdown(
        plain(
            tell(
                "{num_blocks:,} blocks of {block_size:,} tokens. {title} {version}: {budget_words}; "
                "{own_name} {max_num_seqs:,}, {own_name_2} {max_num_batched_tokens:,}. Overheads are "
                "estimates. {join}.",
                num_blocks=plan.num_blocks,
                block_size=request.block_size,
                title=plan.rules.title,
                version=plan.rules.version,
                budget_words=plan.rules.budget_words(plan.model, request),
                own_name=own_name(plan, "max_num_seqs"),
                max_num_seqs=request.max_num_seqs,
                own_name_2=own_name(plan, "max_num_batched_tokens"),
                max_num_batched_tokens=request.max_num_batched_tokens,
                join=". ".join(sources),
            )
        )
    )
    of_gpu(plan)


def own_name(plan: calculator.Plan, keyword: str) -> str:
    """Return what the engine calls a keyword."""
    return plan.rules.flags[keyword].strip("-").replace("-", "_")


def of_gpu(plan: calculator.Plan) -> None:
    """Show what is known of the GPU, what of it is not verified, and where it comes from."""
    gpu = plan.accelerator
    known = (
        (tell("Memory"), gpu.memory_note, "memory"),
        (tell("Bandwidth"), _amount(gpu.bandwidth_gb_per_s, "GB/s"), "bandwidth_gb_per_s"),
        (tell("Dense BF16"), _amount(gpu.bf16_tflops, "TFLOPS"), "bf16_tflops"),
        (tell("Dense FP8"), _amount(gpu.fp8_tflops, "TFLOPS"), "fp8_tflops"),
        (tell("Dense FP4"), _amount(gpu.fp4_tflops, "TFLOPS"), "fp4_tflops"),
        (tell("Links, both directions"), _amount(gpu.link_gb_per_s, "GB/s"), "link_gb_per_s"),
        (tell("GPUs of a usual node"), str(gpu.gpus_per_node), ""),
        (tell("Price of one"), _price_of_one(gpu), ""),
    )
    rows = [
        f"| {label} | {plain(value)}{tell(' (not verified)') if name in gpu.unverified and name != 'memory' else ''} |"
        for label, value, name in known
        if value
    ]
    st.markdown("\n".join([f"| {plain(gpu.name)} | |", "| --- | --- |", *rows]))
    if gpu.sources:
        st.markdown(f":gray[:small[{plain(tell('Sources: {sources}', sources=gpu.sources))}]]")


def _amount(value: float | None, unit: str) -> str:
    return f"{value:,g} {unit}" if value else ""


def _price_of_one(gpu: calculator.Accelerator) -> str:
    if not gpu.price_usd_per_hour:
        return ""
    low, high = gpu.price_usd_per_hour
    return tell(
        "${low:g} to ${high:g} per hour, seen {price_date}; an example, not a quote",
        low=low,
        high=high,
        price_date=gpu.price_date,
    )
