"""What one replica holds at each version of its engine."""

from __future__ import annotations

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.ready import Spec, chart, note, titled
from calculator.views.base import View
from calculator.views.comparing.versions import VersionRow


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
        A mark a version with its range as a bar; versions stand at equal distances.
    """
    rows = view.possible
    versions, held = [row.version for row in rows], [row.max_batch_size for row in rows]
    trace = {
        "type": "scatter",
        "x": versions,
        "y": held,
        "mode": "lines+markers",
        "name": "Users",
        "line": {"color": KV, "width": 2, "shape": "hv"},
        "marker": {"size": [13 if row.this_plan else 8 for row in rows], "color": KV},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [row.max_batch_size_high - row.max_batch_size for row in rows],
            "arrayminus": [row.max_batch_size - row.max_batch_size_low for row in rows],
            "color": GREY,
            "thickness": 1,
        },
        "customdata": [f"{row.max_batch_size_low:,} to {row.max_batch_size_high:,}" for row in rows],
        "hovertemplate": "%{x}: %{y:,} users (%{customdata})<extra></extra>",
    }
    drawn = base_chart(
        [trace],
        title=titled(view.plan, view.title),
        showlegend=False,
        xaxis={"title": {"text": f"{view.plan.rules.title} from version"}, "type": "category"},
        yaxis={"title": {"text": "Users of a replica"}, "rangemode": "tozero"},
    )
    for index, row in enumerate(rows):
        if row.this_plan:
            text = f"you: {row.max_batch_size:,}"
            note(drawn, x=index, y=row.max_batch_size_high, text=text, yanchor="bottom", yshift=6)
    return drawn
