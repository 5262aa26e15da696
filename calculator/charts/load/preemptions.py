"""How often a request is thrown out with a full queue, by rule of admission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import GREY, KV, base_figure
from calculator.views.base import View
from calculator.views.load.preemptions import PreemptionRow
from calculator.views.load.wording import rounded

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW, AROUND = 52, 110
"""Height of a bar and of what stands around them all [pixels]."""


def preemption_chart(view: View[PreemptionRow]) -> go.Figure:
    """Draw how often a request is thrown out with a full queue, a bar a rule, the plan's own in full colour.

    Parameters
    ----------
    view : View
        What ``views.preemption_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Horizontal bars; behind each how many requests run.
    """
    import plotly.graph_objects as go

    rows = view.rows
    most = max((row.preemptions_high or row.preemptions for row in rows), default=0)
    bars = go.Bar(
        x=[row.preemptions for row in rows],
        y=[_name(row) for row in rows],
        orientation="h",
        marker={"color": [KV if row.this_plan else GREY for row in rows]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_off(row.preemptions_high, row.preemptions) for row in rows],
            "arrayminus": [_off(row.preemptions, row.preemptions_low) for row in rows],
            "color": GREY,
            "thickness": 1,
        },
        customdata=[[row.rule, rounded(row.preemptions, 2)] for row in rows],
        hovertemplate="%{customdata[1]} times: %{customdata[0]}<extra></extra>",
    )
    figure = base_figure(
        [bars],
        showlegend=False,
        height=AROUND + ROW * len(rows),
        bargap=0.45,
        xaxis={"title": {"text": "Times that a request is thrown out"}, "range": [0, 1.6 * most or 1]},
        yaxis={"autorange": "reversed", "automargin": True, "showgrid": False},
    )
    for index, row in enumerate(rows):
        figure.add_annotation(
            x=row.preemptions_high or row.preemptions,
            y=index,
            text=f"{rounded(row.preemptions, 2)}, {rounded(row.running)} running",
            showarrow=False,
            xanchor="left",
            xshift=6,
        )
    return figure


def _name(row: PreemptionRow) -> str:
    limit = "by memory alone" if row.max_num_seqs is None else f"at most {row.max_num_seqs:,}"
    return f"{row.engine} {row.since}".rstrip() + f"<br>{limit}"


def _off(high: float | None, low: float | None) -> float:
    return max(0.0, high - low) if high is not None and low is not None else 0.0
