"""What one sequence takes on each engine against its length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calculator.charts.base import AXIS, GREY, KV, KV_FAINT, SIZE_TICKS, base_figure
from calculator.units import GIB, format_bytes
from calculator.views.base import View
from calculator.views.kv_in_use import KvInUseRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

LENGTH_TICKS = [2**power for power in range(7, 25, 2)]
DASHES = ("solid", "dash", "dot", "dashdot")


def kv_in_use_chart(view: View[KvInUseRow]) -> go.Figure:
    """Draw what one sequence takes on each engine against its length, and what its layers keep.

    Parameters
    ----------
    view : View
        What ``views.kv_in_use_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Lines in GiB on logarithmic axes.
    """
    import plotly.graph_objects as go

    rows = view.possible
    engines = list(dict.fromkeys(row.engine for row in rows))
    traces: list[Any] = []
    for index, engine in enumerate(engines):
        own = [row for row in rows if row.engine == engine]
        if index == 0:
            traces.append(
                _line("By its layers", own, [row.architecture_bytes_per_gpu for row in own], KV_FAINT, "solid", 5)
            )
        colour = KV if engine == view.plan.rules.title else GREY
        traces.append(
            _line(engine, own, [row.allocated_bytes_per_gpu for row in own], colour, DASHES[index % len(DASHES)], 2)
        )
    assert all(isinstance(trace, go.Scatter) for trace in traces)
    figure = base_figure(
        traces,
        xaxis={
            **AXIS,
            "title": {"text": "Sequence length, tokens"},
            "type": "log",
            "tickvals": LENGTH_TICKS,
            "tickformat": ",",
        },
        yaxis={**AXIS, "title": {"text": "One sequence on one GPU, GiB"}, "type": "log", "tickvals": SIZE_TICKS},
    )
    figure.add_vline(x=view.plan.request.seq_len, line={"color": GREY, "width": 1, "dash": "dot"})
    return figure


def _line(name: str, rows: Sequence[KvInUseRow], sizes: Sequence[int], colour: str, dash: str, width: int) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[row.seq_len for row in rows],
        y=[size / GIB for size in sizes],
        name=name,
        mode="lines+markers" if width < 4 else "lines",
        line={"color": colour, "dash": dash, "width": width},
        customdata=[format_bytes(size) for size in sizes],
        hovertemplate=f"{name}: %{{customdata}} at %{{x:,}} tokens<extra></extra>",
    )
