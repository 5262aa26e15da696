"""Price against time per output token, the front drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Any

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.ready import Spec, chart, note
from calculator.views.base import View
from calculator.views.sizing.options import OptionRow

MARKS = ("circle", "diamond", "square", "triangle-up", "cross", "star")
"""A mark a maker, in the order in which they first appear."""
APART = 0.4
"""Labels of the front stand so far apart in powers of ten of the price that they do not collide on a phone."""
HEADROOM = 1.25
"""Of the axis of time over the slowest mark: the longest bars would press the front down."""
MOST_TICKS = 7


@chart
def price_chart(view: View[OptionRow]) -> Spec:
    """Draw price against time per output token: a mark an option, its range as a thin bar, the front as steps.

    Parameters
    ----------
    view : View
        What ``options_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        The price in USD an hour on a logarithmic axis, milliseconds a token; marks differ by maker.
    """
    rows = [row for row in view.rows if row.usd_per_hour_low is not None and row.time_per_output_token_s is not None]
    front = [row for row in rows if row.pareto]
    slowest = [_ms(row.time_per_output_token_s) for row in rows]
    makers = list(dict.fromkeys(row.vendor for row in rows))
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": [row.usd_per_hour_low for row in front],
            "y": [_ms(row.time_per_output_token_s) for row in front],
            "mode": "lines",
            "line": {"color": KV, "width": 2, "shape": "hv"},
            "hoverinfo": "skip",
            "name": "Front",
        }
    ]
    for maker, mark in zip(makers, (*MARKS, *MARKS[:1] * len(makers)), strict=False):
        for on_front in (False, True):
            own = [row for row in rows if row.vendor == maker and row.pareto == on_front]
            if own:
                traces.append(_marks(own, maker or "Own", mark, on_front))
    drawn = base_chart(
        traces,
        title={"text": escape(f"{view.plan.model.name}: Price against time per token", quote=False)},
        xaxis={"title": {"text": "USD an hour, lowest price"}, "type": "log", **_ticks(rows)},
        yaxis={"title": {"text": "Milliseconds a token"}, "range": [0, HEADROOM * max(slowest, default=1.0)]},
    )
    for row in _labelled(front):
        last = row is front[-1] and len(front) > 1
        note(
            drawn,
            x=log10(row.usd_per_hour_low or 1),
            y=_ms(row.time_per_output_token_s),
            text=row.hardware,
            xanchor="right" if last else "left",
            yanchor="top",
            xshift=-6 if last else 6,
            yshift=-4,
            font={"size": 12},
        )
    return drawn


def _marks(rows: Sequence[OptionRow], maker: str, mark: str, on_front: bool) -> dict[str, Any]:
    colour = KV if on_front else GREY
    high = [_ms(row.time_per_output_token_s_high) - _ms(row.time_per_output_token_s) for row in rows]
    low = [_ms(row.time_per_output_token_s) - _ms(row.time_per_output_token_s_low) for row in rows]
    return {
        "type": "scatter",
        "x": [row.usd_per_hour_low for row in rows],
        "y": [_ms(row.time_per_output_token_s) for row in rows],
        "error_y": {"type": "data", "array": high, "arrayminus": low, "width": 0, "thickness": 1, "color": colour},
        "mode": "markers",
        "name": f"{maker}, on the front" if on_front else maker,
        "marker": {"color": colour, "size": 10 if on_front else 8, "symbol": mark},
        "customdata": [
            [row.hardware, row.split, _ms(row.time_per_output_token_s_low), _ms(row.time_per_output_token_s_high)]
            for row in rows
        ],
        "hovertemplate": (
            "%{customdata[0]} (%{customdata[1]})<br>$%{x:,.2f} an hour<br>%{y:,.3g} ms a token "
            "(%{customdata[2]:,.3g} to %{customdata[3]:,.3g})<extra></extra>"
        ),
    }


def _labelled(front: Sequence[OptionRow]) -> list[OptionRow]:
    """Return the rows of the front whose labels do not collide: the cheapest, the fastest, those between far enough."""
    kept = list(front[:1])
    for row in front[1:-1]:
        if _apart(kept[-1], row) and _apart(row, front[-1], 2):
            kept.append(row)
    return [*kept, *front[-1:]] if len(front) > 1 and _apart(kept[-1], front[-1]) else kept


def _apart(one: OptionRow, other: OptionRow, labels: int = 1) -> bool:
    """Whether so many labels find room between two prices."""
    return log10((other.usd_per_hour_low or 1) / (one.usd_per_hour_low or 1)) >= labels * APART


def _ticks(rows: Sequence[OptionRow]) -> dict[str, list[float] | list[str]]:
    """Return 1, 2 and 5 times the powers of ten that lie within the prices."""
    prices = [row.usd_per_hour_low for row in rows if row.usd_per_hour_low is not None]
    low, high = min(prices, default=1.0), max(prices, default=1.0)
    ticks = [step * 10.0**power for power in range(-4, 9) for step in (1, 2, 5)]
    within = [tick for tick in ticks if low / 1.5 <= tick <= 1.5 * high]
    if len(within) > MOST_TICKS:
        within = [tick for tick in within if abs(log10(tick) - round(log10(tick))) < 1e-9]
    return {"tickvals": within, "ticktext": [f"${tick:,.10g}" for tick in within]}


def _ms(seconds: float | None) -> float:
    return 1e3 * seconds if seconds is not None else 0.0
