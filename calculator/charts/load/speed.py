"""Seconds a token and tokens a second over the sequences that decode at once, and what a step is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from calculator.charts.base import GREY, INK, KV, KV_FAINT, LINE_COLOURS, PLATE, WEIGHTS, base_chart
from calculator.charts.ready import Spec, chart, note, shape, short, titled, upright
from calculator.messages import capitalised, joined, phrase, say
from calculator.planning.traffic.words import PARTS
from calculator.views.base import View
from calculator.views.load.speed import SpeedRow
from calculator.views.load.wording import percent, rounded

PART_COLOURS = {
    "weights": WEIGHTS,
    "kv": KV,
    "compute": LINE_COLOURS["activation"],
    "links": LINE_COLOURS["non_torch"],
    "launch": LINE_COLOURS["cuda_graph"],
    "prefill": "rgba(140,150,165,0.4)",
}
NOT_CHECKED = "rgba(140,150,165,0.18)"
HEIGHT = 560
LEVELS, TOP, STEP, CLOSE = 3, 1.2, 0.06, 0.5
"""Names of what is marked stand above the panels in so many lines, one below the other where poles are close."""
AXIS_TITLE = phrase("Sequences at once, one replica")
MARKS: tuple[tuple[str, Callable[[SpeedRow], bool]], ...] = (
    (phrase("you"), lambda row: row.asked),
    (phrase("half of the limit"), lambda row: row.bend),
    (phrase("fit"), lambda row: row.fits),
    (phrase("arrivals"), lambda row: row.arrivals),
)


@chart
def speed_chart(view: View[SpeedRow]) -> Spec:
    """Draw milliseconds a token above and tokens a second below, each with its band, and what is marked.

    Parameters
    ----------
    view : View
        What ``views.speed_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels over the sequences at once; grey where nothing was measured.
    """
    rows = view.rows
    traces = [
        *_band(rows, phrase("ms a token"), 1000, "time_per_output_token_s", "y"),
        *_band(rows, "tokens/s", 1, "output_tokens_per_second", "y2"),
    ]
    most = max((row.batch_size for row in rows), default=1)
    drawn = base_chart(
        traces,
        title=titled(view.plan, view.title),
        showlegend=False,
        height=HEIGHT,
        margin={"l": 64, "r": 16, "t": 116, "b": 56},
        xaxis={"title": {"text": AXIS_TITLE}, "tickformat": ",", "anchor": "y2", "range": [0, most]},
        yaxis={"title": {"text": phrase("ms a token")}, "domain": [0.55, 1], "rangemode": "tozero", "tickformat": ","},
        yaxis2={
            "title": {"text": phrase("Tokens/s")}, "domain": [0, 0.44], "rangemode": "tozero", "tickformat": ",",
        },
    )  # fmt: skip
    _shade(drawn, rows)
    _mark(drawn, rows, most)
    return drawn


@chart
def step_chart(view: View[SpeedRow]) -> Spec:
    """Draw what the time of a token is made of, in percent, over the sequences that decode at once.

    Parameters
    ----------
    view : View
        What ``views.step_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Areas that add up to 100 %: weights, KV cache and, in greys, the rest.
    """
    rows = view.rows
    traces: list[dict[str, Any]] = []
    for part, title in PARTS.items():
        seconds = [getattr(row, f"{part}_s") for row in rows]
        if not any(seconds):
            continue
        shares = [own / row.time_per_output_token_s for own, row in zip(seconds, rows, strict=True)]
        traces.append(
            {
                "type": "scatter",
                "x": short([row.batch_size for row in rows]),
                "y": short([100 * share for share in shares]),
                "name": capitalised(title),
                "mode": "lines",
                "stackgroup": "step",
                "line": {"width": 0.5, "color": PART_COLOURS[part]},
                "fillcolor": PART_COLOURS[part],
                "customdata": [
                    f"{percent(share)}, {rounded(1000 * own)} ms" for share, own in zip(shares, seconds, strict=True)
                ],
                "hovertemplate": "%{customdata}",
            }
        )
    most = max((row.batch_size for row in rows), default=1)
    drawn = base_chart(
        traces,
        title=titled(view.plan, view.title),
        hovermode="x unified",
        height=HEIGHT,
        xaxis={"title": {"text": AXIS_TITLE}, "tickformat": ",", "hoverformat": ",.0f", "range": [1, max(2, most)]},
        yaxis={"title": {"text": phrase("Share of a token's time, %")}, "range": [0, 100]},
    )
    asked = next((row for row in rows if row.asked), None)
    if asked:
        upright(drawn, asked.batch_size, color=INK, width=1.5, dash="dot")
        right = asked.batch_size > most / 2
        note(
            drawn,
            x=asked.batch_size,
            y=1,
            yref="y domain",
            text=say("speed.you", "you: {batch_size:,}", batch_size=asked.batch_size),
            bgcolor=PLATE,
            xanchor="right" if right else "left",
            xshift=-4 if right else 4,
            yanchor="top",
        )
    return drawn


def _band(rows: Sequence[SpeedRow], unit: str, factor: float, field: str, axis: str) -> Iterator[dict[str, Any]]:
    batches = short([row.batch_size for row in rows])
    low, middle, high = (
        [factor * getattr(row, f"{field}{end}") for row in rows] for end in ("_low", "", "_high")
    )  # fmt: skip
    drawn = {"type": "scatter", "x": batches, "yaxis": axis, "mode": "lines"}
    edge = {**drawn, "line": {"width": 0, "color": KV_FAINT}, "hoverinfo": "skip"}
    yield {**edge, "y": short(low), "name": say("speed.low", "{unit}, low", unit=unit)}
    yield {
        **edge,
        "y": short(high),
        "name": say("speed.high", "{unit}, high", unit=unit),
        "fill": "tonexty",
        "fillcolor": KV_FAINT,
    }
    yield {
        **drawn,
        "y": short(middle),
        "name": unit,
        "line": {"color": KV, "width": 2.5},
        "customdata": [
            [rounded(one, 2), rounded(first, 2), rounded(last, 2)]
            for first, one, last in zip(low, middle, high, strict=True)
        ],
        "hovertemplate": say(
            "speed.at_once",
            "%{{x:,.4~g}} at once: %{{customdata[0]}} {unit} (%{{customdata[1]}} to %{{customdata[2]}})<extra></extra>",
            unit=unit,
        ),
    }
    asked = next((index for index, row in enumerate(rows) if row.asked), None)
    if asked is not None:
        ring = {"size": 10, "color": "#ffffff", "line": {"color": INK, "width": 2}}
        yield {
            **drawn,
            "mode": "markers",
            "name": say("speed.you", "{unit}, you", unit=unit),
            "x": [batches[asked]],
            "y": short([middle[asked]]),
            "marker": ring,
            "hoverinfo": "skip",
        }


def _shade(drawn: Spec, rows: Sequence[SpeedRow]) -> None:
    """Shade where nothing was measured, and say so at the axis."""
    for checked, run in groupby(rows, lambda row: row.checked):
        if not checked:
            counts = [row.batch_size for row in run]
            shape(
                drawn, type="rect", x0=counts[0], x1=counts[-1], y0=0, y1=1, yref="paper", fillcolor=NOT_CHECKED,
                line={"width": 0}, layer="below",
            )  # fmt: skip
            drawn["layout"]["xaxis"]["title"] = {
                "text": say("speed.grey_not_checked", "{axis_title} (grey: not checked)", axis_title=AXIS_TITLE)
            }


def _mark(drawn: Spec, rows: Sequence[SpeedRow], most: float) -> None:
    """Put up a pole at each number that is marked; of those close together the left one is the highest."""
    named = [(row.batch_size, name) for row in rows for name, is_marked in MARKS if is_marked(row)]
    places = [(place, joined(", ", [name for _, name in same])) for place, same in groupby(named, lambda one: one[0])]
    level, before = 0, -most
    for place, names in places:
        level = (level + 1) % LEVELS if place - before < CLOSE * most else 0
        before, top, is_right = place, TOP - STEP * level, place > 0.6 * most
        pole = {"color": GREY, "width": 1.5, "dash": "dot"}
        shape(drawn, type="line", x0=place, x1=place, y0=0, y1=top, yref="paper", line=pole)
        note(
            drawn,
            x=place,
            y=top,
            yref="paper",
            text=say("speed.mark", "{place} {names}", place=rounded(place, 3), names=names),
            xanchor="right" if is_right else "left",
            xshift=-4 if is_right else 4,
            yanchor="top",
        )
