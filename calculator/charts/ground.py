"""A chart on the ground of a page: text and thin lines in the contrast that a light or a dark one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calculator.charts.base import INK, KV, KV_FAINT, MISSING, PLATE, TITLE, WEIGHTS
from calculator.charts.ready import Spec

if TYPE_CHECKING:
    import plotly.graph_objects as go

VEIL_ON_LIGHT, VEIL_ON_DARK = "rgba(255,255,255,0.68)", "rgba(18,22,29,0.68)"
TEXT_ON_LIGHT, TEXT_ON_DARK = "#4a5260", "#c3cad5"
FILLS_ON_DARK = {
    KV: "#3274d0",
    WEIGHTS: "#b05e1c",
    KV_FAINT: "rgba(106,168,245,0.28)",
    MISSING: "#ef7a70",
    INK: "#e8ecf3",
    PLATE: "rgba(18,22,29,0.86)",
}
"""By their colour on a light page; fills carry white text."""
LINES_ON_DARK = {**FILLS_ON_DARK, KV: "#6aa8f5", WEIGHTS: "#e09a5c"}
"""Thin lines and dots, which carry none, are lighter."""
THIN = frozenset({"line", "error_x", "error_y", "pattern", "fillpattern"})
NO_COLOURS = frozenset({"x", "y", "text", "customdata", "hovertemplate", "template"})


def grounded(spec: Spec, dark: bool) -> Spec:
    """Return a chart in the contrast that a light or a dark page needs; the one given stays as it is."""
    layout = spec["layout"]
    font = {"color": TEXT_ON_DARK if dark else TEXT_ON_LIGHT}
    axes = {"xaxis", "yaxis"} | {name for name in layout if name.startswith(("xaxis", "yaxis"))}
    painted = {name: _with_font(layout.get(name, {}), font, "tickfont", "title") for name in sorted(axes)}
    painted |= {name: _with_font(layout.get(name, {}), font, "font") for name in ("legend", "title") if name in layout}
    if "title" in painted:  # a page's own theme makes titles large
        painted["title"]["font"] = {**painted["title"]["font"], **TITLE["font"]}
    painted["font"] = {**layout.get("font", {}), **font}
    onto = {"data": spec["data"], "layout": {**layout, **painted}}
    return _recoloured(onto, FILLS_ON_DARK) if dark else onto


def _with_font(part: dict[str, Any], font: dict[str, str], *names: str) -> dict[str, Any]:
    """Return a part of a layout with the colour of its texts set; a title holds its font."""
    own = dict(part)
    for name in names:
        inner = own.get(name, {})
        own[name] = {**inner, "font": {**inner.get("font", {}), **font}} if name == "title" else {**inner, **font}
    return own


def _recoloured(value: Any, colours: dict[str, str]) -> Any:
    if isinstance(value, dict):
        is_dots = value.get("type") == "scatter"
        return {
            key: inner if key in NO_COLOURS
            else _recoloured(inner, LINES_ON_DARK if key in THIN or (is_dots and key == "marker") else colours)
            for key, inner in value.items()
        }  # fmt: skip
    if isinstance(value, list | tuple):
        return [_recoloured(inner, colours) for inner in value]
    return colours.get(value, value) if isinstance(value, str) else value


def veiled(spec: Spec, dark: bool) -> Spec:
    """Return a chart below a veil: one that answers an older question; the one given stays as it is."""
    veil = {
        "type": "rect", "x0": -1, "x1": 2, "y0": -1, "y1": 2, "xref": "paper", "yref": "paper",
        "fillcolor": VEIL_ON_DARK if dark else VEIL_ON_LIGHT, "line": {"width": 0}, "layer": "above",
    }  # fmt: skip
    layout = spec["layout"]
    return {"data": spec["data"], "layout": {**layout, "shapes": [*layout.get("shapes", []), veil]}}


def on_ground(figure: go.Figure, dark: bool) -> go.Figure:
    """Give all text of a figure the contrast that a light or a dark page needs.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        A figure of this package; it is changed in place [-].
    dark : bool
        Whether the page is dark [-].

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure.
    """
    return figure.update(grounded(figure.to_dict(), dark), overwrite=True)


def dimmed(figure: go.Figure, dark: bool) -> go.Figure:
    """Draw a veil over a figure that answers an older question.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        A figure of this package; it is changed in place [-].
    dark : bool
        Whether the page is dark [-].

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure.
    """
    return figure.update_layout(shapes=veiled(figure.to_dict(), dark)["layout"]["shapes"])
