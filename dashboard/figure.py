"""A chart on the page, in the contrast that a light or a dark one needs, handed over as it is sent."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.basedatatypes import BaseFigure

from calculator.charts.ground import grounded, veiled
from calculator.charts.ready import Spec
from calculator.languages import texts_said_in
from dashboard import language
from dashboard.text import told

CHART_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


class Ready(BaseFigure):
    """A chart that is what it will be sent as: Streamlit asks a figure for its dictionaries, and validates others.

    Nothing of Plotly's own objects is made; ``to_dict`` is all that it can do.
    """

    def __init__(self, spec: Spec) -> None:
        self._ready = spec

    def to_dict(self) -> Spec:
        """Return the traces and the layout."""
        return self._ready


def show(
    figure: Spec | go.Figure,
    key: str,
    alt: str,
    config: dict[str, Any] = CHART_CONFIG,
    *,
    dimmed: bool = False,
    titled: bool = True,
) -> None:
    """Show a chart; ``alt`` says what it shows to who does not see it. One that is dimmed answers an older question.

    A chart that is ``ready`` is sent as it is; a Figure costs many times as much. Without its title a chart stands
    among others of one model, below a heading of its own.
    """
    dark = bool(st.context.theme.type == "dark")
    ready = figure.to_dict() if isinstance(figure, go.Figure) else figure
    drawn = grounded(texts_said_in(ready, language.now()), dark)
    if dimmed:
        drawn = veiled(drawn, dark)
    if not titled:
        drawn["layout"].pop("title", None)
    st.plotly_chart(Ready(drawn), key=key, config=config, alt=told(alt))
