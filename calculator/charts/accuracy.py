"""Expected against reported capacity of public start-up logs; what fell outside its range stands out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calculator.charts.base import AXIS, GREY, KV, SIZE_TICKS, base_figure
from calculator.engines import ENGINES, engine_class
from calculator.logs.judged import JudgedLog

if TYPE_CHECKING:
    import plotly.graph_objects as go

EQUAL = (0.5, 260.0)
"""Ends of the line on which expected and reported are the same [GiB]."""
FLOOR = 0.6
"""Where a pool stands that was expected to be nothing: at the lower edge [GiB]."""
MARKS = dict(zip(ENGINES, ("circle", "square", "diamond", "triangle-up"), strict=True))
MISS = "#c0392b"


def accuracy_chart(some: Sequence[JudgedLog]) -> go.Figure:
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
    import plotly.graph_objects as go

    line = {"color": GREY, "dash": "dot", "width": 1.5}
    traces: list[Any] = [
        go.Scatter(x=EQUAL, y=EQUAL, mode="lines", line=line, name="equal", hoverinfo="skip", showlegend=False)
    ]
    judged = [one for one in some if one.reported_gib is not None and one.predicted_gib is not None]
    for engine in ENGINES:
        held = [one for one in judged if one.engine == engine and one.in_range]
        if held:
            name = f"{engine_class(engine).title}, range held"
            traces.append(_marks(held, name, {"color": KV, "symbol": MARKS[engine], "size": 9, "opacity": 0.85}))
    missed = [one for one in judged if not one.in_range]
    if missed:
        traces.append(_marks(missed, "outside its range", {"color": MISS, "symbol": "x", "size": 10}))
    figure = base_figure(
        traces,
        height=440,
        xaxis={**AXIS, "title": {"text": "KV pool that the engine reported, GiB"}, **_LOG},
        yaxis={**AXIS, "title": {"text": "expected, GiB"}, **_LOG},
    )
    for one in missed:
        if not one.predicted_gib:
            place = {"x": _log10(one.reported_gib or FLOOR), "y": _log10(FLOOR), "xanchor": "left", "xshift": 8}
            figure.add_annotation(text="expected 0", showarrow=False, **place)
    return figure


_LOG = {"type": "log", "tickvals": SIZE_TICKS}


def _log10(value: float) -> float:
    from math import log10

    return log10(value)


def _marks(rows: Sequence[JudgedLog], name: str, marker: dict[str, Any]) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[one.reported_gib for one in rows],
        y=[one.predicted_gib or FLOOR for one in rows],
        mode="markers",
        name=name,
        marker=marker,
        customdata=[[one.id, one.predicted_gib, one.error] for one in rows],
        hovertemplate=(
            "%{customdata[0]}<br>reported %{x:.2f} GiB, expected %{customdata[1]:.2f} GiB "
            "(%{customdata[2]:+.1%})<extra></extra>"
        ),
    )
