"""Which query heads read which KV head, and which GPU keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculator.charts.base import GREY, KV, KV_FAINT, OTHER_LINE, base_chart
from calculator.charts.ready import Spec, chart
from calculator.messages import phrase, say
from calculator.planning.heads.attention import SharedHead

QUERIES, HEADS, GPUS = "Q", "K, V", "GPU"


@chart
def sharing_chart(sharing: Sequence[SharedHead]) -> Spec:
    """Draw query heads above, each over the KV head that it reads, and the GPUs that keep them below.

    Parameters
    ----------
    sharing : sequence of SharedHead
        What ``head_sharing`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Three rows of bars from left to right; a KV head that more than one GPU keeps is hatched.
    """
    total = sum(len(head.query_heads) for head in sharing)
    gap = 0.12
    queries: dict[str, Any] = {
        "type": "bar",
        "base": [index + gap / 2 for index in range(total)],
        "x": [1 - gap] * total,
        "y": [QUERIES] * total,
        "orientation": "h",
        "name": phrase("Query heads"),
        "marker": {"color": GREY},
        "customdata": [head.kv_head for head in sharing for _ in head.query_heads],
        "hovertemplate": say(
            "sharing.query_head_reads_kv", "a query head, reads KV head %{{customdata}}<extra></extra>"
        ),
    }
    heads: dict[str, Any] = {
        "type": "bar",
        "base": [head.query_heads[0] + gap / 2 for head in sharing],
        "x": [len(head.query_heads) - gap for head in sharing],
        "y": [HEADS] * len(sharing),
        "orientation": "h",
        "name": phrase("KV heads"),
        "marker": {
            "color": [KV if index % 2 == 0 else KV_FAINT for index in range(len(sharing))],
            "pattern": {
                "shape": ["/" if len(head.gpus) > 1 else "" for head in sharing],
                "fgcolor": "#ffffff",
                "size": 6,
                "solidity": 0.2,
            },
            "line": {"color": KV, "width": 0.5},
        },
        "customdata": [_said(head) for head in sharing],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    return base_chart(
        [queries, heads, *_gpus(sharing, total)],
        showlegend=False,
        barmode="overlay",
        bargap=0.25,
        height=170,
        margin={"l": 48, "r": 8, "t": 8, "b": 12},
        xaxis={"visible": False, "range": [0, total]},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": [GPUS, HEADS, QUERIES], "showgrid": False,
               "title": {"text": ""}},
    )  # fmt: skip


def _gpus(sharing: Sequence[SharedHead], total: int) -> list[Any]:
    """Return a bar for each GPU over the query heads that it computes."""
    ranks = 1 + max(gpu for head in sharing for gpu in head.gpus)
    each = total / ranks
    keeps = [sum(rank in head.gpus for head in sharing) for rank in range(ranks)]
    return [
        {
            "type": "bar",
            "base": [rank * each + 0.06 for rank in range(ranks)],
            "x": [each - 0.12] * ranks,
            "y": [GPUS] * ranks,
            "orientation": "h",
            "name": phrase("GPUs"),
            "marker": {"color": OTHER_LINE},
            "text": [f"{rank}" if ranks <= 16 else "" for rank in range(ranks)],
            "textposition": "inside",
            "insidetextanchor": "middle",
            "insidetextfont": {"color": "#0b0f17"},
            "textangle": 0,
            "customdata": [
                say(
                    "sharing.gpu_query_heads_kv",
                    "GPU {rank}: {each:g} query heads, {count} KV heads",
                    rank=rank,
                    each=each,
                    count=count,
                )
                for rank, count in enumerate(keeps)
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    ]


def _said(head: SharedHead) -> str:
    first, last = head.query_heads[0], head.query_heads[-1]
    read = (
        say("sharing.query_head", "query head {first}", first=first)
        if first == last
        else say("sharing.query_heads", "query heads {first} to {last}", first=first, last=last)
    )
    where = (
        f"GPU {head.gpus[0]}"
        if len(head.gpus) == 1
        else say(
            "sharing.gpus_copy_each", "GPUs {gpus} to {gpus_2}, a copy each", gpus=head.gpus[0], gpus_2=head.gpus[-1]
        )
    )
    return say(
        "sharing.kv_head_read_by",
        "KV head {kv_head}: read by {read}, kept by {where}",
        kv_head=head.kv_head,
        read=read,
        where=where,
    )
