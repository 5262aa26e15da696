"""One GPU as it was expected and as a log has it: two bars on one scale."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import GREY, KV, MISSING, WEIGHTS, base_chart
from calculator.charts.ready import Spec, chart, note
from calculator.messages import say
from calculator.views.pages.bars import Bars, Part

COLOURS = {Part.WEIGHTS: WEIGHTS, Part.OVERHEADS: GREY, Part.KV: KV, Part.UNEXPLAINED: MISSING}
NAMES = {
    Part.WEIGHTS: say("chart.reconciled.weights", "weights"),
    Part.OVERHEADS: say("chart.reconciled.overheads", "overheads"),
    Part.KV: say("chart.reconciled.kv", "KV"),
    Part.UNEXPLAINED: say("chart.reconciled.open", "not explained"),
}
WIDE = 0.12
"""A part that takes at least this share of its bar is labelled inside [-]."""


@chart
def reconciled_chart(bars: Bars) -> Spec:
    """Draw what one GPU was expected to hold, and what it holds by its log, on one scale.

    Parameters
    ----------
    bars : Bars
        As ``views.pages.bars.bars`` answers [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Two stacked bars in GiB; what no figure explains is hatched, red where it is outside the range.
    """
    rows = (
        (say("chart.reconciled.expected", "Expected"), bars.expected),
        (say("chart.reconciled.reported", "Your log"), bars.reported),
    )
    colour = GREY if bars.in_range else MISSING
    traces: list[dict[str, Any]] = []
    for label, parts in rows:
        whole = sum(size for _, size in parts)
        for part, size in parts:
            traces.append(
                {
                    "type": "bar",
                    "y": [str(label)],
                    "x": [size],
                    "name": str(NAMES[part]),
                    "orientation": "h",
                    "marker": _marker(part, colour),
                    "text": [f"{NAMES[part]} {size:,.1f}" if _is_labelled(part, size, whole) else ""],
                    "textposition": "inside",
                    "insidetextanchor": "middle",
                    "textangle": 0,
                    "textfont": {"color": "#ffffff", "size": 13},
                    "hovertemplate": say(
                        "reconciled.gib",
                        "{label}, {names}: {size:,.2f} GiB<extra></extra>",
                        label=label,
                        names=NAMES[part],
                        size=size,
                    ),
                }
            )
    drawn = base_chart(
        traces,
        barmode="stack",
        height=230,
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        bargap=0.45,
        xaxis={"ticksuffix": " GiB", "showgrid": False},
        yaxis={"autorange": "reversed"},
    )
    start = 0.0
    for part, size in bars.reported:
        if part is Part.UNEXPLAINED:
            place = {"x": start + size / 2, "y": 0.5, "yref": "y"}  # half way from one bar to the other
            note(drawn, text=f"<b>{bars.said}</b>", **place)
        start += size
    return drawn


def _is_labelled(part: Part, size: float, whole: float) -> bool:
    return part is not Part.UNEXPLAINED and size >= WIDE * whole


def _marker(part: Part, colour: str) -> dict[str, Any]:
    if part is not Part.UNEXPLAINED:
        return {"color": COLOURS[part], "line": {"width": 1, "color": "rgba(255,255,255,0.55)"}}
    hatched = {"shape": "/", "fgcolor": colour, "bgcolor": "rgba(0,0,0,0)", "size": 7, "solidity": 0.3}
    return {"color": "rgba(0,0,0,0)", "pattern": hatched, "line": {"width": 1, "color": colour}}
