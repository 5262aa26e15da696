"""A chart on the page, in the contrast that a light or a dark one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from calculator import charts

if TYPE_CHECKING:
    import plotly.graph_objects as go

CHART_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def show(figure: go.Figure, key: str, alt: str, config: dict[str, Any] = CHART_CONFIG) -> None:
    """Show a chart; ``alt`` says what it shows to who does not see it."""
    dark = bool(st.context.theme.type == "dark")
    st.plotly_chart(charts.on_ground(figure, dark), key=key, config=config, alt=str(alt))
