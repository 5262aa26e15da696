"""A view as a reader sees it: its finding, chart, downloads and table; dimmed where it is no longer what is asked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from calculator import charts
from calculator.views import View
from dashboard import downloads, figure
from dashboard.frame.chips import chip
from dashboard.text import listed, plain, tell


def show(view: View[Any], log_x: bool = False, dimmed: bool = False) -> None:
    """Show a view; one without rows is its sentence."""
    if not view.rows:
        st.info(plain(view.finding))
        return
    finding(view, dimmed)
    chart(view, log_x, dimmed)


def finding(view: View[Any], dimmed: bool = False) -> None:
    """Show what a view found."""
    said = plain(view.finding)
    st.markdown(f":gray[{said}]" if dimmed else f"**{said}**")


def chart(view: View[Any], log_x: bool = False, dimmed: bool = False) -> None:
    """Show what stands below the finding: the chart, what is not possible, the downloads and the table."""
    figure.show(charts.draw.ready(view, log_x), f"chart-{view.name}", view.finding, dimmed=dimmed)
    if view.refused:
        reasons = listed([tell("{of}: {what}", of=row.called, what=row.refused) for row in view.refused], "; ")
        st.markdown(f":gray[:small[{plain(tell('Not possible: {reasons}.', reasons=reasons))}]]")
    chip(tell("Table and files"), f"fold-{view.name}", _taken, view, log_x, dimmed, quiet=True, icon=":material/table:")


def _taken(view: View[Any], log_x: bool, dimmed: bool) -> None:
    if not dimmed:
        downloads.of_view(view, lambda: charts.draw.ready(view, log_x))
    st.dataframe(
        downloads.table_of(view),
        hide_index=True,
        key=f"table-{view.name}",
        alt=tell("Table of {title}", title=view.title),
    )
