"""The sequences that the same GPUs hold, used in different ways."""

from __future__ import annotations

from calculator.charts.base import GREY, KV, KV_FAINT, base_chart
from calculator.charts.ready import Spec, chart, note, titled
from calculator.messages import phrase, say
from calculator.units import plural
from calculator.views.base import View
from calculator.views.parallelism import ParallelismRow


@chart
def parallelism_chart(view: View[ParallelismRow]) -> Spec:
    """Draw the sequences that the same GPUs hold, used in different ways, with the range of each.

    Parameters
    ----------
    view : View
        What ``views.parallelism_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a way.
    """
    rows = view.possible
    most = max((row.max_batch_size for row in rows), default=0)
    furthest = max((row.max_batch_size_high for row in rows), default=0)
    trace = {
        "type": "bar",
        "y": [row.way for row in rows],
        "x": [row.max_batch_size for row in rows],
        "orientation": "h",
        "marker": {
            "color": [KV if row.max_batch_size == most else KV_FAINT for row in rows],
            "line": {"color": KV, "width": 1},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [row.max_batch_size_high - row.max_batch_size for row in rows],
            "arrayminus": [row.max_batch_size - row.max_batch_size_low for row in rows],
            "color": GREY,
            "thickness": 1.2,
        },
        "customdata": [
            say(
                "parallelism.parts",
                "{users} ({max_batch_size_low:,} to {max_batch_size_high:,})",
                users=plural(row.max_batch_size, "user"),
                max_batch_size_low=row.max_batch_size_low,
                max_batch_size_high=row.max_batch_size_high,
            )
            for row in rows
        ],
        "hovertemplate": say("parallelism.parts", "%{{y}}: %{{customdata}}<extra></extra>"),
    }
    drawn = base_chart(
        [trace],
        title=titled(view.plan, view.title),
        showlegend=False,
        bargap=0.3,
        height=140 + 40 * max(1, len(rows)),
        margin={"l": 136, "r": 16, "t": 40, "b": 48},
        xaxis={"title": {"text": phrase("Users that fit on all GPUs")}, "range": [0, 1.25 * furthest or 1]},
        yaxis={"autorange": "reversed"},
    )
    for row in rows:
        text = say("charts.users_you", "{users:,}, you" if row.this_plan else "{users:,}", users=row.max_batch_size)
        note(drawn, x=row.max_batch_size_high, y=row.way, text=text, xanchor="left", xshift=5)
    return drawn
