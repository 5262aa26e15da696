"""Expected against reported capacity of public start-up logs; what fell outside its range stands out."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from calculator.charts.base import GREY, KV, MISSING, SIZE_TICKS, base_chart
from calculator.charts.ready import Spec, chart, note
from calculator.engines import ENGINES, engine_class
from calculator.logs.proof.judged import JudgedLog
from calculator.messages import phrase, say

EQUAL = (0.5, 260.0)
"""Ends of the line on which expected and reported are the same [GiB]."""
FLOOR = 0.6
"""Where a pool stands that was expected to be nothing: at the lower edge [GiB]."""
MARKS = dict(zip(ENGINES, ("circle", "square", "diamond", "triangle-up"), strict=True))


@chart
def accuracy_chart(some: Sequence[JudgedLog]) -> Spec:
    """Draw expected against reported KV pools of public start-up logs.

    Parameters
    ----------
    some : sequence of JudgedLog
        Logs whose capacity is compared [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A mark a log on logarithmic axes, by engine; a red cross for each outside its range. On the line both are equal.
    """
    line = {"color": GREY, "dash": "dot", "width": 1.5}
    equal = {"x": list(EQUAL), "y": list(EQUAL), "mode": "lines", "line": line, "name": "equal"}
    traces: list[dict[str, Any]] = [{"type": "scatter", **equal, "hoverinfo": "skip", "showlegend": False}]
    judged = [one for one in some if one.reported_gib is not None and one.predicted_gib is not None]
    for engine in ENGINES:
        held = [one for one in judged if one.engine == engine and one.in_range]
        if held:
            name = say("accuracy.range_held", "{title}, range held", title=engine_class(engine).title)
            traces.append(_marks(held, name, {"color": KV, "symbol": MARKS[engine], "size": 9, "opacity": 0.85}))
    missed = [one for one in judged if not one.in_range]
    if missed:
        traces.append(_marks(missed, phrase("outside its range"), {"color": MISSING, "symbol": "x", "size": 10}))
    drawn = base_chart(
        traces,
        height=440,
        xaxis={"title": {"text": phrase("KV pool that the engine reported, GiB")}, **_LOG},
        yaxis={"title": {"text": phrase("expected, GiB")}, **_LOG},
    )
    for one in missed:
        if not one.predicted_gib:
            place = {"x": log10(one.reported_gib or FLOOR), "y": log10(FLOOR), "xanchor": "left", "xshift": 8}
            note(drawn, text=phrase("expected 0"), **place)
    return drawn


_LOG = {"type": "log", "tickvals": SIZE_TICKS}


def _marks(rows: Sequence[JudgedLog], name: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [one.reported_gib for one in rows],
        "y": [one.predicted_gib or FLOOR for one in rows],
        "mode": "markers",
        "name": name,
        "marker": marker,
        "customdata": [[one.id, one.predicted_gib, one.error] for one in rows],
        "hovertemplate": (
            say(
                "accuracy.reported_gib_expected_gib",
                "%{{customdata[0]}}<br>reported %{{x:.2f}} GiB, expected %{{customdata[1]:.2f}} GiB "
                "(%{{customdata[2]:+.1%}})<extra></extra>",
            )
        ),
    }
