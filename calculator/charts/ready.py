"""A chart as it is sent: plain dictionaries and lists, made once; a Figure for notebooks is made of the same.

Building ``plotly.graph_objects`` costs many times what drawing costs, so a page never does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, cast

import numpy  # noqa: F401 - as pandas below
import plotly.graph_objects as go

from calculator.messages import say

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

Spec = dict[str, Any]
"""A figure as Plotly writes it in JSON: ``data``, a list of traces, and ``layout``."""
P = ParamSpec("P")
DIGITS, SAME = 7, 1e-9
"""To which numbers are sent, and of what share they may differ and still be on one line."""


class Chart(Protocol[P]):
    """A chart: called it is a Figure, ``ready`` is the same as plain dictionaries."""

    __name__: str
    ready: Callable[P, Spec]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> go.Figure:
        """Return the chart as a Figure."""


def chart(build: Callable[P, Spec]) -> Chart[P]:
    """Turn what builds a chart as dictionaries into what returns it as a Figure, and keep the first as ``ready``."""

    @wraps(build)
    def as_figure(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
        # Plotly takes numpy and pandas out of sys.modules as they stand there: half imported, while another thread is
        # at it. An import waits for that thread, so that no Figure is made before both are whole.
        import pandas  # noqa: F401

        return go.Figure(build(*args, **kwargs))

    as_figure.__annotations__ = {**build.__annotations__, "return": "go.Figure"}
    made = cast("Chart[P]", as_figure)
    made.ready = build
    return made


def short(values: list[Any]) -> list[Any]:
    """Cut numbers to the digits that a chart can show; they are sent with every change."""
    return [float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for value in values]


def corners(x: list[int], y: list[float], log_x: bool = False) -> tuple[list[int], list[float]]:
    """Drop the points of an area's edge that lie on the line between their neighbours, which need not be sent.

    Where x is logarithmic a line stays straight only if it is level.
    """
    kept = [0] if x else []
    for i, (x0, x1, x2, y0, y1, y2) in enumerate(zip(x, x[1:], x[2:], y, y[1:], y[2:], strict=False), 1):
        if y0 == y1 == y2:
            continue
        on_line = 0.0 if log_x else (y2 - y0) * (x1 - x0) / (x2 - x0)
        if abs(y0 + on_line - y1) > SAME * max(abs(y0), abs(y2)) or (log_x and y2 != y1):
            kept.append(i)
    kept += [len(x) - 1] if len(x) > 1 else []
    return [x[i] for i in kept], [y[i] for i in kept]


def note(spec: Spec, **annotation: Any) -> None:
    """Add a text without an arrow, unless one is asked for."""
    spec["layout"].setdefault("annotations", []).append({"showarrow": False, **annotation})


def shape(spec: Spec, **drawn: Any) -> None:
    """Add a line or an area that is no data."""
    spec["layout"].setdefault("shapes", []).append(drawn)


def upright(spec: Spec, x: float, **line: Any) -> None:
    """Draw a line across the whole height of a chart."""
    ends = {"x0": x, "x1": x, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    shape(spec, type="line", **ends, line=line)


def titled(plan: Plan, what: str) -> dict[str, Any]:
    """Return the title of a chart: the model and the GPUs, so that no picture is without them, and what is shown."""
    model, gpu = (escape(name, quote=False) for name in (plan.model.name, plan.accelerator.name))
    return {
        "text": say(
            "charts.title", "{model} on {gpus:,} × {gpu}: {what}", model=model, gpus=plan.num_gpus, gpu=gpu, what=what
        )
    }
