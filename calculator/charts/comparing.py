"""Plans side by side: one GPU of each on the same scale, and what every engine holds of one request."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from calculator.charts.base import (
    FREE,
    GREY,
    INK,
    KV,
    MISSING_PATTERN,
    OVERHEAD,
    ROOM_PATTERN,
    WEIGHTS,
    base_chart,
)  # fmt: skip
from calculator.charts.ready import Spec, chart, shape
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.units import GIB, format_bytes
from calculator.views.base import View
from calculator.views.comparing.side_by_side import LETTERS
from calculator.views.engines import EngineRow

MARKS = ("circle", "triangle-up", "diamond", "square", "cross", "star")
SHARE_FOR_TEXT, WIDE = 0.12, 0.1
BAR_PX, AROUND_PX, BAR_HALF = 62, 120, 0.42
HELD, TAKEN, LOAD = phrase("Weights"), phrase("Overheads"), phrase("KV of the users asked")
ROOM, MORE, LEFT = phrase("Room"), phrase("More than it has"), phrase("Left free")


@chart
def memory_bars(plans: Sequence[Plan]) -> Spec:
    """Draw one GPU of each plan as a stacked bar, all on the same scale.

    Parameters
    ----------
    plans : sequence of Plan
        What is compared, the first on top [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Weights, overheads, KV of the users asked, room for more hatched, what is left free, in GiB; what does not fit
        stands beyond it, red and hatched.
    """
    names = list(LETTERS[: len(plans)])
    parts = [_parts(plan) for plan in plans]
    widest = max(sum(each.values()) for each in parts)
    traces: list[dict[str, Any]] = []
    for part, (colour, pattern, dark) in _LOOKS.items():
        sizes = [each[part] for each in parts]
        if not any(sizes):
            continue
        marker: dict[str, Any] = {"color": colour, "line": {"width": 1, "color": "rgba(255,255,255,0.55)"}}
        if pattern:
            marker["pattern"] = pattern
        traces.append(
            {
                "type": "bar",
                "y": names,
                "x": [size / GIB for size in sizes],
                "name": part,
                "orientation": "h",
                "marker": marker,
                "text": [_label(part, size, widest) if dark else "" for size in sizes],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "insidetextfont": {"color": "#ffffff", "size": 13},
                "customdata": [f"{size / GIB:,.2f} GiB, {format_bytes(size)}" for size in sizes],
                "hovertemplate": say("comparing.parts", "%{{y}}, {part}: %{{customdata}}<extra></extra>", part=part),
            }
        )
    drawn = base_chart(
        traces,
        barmode="stack",
        bargap=0.32,
        uniformtext={"minsize": 11, "mode": "hide"},
        height=AROUND_PX + BAR_PX * len(plans),
        margin={"l": 28, "r": 8, "t": 4, "b": 84},
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"title": {"text": phrase("One GPU, GiB"), "standoff": 4}},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
    )
    for index, plan in enumerate(plans):  # where each GPU ends, also where more is asked of it
        end, edge = plan.per_gpu.total_bytes / GIB, {"color": INK, "width": 2}
        ends = {"x0": end, "x1": end, "y0": index - BAR_HALF, "y1": index + BAR_HALF}
        shape(drawn, type="line", xref="x", yref="y", line=edge, **ends)
    return drawn


def _parts(plan: Plan) -> dict[str, int]:
    """Return what fills one GPU [bytes]; more than it has only where the users asked do not fit."""
    memory, request = plan.per_gpu, plan.request
    asked = plan.allocated_bytes_per_sequence * request.split.sequences_on_rank(request.batch_size)
    used = min(asked, memory.kv_pool_bytes)
    room, more = memory.kv_pool_bytes - used, asked - used
    before = memory.before_kv_bytes
    return {
        HELD: memory.weights_bytes,
        TAKEN: before - memory.weights_bytes,
        LOAD: used,
        ROOM: room,
        MORE: more,
        LEFT: 0 if more else max(0, memory.total_bytes - before - memory.kv_pool_bytes),
    }


_LOOKS: dict[str, tuple[str, dict[str, Any] | None, bool]] = {
    HELD: (WEIGHTS, None, True),
    TAKEN: (OVERHEAD, None, False),
    LOAD: (KV, None, True),
    ROOM: (FREE, ROOM_PATTERN, False),
    MORE: (FREE, MISSING_PATTERN, False),
    LEFT: (FREE, None, False),
}
"""Of each part its colour, its hatching, and whether it carries text."""


def _label(part: str, size: int, widest: int) -> str:
    if size <= SHARE_FOR_TEXT * widest:
        return ""
    said = "KV" if part == LOAD else phrase("weights")
    return say("comparing.label", "{part} {size:,.0f}", part=said, size=size / GIB)


@chart
def engine_points(view: View[EngineRow]) -> Spec:
    """Draw the sequences that every engine holds as points with their ranges, a mark of its own for each engine.

    Parameters
    ----------
    view : View
        What ``views.engines_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A point an engine, those that hold most on top; the plan's own is in full colour.
    """
    rows = sorted(view.possible, key=lambda row: row.max_batch_size)
    marks = dict(zip((row.engine for row in view.rows), cycle(MARKS), strict=False))
    traces = [
        {
            "type": "scatter",
            "x": [row.max_batch_size],
            "y": [row.engine],
            "mode": "markers+text",
            "name": row.engine,
            "marker": {"symbol": marks[row.engine], "size": 13, "color": KV if row.this_plan else GREY},
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [row.max_batch_size_high - row.max_batch_size],
                "arrayminus": [row.max_batch_size - row.max_batch_size_low],
                "color": KV if row.this_plan else GREY,
                "thickness": 2,
            },
            "text": [
                say("charts.users_you", "{users:,}, you" if row.this_plan else "{users:,}", users=row.max_batch_size)
            ],
            "textposition": "top center",
            "customdata": [
                say(
                    "comparing.parts",
                    "{max_batch_size_low:,} to {max_batch_size_high:,}",
                    max_batch_size_low=row.max_batch_size_low,
                    max_batch_size_high=row.max_batch_size_high,
                )
            ],
            "hovertemplate": say("comparing.users", "%{{y}}: %{{x:,}} users (%{{customdata}})<extra></extra>"),
        }
        for row in rows
    ]
    ends = [end for row in rows for end in (row.max_batch_size_low, row.max_batch_size_high)] or [0, 1]
    margin = max(1.0, WIDE * (max(ends) - min(ends)))
    return base_chart(
        traces,
        showlegend=False,
        height=110 + 46 * max(1, len(rows)),
        margin={"l": 104, "r": 16, "t": 20, "b": 48},
        xaxis={
            "title": {
                "text": say(
                    "comparing.users_tokens_all_replicas",
                    "Users of {seq_len:,} tokens, all replicas",
                    seq_len=view.plan.request.seq_len,
                )
            },
            "range": [min(ends) - margin, max(ends) + margin],
            "tickformat": ",d",
        },
        yaxis={"type": "category", "range": [-0.5, len(rows) - 0.2]},
    )
