"""What published models chose: how many presets have which ratio of heads."""

from __future__ import annotations

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.heads.presets import said_of
from calculator.charts.ready import Spec, chart, short
from calculator.messages import phrase
from calculator.views.base import View
from calculator.views.heads.ratios import RatioRow

HEIGHT = 190


@chart
def ratios_chart(view: View[RatioRow]) -> Spec:
    """Draw how many presets have each ratio of query heads to a KV head, that of the chosen row in full colour.

    Parameters
    ----------
    view : View
        What ``ratio_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a ratio with its number of presets; hover names them.
    """
    counts = [row.num_models for row in view.rows]
    bars = {
        "type": "bar",
        "x": [row.label for row in view.rows],
        "y": short(counts),
        "name": phrase("Presets"),
        "marker": {"color": [KV if row.chosen else GREY for row in view.rows]},
        "text": [f"{count}" for count in counts],
        "textposition": "outside",
        "textangle": 0,
        "cliponaxis": False,
        "customdata": [said_of(row) for row in view.rows],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    return base_chart(
        [bars],
        showlegend=False,
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 24, "b": 44},
        xaxis={"type": "category", "title": {"text": phrase("Query heads to a KV head")}},
        yaxis={"visible": False, "rangemode": "tozero"},
    )
