"""The budget of one GPU on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import AXIS, KV, LINE_COLOURS, WEIGHTS, base_figure
from calculator.units import GIB, format_bytes
from calculator.views.base import View
from calculator.views.engines import EngineRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def engines_chart(view: View[EngineRow]) -> go.Figure:
    """Draw the budget of one GPU on each engine as a stacked bar, with the sequences that fit.

    Parameters
    ----------
    view : View
        What ``views.engines_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar an engine in GiB; those that cannot serve the request are said.
    """
    import plotly.graph_objects as go

    rows = view.possible
    names = [row.engine for row in rows]
    parts = (
        ("Weights", [row.weights_bytes_per_gpu for row in rows], WEIGHTS),
        ("Overheads in the budget", [row.overhead_bytes_per_gpu for row in rows], LINE_COLOURS["non_torch"]),
        ("KV pool", [row.kv_pool_bytes_per_gpu for row in rows], KV),
        ("Left free", [row.kept_free_bytes_per_gpu for row in rows], LINE_COLOURS["kept_free"]),
    )
    traces = [
        go.Bar(
            y=names,
            x=[max(0, size) / GIB for size in sizes],
            name=label,
            orientation="h",
            marker={"color": colour},
            customdata=[format_bytes(size) for size in sizes],
            hovertemplate=f"{label}: %{{customdata}}<extra></extra>",
        )
        for label, sizes, colour in parts
    ]
    figure = base_figure(
        traces,
        barmode="stack",
        bargap=0.5,
        height=190 + 72 * max(1, len(rows)),
        margin={"l": 104, "r": 16, "t": 16, "b": 150},
        legend={"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top", "traceorder": "normal"},
        xaxis={**AXIS, "title": {"text": "One GPU, GiB"}},
        yaxis={"autorange": "reversed"},
    )
    for row in rows:
        low, high = row.max_batch_size_low, row.max_batch_size_high
        around = f" ({low:,} to {high:,})" if low != high else ""
        figure.add_annotation(
            x=0, y=row.engine, text=f"{row.max_batch_size:,} sequences{around}", showarrow=False,
            xanchor="left", yshift=28, font={"size": 13},
        )  # fmt: skip
    return figure
