"""KV memory and the largest batch against the number of KV heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import AXIS, GREY, KV, KV_FAINT, base_figure, caption, limit_line
from calculator.units import GIB, format_bytes
from calculator.views.base import View
from calculator.views.kv_heads import KvHeadRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def kv_head_chart(view: View[KvHeadRow]) -> go.Figure:
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
    answered = [(label, row) for label, row in zip(labels, view.rows, strict=True) if not row.refused]
    names = [label for label, _ in answered]
    colours = [KV if row.this_model else KV_FAINT for _, row in answered]
    traces = [
        go.Bar(
            x=names,
            y=[row.kv_bytes_per_gpu / GIB for _, row in answered],
            marker={"color": colours},
            text=[_signed(-row.saving_percent) if row.saving_percent else "" for _, row in answered],
            textposition="outside",
            cliponaxis=False,
            customdata=[[format_bytes(row.kv_bytes_per_gpu), _signed(-row.saving_percent)] for _, row in answered],
            hovertemplate="%{customdata[0]} on one GPU<br>%{customdata[1]} against MHA<extra></extra>",
        ),
        go.Bar(
            x=names,
            y=[row.max_batch_size for _, row in answered],
            yaxis="y2",
            marker={"color": colours},
            text=[f"{row.max_batch_size:,}" for _, row in answered],
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
    pool, most = view.plan.per_gpu.kv_pool_bytes, max((row.kv_bytes_per_gpu for _, row in answered), default=0)
    if pool <= most:
        limit_line(figure, pool / GIB, f"KV pool {pool / GIB:,.1f} GiB")
    for index, row in enumerate(view.rows):
        if row.refused:
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


def _variant(row: KvHeadRow) -> str:
    """Label a variant by its KV heads and kind; what is not a number of heads by its kind alone."""
    return f"{row.num_key_value_heads}<br>{row.kind}" if row.kind.is_counted else f"<br>{row.kind}"


def _signed(percent: float) -> str:
    return f"{percent:+g} %".replace("-", "−")
