"""The budget of one GPU and the users that fit against the tensor-parallel degree."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import INK, KV, KV_FAINT, OVERHEAD, WEIGHTS, base_chart
from calculator.charts.ready import Spec, chart, note, shape, short, titled
from calculator.messages import say
from calculator.units import GIB, plural
from calculator.views.base import View
from calculator.views.tensor_parallel import TensorParallelRow

ROW, AROUND = 44, 150
"""Height of a bar and of what stands around them all [pixels]."""
LABELLED = 0.16
"""Of the axis: narrower segments carry no text."""


@chart
def tensor_parallel_chart(view: View[TensorParallelRow]) -> Spec:
    """Draw weights, overheads and KV pool of one GPU against the tensor-parallel degree, users at the end.

    Parameters
    ----------
    view : View
        What ``views.tensor_parallel_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A horizontal bar a degree in GiB, the plan's own in full colour; where KV heads are copied, that is said.
    """
    plan, rows = view.plan, view.possible
    labels = [_label(row) for row in rows]
    limit = plan.per_gpu.requested_bytes / GIB
    parts = (
        ("weights", say("charts.weights", "Weights"), [row.weights_bytes_per_gpu for row in rows], WEIGHTS),
        ("overheads", say("charts.overheads", "Overheads"), [row.overhead_bytes_per_gpu for row in rows], OVERHEAD),
        ("pool", say("charts.kv_pool", "KV pool"), [row.kv_pool_bytes_per_gpu for row in rows], KV),
    )
    ends = [sum(sizes) / GIB for sizes in zip(*(sizes for _, _, sizes, _ in parts), strict=True)]
    longest = max([limit, *ends])
    traces = [_bar(key, name, labels, sizes, colour, rows, longest) for key, name, sizes, colour in parts]
    drawn = base_chart(
        traces,
        title=titled(plan, view.title),
        barmode="stack",
        bargap=0.3,
        height=AROUND + ROW * max(1, len(rows)),
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={
            "title": {"text": say("charts.one_gpu_dotted", "One GPU, GiB (dotted: what the engine may use)")},
            "range": [0, 1.32 * longest],
        },
        yaxis={"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False},
    )
    shape(
        drawn, type="line", x0=limit, x1=limit, xref="x", y0=0, y1=1, yref="y domain",
        line={"color": INK, "width": 1.5, "dash": "dot"},
    )  # fmt: skip
    for index, (row, end) in enumerate(zip(rows, ends, strict=True)):
        note(drawn, x=max(end, limit), y=index, text=_users(row), xanchor="left", xshift=8, font={"size": 13})
    return drawn


def _bar(
    key: str, name: str, labels: list[str], sizes: list[int], colour: str, rows: list[TensorParallelRow], longest: float
) -> dict[str, Any]:
    colours: str | list[str] = colour
    texts: str | list[str] = "#ffffff"
    if key == "pool":  # the plan's own in full colour
        colours = [KV if row.this_plan else KV_FAINT for row in rows]
        texts = ["#ffffff" if row.this_plan else INK for row in rows]
    return {
        "type": "bar",
        "orientation": "h",
        "y": labels,
        "x": short([size / GIB for size in sizes]),
        "name": name,
        "marker": {"color": colours},
        "text": [
            say("tensor_parallel.part", "{name} {gib:,.1f}", name=name, gib=size / GIB)
            if size / GIB > LABELLED * longest
            else ""
            for size in sizes
        ],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": texts, "size": 12},
        "hovertemplate": say(
            "tensor_parallel.gib_one_gpu", "%{{y}}: {name} %{{x:,.2f}} GiB of one GPU<extra></extra>", name=name
        ),
    }


def _label(row: TensorParallelRow) -> str:
    own = say("charts.tp", "TP {degree}", degree=row.tensor_parallel_size)
    return say("charts.tp_own", "<b>{own}, you</b>", own=own) if row.this_plan else own


def _users(row: TensorParallelRow) -> str:
    """Say how many users a replica holds, and where each KV head is kept more than once."""
    if not row.max_batch_size:
        return say("charts.none_fits", "<b>does not fit</b>")
    users = plural(row.max_batch_size, "user")
    if row.kv_replication > 1:
        return say(
            "charts.users_copied", "<b>{users}</b>, heads kept {copies} ×", users=users, copies=row.kv_replication
        )
    return say("charts.users", "<b>{users}</b>", users=users)
