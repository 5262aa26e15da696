"""KV memory of one user and the users that fit, against the number of KV heads."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import FREE, GREY, KV, KV_FAINT, base_chart, caption
from calculator.charts.ready import Spec, chart, note, short, titled
from calculator.messages import say
from calculator.units import GIB, format_bytes, format_size, plural
from calculator.views.base import View
from calculator.views.kv_heads import KvHeadRow

COPIES_PATTERN = {"shape": "/", "fgcolor": KV, "size": 6, "solidity": 0.3, "fillmode": "overlay"}


@chart
def kv_head_chart(view: View[KvHeadRow]) -> Spec:
    """Draw the KV memory of one user against the number of KV heads, copies hatched, this model's own marked.

    Parameters
    ----------
    view : View
        What ``views.kv_head_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Bars of GiB of one GPU; on each how many users fit on a replica, and the GiB.
    """
    plan, labels = view.plan, [_variant(row) for row in view.rows]
    on_rank = plan.request.split.sequences_on_rank(plan.request.batch_size)
    answered = [(label, row) for label, row in zip(labels, view.rows, strict=True) if not row.refused]
    names, rows = [label for label, _ in answered], [row for _, row in answered]
    kept = [row.kv_bytes_per_gpu // on_rank for row in rows]
    copied = [row.copied_bytes_per_gpu // on_rank for row in rows]
    colours = [KV if row.this_model else KV_FAINT for row in rows]
    edge = {"color": KV, "width": 1}
    hover = [_said(row, size, copies) for row, size, copies in zip(rows, kept, copied, strict=True)]
    told = {"customdata": hover, "hovertemplate": "%{customdata}<extra></extra>"}
    written = [f"<b>{row.max_batch_size:,}</b><br>{_gib(size)}" for row, size in zip(rows, kept, strict=True)]
    bar = {"type": "bar", "x": names, "cliponaxis": False, "textangle": 0, "textfont": {"size": 12}, **told}
    hatched = {"color": FREE, "pattern": COPIES_PATTERN, "line": edge}
    traces: list[dict[str, Any]] = [
        {
            **bar,
            "name": say("charts.kept_once", "Kept once"),
            "y": short([(size - copies) / GIB for size, copies in zip(kept, copied, strict=True)]),
            "marker": {"color": colours, "line": edge},
            "text": ["" if copies else text for text, copies in zip(written, copied, strict=True)],
            "textposition": "outside",
        },
        {
            **bar,
            "name": say("charts.copies", "Copies"),
            "y": short([copies / GIB for copies in copied]),
            "marker": hatched,
            "text": [text if copies else "" for text, copies in zip(written, copied, strict=True)],
            "textposition": "outside",
        },
    ]
    drawn = base_chart(
        traces,
        title=titled(plan, view.title),
        showlegend=False,
        barmode="stack",
        height=420,
        bargap=0.28,
        margin={"l": 64, "r": 16, "t": 84, "b": 64},
        xaxis={
            "title": {"text": say("charts.kv_heads", "KV heads, G")},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels,
            "range": [-0.5, len(labels) - 0.5],
            "tickangle": 0,
        },
        yaxis={
            "title": {"text": say("charts.kv_of_one", "KV of one user on one GPU, GiB")},
            "range": [0, 1.2 * max([size / GIB for size in kept], default=1.0) or 1.0],
        },
    )
    explained = say("charts.on_each_bar", "On each bar: users that fit on one replica,<br>GiB of one user on one GPU")
    if any(copied):
        explained = say("charts.hatched", "{explained}; hatched: copies", explained=explained)
    caption(drawn, explained, 1.16)
    for index, row in enumerate(view.rows):
        if row.refused:
            note(
                drawn, x=index, y=0, text=say("charts.not_possible", "not possible"), textangle=-90, yanchor="bottom",
                font={"color": GREY},
            )  # fmt: skip
    return drawn


def _said(row: KvHeadRow, size: int, copied: int) -> str:
    copies = say("charts.of_it_copies", ", {size} of it copies", size=format_size(copied)) if copied else ""
    saved = f"{-row.saving_percent:+g} %".replace("-", "−")
    return say(
        "charts.kv_heads_hover",
        "{users} fit on one replica<br>{size} a user on one GPU ({exact}){copies}<br>{saved} against MHA",
        users=plural(row.max_batch_size, "user"), size=format_size(size), exact=format_bytes(size), copies=copies,
        saved=saved,
    )  # fmt: skip


def _gib(size: int) -> str:
    """Write a size in GiB with the digits that tell bars apart."""
    return f"{size / GIB:,.2f}" if size >= GIB / 10 else f"{size / GIB:.2g}"


def _variant(row: KvHeadRow) -> str:
    """Label a variant by its KV heads and kind; what is not a number of heads by its kind alone."""
    return f"{row.num_key_value_heads}<br>{row.kind}" if row.kind.is_counted else f"<br>{row.kind}"
