"""What one replica holds at each version of its engine."""

from __future__ import annotations

from itertools import pairwise

from calculator.charts.base import KV, MARGIN, base_chart
from calculator.charts.ready import Spec, chart, note, titled
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.comparing.versions import VersionRow

AROUND = 0.2
"""Of the axis above and below the widest ranges: it does not begin at 0, since points alone are read on it."""


def _changes(rows: list[VersionRow]) -> list[str]:
    """Return the number of each version that holds another one than the version before."""
    held = [None, *(row.max_batch_size for row in rows)]
    return [f" {now:,}" if now != last else "" for last, now in pairwise(held)]


@chart
def versions_chart(view: View[VersionRow]) -> Spec:
    """Draw the sequences that a replica holds at each version, with their range, and the version of the plan.

    Parameters
    ----------
    view : View
        What ``views.versions_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A mark a version with its range as a bar, a number where it changes; versions stand at equal distances, and no
        line says what lies between them.
    """
    rows = view.possible
    versions, held = [row.version for row in rows], [row.max_batch_size for row in rows]
    trace = {
        "type": "scatter",
        "x": versions,
        "y": held,
        "mode": "markers+text",
        "name": phrase("Users"),
        "marker": {
            "size": [13 if row.this_plan else 10 for row in rows],
            "color": KV,
            "symbol": ["diamond" if row.this_plan else "circle" for row in rows],
        },
        "text": _changes(rows),
        "textposition": "middle right",
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [row.max_batch_size_high - row.max_batch_size for row in rows],
            "arrayminus": [row.max_batch_size - row.max_batch_size_low for row in rows],
            "color": KV,
            "thickness": 2,
            "width": 5,
        },
        "customdata": [
            say(
                "versions.parts",
                "{max_batch_size_low:,} to {max_batch_size_high:,}",
                max_batch_size_low=row.max_batch_size_low,
                max_batch_size_high=row.max_batch_size_high,
            )
            for row in rows
        ],
        "hovertemplate": say("versions.users", "%{{x}}: %{{y:,}} users (%{{customdata}})<extra></extra>"),
    }
    ends = [end for row in rows for end in (row.max_batch_size_low, row.max_batch_size_high)] or [0, 1]
    margin = max(1.0, AROUND * (max(ends) - min(ends)))
    drawn = base_chart(
        [trace],
        title=titled(view.plan, view.title),
        showlegend=False,
        xaxis={
            "title": {"text": say("versions.from_version", "{title} from version", title=view.plan.rules.title)},
            "type": "category",
        },
        height=280,
        margin={**MARGIN, "t": 36},
        yaxis={
            "title": {"text": phrase("Users of a replica")},
            "range": [max(0.0, min(ends) - margin), max(ends) + 2 * margin],
            "tickformat": ",d",
        },
    )
    for index, row in enumerate(rows):
        if row.this_plan:
            text = say("versions.you", "you: {max_batch_size:,}", max_batch_size=row.max_batch_size)
            note(drawn, x=index, y=row.max_batch_size_high, text=text, yanchor="bottom", yshift=6)
    return drawn
