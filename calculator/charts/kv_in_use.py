"""What one sequence takes on each engine against its length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculator.charts.base import GREY, INK, KV, KV_FAINT, SIZE_TICKS, base_chart
from calculator.charts.ready import Spec, chart, note, short, titled, upright
from calculator.messages import phrase, say
from calculator.units import GIB
from calculator.views.base import View
from calculator.views.kv_in_use import KvInUseRow

LENGTH_TICKS = [2**power for power in range(7, 25, 2)]
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
"""Of an engine, by its place: colour alone does not tell four of them apart."""


@chart
def kv_in_use_chart(view: View[KvInUseRow]) -> Spec:
    """Draw what one sequence takes on each engine against its length, and what its layers keep.

    Parameters
    ----------
    view : View
        What ``views.kv_in_use_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Lines in GiB on logarithmic axes; each engine has marks and dashes of its own.
    """
    from math import log10

    rows = view.possible
    engines = list(dict.fromkeys(row.engine for row in rows))
    traces: list[dict[str, Any]] = []
    for index, engine in enumerate(engines):
        own = [row for row in rows if row.engine == engine]
        if index == 0:
            kept = [row.architecture_bytes_per_gpu for row in own]
            traces.append(_line(phrase("By its layers"), own, kept, {"color": KV_FAINT, "width": 7}))
        colour = KV if engine == view.plan.rules.title else GREY
        line = _line(
            engine,
            own,
            [row.allocated_bytes_per_gpu for row in own],
            {"color": colour, "dash": DASHES[index % len(DASHES)], "width": 2},
        )
        traces.append(line | {"mode": "lines+markers", "marker": {"symbol": MARKS[index % len(MARKS)], "size": 8}})
    drawn = base_chart(
        traces,
        title=titled(view.plan, view.title),
        height=440,
        xaxis={
            "title": {"text": phrase("Sequence length, tokens")},
            "type": "log",
            "tickvals": LENGTH_TICKS,
            "tickformat": ",",
        },
        yaxis={"title": {"text": phrase("One sequence on one GPU, GiB")}, "type": "log", "tickvals": SIZE_TICKS},
    )
    asked = view.plan.request.seq_len
    upright(drawn, asked, color=INK, width=1.5, dash="dot")
    note(
        drawn,
        x=log10(asked),
        y=0,
        yref="y domain",
        text=say("kv_in_use.you_tokens", "you: {asked:,} tokens", asked=asked),
        xanchor="right",
        xshift=-4,
        yanchor="bottom",
    )
    return drawn


def _line(name: str, rows: Sequence[KvInUseRow], sizes: Sequence[int], line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [row.seq_len for row in rows],
        "y": short([size / GIB for size in sizes]),
        "name": name,
        "mode": "lines",
        "line": line,
        "hovertemplate": say(
            "kv_in_use.gib_at_tokens", "{name}: %{{y:,.4~g}} GiB at %{{x:,}} tokens<extra></extra>", name=name
        ),
    }
