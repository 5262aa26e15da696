"""Four small charts that move together, each with its number above it, and what presets chose on the same axis."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import streamlit as st

import calculator
from calculator.charts import heads
from calculator.planning.heads.rows import HeadRow
from calculator.units import format_size
from calculator.views.heads.answer import published
from calculator.views.heads.chosen import plan_of
from calculator.views.heads.quality import quality_view, trained
from calculator.views.heads.ratios import ratio_view
from calculator.views.load.wording import rounded
from dashboard import downloads, figure
from dashboard.text import plain, tell

QUIET = {"displayModeBar": False}


class Small(NamedTuple):
    """One small chart: its key, what stands above it, what it says to who does not see it, and how it is drawn."""

    key: str
    title: str
    value: str
    note: str
    alt: str
    draw: Any


def show(study: calculator.HeadStudy, row: HeadRow, dimmed: bool = False) -> None:
    """Show memory, users, speed and quality over the KV heads, the chosen row in full colour."""
    shown = list(_small(study, row))
    halves = st.grid(2, min_column_width=440)  # four beside each other, else two and two, else one below the other
    for pair in (shown[:2], shown[2:]):
        quarters = halves.grid(2, min_column_width=250)
        for one in pair:
            with quarters.container(gap="xsmall"):
                st.markdown(f"**{one.title}** {plain(one.value)}  \n:small[{plain(one.note)}]")
                drawn = one.draw.ready(study, row)
                figure.show(drawn, f"chart-heads-{one.key}", one.alt, QUIET, dimmed=dimmed, titled=False)
    if dimmed:
        return
    files = {one.alt: partial(one.draw.ready, study, row) for one in shown}
    downloads.of_rows("kv-heads-study", study, files, study.model)
    with st.expander(tell("Table"), on_change="rerun", key="fold-heads") as fold:
        if fold.open:
            st.dataframe(
                downloads.table_of(study), hide_index=True, key="table-heads", alt=tell("Every number of KV heads")
            )


def _small(study: calculator.HeadStudy, row: HeadRow) -> Iterator[Small]:
    plan = plan_of(study, row)
    kept = (
        tell("not possible")
        if plan is None
        else tell("{kv_bytes_per_gpu} a user", kv_bytes_per_gpu=format_size(plan.kv_bytes_per_gpu))
    )
    yield Small(
        "memory", tell("Memory"), kept, tell("of one GPU · hatched: copies · dotted: MLA"),
        tell("Memory of one GPU over the KV heads; chosen: {kept}", kept=kept), heads.memory_chart,
    )  # fmt: skip
    held = (
        tell("not possible")
        if plan is None
        else (
            tell(
                "{max_batch_size:,} ({max_batch_size_low:,} to {max_batch_size_high:,})",
                max_batch_size=row.max_batch_size,
                max_batch_size_low=row.max_batch_size_low,
                max_batch_size_high=row.max_batch_size_high,
            )
        )
    )
    yield Small(
        "users", tell("Users held"), held, tell("of {seq_len:,} tokens each, on one replica", seq_len=study.seq_len),
        tell("Users held over the KV heads; chosen: {held}", held=held), heads.batch_chart,
    )  # fmt: skip
    rate = row.full_output_tokens_per_second
    fast = "none" if rate is None else tell("{rate} tokens/s", rate=rounded(rate))
    around = (
        ""
        if rate is None
        else (
            tell(
                " · {full_output_tokens_per_second_low} to {full_output_tokens_per_second_high}",
                full_output_tokens_per_second_low=rounded(row.full_output_tokens_per_second_low or 0),
                full_output_tokens_per_second_high=rounded(row.full_output_tokens_per_second_high or 0),
            )
        )
    )
    yield Small(
        "speed", tell("Speed, full"), fast, tell("all users held together{around}", around=around),
        tell("Tokens a second of all users held over the KV heads; chosen: {fast}", fast=fast), heads.speed_chart,
    )  # fmt: skip
    points = [pair.change for pair in trained(study, row)]
    value = (
        tell("no data") if not points else tell("{least:+g} to {most:+g} points", least=min(points), most=max(points))
    )
    yield Small(
        "quality", tell("Quality"), tell("the baseline") if row.kind == "mha" else value,
        tell("each a published pair · diamonds: converted"),
        tell("{of} {what}", of=quality_view(study).finding, what=published(study, row)), heads.quality_chart,
    )  # fmt: skip


def presets(study: calculator.HeadStudy, row: HeadRow) -> None:
    """Say how many presets chose which ratio of heads: the dots above the charts, as a table."""
    view = ratio_view(study, row)
    st.subheader(plain(view.finding), anchor=False)
    alt = tell("{of}: {what}", of=study.model.name, what=view.finding)
    figure.show(heads.ratios_chart.ready(view), "chart-ratios", alt, QUIET)
    st.markdown(
        tell(":gray[:small[The dots above the charts are the same presets, each at its H:G on this model's axis.]]")
    )
    with st.expander(tell("Table of presets"), on_change="rerun", key="fold-ratios") as fold:
        if fold.open:
            st.dataframe(
                downloads.table_of(view),
                hide_index=True,
                key="table-ratios",
                alt=tell("Presets by query heads to a KV head"),
            )
            downloads.of_rows(view.name, view, {})
