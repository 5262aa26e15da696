"""Published quality over the KV heads: a dot a pair, nothing between them."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.heads.bars import HEIGHT, MARGIN, heads_axis, study_title, write_upright
from calculator.charts.heads.presets import mark_presets
from calculator.charts.ready import Spec, chart, note, shape
from calculator.messages import phrase, say
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy
from calculator.views.heads.quality import quality_view, without_evidence

TRAINED, CONVERTED = "circle", "diamond"


@chart
def quality_chart(study: HeadStudy, chosen: HeadRow | None = None) -> Spec:
    """Draw the change in points against multi-head attention of every published pair, over the KV heads.

    Parameters
    ----------
    study : HeadStudy
        The study [-].
    chosen : HeadRow, optional
        The row whose pairs are in full colour; by default the model as it is [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A dot a pair, conversions as diamonds, hollow where read second-hand; "no data" where nothing is published.
    """
    full = chosen or next((row for row in study.rows if row.this_model), None)
    rows = list(quality_view(study).rows)
    dots: dict[str, Any] = {
        "type": "scatter",
        "x": [row.label for row in rows],
        "y": [row.change_points for row in rows],
        "name": phrase("Published pairs"),
        "mode": "markers",
        "cliponaxis": False,
        "marker": {
            "color": [KV if full and row.label == full.label else GREY for row in rows],
            "symbol": [
                (CONVERTED if row.category == "converted" else TRAINED) + ("-open" if row.second_hand else "")
                for row in rows
            ],
            "size": 8,
            "opacity": 0.8,
        },
        "customdata": [
            say(
                "quality.points_mha_here",
                "{change_points:+g} points: {benchmark}, {model}<br>{baseline:g} with MHA, {value:g} "
                "here<br>{category}, {study}{second_hand}",
                change_points=row.change_points,
                benchmark=phrase(row.benchmark),
                model=phrase(row.model),
                baseline=row.baseline,
                value=row.value,
                category=phrase(row.category),
                study=row.study,
                second_hand=phrase(", second-hand") if row.second_hand else "",
            )
            for row in rows
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    drawn = base_chart(
        [dots],
        title=study_title(study, phrase("Published quality over KV heads")),
        showlegend=False,
        height=HEIGHT,
        margin=MARGIN,
        xaxis=heads_axis(study),
        yaxis={"title": {"text": phrase("Points")}, "tickformat": "+~g", **_reach([row.change_points for row in rows])},
    )
    ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": 0, "y1": 0, "yref": "y"}
    shape(drawn, type="line", **ends, line={"color": GREY, "width": 1.5})
    for index, row in enumerate(study.rows):
        if row.kind == "mha":
            note(drawn, x=index, y=0, text=phrase("MHA<br>= 0"), yanchor="top", font={"size": 12})
        elif row.label in without_evidence(study, rows):
            write_upright(drawn, index, phrase("no data"), 0.08)
    mark_presets(drawn, study, chosen)
    return drawn


def _reach(changes: list[float]) -> dict[str, list[float]]:
    """Return a range that holds zero and every dot."""
    low, high = min([0.0, *changes]), max([0.0, *changes])
    edge = 0.08 * (high - low) or 1.0
    return {"range": [low - edge, high + edge]}
