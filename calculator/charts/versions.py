"""What one replica holds at each version of its engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.charts.base import GREY, KV, base_figure
from calculator.views.base import View
from calculator.views.comparing.versions import VersionRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def versions_chart(view: View[VersionRow]) -> go.Figure:
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
    import plotly.graph_objects as go

    rows = view.possible
    versions, held = [row.version for row in rows], [row.max_batch_size for row in rows]
    trace = go.Scatter(
        x=versions,
        y=held,
        mode="lines+markers",
        name="Sequences",
        line={"color": KV, "width": 2, "shape": "hv"},
        marker={"size": [13 if row.this_plan else 8 for row in rows], "color": KV},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [row.max_batch_size_high - row.max_batch_size for row in rows],
            "arrayminus": [row.max_batch_size - row.max_batch_size_low for row in rows],
            "color": GREY,
            "thickness": 1,
        },
        customdata=[f"{row.max_batch_size_low:,} to {row.max_batch_size_high:,}" for row in rows],
        hovertemplate="%{x}: %{y:,} (%{customdata})<extra></extra>",
    )
    return base_figure(
        [trace],
        showlegend=False,
        xaxis={"title": {"text": f"{view.plan.rules.title} from version"}, "type": "category"},
        yaxis={"title": {"text": "Sequences of a replica"}, "rangemode": "tozero"},
    )
