"""What requests hold of the pool at a random moment."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.ready import Spec, chart, note, titled, upright
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.load.resident_tokens import ResidentRow
from calculator.views.load.wording import percent


@chart
def resident_tokens_chart(view: View[ResidentRow]) -> Spec:
    """Draw what requests hold of the pool: as bars what fits at the stated risk, as a line even odds.

    Parameters
    ----------
    view : View
        What ``views.resident_tokens_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of the time over tokens of the pool, what exceeds it hatched; over its percent where tokens are unlike.
    """
    rows = view.rows
    in_tokens = all(row.tokens_low is not None for row in rows)
    first = rows[0].sequences if rows else 0
    traces: list[Any] = []
    for exceeds, name, colour in ((False, phrase("within the pool"), KV), (True, phrase("more than it"), GREY)):
        own = [row for row in rows if row.sequences == first and row.exceeds is exceeds]
        traces.append(
            {
                "type": "bar",
                "x": [_middle(row, in_tokens) for row in own],
                "y": [100 * row.share for row in own],
                "width": [_width(row, in_tokens) for row in own],
                "name": say("resident_tokens.these", "{sequences:,}, {name}", sequences=first, name=name),
                "marker": {
                    "color": colour,
                    "line": {"width": 0},
                    "pattern": {"shape": "/" if exceeds else "", "solidity": 0.6},
                },
                "customdata": [percent(row.share) for row in own],
                "hovertemplate": say(
                    "resident_tokens.time_about" if in_tokens else "resident_tokens.time_about_share",
                    "%{{customdata}} of the time about %{{x:,.4s}} tokens<extra></extra>"
                    if in_tokens
                    else "%{{customdata}} of the time about %{{x:,.4s}} % of the pool<extra></extra>",
                ),
            }
        )
    other = [row for row in rows if row.sequences != first]
    if other:
        traces.append(
            {
                "type": "scatter",
                "x": [_middle(row, in_tokens) for row in other],
                "y": [100 * row.share for row in other],
                "name": say("resident_tokens.even_odds", "{sequences:,}, even odds", sequences=other[0].sequences),
                "mode": "lines",
                "line": {"color": GREY, "dash": "dot", "width": 2},
                "customdata": [percent(row.share) for row in other],
                "hovertemplate": say("resident_tokens.time", "%{{customdata}} of the time<extra></extra>"),
            }
        )
    drawn = base_chart(
        traces,
        title=titled(view.plan, view.title),
        bargap=0,
        barmode="overlay",
        xaxis={
            "title": {
                "text": phrase("Tokens of the pool, in whole blocks") if in_tokens else phrase("Share of the pool, %")
            },
            "tickformat": "," if in_tokens else "",
        },
        yaxis={"title": {"text": phrase("Share of the time, %")}, "rangemode": "tozero"},
    )
    end = _end_of_pool(rows, in_tokens)
    if end is not None:
        upright(drawn, end, color=GREY, width=2, dash="dash")
        text = say("resident_tokens.pool", " the pool: {end:,.0f}", end=end) if in_tokens else phrase(" the pool")
        note(drawn, x=end, y=1, yref="paper", text=text, xanchor="left", yanchor="top")
    return drawn


def _middle(row: ResidentRow, in_tokens: bool) -> float:
    low, high = (row.tokens_low, row.tokens_high) if in_tokens else (row.pool_share_low, row.pool_share_high)
    return ((low or 0) + (high or 0)) / 2 * (1 if in_tokens else 100)


def _width(row: ResidentRow, in_tokens: bool) -> float:
    low, high = (row.tokens_low, row.tokens_high) if in_tokens else (row.pool_share_low, row.pool_share_high)
    return ((high or 0) - (low or 0)) * (1 if in_tokens else 100)


def _end_of_pool(rows: Any, in_tokens: bool) -> float | None:
    """Return where the pool ends on the axis."""
    if not rows:
        return None
    if not in_tokens:
        return 100.0
    last = rows[-1]
    return float(last.tokens_high / last.pool_share_high) if last.pool_share_high else None
