"""Charts of the engines' own accounting, and of predicted against reported capacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calculator.charts.base import AXIS, GREY, KV, KV_FAINT, LINE_COLOURS, WEIGHTS, base_figure
from calculator.engines import ENGINES
from calculator.logs.accuracy import Row
from calculator.units import GIB, format_bytes
from calculator.views.base import View

if TYPE_CHECKING:
    import plotly.graph_objects as go

EQUAL = (1, 260)
"""Ends of the line on which predicted and reported are the same [GiB]."""
LENGTH_TICKS = [2**power for power in range(7, 25, 2)]
SIZE_TICKS = [0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
DASHES = ("solid", "dash", "dot", "dashdot")
MARKS = dict(zip(ENGINES, ("circle", "square", "diamond", "cross"), strict=True))


def engines_chart(view: View) -> go.Figure:
    """Draw the budget of one GPU on each engine as a stacked bar, with the sequences that fit.

    Parameters
    ----------
    view : View
        What ``engine_views.engines_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar an engine in GiB; those that cannot serve the request are said.
    """
    import plotly.graph_objects as go

    rows = [row for row in view.rows if not row["refused"]]
    names = [row["engine"] for row in rows]
    parts = (
        ("Weights", "weights_bytes_per_gpu", WEIGHTS),
        ("Overheads in the budget", "overhead_bytes_per_gpu", LINE_COLOURS["Outside the allocator"]),
        ("KV pool", "kv_pool_bytes_per_gpu", KV),
        ("Left free", "kept_free_bytes_per_gpu", LINE_COLOURS["Kept free"]),
    )
    traces = [
        go.Bar(
            y=names,
            x=[max(0, row[column]) / GIB for row in rows],
            name=label,
            orientation="h",
            marker={"color": colour},
            customdata=[format_bytes(row[column]) for row in rows],
            hovertemplate=f"{label}: %{{customdata}}<extra></extra>",
        )
        for label, column, colour in parts
    ]
    figure = base_figure(
        traces,
        barmode="stack",
        bargap=0.5,
        height=190 + 72 * max(1, len(rows)),
        margin={"l": 104, "r": 16, "t": 16, "b": 150},
        legend={"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top", "traceorder": "normal"},
        xaxis={**AXIS, "title": {"text": "One GPU, GiB"}},
        yaxis={"autorange": "reversed"},
    )
    for row in rows:
        low, high = row["max_batch_size_low"], row["max_batch_size_high"]
        around = f" ({low:,} to {high:,})" if low != high else ""
        figure.add_annotation(
            x=0, y=row["engine"], text=f"{row['max_batch_size']:,} sequences{around}", showarrow=False,
            xanchor="left", yshift=28, font={"size": 13},
        )  # fmt: skip
    return figure


def kv_in_use_chart(view: View) -> go.Figure:
    """Draw what one sequence takes on each engine against its length, and what its layers keep.

    Parameters
    ----------
    view : View
        What ``engine_views.kv_in_use_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Lines in GiB on logarithmic axes.
    """
    import plotly.graph_objects as go

    rows = [row for row in view.rows if not row["refused"]]
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    traces: list[Any] = []
    for index, engine in enumerate(engines):
        own = [row for row in rows if row["engine"] == engine]
        if index == 0:
            traces.append(_line("By its layers", own, "architecture_bytes_per_gpu", KV_FAINT, "solid", 5))
        colour = KV if engine == view.plan.rules.title else GREY
        traces.append(_line(engine, own, "allocated_bytes_per_gpu", colour, DASHES[index % len(DASHES)], 2))
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


def _line(name: str, rows: Sequence[dict[str, Any]], column: str, colour: str, dash: str, width: int) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[row["seq_len"] for row in rows],
        y=[row[column] / GIB for row in rows],
        name=name,
        mode="lines+markers" if width < 4 else "lines",
        line={"color": colour, "dash": dash, "width": width},
        customdata=[format_bytes(row[column]) for row in rows],
        hovertemplate=f"{name}: %{{customdata}} at %{{x:,}} tokens<extra></extra>",
    )


def parallelism_chart(view: View) -> go.Figure:
    """Draw the sequences that the same GPUs hold, used in different ways, with the range of each.

    Parameters
    ----------
    view : View
        What ``engine_views.parallelism_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a way.
    """
    import plotly.graph_objects as go

    rows = [row for row in view.rows if not row["refused"]]
    most = max((row["max_batch_size"] for row in rows), default=0)
    trace = go.Bar(
        y=[row["way"] for row in rows],
        x=[row["max_batch_size"] for row in rows],
        orientation="h",
        marker={"color": [KV if row["max_batch_size"] == most else KV_FAINT for row in rows]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [row["max_batch_size_high"] - row["max_batch_size"] for row in rows],
            "arrayminus": [row["max_batch_size"] - row["max_batch_size_low"] for row in rows],
            "color": GREY,
            "thickness": 1.2,
        },
        hovertemplate="%{y}: %{x:,} sequences<extra></extra>",
    )
    figure = base_figure(
        [trace],
        showlegend=False,
        bargap=0.3,
        height=120 + 40 * max(1, len(rows)),
        margin={"l": 136, "r": 44, "t": 16, "b": 48},
        xaxis={**AXIS, "title": {"text": "Sequences that fit on all GPUs"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed"},
    )
    for row in rows:
        figure.add_annotation(
            x=row["max_batch_size_high"], y=row["way"], text=f"{row['max_batch_size']:,}", showarrow=False,
            xanchor="left", xshift=5,
        )  # fmt: skip
    return figure


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
