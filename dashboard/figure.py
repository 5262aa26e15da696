"""A chart on the page, in the contrast that a light or a dark one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from calculator import charts

if TYPE_CHECKING:
    import plotly.graph_objects as go

CHART_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def show(figure: go.Figure, key: str, alt: str, config: dict[str, Any] = CHART_CONFIG, *, dimmed: bool = False) -> None:
    """Show a chart; ``alt`` says what it shows to who does not see it. One that is dimmed answers an older question."""
    dark = bool(st.context.theme.type == "dark")
    drawn = charts.on_ground(figure, dark)
    if dimmed:
        drawn = charts.dimmed(drawn, dark)
    st.plotly_chart(drawn, key=key, config=config, alt=str(alt))
