"""What one replica holds at each version of its engine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from calculator.charts.base import KV, LETTER_PX, MARGIN, PHONE_PX, base_chart
from calculator.charts.ready import Spec, chart, note, titled
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.comparing.versions import VersionRow

AROUND = 0.2
"""Of the axis above and below the widest ranges: it does not begin at 0, since points alone are read on it."""
BESIDE_PX = 8
"""How far a label at an edge of the chart reaches beyond its mark."""


def _labelled(rows: list[VersionRow]) -> Iterator[dict[str, Any]]:
    """Yield a label for each version whose number is written, above its range or below it.

    This plan comes first, then the fewest and the most, then every version that holds another number than the one
    before; each keeps clear of the others and of the ranges below it on a phone.
    """
    held = [row.max_batch_size for row in rows]
    if not held:
        return
    own = [index for index, row in enumerate(rows) if row.this_plan]
    changed = [0, *(index for index, (last, now) in enumerate(pairwise(held), 1) if now != last)]
    each = PHONE_PX[0] / len(rows)
    taken: list[tuple[float, float]] = []
    for index in dict.fromkeys([*own, held.index(min(held)), held.index(max(held)), *changed]):
        row, at = rows[index], (index + 0.5) * each
        text = f"{row.max_batch_size:,}"
        if row.this_plan:
            text = say("versions.you", "you: {max_batch_size:,}", max_batch_size=row.max_batch_size)
        wide = LETTER_PX * (len(text) + 1)
        anchor = "right" if at + wide / 2 > PHONE_PX[0] else "left" if at < wide / 2 else "center"
        left = at + {"left": -BESIDE_PX, "center": -wide / 2, "right": BESIDE_PX - wide}[anchor]
        right = left + wide
        if all(right <= begins or ends <= left for begins, ends in taken):
            taken.append((left, right))
            covered = rows[max(0, int(left // each)) : int(right // each) + 1]
            lowest = min(one.max_batch_size_low for one in covered)
            highest = max(one.max_batch_size_high for one in covered)
            below = row.max_batch_size_high < highest and row.max_batch_size_low == lowest > 0
            yield {
                "x": index,
                "text": text,
                "xanchor": anchor,
                "xshift": {"left": -BESIDE_PX, "center": 0, "right": BESIDE_PX}[anchor],
                "y": lowest if below else highest,
                "yanchor": "top" if below else "bottom",
                "yshift": -4 if below else 4,
            }


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
        A mark a version with its range as a bar, a number where it changes and there is room; versions stand at equal
        distances, and no line says what lies between them.
    """
    rows = view.possible
    versions, held = [row.version for row in rows], [row.max_batch_size for row in rows]
    trace = {
        "type": "scatter",
        "x": versions,
        "y": held,
        "mode": "markers",
        "name": phrase("Users"),
        "marker": {
            "size": [13 if row.this_plan else 10 for row in rows],
            "color": KV,
            "symbol": ["diamond" if row.this_plan else "circle" for row in rows],
        },
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
    for label in _labelled(rows):
        note(drawn, **label)
    return drawn
