"""The budget of one GPU on each engine."""

from __future__ import annotations

from calculator.charts.base import FREE, KV, OVERHEAD, WEIGHTS, base_chart
from calculator.charts.ready import Spec, chart, note, short, titled
from calculator.messages import phrase, say, template
from calculator.units import GIB
from calculator.views.base import View
from calculator.views.engines import EngineRow


@chart
def engines_chart(view: View[EngineRow]) -> Spec:
    """Draw the budget of one GPU on each engine as a stacked bar, with the sequences that fit.

    Parameters
    ----------
    view : View
        What ``views.engines_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar an engine in GiB; those that cannot serve the request are said.
    """
    rows = view.possible
    names = [row.engine for row in rows]
    parts = (
        (phrase("Weights"), [row.weights_bytes_per_gpu for row in rows], WEIGHTS),
        (phrase("Overheads in the budget"), [row.overhead_bytes_per_gpu for row in rows], OVERHEAD),
        (phrase("KV pool"), [row.kv_pool_bytes_per_gpu for row in rows], KV),
        (phrase("Left free"), [row.kept_free_bytes_per_gpu for row in rows], FREE),
    )
    traces = [
        {
            "type": "bar",
            "y": names,
            "x": short([max(0, size) / GIB for size in sizes]),
            "name": label,
            "orientation": "h",
            "marker": {"color": colour},
            "hovertemplate": say("engines.gib", "%{{y}}: {label} %{{x:,.2f}} GiB<extra></extra>", label=label),
        }
        for label, sizes, colour in parts
    ]
    drawn = base_chart(
        traces,
        title=titled(view.plan, view.title),
        barmode="stack",
        bargap=0.5,
        height=220 + 72 * max(1, len(rows)),
        margin={"l": 104, "r": 16, "t": 46, "b": 150},
        legend={"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top", "traceorder": "normal"},
        xaxis={"title": {"text": phrase("One GPU, GiB")}},
        yaxis={"autorange": "reversed"},
    )
    for row in rows:
        low, high = row.max_batch_size_low, row.max_batch_size_high
        around = say("engines.parts", " ({low:,} to {high:,})", low=low, high=high) if low != high else ""
        text = template("{users:,} users{around}")
        if row.this_plan:
            text = template("{users:,} users{around}, you")
        text = say("engines.users", text, users=row.max_batch_size, around=around)
        note(drawn, x=0, y=row.engine, text=text, xanchor="left", yshift=28, font={"size": 13})
    return drawn
