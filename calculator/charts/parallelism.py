"""The sequences that the same GPUs hold, used in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import AXIS, GREY, KV, KV_FAINT, base_figure
from calculator.views.base import View
from calculator.views.parallelism import ParallelismRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def parallelism_chart(view: View[ParallelismRow]) -> go.Figure:
    """Draw the sequences that the same GPUs hold, used in different ways, with the range of each.

    Parameters
    ----------
    view : View
        What ``views.parallelism_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a way.
    """
    import plotly.graph_objects as go

    rows = view.possible
    most = max((row.max_batch_size for row in rows), default=0)
    trace = go.Bar(
        y=[row.way for row in rows],
        x=[row.max_batch_size for row in rows],
        orientation="h",
        marker={"color": [KV if row.max_batch_size == most else KV_FAINT for row in rows]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [row.max_batch_size_high - row.max_batch_size for row in rows],
            "arrayminus": [row.max_batch_size - row.max_batch_size_low for row in rows],
            "color": GREY,
            "thickness": 1.2,
        },
        hovertemplate="%{y}: %{x:,} sequences<extra></extra>",
    )
    figure = base_figure(
        [trace],
        showlegend=False,
        bargap=0.3,
        height=120 + 40 * max(1, len(rows)),
        margin={"l": 136, "r": 44, "t": 16, "b": 48},
        xaxis={**AXIS, "title": {"text": "Sequences that fit on all GPUs"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed"},
    )
    for row in rows:
        figure.add_annotation(
            x=row.max_batch_size_high, y=row.way, text=f"{row.max_batch_size:,}", showarrow=False,
            xanchor="left", xshift=5,
        )  # fmt: skip
    return figure
