"""Results as Plotly figures, the same in the browser and in a notebook.

The figures carry their own template and colours, so they look alike wherever they are shown.
The same thing has the same colour in every chart: KV cache, weights, and greys for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calculator.charts.base import (
    AXIS,
    GREY,
    KV,
    KV_FAINT,
    LINE_COLOURS,
    WEIGHTS,
    base_figure,
    caption,
    limit_line,
)
from calculator.units import GIB, format_bytes
from calculator.views.base import View

if TYPE_CHECKING:
    import plotly.graph_objects as go


def kv_head_chart(view: View) -> go.Figure:
    """Draw KV memory and the largest batch against the number of KV heads, this model's own marked.

    Parameters
    ----------
    view : View
        What ``views.kv_head_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Bars of GiB of one GPU above, sequences of one replica below.
    """
    import plotly.graph_objects as go

    request = view.plan.request
    labels = [_variant(row) for row in view.rows]
    possible = [(label, row) for label, row in zip(labels, view.rows, strict=True) if not row["refused"]]
    names = [label for label, _ in possible]
    colours = [KV if row["this_model"] else KV_FAINT for _, row in possible]
    traces = [
        go.Bar(
            x=names,
            y=[row["kv_bytes_per_gpu"] / GIB for _, row in possible],
            marker={"color": colours},
            text=[_signed(-row["saving_percent"]) if row["saving_percent"] else "" for _, row in possible],
            textposition="outside",
            cliponaxis=False,
            customdata=[
                [format_bytes(row["kv_bytes_per_gpu"]), _signed(-row["saving_percent"])] for _, row in possible
            ],
            hovertemplate="%{customdata[0]} on one GPU<br>%{customdata[1]} against MHA<extra></extra>",
        ),
        go.Bar(
            x=names,
            y=[row["max_batch_size"] for _, row in possible],
            yaxis="y2",
            marker={"color": colours},
            text=[f"{row['max_batch_size']:,}" for _, row in possible],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y:,} sequences fit on one replica<extra></extra>",
        ),
    ]
    figure = base_figure(
        traces,
        showlegend=False,
        height=460,
        bargap=0.35,
        xaxis={
            "title": {"text": "KV heads, G"},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels,
            "range": [-0.5, len(labels) - 0.5],
            "anchor": "y2",
        },
        yaxis={"title": {"text": "KV cache, GiB"}, "domain": [0.56, 1], "rangemode": "tozero"},
        yaxis2={**AXIS, "title": {"text": "Sequences"}, "domain": [0, 0.4], "rangemode": "tozero"},
    )
    sequences = "1 sequence" if request.batch_size == 1 else f"{request.batch_size:,} sequences"
    caption(figure, f"KV cache of one GPU for {sequences} of {request.seq_len:,} tokens", 1.09)
    caption(figure, "Largest batch of one replica", 0.48)
    pool, most = view.plan.per_gpu.kv_pool_bytes, max((row["kv_bytes_per_gpu"] for _, row in possible), default=0)
    if pool <= most:
        limit_line(figure, pool / GIB, f"KV pool {pool / GIB:,.1f} GiB")
    for index, row in enumerate(view.rows):
        if row["refused"]:
            figure.add_annotation(
                x=index,
                y=0,
                text="not possible",
                textangle=-90,
                showarrow=False,
                yanchor="bottom",
                font={"color": GREY},
            )
    return figure


def _variant(row: dict[str, Any]) -> str:
    """Label a variant by its KV heads and kind; what is not a number of heads by its kind alone."""
    counted = row["kind"] in ("MHA", "GQA", "MQA")
    return f"{row['num_key_value_heads']}<br>{row['kind']}" if counted else f"<br>{row['kind']}"


def _signed(percent: float) -> str:
    return f"{percent:+g} %".replace("-", "−")


def sequence_length_chart(view: View, log_x: bool = False) -> go.Figure:
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
    lengths = [row["seq_len"] for row in rows]
    layers = (
        ("Weights", "weights_bytes_per_gpu", WEIGHTS),
        ("Overheads", "overhead_bytes_per_gpu", LINE_COLOURS["Outside the allocator"]),
        ("KV cache", "kv_bytes_per_gpu", KV),
    )
    traces = [
        go.Scatter(
            x=lengths,
            y=[row[column] / GIB for row in rows],
            name=name,
            mode="lines",
            stackgroup="memory",
            line={"width": 0.5, "color": colour},
            fillcolor=colour,
            customdata=[format_bytes(row[column]) for row in rows],
            hovertemplate="%{customdata}",
        )
        for name, column, colour in layers
    ]
    limit, longest = plan.per_gpu.requested_bytes / GIB, lengths[-1]
    top = max(plan.per_gpu.total_bytes, *(sum(row[column] for _, column, _ in layers) for row in rows)) / GIB
    figure = base_figure(
        traces,
        hovermode="x unified",
        xaxis={
            "title": {"text": "Sequence length, tokens"},
            "type": "log" if log_x else "linear",
            "tickformat": ",",
            "hoverformat": ",",
            **({"dtick": "D2"} if log_x and longest / lengths[0] < 50 else {}),
        },
        yaxis={"title": {"text": "One GPU, GiB"}, "range": [0, min(top, 3 * limit) * 1.12]},
    )
    limit_line(figure, limit, f"limit {limit:,.1f} GiB")
    if 0 < plan.max_context_len <= longest:
        _mark_length(figure, plan.max_context_len, f"{plan.max_context_len:,} tokens", log_x, limit)
    return figure


def _mark_length(figure: go.Figure, tokens: int, text: str, log_x: bool, height: float) -> None:
    from math import log10

    figure.add_vline(x=tokens, line={"color": GREY, "width": 1})
    figure.add_annotation(
        x=log10(tokens) if log_x else tokens, y=height, text=text, ax=-48, ay=-34, arrowcolor=GREY, arrowhead=2
    )


def tensor_parallel_chart(view: View) -> go.Figure:
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
    rows = [row for row in view.rows if not row["refused"]]
    labels = [str(row["tensor_parallel_size"]) for row in rows]
    traces: list[Any] = [
        go.Bar(
            x=labels,
            y=[row[column] / GIB for row in rows],
            name=name,
            marker={"color": colour, "opacity": [1 if row["this_plan"] else 0.55 for row in rows]},
            customdata=[format_bytes(row[column]) for row in rows],
            hovertemplate=f"{name}: %{{customdata}} on one GPU<extra></extra>",
        )
        for name, column, colour in (
            ("Weights", "weights_bytes_per_gpu", WEIGHTS),
            ("KV cache", "kv_bytes_per_gpu", KV),
        )
    ]
    for name, column, dash in (("a replica", "max_batch_size", "solid"), ("a GPU", "max_batch_size_per_gpu", "dot")):
        traces.append(
            go.Scatter(
                x=labels,
                y=[row[column] for row in rows],
                name=f"Sequences {name}",
                yaxis="y2",
                mode="lines+markers+text",
                text=[f"{row[column]:,g}" if column == "max_batch_size" else "" for row in rows],
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
    copied = next((index for index, row in enumerate(rows) if row["kv_replication"] > 1), None)
    if copied is not None and copied > 0:
        figure.add_vline(x=copied - 0.5, line={"color": GREY, "width": 1})
        figure.add_annotation(
            x=copied - 0.5, y=1, yref="paper", text=" copies begin", showarrow=False, xanchor="left", yanchor="top"
        )
    return figure
