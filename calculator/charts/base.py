"""What all charts share: colours, type, axes, limits and captions.

The same thing has the same colour in every chart: KV cache, weights, and greys for the rest. Room for more is the blue
of the KV cache, hatched; what does not fit is red, hatched.
"""

from __future__ import annotations

from typing import Any

from calculator.charts.ready import Spec, note, shape

KV = "#2a70d2"
KV_FAINT = "rgba(42,112,210,0.26)"
WEIGHTS = "#b65c12"
MISSING = "#c0322f"
LINE_COLOURS = {
    "weights": WEIGHTS,
    "kv_cache": KV,
    "activation": "#6b7480",
    "non_torch": "#8e97a3",
    "cuda_graph": "#aeb6c0",
    "kept_free": "rgba(140,150,165,0.18)",
}
"""By the key of a line of memory."""
OVERHEAD, FREE = LINE_COLOURS["non_torch"], LINE_COLOURS["kept_free"]
OTHER_LINE = "#c9ced6"
GREY = "#7c8592"
INK = "#242b36"
"""Of what is marked: what the reader asked, and where memory ends."""
PLATE = "rgba(255,255,255,0.86)"
"""Behind a text that stands on hatching."""
FONT = "Source Sans, system-ui, -apple-system, Segoe UI, sans-serif"

ROOM_PATTERN = {"shape": "/", "fgcolor": KV, "bgcolor": KV_FAINT, "size": 7, "solidity": 0.22, "fillmode": "replace"}
MISSING_PATTERN = {
    "shape": "/", "fgcolor": MISSING, "bgcolor": "rgba(192,50,47,0.08)", "size": 7, "solidity": 0.26,
    "fillmode": "replace",
}  # fmt: skip

AXIS = {"gridcolor": "rgba(140,150,165,0.28)", "zeroline": False, "linecolor": GREY, "title": {"standoff": 8}}
SIZE_TICKS = [0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"}
TITLE: dict[str, Any] = {"x": 0, "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top",
         "pad": {"t": 6, "l": 2}, "font": {"size": 12}}  # fmt: skip
TEMPLATE = {
    "layout": {
        "font": {"family": FONT, "size": 14},
        "colorway": [KV, WEIGHTS, GREY],
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": AXIS,
        "yaxis": AXIS,
        "hoverlabel": {"font": {"family": FONT}},
        "title": TITLE,
    }
}
MARGIN = {"l": 64, "r": 16, "t": 76, "b": 56}
PHONE_PX = (300, 260)
"""Width and height of the plot on a phone: labels that do not collide there do not on any wider screen."""
LETTER_PX = 6.6
"""How wide a letter of a label is."""


def base_chart(traces: list[Any], **layout: Any) -> Spec:
    """Return a chart in the look of all charts; what ``layout`` says goes before it."""
    base = {"template": TEMPLATE, "legend": LEGEND, "margin": MARGIN, "height": 400}
    return {"data": traces, "layout": base | layout}


def limit_line(spec: Spec, height: float, text: str) -> None:
    """Draw a limit across the upper panel, its label on a plate at the left end."""
    dashed = {"color": INK, "dash": "dash", "width": 1.5}
    shape(spec, type="line", x0=0, x1=1, xref="x domain", y0=height, y1=height, line=dashed)
    place = {"xref": "x domain", "xanchor": "left", "yanchor": "bottom"}
    note(spec, x=0, y=height, text=text, **place, bgcolor=PLATE, font={"size": 12}, borderpad=2)


def caption(spec: Spec, text: str, y: float) -> None:
    """Write a text at the left end of the chart, at a share of its height."""
    note(spec, x=0, y=y, text=text, xref="paper", yref="paper", xanchor="left", yanchor="top", font={"size": 12})
