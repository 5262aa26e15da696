"""A chart for every view."""

from __future__ import annotations

from typing import Any

from calculator.charts.engines import engines_chart
from calculator.charts.kv_heads import kv_head_chart
from calculator.charts.kv_in_use import kv_in_use_chart
from calculator.charts.load.preemptions import preemption_chart
from calculator.charts.load.resident_tokens import resident_tokens_chart
from calculator.charts.load.risk import risk_chart
from calculator.charts.load.speed import speed_chart, step_chart
from calculator.charts.parallelism import parallelism_chart
from calculator.charts.ready import Chart, Spec, chart
from calculator.charts.sequence_length import sequence_length_chart
from calculator.charts.tensor_parallel import tensor_parallel_chart
from calculator.errors import UnknownNameError
from calculator.messages import say
from calculator.views import engines, kv_heads, kv_in_use, parallelism, sequence_length, tensor_parallel
from calculator.views.base import View
from calculator.views.load import preemptions, resident_tokens, risk, speed
from calculator.views.registry import VIEWS


@chart
def draw(view: View[Any], log_x: bool = False) -> Spec:
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
        The chart; hover shows figures with their units.
    """
    if view.name not in DRAWN:
        raise UnknownNameError(
            say("registry.there_no_chart_view", "there is no chart for a view named {name!r}", name=view.name),
            what="view",
            asked=view.name,
            allowed=tuple(DRAWN),
        )
    ready = DRAWN[view.name].ready
    return ready(view, log_x) if VIEWS[view.name].has_log_x else ready(view)


DRAWN: dict[str, Chart[...]] = {
    sequence_length.NAME: sequence_length_chart,
    kv_heads.NAME: kv_head_chart,
    tensor_parallel.NAME: tensor_parallel_chart,
    risk.NAME: risk_chart,
    resident_tokens.NAME: resident_tokens_chart,
    preemptions.NAME: preemption_chart,
    speed.NAME: speed_chart,
    speed.STEP_NAME: step_chart,
    engines.NAME: engines_chart,
    kv_in_use.NAME: kv_in_use_chart,
    parallelism.NAME: parallelism_chart,
}
