"""Memory, users and speed over the KV heads: small charts on the same axis, the chosen row in full colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from calculator.charts.base import FREE, GREY, KV, KV_FAINT, base_chart
from calculator.charts.heads.presets import mark_presets
from calculator.charts.ready import Spec, chart, note
from calculator.messages import joined, phrase, say
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy
from calculator.units import GIB, format_bytes
from calculator.views.heads.chosen import plan_of

HEIGHT = 270
MARGIN = {"l": 52, "r": 8, "t": 12, "b": 44}
COPIES, LATENT = "/", "."
"""Patterns: what is a copy, and what is one latent vector."""


@chart
def memory_chart(study: HeadStudy, chosen: HeadRow | None = None) -> Spec:
    """Draw what one GPU keeps of one sequence over the KV heads; copies hatched, latent attention dotted.

    Parameters
    ----------
    study : HeadStudy
        The study [-].
    chosen : HeadRow, optional
        The row in full colour; by default the model as it is [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a row in GiB: below what the GPU would keep if nothing were kept twice, above it the copies.
    """
    rows = _planned(study)
    kept = [plan.kv_bytes_per_gpu if (plan := plan_of(study, row)) else 0 for row in rows]
    once = [size - row.copied_bytes_per_gpu for size, row in zip(kept, rows, strict=True)]
    labels, colours = [row.label for row in rows], _colours(study, rows, chosen)
    hover = [
        joined(
            ", ", [say("bars.one_gpu", "{size} on one GPU", size=format_bytes(size)), *([_shared(row)] * _copied(row))]
        )
        for size, row in zip(kept, rows, strict=True)
    ]
    traces: list[Any] = [
        _bar(labels, [size / GIB for size in once], colours, hover, phrase("Kept once"), rows),
        {
            "type": "bar",
            "x": labels,
            "y": [(size - own) / GIB for size, own in zip(kept, once, strict=True)],
            "name": phrase("Copies"),
            "marker": {
                "color": FREE,
                "pattern": {"shape": COPIES, "fgcolor": KV, "size": 6, "solidity": 0.3, "fillmode": "overlay"},
                "line": {"color": KV, "width": 1},
            },
            "customdata": hover,
            "hovertemplate": "%{customdata}<extra></extra>",
        },
    ]
    return _small(study, chosen, traces, "GiB", phrase("KV memory of one user"), barmode="stack")


@chart
def batch_chart(study: HeadStudy, chosen: HeadRow | None = None) -> Spec:
    """Draw the sequences that one replica holds over the KV heads, with the range.

    Parameters
    ----------
    study : HeadStudy
        The study [-].
    chosen : HeadRow, optional
        The row in full colour; by default the model as it is [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a row, and a thin bar from the low to the high end.
    """
    return _ranged(study, chosen, lambda row: row.max_batch_size, "max_batch_size", phrase("users"), phrase("Users"))


@chart
def speed_chart(study: HeadStudy, chosen: HeadRow | None = None) -> Spec:
    """Draw tokens a second at the largest batch over the KV heads, with the range.

    Parameters
    ----------
    study : HeadStudy
        The study [-].
    chosen : HeadRow, optional
        The row in full colour; by default the model as it is [-].

    Returns
    -------
    plotly.graph_objects.Figure
        A bar a row that holds any sequence, and a thin bar from the low to the high end.
    """
    name = "full_output_tokens_per_second"
    return _ranged(study, chosen, lambda row: row.full_output_tokens_per_second, name, "tokens/s", phrase("Tokens/s"))


def _ranged(
    study: HeadStudy,
    chosen: HeadRow | None,
    value: Callable[[HeadRow], float | None],
    name: str,
    unit: str,
    title: str,
) -> Spec:
    rows = [row for row in _planned(study) if value(row) is not None]
    middle, low, high = ([getattr(row, f"{name}{end}") for row in rows] for end in ("", "_low", "_high"))
    hover = [
        say(
            "bars.parts",
            "{value} {unit} ({least} to {most})",
            value=_rounded(one),
            unit=unit,
            least=_rounded(least),
            most=_rounded(most),
        )
        for one, least, most in zip(middle, low, high, strict=True)
    ]
    bars = _bar([row.label for row in rows], middle, _colours(study, rows, chosen), hover, title, rows)
    bars["error_y"] = {
        "type": "data",
        "symmetric": False,
        "array": [most - one for one, most in zip(middle, high, strict=True)],
        "arrayminus": [one - least for one, least in zip(middle, low, strict=True)],
        "color": GREY,
        "thickness": 1.5,
        "width": 3,
    }
    return _small(study, chosen, [bars], title, say("bars.at_most", "{title} at most", title=title), drawn=rows)


def _bar(
    labels: list[str], heights: list[float], colours: list[str], hover: Sequence[str], name: str, rows: list[HeadRow]
) -> dict[str, Any]:
    shapes = [LATENT if row.kind == "mla" else "" for row in rows]
    return {
        "type": "bar",
        "x": labels,
        "y": heights,
        "name": name,
        "marker": {
            "color": colours,
            "line": {"color": KV, "width": 1},
            "pattern": {"shape": shapes, "fgcolor": GREY, "size": 6, "solidity": 0.5, "fillmode": "overlay"},
        },
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _colours(study: HeadStudy, rows: list[HeadRow], chosen: HeadRow | None) -> list[str]:
    full = chosen or next((row for row in study.rows if row.this_model), None)
    return [KV if row is full else KV_FAINT for row in rows]


def _planned(study: HeadStudy) -> list[HeadRow]:
    return [row for row in study.rows if not row.refused]


def _copied(row: HeadRow) -> bool:
    return row.copied_bytes_per_gpu > 0


def _shared(row: HeadRow) -> str:
    if row.kv_heads_by_layer:
        return say(
            "bars.some_layers_up_gpus",
            "of some layers on up to {kv_replication} GPUs the same",
            kv_replication=row.kv_replication,
        )
    return say("bars.gpus_same", "on {kv_replication} GPUs the same", kv_replication=row.kv_replication)


def _rounded(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{float(f'{value:.3g}'):,.0f}"


def _small(
    study: HeadStudy,
    chosen: HeadRow | None,
    traces: list[Any],
    title: str,
    what: str,
    drawn: list[HeadRow] | None = None,
    **layout: Any,
) -> Spec:
    spec = base_chart(
        traces,
        title=study_title(study, say("bars.over_kv_heads", "{what} over KV heads", what=what)),
        showlegend=False,
        height=HEIGHT,
        bargap=0.2,
        margin=MARGIN,
        xaxis=heads_axis(study),
        yaxis={"title": {"text": title}, "rangemode": "tozero", "tickformat": "~g" if title == "GiB" else ","},
        **layout,
    )
    shown = _planned(study) if drawn is None else drawn
    for index, row in enumerate(study.rows):
        if row not in shown:
            write_upright(spec, index, phrase("not possible") if row.refused else "none")
    mark_presets(spec, study, chosen)
    return spec


def study_title(study: HeadStudy, what: str) -> dict[str, Any]:
    """Return the title of a chart of a study: the model, and what is shown over its KV heads."""
    return {"text": say("charts.of_model", "{model}: {what}", model=escape(study.model.name, quote=False), what=what)}


def heads_axis(study: HeadStudy) -> dict[str, Any]:
    """Return the axis that all charts of a study share: a place for each row, refused or not."""
    labels = [row.label for row in study.rows]
    return {
        "title": {"text": phrase("KV heads, G")},
        "type": "category",
        "categoryorder": "array",
        "categoryarray": labels,
        "range": [-0.5, len(labels) - 0.5],
        "tickvals": labels,
        "ticktext": [_short(row) for row in study.rows],
        "tickangle": 0,
        "tickfont": {"size": 12 if len(labels) <= 9 else 10},
    }


def _short(row: HeadRow) -> str:
    """Return what stands below a place: a label that names layers is too long for it."""
    if row.is_counted or row.kind == "mla":
        return row.label
    return "own" if row.this_model else "list"


def write_upright(spec: Spec, index: int, text: str, y: float = 0.02) -> None:
    """Write upright at the place of a row why nothing is drawn there."""
    note(spec, x=index, y=y, yref="paper", text=text, textangle=-90, yanchor="bottom", font={"size": 12})
