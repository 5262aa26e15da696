"""The risk that the pool is exceeded, over the number of requests at once."""

from __future__ import annotations

from math import log10
from typing import Any

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.ready import Spec, chart, note, titled
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.load.risk import RiskRow
from calculator.views.load.wording import percent

TICKS = [0.001, 0.01, 0.1, 1, 10, 50, 100]
LEAST = 1e-5


@chart
def risk_chart(view: View[RiskRow]) -> Spec:
    """Draw the risk that the pool is exceeded over the number of requests, what fits at the stated risk marked.

    Parameters
    ----------
    view : View
        What ``views.risk_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A line in percent on a logarithmic axis.
    """
    rows = view.rows
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": [row.sequences for row in rows],
            "y": [100 * row.risk if row.risk >= LEAST else None for row in rows],
            "name": phrase("Risk"),
            "mode": "lines",
            "line": {"color": KV, "width": 2.5},
            "customdata": [percent(row.risk) for row in rows],
            "hovertemplate": say("risk.at_once_time", "%{{x:,}} at once: %{{customdata}} of the time<extra></extra>"),
        }
    ]
    marks = [(row, KV) for row in rows if row.recommended] + [(row, GREY) for row in rows if row.even]
    marks = [(row, colour) for row, colour in marks if row.risk >= LEAST]
    traces.append(
        {
            "type": "scatter",
            "x": [row.sequences for row, _ in marks],
            "y": [100 * row.risk for row, _ in marks],
            "name": phrase("What fits"),
            "mode": "markers",
            "marker": {"color": [colour for _, colour in marks], "size": 11},
            "customdata": [percent(row.risk) for row, _ in marks],
            "hovertemplate": say("risk.at_once_time", "%{{x:,}} at once: %{{customdata}} of the time<extra></extra>"),
        }
    )
    drawn = base_chart(
        traces,
        title=titled(view.plan, view.title),
        showlegend=False,
        xaxis={
            "title": {"text": phrase("Requests in decode at once, one replica")},
            "tickformat": ",",
            "hoverformat": ",",
        },
        yaxis={
            "title": {"text": phrase("Pool exceeded, % of the time")},
            "type": "log",
            "tickvals": TICKS,
            "ticktext": [f"{tick:g}" for tick in TICKS],
            "range": [log10(100 * LEAST), 2.15],
        },
    )
    for row, _ in marks:
        note(
            drawn,
            showarrow=True,
            x=row.sequences,
            y=log10(100 * row.risk),
            text=say(
                "risk.fit_here" if row.recommended else "risk.even_here",
                "{sequences:,} fit" if row.recommended else "{sequences:,} at even odds",
                sequences=row.sequences,
            ),
            ax=-14 if row.recommended else 14,
            ay=-26 if row.recommended else 30,
            xanchor="right" if row.recommended else "left",
            arrowcolor=GREY,
            arrowhead=0,
        )
    return drawn
