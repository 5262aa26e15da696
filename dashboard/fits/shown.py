"""A view as a reader sees it: its finding, chart, downloads and table; dimmed where it is no longer what is asked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from calculator import charts
from calculator.views import View
from dashboard import downloads, figure
from dashboard.text import plain


def show(view: View[Any], log_x: bool = False, dimmed: bool = False) -> None:
    """Show a view; one without rows is its sentence."""
    finding = plain(view.finding)
    if not view.rows:
        st.info(finding)
        return
    st.markdown(f":gray[{finding}]" if dimmed else finding)
    chart(view, log_x, dimmed)


def chart(view: View[Any], log_x: bool = False, dimmed: bool = False) -> None:
    """Show what stands below the finding: the chart, what is not possible, the downloads and the table."""
    figure.show(charts.draw.ready(view, log_x), f"chart-{view.name}", view.finding, dimmed=dimmed)
    if view.refused:
        reasons = "; ".join(f"{row.called}: {row.refused}" for row in view.refused)
        st.caption(plain(f"Not possible: {reasons}."))
    downloads.of_view(view, lambda: charts.draw(view, log_x))
    with st.expander("Table", key=f"fold-{view.name}"):
        st.dataframe(view.frame(), hide_index=True, key=f"table-{view.name}", alt=f"Table of {view.title}")
