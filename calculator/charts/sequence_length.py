"""The memory of one GPU against sequence length."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from calculator.charts.base import (
    GREY,
    INK,
    KV,
    LEGEND,
    MISSING,
    MISSING_PATTERN,
    OVERHEAD,
    PLATE,
    WEIGHTS,
    base_chart,
    limit_line,
)
from calculator.charts.ready import Spec, chart, corners, note, shape, short, titled
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.units import GIB, plural
from calculator.views.base import View
from calculator.views.sequence_length import LengthRow

BEYOND = 1.3
"""How far past the limit, or past what is asked, the length axis goes."""
NEAR = 0.2
"""Two marks that are no further apart than this share of the axis would write over each other."""


@chart
def sequence_length_chart(view: View[LengthRow], log_x: bool = False) -> Spec:
    """Draw the memory of one GPU against sequence length, stacked, with the limit and the length that is asked.

    Parameters
    ----------
    view : View
        What ``views.sequence_length_view`` answered [-].
    log_x : bool
        Whether the length axis is logarithmic [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Areas in GiB, hatched in red past the limit, and what the engine may use as a line.
    """
    plan, rows = view.plan, view.rows
    asked, full = plan.request.seq_len, plan.max_context_len
    shortest, longest = rows[0].seq_len, rows[-1].seq_len
    end = _end(plan, longest)
    # a pool given outright lies beside the budget: what ends it is the device
    is_given = plan.request.kv_cache_memory_bytes is not None
    limit = (plan.per_gpu.total_bytes if is_given else plan.per_gpu.requested_bytes) / GIB
    tops = [_total(row) / GIB for row in rows if row.seq_len <= end]
    ends = [log10(shortest), log10(end)] if log_x else [float(shortest), float(end)]
    drawn = base_chart(
        _areas(plan, rows, log_x),
        title=titled(plan, view.title),
        hovermode="x",
        legend={**LEGEND, "traceorder": "normal"},
        xaxis={
            "title": {"text": say("charts.tokens_of_each", "Tokens of each user, prompt and answer together")},
            "type": "log" if log_x else "linear",
            "tickformat": ",",
            "hoverformat": ",",
            **({"range": ends} if ends[0] < ends[1] else {}),
            **({"dtick": "D2"} if log_x and end / shortest < 50 else {}),
        },
        yaxis={
            "title": {"text": phrase("One GPU, GiB")},
            "range": [0, 1.14 * max([limit, *tops])],
            "hoverformat": ",.2f",
        },
    )
    limit_line(drawn, limit, say("charts.may_use", "the engine may use {gib:,.1f} GiB", gib=limit))
    here = next((row for row in rows if row.seq_len == asked), None)
    if here:
        _mark_asked(drawn, here, log_x, ends, full if 0 < full <= end else None)
    if 0 < full <= end:
        place = log10(full) if log_x else full
        is_right = place - ends[0] > (ends[1] - ends[0]) / 4
        note(
            drawn, x=place, y=limit, text=say("charts.full_at", "<b>full at {tokens:,}</b>", tokens=full),
            showarrow=True, ax=-56 if is_right else 0, ay=-26 if is_right else -52, arrowcolor=INK, arrowhead=0,
            bgcolor=PLATE,
        )  # fmt: skip
    return drawn


def _end(plan: Plan, longest: int) -> int:
    """Return the length at which the axis ends: somewhat past the limit and past what is asked [tokens]."""
    asked, full = plan.request.seq_len, plan.max_context_len
    if not 0 < full <= longest:
        return longest
    return min(longest, max(round(BEYOND * full), round(BEYOND * asked)))


def _total(row: LengthRow) -> int:
    return row.weights_bytes_per_gpu + row.overhead_bytes_per_gpu + row.kv_bytes_per_gpu


def _areas(plan: Plan, rows: Sequence[LengthRow], log_x: bool) -> list[dict[str, Any]]:
    """Return weights, overheads and KV cache up to the limit and past it, and the line on top, which is hovered."""
    lengths = [row.seq_len for row in rows]
    weights = [row.weights_bytes_per_gpu / GIB for row in rows]
    before = [(row.weights_bytes_per_gpu + row.overhead_bytes_per_gpu) / GIB for row in rows]
    tops = [_total(row) / GIB for row in rows]
    held = sum(tokens <= plan.max_context_len for tokens in lengths)
    kv = say("charts.kv_of", "KV of {users}", users=plural(plan.request.batch_size, "user"))
    quiet = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
    areas: list[dict[str, Any]] = []
    for name, heights, fill, colour in (
        (say("charts.weights", "Weights"), weights, "tozeroy", WEIGHTS),
        (say("charts.overheads", "Overheads"), before, "tonexty", OVERHEAD),
    ):
        x, y = corners(lengths, heights, log_x)
        line = {"width": 0, "color": colour}
        areas.append({**quiet, "name": name, "x": x, "y": short(y), "fill": fill, "fillcolor": colour, "line": line})
    for name, part, look in (
        (kv, slice(0, held), {"fillcolor": KV}),
        (
            say("charts.past_limit", "Does not fit"),
            slice(max(0, held - 1), None),
            {"fillcolor": MISSING, "fillpattern": MISSING_PATTERN},
        ),
    ):
        own = lengths[part]
        if len(own) > 1 or len(lengths) == 1:
            (x, y), (x_below, below) = corners(own, tops[part], log_x), corners(own, before[part], log_x)
            ring = {"x": [*x, *reversed(x_below)], "y": short([*y, *reversed(below)])}
            areas.append({**quiet, "name": name, **ring, "fill": "toself", **look, "line": {"width": 0}})
    top: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "name": say("charts.together", "Together"),
        "showlegend": False,
        "x": lengths,
        "y": short(tops),
        "line": {"color": KV, "width": 2},
        "customdata": short([row.kv_bytes_per_gpu / GIB for row in rows]),
        "hovertemplate": say(
            "sequence_length.gib_one_gpu_gib",
            "%{{y:,.2f}} GiB of one GPU, %{{customdata:,.2f}} GiB of it {kv}<extra></extra>",
            kv=kv,
        ),
    }
    return [*areas, top]


def _mark_asked(drawn: Spec, row: LengthRow, log_x: bool, ends: list[float], full: int | None) -> None:
    """Mark the length that is asked: a pole, a ring and how much that is, below it where the limit is named above."""
    gib, place = _total(row) / GIB, log10(row.seq_len) if log_x else row.seq_len
    drawn["data"].append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": say("charts.you_asked", "You"),
            "showlegend": False,
            "hoverinfo": "skip",
            "cliponaxis": False,
            "x": [row.seq_len],
            "y": [gib],
            "marker": {"size": 11, "color": "#ffffff", "line": {"color": INK, "width": 2.5}},
        }
    )
    pole = {"color": GREY, "width": 1.5}
    shape(drawn, type="line", x0=row.seq_len, x1=row.seq_len, xref="x", y0=0, y1=gib, yref="y", line=pole)
    is_right = place - ends[0] > 0.3 * (ends[1] - ends[0])  # else the curve rises through what stands beside it
    limit = None if full is None else log10(full) if log_x else float(full)
    if limit is not None and abs(place - limit) < NEAR * (ends[1] - ends[0]):
        beside: dict[str, Any] = {"xanchor": "right", "xshift": -10, "yanchor": "top", "yshift": -14, "bgcolor": PLATE}
    elif is_right:
        beside = {"xanchor": "right", "xshift": -8, "yanchor": "bottom", "yshift": 5}
    else:
        beside = {"xanchor": "left", "xshift": -4, "yanchor": "bottom", "yshift": 32}
    note(drawn, x=place, y=gib, text=say("charts.you", "<b>you: {gib:,.1f} GiB</b>", gib=gib), **beside)
