"""Weights and KV cache of one GPU against the tensor-parallel degree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calculator.charts.base import AXIS, GREY, KV, WEIGHTS, base_figure, limit_line
from calculator.units import GIB, format_bytes
from calculator.views.base import View
from calculator.views.tensor_parallel import TensorParallelRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def tensor_parallel_chart(view: View[TensorParallelRow]) -> go.Figure:
    """Draw weights and KV cache of one GPU against the tensor-parallel degree, the knee at TP = G marked.

    Parameters
    ----------
    view : View
        What ``views.tensor_parallel_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Stacked bars in GiB above, sequences of a replica and of a GPU below.
    """
    import plotly.graph_objects as go

    plan = view.plan
    rows = view.possible
    labels = [str(row.tensor_parallel_size) for row in rows]
    traces: list[Any] = [
        go.Bar(
            x=labels,
            y=[size / GIB for size in sizes],
            name=name,
            marker={"color": colour, "opacity": [1 if row.this_plan else 0.55 for row in rows]},
            customdata=[format_bytes(size) for size in sizes],
            hovertemplate=f"{name}: %{{customdata}} on one GPU<extra></extra>",
        )
        for name, sizes, colour in (
            ("Weights", [row.weights_bytes_per_gpu for row in rows], WEIGHTS),
            ("KV cache", [row.kv_bytes_per_gpu for row in rows], KV),
        )
    ]
    for name, counts, dash, written in (
        ("a replica", [row.max_batch_size for row in rows], "solid", True),
        ("a GPU", [row.max_batch_size_per_gpu for row in rows], "dot", False),
    ):
        traces.append(
            go.Scatter(
                x=labels,
                y=counts,
                name=f"Sequences {name}",
                yaxis="y2",
                mode="lines+markers+text",
                text=[f"{count:,g}" if written else "" for count in counts],
                textposition="top center",
                cliponaxis=False,
                line={"color": GREY, "dash": dash},
                hovertemplate=f"%{{y:,}} sequences {name}<extra></extra>",
            )
        )
    limit = plan.per_gpu.requested_bytes / GIB
    figure = base_figure(
        traces,
        barmode="stack",
        bargap=0.35,
        height=480,
        xaxis={"title": {"text": "Tensor-parallel degree, TP"}, "type": "category", "anchor": "y2"},
        yaxis={"title": {"text": "One GPU, GiB"}, "domain": [0.5, 1], "rangemode": "tozero"},
        yaxis2={**AXIS, "title": {"text": "Sequences"}, "domain": [0, 0.38], "rangemode": "tozero"},
    )
    limit_line(figure, limit, f"limit {limit:,.1f} GiB")
    copied = next((index for index, row in enumerate(rows) if row.kv_replication > 1), None)
    if copied is not None and copied > 0:
        figure.add_vline(x=copied - 0.5, line={"color": GREY, "width": 1})
        figure.add_annotation(
            x=copied - 0.5, y=1, yref="paper", text=" copies begin", showarrow=False, xanchor="left", yanchor="top"
        )
    return figure
