"""A chart for every view."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from calculator.charts.engines import engines_chart, kv_in_use_chart, parallelism_chart
from calculator.charts.growth import kv_head_chart, sequence_length_chart, tensor_parallel_chart
from calculator.errors import UnknownNameError
from calculator.views.base import View

if TYPE_CHECKING:
    import plotly.graph_objects as go


def draw(view: View, log_x: bool = False) -> go.Figure:
    """Draw a view.

    Parameters
    ----------
    view : View
        What ``views`` answered [-].
    log_x : bool
        Whether the length axis is logarithmic; for the sequence-length view [-].

    Returns
    -------
    plotly.graph_objects.Figure
        The chart; hover shows exact bytes.
    """
    if view.name == "sequence-length":
        return sequence_length_chart(view, log_x)
    if view.name not in DRAWN:
        raise UnknownNameError(f"there is no chart for a view named {view.name!r}")
    return DRAWN[view.name](view)


DRAWN: dict[str, Callable[[View], go.Figure]] = {
    "kv-heads": kv_head_chart,
    "tensor-parallel": tensor_parallel_chart,
    "engines": engines_chart,
    "kv-in-use": kv_in_use_chart,
    "parallelism": parallelism_chart,
}
