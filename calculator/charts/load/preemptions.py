"""How often a request is thrown out with a full queue, by rule of admission."""

from __future__ import annotations

from typing import Any

from calculator.charts.base import GREY, KV, base_chart
from calculator.charts.ready import Spec, chart, note, titled
from calculator.messages import phrase, say
from calculator.views.base import View
from calculator.views.load.preemptions import PreemptionRow
from calculator.views.load.wording import rounded

ROW, AROUND = 52, 110
"""Height of a bar and of what stands around them all [pixels]."""


@chart
def preemption_chart(view: View[PreemptionRow]) -> Spec:
    """Draw how often a request is thrown out with a full queue, a bar a rule, the plan's own in full colour.

    Parameters
    ----------
    view : View
        What ``views.preemption_view`` answered [-].

    Returns
    -------
    plotly.graph_objects.Figure
        Horizontal bars; behind each how many requests run.
    """
    rows = view.rows
    most = max((row.preemptions_high or row.preemptions for row in rows), default=0)
    bars: dict[str, Any] = {
        "type": "bar",
        "x": [row.preemptions for row in rows],
        "y": [_name(row) for row in rows],
        "orientation": "h",
        "marker": {"color": [KV if row.this_plan else GREY for row in rows]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_off(row.preemptions_high, row.preemptions) for row in rows],
            "arrayminus": [_off(row.preemptions, row.preemptions_low) for row in rows],
            "color": GREY,
            "thickness": 1,
        },
        "customdata": [[row.rule, rounded(row.preemptions, 2)] for row in rows],
        "hovertemplate": say("preemptions.times", "%{{customdata[1]}} times: %{{customdata[0]}}<extra></extra>"),
    }
    drawn = base_chart(
        [bars],
        title=titled(view.plan, view.title),
        showlegend=False,
        height=AROUND + ROW * len(rows),
        bargap=0.45,
        margin={"l": 64, "r": 16, "t": 40, "b": 56},
        xaxis={"title": {"text": phrase("Times that a request is thrown out")}, "range": [0, 1.6 * most or 1]},
        yaxis={"autorange": "reversed", "automargin": True, "showgrid": False},
    )
    for index, row in enumerate(rows):
        text = say(
            "preemptions.running",
            "{preemptions}, {running} running",
            preemptions=rounded(row.preemptions, 2),
            running=rounded(row.running),
        )
        note(drawn, x=row.preemptions_high or row.preemptions, y=index, text=text, xanchor="left", xshift=6)
    return drawn


def _name(row: PreemptionRow) -> str:
    limit = (
        phrase("by memory alone")
        if row.max_num_seqs is None
        else say("preemptions.at_most", "at most {max_num_seqs:,}", max_num_seqs=row.max_num_seqs)
    )
    return say("preemptions.row", "{engine}<br>{limit}", engine=f"{row.engine} {row.since}".rstrip(), limit=limit)


def _off(high: float | None, low: float | None) -> float:
    return max(0.0, high - low) if high is not None and low is not None else 0.0
