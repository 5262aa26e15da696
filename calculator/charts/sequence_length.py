"""The memory of one GPU against sequence length."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

from calculator.charts.base import GREY, KV, LINE_COLOURS, WEIGHTS, base_figure, limit_line
from calculator.units import GIB, format_bytes
from calculator.views.base import View
from calculator.views.sequence_length import LengthRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def sequence_length_chart(view: View[LengthRow], log_x: bool = False) -> go.Figure:
    """Draw the memory of one GPU against sequence length, stacked, with the limit and the crossing.

    Parameters
    ----------
    view : View
        What ``views.sequence_length_view`` answered [-].
    log_x : bool
        Whether the length axis is logarithmic [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Stacked areas in GiB and the GPU's limit as a line.
    """
    import plotly.graph_objects as go

    plan, rows = view.plan, view.rows
    lengths = [row.seq_len for row in rows]
    layers = (
        ("Weights", [row.weights_bytes_per_gpu for row in rows], WEIGHTS),
        ("Overheads", [row.overhead_bytes_per_gpu for row in rows], LINE_COLOURS["non_torch"]),
        ("KV cache", [row.kv_bytes_per_gpu for row in rows], KV),
    )
    traces = [
        go.Scatter(
            x=lengths,
            y=[size / GIB for size in sizes],
            name=name,
            mode="lines",
            stackgroup="memory",
            line={"width": 0.5, "color": colour},
            fillcolor=colour,
            customdata=[format_bytes(size) for size in sizes],
            hovertemplate="%{customdata}",
        )
        for name, sizes, colour in layers
    ]
    # a pool given outright lies beside the budget: what ends it is the device
    is_given = plan.request.kv_cache_memory_bytes is not None
    limit = (plan.per_gpu.total_bytes if is_given else plan.per_gpu.requested_bytes) / GIB
    shortest, longest = lengths[0], lengths[-1]
    ends = [log10(shortest), log10(longest)] if log_x else [shortest, longest]
    top = max(plan.per_gpu.total_bytes, *map(sum, zip(*(sizes for _, sizes, _ in layers), strict=True))) / GIB
    figure = base_figure(
        traces,
        hovermode="x unified",
        xaxis={
            "title": {"text": "Sequence length, tokens"},
            "type": "log" if log_x else "linear",
            "tickformat": ",",
            "hoverformat": ",",
            **({"range": ends} if shortest < longest else {}),
            **({"dtick": "D2"} if log_x and longest / shortest < 50 else {}),
        },
        yaxis={"title": {"text": "One GPU, GiB"}, "range": [0, min(top, 3 * limit) * 1.12]},
    )
    limit_line(figure, limit, f"limit {limit:,.1f} GiB")
    if 0 < plan.max_context_len <= longest:
        place = log10(plan.max_context_len) if log_x else plan.max_context_len
        is_left = place - ends[0] < (ends[1] - ends[0]) / 3
        _mark_length(figure, plan.max_context_len, place, limit, 56 if is_left else -48)
    return figure


def _mark_length(figure: go.Figure, tokens: int, place: float, height: float, aside: int) -> None:
    """Draw a line at a length and its name aside, where the chart has room for it."""
    figure.add_vline(x=tokens, line={"color": GREY, "width": 1})
    figure.add_annotation(x=place, y=height, text=f"{tokens:,} tokens", ax=aside, ay=-34, arrowcolor=GREY, arrowhead=2)
