"""Price against time per output token, the front drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import cycle
from math import log10
from typing import Any, NamedTuple

from calculator.charts.base import GREY, KV, LETTER_PX, MARGIN, PHONE_PX, base_chart
from calculator.charts.ready import Spec, chart, note
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.sizing.options import OptionRow

MARKS = ("circle", "diamond", "square", "triangle-up", "cross", "star")
"""A mark a maker, in the order in which they first appear."""
LINE_PX, AWAY_PX, MARK_PX = 15, 6, 6
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
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": [row.usd_per_hour_low for row in front],
            "y": [_ms(row.time_per_output_token_s) for row in front],
            "mode": "lines",
            "line": {"color": KV, "width": 2, "shape": "hv"},
            "hoverinfo": "skip",
            "name": phrase("Front"),
        }
    ]
    for maker, mark in marks_of(rows).items():
        for on_front in (False, True):
            own = [row for row in rows if row.vendor == maker and row.pareto == on_front]
            if own:
                traces.append(_marks(own, maker or phrase("Own"), mark, on_front))
    drawn = base_chart(
        traces,
        title={
            "text": say(
                "price.title", "{name}: Price against time per token", name=escape(view.plan.model.name, quote=False)
            )
        },
        showlegend=False,
        margin={**MARGIN, "t": 36},
        xaxis={"title": {"text": phrase("USD an hour, lowest price")}, "type": "log", **_ticks(rows)},
        yaxis={"title": {"text": phrase("Milliseconds a token")}, "range": [0, HEADROOM * max(slowest, default=1.0)]},
    )
    for row, right, below in _labelled(front, rows, HEADROOM * max(slowest, default=1.0)):
        note(
            drawn,
            x=log10(row.usd_per_hour_low or 1),
            y=_ms(row.time_per_output_token_s),
            text=f"<b>{escape(row.hardware, quote=False)}</b>",
            xanchor="left" if right else "right",
            yanchor="top" if below else "bottom",
            xshift=AWAY_PX if right else -AWAY_PX,
            yshift=-4 if below else 4,
            font={"size": 12},
        )
    return drawn


def marks_of(rows: Sequence[OptionRow]) -> dict[str, str]:
    """Return the mark of each maker, in the order in which they first appear."""
    return dict(zip(dict.fromkeys(row.vendor for row in rows), cycle(MARKS), strict=False))


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
        "name": say("price.front", "{maker}, on the front", maker=maker) if on_front else maker,
        "marker": {"color": colour, "size": 10 if on_front else 8, "symbol": mark},
        "customdata": [
            [row.hardware, row.split, _ms(row.time_per_output_token_s_low), _ms(row.time_per_output_token_s_high)]
            for row in rows
        ],
        "hovertemplate": (
            say(
                "price.hour_ms_token",
                "%{{customdata[0]}} (%{{customdata[1]}})<br>$%{{x:,.2f}} an hour<br>%{{y:,.3g}} ms a "
                "token (%{{customdata[2]:,.3g}} to %{{customdata[3]:,.3g}})<extra></extra>",
            )
        ),
    }


class _Box(NamedTuple):
    """What a label or a mark covers [px]."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        """Whether both cover the same place."""
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


def _labelled(
    front: Sequence[OptionRow], rows: Sequence[OptionRow], most_ms: float
) -> Iterator[tuple[OptionRow, bool, bool]]:
    """Yield the rows of the front that a label finds room beside, and whether it stands right of and below the mark.

    The cheapest and the fastest come first; each label keeps clear of the others and of all marks of the front.
    """
    prices = [log10(row.usd_per_hour_low or 1) for row in rows]
    low, wide = min(prices, default=0.0), max(prices, default=1.0) - min(prices, default=0.0) or 1.0
    width, height = PHONE_PX

    def place(row: OptionRow) -> tuple[float, float]:
        across = (log10(row.usd_per_hour_low or 1) - low) / wide
        return width * across, height * (1 - _ms(row.time_per_output_token_s) / most_ms)

    marks = [_Box(x - MARK_PX, y - MARK_PX, x + MARK_PX, y + MARK_PX) for x, y in map(place, front)]
    taken: list[_Box] = []
    for index in dict.fromkeys((0, len(front) - 1, *range(len(front)))) if front else ():
        x, y = place(front[index])
        others = [mark for number, mark in enumerate(marks) if number != index]
        for right, below in ((True, True), (True, False), (False, True), (False, False)):
            box = _beside(x, y, LETTER_PX * len(front[index].hardware), right, below)
            within = box.left >= 0 and box.right <= width and box.bottom <= height
            if within and not any(box.meets(other) for other in (*taken, *others)):
                taken.append(box)
                yield front[index], right, below
                break


def _beside(x: float, y: float, wide: float, right: bool, below: bool) -> _Box:
    """Return the place of a label beside a mark."""
    left = x + AWAY_PX if right else x - AWAY_PX - wide
    top = y + 4 if below else y - 4 - LINE_PX
    return _Box(left, top, left + wide, top + LINE_PX)


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
