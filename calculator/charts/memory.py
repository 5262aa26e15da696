"""Where the memory of one GPU goes, as one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import GREY, LINE_COLOURS, OTHER_LINE, base_figure
from calculator.planning.answer import Plan
from calculator.units import GIB, format_bytes, format_size
from calculator.views.memory import memory_lines

if TYPE_CHECKING:
    import plotly.graph_objects as go


def memory_bar(plan: Plan, legend: bool = True) -> go.Figure:
    """Draw the memory of one GPU as one stacked bar, summing exactly to what a program sees.

    Parameters
    ----------
    plan : Plan
        The answer [-].
    legend : bool
        Whether to name the parts below the bar [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar in GiB; hover shows exact bytes and where each figure comes from.
    """
    import plotly.graph_objects as go

    total = plan.per_gpu.total_bytes
    traces = []
    for line in memory_lines(plan):
        name, size, source = line
        if size <= 0:
            continue
        wide = size > total * 0.11
        traces.append(
            go.Bar(
                y=["One GPU"],
                x=[size / GIB],
                name=f"{name} {format_size(size)}",
                orientation="h",
                marker={
                    "color": LINE_COLOURS.get(line.key, OTHER_LINE),
                    "line": {"width": 1, "color": "rgba(255,255,255,0.55)"},
                },
                text=[f"{name} {size / GIB:,.1f}" if wide else ""],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": GREY if line.key == "kept_free" else "#ffffff", "size": 13},
                hovertemplate=f"{name}: {format_bytes(size)}<br>{source}<extra></extra>",
            )
        )
    figure = base_figure(
        traces,
        barmode="stack",
        height=150 if legend else 100,
        showlegend=legend,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "x": 0, "y": -0.55, "yanchor": "top", "traceorder": "normal", "font": {"size": 12}},
        bargap=0.1,
        xaxis={"ticksuffix": " GiB", "showgrid": False},
        yaxis={"visible": False},
    )
    figure.add_vline(x=total / GIB, line={"color": GREY, "width": 2})
    return figure
