"""How many presets have which ratio of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import GREY, KV, OTHER_LINE, base_figure
from calculator.views.base import View
from calculator.views.heads.ratios import RatioRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_NAMED = 6


def ratio_chart(view: View[RatioRow]) -> go.Figure:
    """Draw how many presets have which number of query heads to a KV head, the chosen ratio in full colour.

    Parameters
    ----------
    view : View
        What ``views.heads.ratios.ratio_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a ratio, its count above it.
    """
    import plotly.graph_objects as go

    labels = [row.label for row in view.rows]
    bars = go.Bar(
        x=labels,
        y=[row.num_models for row in view.rows],
        name="Presets",
        text=[f"{row.num_models:,}" for row in view.rows],
        textposition="outside",
        textangle=0,
        cliponaxis=False,
        marker={"color": [KV if row.chosen else OTHER_LINE for row in view.rows], "line": {"color": GREY, "width": 0}},
        customdata=[_named(row) for row in view.rows],
        hovertemplate="%{y} presets: %{customdata}<extra></extra>",
    )
    return base_figure(
        [bars],
        showlegend=False,
        height=260,
        bargap=0.3,
        margin={"l": 16, "r": 8, "t": 24, "b": 48},
        xaxis={
            "title": {"text": "Query heads to a KV head"},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels,
            "tickangle": 0,
        },
        yaxis={"title": {"text": ""}, "visible": False, "rangemode": "tozero"},
    )


def _named(row: RatioRow) -> str:
    names = row.models.split(", ")
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return "<br>".join(names[:MOST_NAMED]) + more
