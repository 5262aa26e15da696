"""Present models, marked on the axis of a study: how many presets share as many query heads as a row does."""

from __future__ import annotations

from math import sqrt
from typing import Any

from calculator.charts.base import GREY, KV
from calculator.charts.ready import Spec
from calculator.messages import phrase, say
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy
from calculator.views.heads.chosen import row_of
from calculator.views.heads.ratios import RatioRow, ratio_view

MOST_NAMED = 6
STRIP = 0.86
"""Above this share of the height stand the presets."""


def mark_presets(drawn: Spec, study: HeadStudy, chosen: HeadRow | None = None) -> None:
    """Mark the presets above a chart, each ratio of heads at its place on the same axis, with how many there are.

    A ratio that no row has stands between two, without its number; the row in full colour is that of the chart.
    """
    rows = [row for row in ratio_view(study, chosen or row_of(study)).rows if row.place is not None]
    dots: dict[str, Any] = {
        "type": "scatter",
        "x": [row.place for row in rows],
        "y": [0.25] * len(rows),
        "xaxis": "x2",
        "yaxis": "y2",
        "name": phrase("Presets"),
        "mode": "markers+text",
        "text": [f"{row.num_models}" if row.place == round(row.place or 0.0) else "" for row in rows],
        "textposition": "top center",
        "textfont": {"size": 11},
        "cliponaxis": False,
        "marker": {
            "color": [KV if row.chosen else GREY for row in rows],
            "size": [3 + 1.5 * sqrt(row.num_models) for row in rows],
            "opacity": 0.8,
        },
        "customdata": [said_of(row) for row in rows],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    drawn["data"].append(dots)
    labels, hidden = len(study.rows), {"visible": False, "fixedrange": True}
    drawn["layout"]["yaxis"]["domain"] = [0, STRIP - 0.03]
    drawn["layout"]["xaxis2"] = {"anchor": "y2", "range": [-0.5, labels - 0.5], **hidden}
    drawn["layout"]["yaxis2"] = {"anchor": "x2", "domain": [STRIP, 1], "range": [0, 1], **hidden}


def said_of(row: RatioRow) -> str:
    """Say how many presets have a ratio, and which."""
    names = row.models.split(", ")
    more = say("presets.more", " and {names} more", names=len(names) - MOST_NAMED) if len(names) > MOST_NAMED else ""
    what = (
        phrase("a latent vector")
        if row.query_heads_per_kv_head is None
        else say("presets.query_heads_kv_head", "{label} query heads to a KV head", label=row.label)
    )
    presets = (
        phrase("1 preset has")
        if row.num_models == 1
        else say("presets.presets_have", "{num_models} presets have", num_models=row.num_models)
    )
    named = "<br>".join(names[:MOST_NAMED])
    return say(
        "presets.named", "{presets} {what}:<br>{names}{more}", presets=presets, what=what, names=named, more=more
    )
