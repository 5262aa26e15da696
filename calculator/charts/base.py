"""What all charts share: colours, type, axes, limits and captions.

The same thing has the same colour in every chart: KV cache, weights, and greys for the rest.
"""

from __future__ import annotations

from typing import Any

# Plotly takes numpy and pandas out of sys.modules as they stand there: half imported, while another thread is at it. An
# import waits for that thread; so none gets past this module, and draws, before both are whole.
import numpy  # noqa: F401
import pandas  # noqa: F401
import plotly.graph_objects as go

KV = "#2f7de1"
KV_FAINT = "rgba(47,125,225,0.38)"
WEIGHTS = "#c2691c"
LINE_COLOURS = {
    "weights": WEIGHTS,
    "kv_cache": KV,
    "activation": "#6b7480",
    "non_torch": "#8e97a3",
    "cuda_graph": "#aeb6c0",
    "kept_free": "rgba(140,150,165,0.18)",
}
"""By the key of a line of memory."""
OTHER_LINE = "#c9ced6"
GREY = "#7c8592"
VEIL_ON_LIGHT, VEIL_ON_DARK = "rgba(255,255,255,0.68)", "rgba(18,22,29,0.68)"
TEXT_ON_LIGHT, TEXT_ON_DARK = "#4a5260", "#c3cad5"
FONT = "Source Sans, system-ui, -apple-system, Segoe UI, sans-serif"

AXIS = {"gridcolor": "rgba(140,150,165,0.28)", "zeroline": False, "linecolor": GREY, "title": {"standoff": 8}}
SIZE_TICKS = [0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"}


def base_figure(traces: list[Any], **layout: Any) -> go.Figure:
    template = go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 14},
            "colorway": [KV, WEIGHTS, GREY],
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": AXIS,
            "yaxis": AXIS,
            "hoverlabel": {"font": {"family": FONT}},
        }
    )
    base = {"template": template, "legend": LEGEND, "margin": {"l": 64, "r": 16, "t": 40, "b": 56}, "height": 400}
    return go.Figure(data=traces, layout=base | layout)


def limit_line(figure: go.Figure, height: float, text: str) -> None:
    """Draw a limit across the upper panel, its label on a plate at the left end."""
    figure.add_shape(
        type="line", x0=0, x1=1, xref="x domain", y0=height, y1=height, line={"color": GREY, "dash": "dash", "width": 2}
    )
    plate = {"bgcolor": "rgba(96,104,116,0.92)", "font": {"color": "#ffffff", "size": 12}, "borderpad": 3}
    place = {"xref": "x domain", "xanchor": "left", "yanchor": "middle", "showarrow": False}
    figure.add_annotation(x=0, y=height, text=text, **place, **plate)


def caption(figure: go.Figure, text: str, y: float) -> None:
    place = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
    figure.add_annotation(x=0, y=y, text=text, showarrow=False, **place)


def on_ground(figure: go.Figure, dark: bool) -> go.Figure:
    """Give all text of a figure the contrast that a light or a dark page needs.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        A figure of this module; it is changed in place [-].
    dark : bool
        Whether the page is dark [-].

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure.
    """
    font = {"color": TEXT_ON_DARK if dark else TEXT_ON_LIGHT}
    axis = {"tickfont": font, "title": {"font": font}}
    figure.update_layout(font=font, legend={"font": font})
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure


def dimmed(figure: go.Figure, dark: bool) -> go.Figure:
    """Draw a veil over a figure that answers an older question.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        A figure of this module; it is changed in place [-].
    dark : bool
        Whether the page is dark [-].

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure.
    """
    colour = VEIL_ON_DARK if dark else VEIL_ON_LIGHT
    ends = {"x0": -1, "x1": 2, "y0": -1, "y1": 2, "xref": "paper", "yref": "paper"}
    figure.add_shape(type="rect", **ends, fillcolor=colour, line={"width": 0}, layer="above")
    return figure
