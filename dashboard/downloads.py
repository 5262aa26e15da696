"""What a reader takes away: a link, a plan file, JSON, and each view as CSV and HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import streamlit as st

import calculator
from calculator.languages import ENGLISH, texts_said_in
from calculator.messages import phrase
from dashboard import language, state
from dashboard.column_names import called
from dashboard.text import cell, file_name, tell, told

if TYPE_CHECKING:
    import pandas

    from calculator.charts.ready import Spec
    from calculator.languages import Language
    from calculator.views import View
    from calculator.views.pages.report.report import Answer


YES, NO = phrase("yes"), phrase("no")


class Rows(Protocol):
    """What has rows that can be taken away: a view, a study, published pairs."""

    @property
    def rows(self) -> Sequence[Any]:
        """The rows, each with its values by the names of columns."""

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame."""


def table_of(rows: Rows) -> pandas.DataFrame:
    """Return rows as a table to be shown: in another language than English all texts in it, the heads too.

    The English heads are the names that columns have in files, in every language.
    """
    table = rows.frame()
    if language.now().catalogue is None:
        return table
    for name in table.columns:
        # a DataFrame holds texts as they are said in English; the rows behind it still know them
        known = [getattr(row, name, None) for row in rows.rows]
        if any(isinstance(value, str | bool) for value in known):
            table[name] = [_said(value) for value in known]
    return table.rename(columns=lambda name: told(called(name)))


def _said(value: object) -> object:
    return told(YES if value else NO) if isinstance(value, bool) else told(value) if isinstance(value, str) else value


def report(answer: Answer | Callable[[], Answer], name: str, quiet: bool = False) -> None:
    """Offer an answer as one page to print or to save; what takes long is made when it is wanted."""
    opens, spoken = state.address(), language.now()
    st.download_button(
        tell("Report (HTML)"),
        lambda: calculator.report_html(answer() if callable(answer) else answer, opens, language=spoken.code),
        f"{file_name(name)}.html",
        "text/html",
        on_click="ignore",
        key=f"report-{name}",
        type="tertiary" if quiet else "secondary",
        icon=":material/summarize:" if quiet else None,
    )


def link() -> None:
    """Offer the link; ``show_link`` fills it in."""
    with st.popover(tell("Link")):
        st.markdown(tell("This link opens the same answer; so does the one in the address bar."))
        st.session_state["_link_slot"] = st.empty()


def show_link() -> None:
    """Fill in the link once the state is written to the URL."""
    st.session_state["_link_slot"].code(state.address(), language=None, wrap_lines=True)


def of_view(view: View, draw: Callable[[], Spec]) -> None:
    """Offer a view's rows and its chart, which is drawn for a file when that is wanted."""
    of_rows(view.name, view, {view.finding: draw}, view.plan.model)


def of_rows(
    name: str,
    rows: Rows,
    figures: Mapping[str, Callable[[], Spec]],
    model: calculator.ModelArchitecture | None = None,
) -> None:
    """Offer rows as CSV, and what is drawn of them as one page, each chart below what it says; drawn when wanted.

    Files about one model have its name in theirs, in a column of the rows and above each chart.
    """
    called = f"{file_name(model.id)}-{name}" if model else name
    spoken = language.now()
    titled = {
        tell("{of}: {what}", of=model.name, what=says) if model else told(says): draw for says, draw in figures.items()
    }
    with st.container(horizontal=True, gap="xsmall", width="content"):
        st.download_button(
            "CSV",
            lambda: csv_of(rows, model.name if model else ""),
            f"{called}.csv",
            "text/csv",
            on_click="ignore",
            key=f"csv-{name}",
            type="tertiary",
            icon=":material/download:",
        )
        if figures:
            st.download_button(
                tell("Chart as HTML") if len(figures) == 1 else tell("Charts as HTML"),
                lambda: _page(titled, spoken),
                f"{called}.html",
                "text/html",
                on_click="ignore",
                key=f"html-{name}",
                type="tertiary",
                icon=":material/code:",
            )


def csv_of(rows: Rows, model: str = "") -> str:
    """Return rows as CSV that is safe to open in a spreadsheet, the model's name first where they are of one."""
    frame = rows.frame()
    if model:
        frame.insert(0, "of_model", model)
    return str(frame.map(cell).to_csv(index=False))


def _page(figures: Mapping[str, Callable[[], Spec]], spoken: Language = ENGLISH) -> str:
    """Return a page that needs no network: what each chart says, and the charts with their library, held once."""
    from html import escape

    import plotly.graph_objects as go

    drawn = [
        (figure := go.Figure(texts_said_in(draw(), spoken))).update_layout(
            title={"text": f"<b>{escape(says)}</b><br>{figure.layout.title.text or ''}", "font": {"size": 14}},
            margin={"t": 110},
        )
        for says, draw in figures.items()
    ]
    first, *others = drawn
    page = str(first.to_html(include_plotlyjs=True, full_html=True))
    more = "".join(str(one.to_html(include_plotlyjs=False, full_html=False)) for one in others)
    return page.replace("</body>", f"{more}</body>") if more else page
