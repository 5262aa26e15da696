"""Predicted against reported capacity of public start-up logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calculator.charts.base import AXIS, GREY, KV, KV_FAINT, SIZE_TICKS, base_figure
from calculator.engines import ENGINES
from calculator.logs.accuracy import Row
from calculator.units import GIB

if TYPE_CHECKING:
    import plotly.graph_objects as go

EQUAL = (1, 260)
"""Ends of the line on which predicted and reported are the same [GiB]."""
MARKS = dict(zip(ENGINES, ("circle", "square", "diamond", "cross"), strict=True))


def accuracy_chart(some: Sequence[Row]) -> go.Figure:
    """Draw predicted against reported KV pools of public start-up logs, with the predicted range of each.

    Parameters
    ----------
    some : sequence of Row
        Rows whose capacity is compared [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A mark a log on logarithmic axes; on the line where both are equal.
    """
    import plotly.graph_objects as go

    judged = [one for one in some if one.capacity_error is not None and one.plan and one.plan.kv_pool_bytes]
    traces: list[Any] = [
        go.Scatter(x=EQUAL, y=EQUAL, mode="lines", line={"color": GREY, "dash": "dash"}, name="Equal", hoverinfo="skip")
    ]
    for held_out, colour in ((False, KV_FAINT), (True, KV)):
        rows = [one for one in judged if one.calibrates is not held_out]
        predicted = [one.plan.kv_pool_bytes / GIB for one in rows if one.plan]
        reported = [value / (1 + (one.capacity_error or 0)) for one, value in zip(rows, predicted, strict=True)]
        traces.append(
            go.Scatter(
                x=reported,
                y=predicted,
                mode="markers",
                name="Held out" if held_out else "Used for calibration",
                marker={"color": colour, "size": 10, "symbol": [MARKS[one.engine] for one in rows]},
                customdata=[f"{one.id}: {one.capacity_error:+.1%}" for one in rows],
                hovertemplate="%{customdata}<br>reported %{x:.2f} GiB, predicted %{y:.2f} GiB<extra></extra>",
            )
        )
    return base_figure(
        traces,
        height=440,
        xaxis={**AXIS, "title": {"text": "KV pool reported, GiB"}, "type": "log", "tickvals": SIZE_TICKS},
        yaxis={**AXIS, "title": {"text": "KV pool predicted, GiB"}, "type": "log", "tickvals": SIZE_TICKS},
    )
