"""What converting a trained model costs, drawn: GPU-hours, and served tokens after which they are paid back."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import GREY, KV, KV_FAINT, base_chart
from calculator.charts.heads.bars import write_upright
from calculator.charts.ready import Spec, chart
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.heads.converting import ConvertingRow

HEIGHT = 260


@chart
def converting_chart(view: View[ConvertingRow]) -> Spec:
    """Draw after how many output tokens each conversion is paid back, the chosen one in full colour.

    Parameters
    ----------
    view : View
        What ``views.heads.converting.converting_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a target; "never" where decode is no faster, "unknown" where it is not known.
    """
    labels = [row.label for row in view.rows]
    drawn = [row for row in view.rows if row.served_tokens_to_pay]
    bars: dict[str, Any] = {
        "type": "bar",
        "x": [row.label for row in drawn],
        "y": [row.served_tokens_to_pay for row in drawn],
        "name": phrase("Paid back after"),
        "marker": {"color": [KV if row.chosen else KV_FAINT for row in drawn], "line": {"color": GREY, "width": 1}},
        "customdata": [
            say("converting.output_tokens", "{tokens:.2g} output tokens", tokens=row.served_tokens_to_pay)
            if row.gpu_hours is None
            else say(
                "converting.for_gpu_hours",
                "{tokens:.2g} output tokens for {hours:,.0f} GPU-hours",
                tokens=row.served_tokens_to_pay,
                hours=row.gpu_hours,
            )
            for row in drawn
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    spec = base_chart(
        [bars],
        showlegend=False,
        height=HEIGHT,
        bargap=0.3,
        margin={"l": 60, "r": 8, "t": 12, "b": 48},
        xaxis={
            "title": {"text": phrase("KV heads afterwards")},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels,
            "range": [-0.5, len(labels) - 0.5],
            "tickangle": 0,
        },
        yaxis={"title": {"text": phrase("Output tokens")}, "rangemode": "tozero", "tickformat": "~s"},
    )
    for index, row in enumerate(view.rows):
        if row not in drawn:
            write_upright(spec, index, "never" if row.never_pays else "unknown")
    return spec
