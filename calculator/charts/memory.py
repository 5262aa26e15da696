"""Where the memory of one GPU goes, as one bar: a gauge of what is asked against what fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from calculator.charts.base import (
    FREE,
    INK,
    KV,
    MISSING_PATTERN,
    OVERHEAD,
    PLATE,
    ROOM_PATTERN,
    WEIGHTS,
    base_chart,
)
from calculator.charts.ready import Spec, chart, note, shape, titled
from calculator.messages import Message, joined, phrase, say
from calculator.planning.answer import Plan
from calculator.units import GIB, format_gib
from calculator.views.memory import Segment, gauge

ROW = phrase("One GPU")
WIDE = 0.085
"""Of the axis: narrower segments carry no text."""


class _Look(NamedTuple):
    marker: dict[str, Any]
    text: str
    is_hatched: bool = False


LOOKS = {
    "weights": _Look({"color": WEIGHTS}, "#ffffff"),
    "overheads": _Look({"color": OVERHEAD}, "#ffffff"),
    "kv": _Look({"color": KV}, "#ffffff"),
    "room": _Look({"color": KV, "pattern": ROOM_PATTERN}, "", is_hatched=True),
    "missing": _Look({"color": KV, "pattern": MISSING_PATTERN}, "", is_hatched=True),
    "free": _Look({"color": FREE}, ""),
}
"""By the key of a segment."""


@chart
def memory_bar(plan: Plan, legend: bool = True) -> Spec:
    """Draw the memory of one GPU as one stacked bar: weights, overheads, KV cache of what is asked, room, kept free.

    Parameters
    ----------
    plan : Plan
        The answer [-].
    legend : bool
        Whether to name the parts below the bar [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar in GiB that sums exactly to what a program sees; where it does not fit it goes past the GPU's edge in
        hatched red. Hover shows of what an overhead is made.
    """
    segments = gauge(plan)
    total = plan.per_gpu.total_bytes
    longest = max(total, sum(one.bytes for one in segments))
    drawn = base_chart(
        list(_bars(segments, longest)),
        barmode="stack",
        height=176 if legend else 140,
        showlegend=legend,
        title=titled(plan, say("charts.memory", "Memory of one GPU")),
        margin={"l": 8, "r": 8, "t": 58, "b": 64 if legend else 28},
        legend={"orientation": "h", "x": 0, "y": -0.5, "yanchor": "top", "traceorder": "normal", "font": {"size": 12}},
        bargap=0.06,
        xaxis={"ticksuffix": " GiB", "showgrid": False, "range": [0, 1.002 * longest / GIB], "tickformat": "~g"},
        yaxis={"visible": False},
    )
    _label_hatched(drawn, segments, longest)
    _edges(drawn, plan, longest)
    return drawn


def _bars(segments: list[Segment], longest: int) -> Iterator[dict[str, Any]]:
    for one in segments:
        look, is_wide = LOOKS[one.key], one.bytes > WIDE * longest
        yield {
            "type": "bar",
            "y": [ROW],
            "x": [one.bytes / GIB],
            "name": say("charts.segment_in_full", "{name} {size}", name=one.name, size=format_gib(one.whole_bytes)),
            "orientation": "h",
            "marker": look.marker,
            "text": [_text(one) if is_wide and not look.is_hatched else ""],
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "textfont": {"size": 13, **({"color": look.text} if look.text else {})},
            "hovertemplate": say(
                "memory.parts",
                "{name}: {size}<br>{details}<extra></extra>",
                name=one.name,
                size=format_gib(one.whole_bytes),
                details=joined("<br>", one.details),
            ),
        }


def _text(one: Segment) -> Message:
    return say("charts.segment", "{name} {gib:,.1f}", name=one.short, gib=one.whole_bytes / GIB)


def _label_hatched(drawn: Spec, segments: list[Segment], longest: int) -> None:
    """Write on a plate what a hatched segment is, which no text of its own could stand on."""
    start = 0
    for one in segments:
        if LOOKS[one.key].is_hatched and one.bytes > WIDE * longest:
            middle = (start + one.bytes / 2) / GIB
            note(drawn, x=middle, y=0, text=_text(one), bgcolor=PLATE, borderpad=3, font={"size": 13})
        start += one.bytes


def _edges(drawn: Spec, plan: Plan, longest: int) -> None:
    """Draw where the engine's budget ends, and where the GPU does."""
    memory, is_given = plan.per_gpu, plan.request.kv_cache_memory_bytes is not None
    total, budget = memory.total_bytes / GIB, memory.requested_bytes / GIB
    if not is_given and memory.requested_bytes < memory.total_bytes:
        _pole(drawn, budget, {"color": INK, "width": 1.5, "dash": "dot"}, 1.0)
    _pole(drawn, total, {"color": INK, "width": 2.5}, 1.12)
    text = say("charts.edge", "the engine may use {budget:,.1f} of {total:,.1f} GiB", budget=budget, total=total)
    if is_given:
        text = say("charts.edge_given", "one GPU: {total:,.1f} GiB", total=total)
    is_left = total * GIB < longest / 2
    note(
        drawn, x=total, y=1.12, yref="y domain", text=text, font={"size": 12}, yanchor="bottom",
        xanchor="left" if is_left else "right",
    )  # fmt: skip


def _pole(drawn: Spec, x: float, line: dict[str, Any], top: float) -> None:
    shape(drawn, type="line", x0=x, x1=x, xref="x", y0=0, y1=top, yref="y domain", line=line)
