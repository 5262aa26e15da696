"""What was found for a load: the ranked table, the chart, what holds it only nearly, and what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator import charts, views
from calculator.planning.sizing.found import Found
from calculator.units import plural
from calculator.views.sizing import answer
from calculator.views.sizing.options import hardware, option_row
from dashboard import downloads, figure, state, turning
from dashboard.need import searching, tables
from dashboard.need.asking import Asked
from dashboard.need.opening import link_of_option
from dashboard.text import plain, sentence

OPENS = "_need_opens"
"""The link that the next run turns to."""


def say(slot: DeltaGenerator, found: Found, dimmed: bool) -> None:
    """Say the answer: the headline, and how the best option stands."""
    headline, verdict = plain(answer.headline(found)), plain(answer.verdict(found))
    with slot.container():
        if dimmed:
            st.title(f":gray[Before: {headline}]", anchor=False)
            st.markdown(f":gray[{verdict}]")
            return
        st.title(headline, anchor=False)
        if found.best is None:
            st.markdown(f":red-badge[:material/close: none] {verdict}")
            return
        holds = plain(answer.holds(option_row(found.best)))
        badge = f":green-badge[:material/check: {holds}]"
        st.markdown(f"{badge} {verdict}" + ("" if _sure(found) else f" {_UNSURE}"))


_UNSURE = "Its goals are met by the central means alone, not by the high end of the range."


def _sure(found: Found) -> bool:
    return found.best is None or not found.goals.any or found.best.meets_high


def show(found: Found, asked: Asked, dimmed: bool) -> None:
    """Show what stands below the question."""
    if found.best is not None:
        _best(found, found.best)
        view = views.options_view(found)
        _table(view.rows, found.options, "need-options", view.finding)
        st.subheader(plain(view.finding), anchor=False)
        drawn = charts.price_chart(view)
        figure.show(drawn, "chart-price-tpot", view.finding, dimmed=dimmed)
        st.caption("Time of a token at the load's own rate; thin bars: its range. Prices are examples, not offers.")
        downloads.of_view(view, lambda: charts.price_chart(view))
    elif not dimmed:
        _what_would_do(found, asked)
    for note in found.notes:
        st.caption(plain(sentence(note)))
    if found.nearly:
        st.subheader("Nearly: held only at the centre of the memory's range", anchor=False)
        _table([option_row(option) for option in found.nearly], found.nearly, "need-nearly", "Options that nearly hold")


def left_out(found: Found) -> None:
    """Show what was left out, and why, as the last chip."""
    if found.refused:
        with st.popover(f"{len(found.refused):,} left out: why", type="tertiary"):
            for row in found.refused:
                formats = f"{row.weight_dtype}, KV {row.kv_cache_dtype}, {row.engine}"
                st.markdown(f"- {plain(row.why)} :gray[:small[{plain(formats)}]]")


def _best(found: Found, best: calculator.Service) -> None:
    """Offer the plan of the cheapest option, its command, and the answer as a page."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        label = f"Open the plan of {hardware(best)}"
        st.page_link(
            turning.to(turning.FITS),
            label=plain(label),
            icon=":material/arrow_forward:",
            query_params=link_of_option(best),
        )
        with st.popover("Command", type="tertiary"):
            st.markdown(plain(f"One of {plural(best.replicas, 'replica')}, as the engine's own command line:"))
            st.code(best.command, language="bash", wrap_lines=True)
        downloads.report(found, f"{found.model.id}-hardware")


def _table(rows: Sequence[views.Row], options: Sequence[calculator.Service], key: str, alt: str) -> None:
    def open_row(clicked: str) -> None:
        option = options[st.session_state[clicked]["row"]]
        st.session_state[OPENS] = link_of_option(option)

    tables.show(tables.OPTIONS, rows, key, str(alt), open_row)


def _what_would_do(found: Found, asked: Asked) -> None:
    """Offer what would bring an answer: goals that something meets, or more GPUs."""
    with st.spinner("Looking for goals that something meets"):
        goals = searching.goals_that_would_do(asked, found) if found.goals.any else {}
    gpus = answer.gpus_that_would_do(found)
    if goals:
        parts = {"max_tpot_ms": "ms a token", "max_ttft_ms": "ms to the first token"}
        label = " and ".join(f"{value:,.4g} {parts[name]}" for name, value in goals.items())
        st.button(plain(f"Allow {label}"), type="primary", on_click=state.change, kwargs=goals)
    if gpus is not None and gpus <= state.PARAMETERS["max_gpus"].most:
        st.button(f"Allow {gpus:,} GPUs", on_click=state.change, kwargs={"max_gpus": gpus})
