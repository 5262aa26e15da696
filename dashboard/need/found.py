"""What was found for a load: the ranked table, the chart, what holds it only nearly, and what was left out and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator import charts, views
from calculator.charts.price import marks_of
from calculator.messages import phrase
from calculator.planning.sizing.found import Found
from calculator.units import plural
from calculator.views.sizing import answer
from calculator.views.sizing.options import hardware, option_row
from dashboard import downloads, figure, state
from dashboard.compare import pins
from dashboard.frame import turning
from dashboard.need import searching, tables
from dashboard.need.asking import Asked
from dashboard.need.opening import link_of_option, pin_of_option
from dashboard.text import file_name, listed, plain, sentence, tell

OPENS, CHANGED = "_need_opens", "_need_changed"
"""The link that the next run turns to, and whether a click below the question changed what stands above it."""


def say(slot: DeltaGenerator, found: Found, dimmed: bool) -> None:
    """Say the answer: the headline, and how the best option stands."""
    headline, verdict = plain(answer.headline(found)), plain(answer.verdict(found))
    with slot.container(gap="xsmall"):
        if dimmed:
            st.title(tell(":gray[Before: {headline}]", headline=headline), anchor=False)
            st.markdown(f":gray[{verdict}]")
            return
        st.title(headline, anchor=False)
        if found.best is None:
            st.markdown(tell(":red-badge[:material/close: none] {verdict}", verdict=verdict))
            return
        best = option_row(found.best)
        badge = f":green-badge[:material/check: {plain(answer.holds(best))}]"
        more = [] if _sure(found) else [_UNSURE]
        more += [plain(tell("Price seen {price_seen}.", price_seen=best.price_seen))] if best.price_seen else []
        st.markdown(" ".join([badge, verdict, *more]))


_UNSURE = phrase("Its goals are met by the central means alone, not by the high end of the range.")


def _sure(found: Found) -> bool:
    return found.best is None or not found.goals.any or found.best.meets_high


def show(found: Found, asked: Asked, dimmed: bool) -> None:
    """Show what stands below the question."""
    if found.best is not None:
        view = searching.following(found, (*asked.key, "view"), lambda: views.options_view(found))
        _table(view.rows, found.options, "need-options", view.finding)
        says = f"{answer.asked(found)}: {view.finding}"
        st.subheader(plain(view.finding), anchor=False)
        st.markdown(f":gray[:small[{_legend(view)}]]")
        figure.show(charts.price_chart.ready(view), "chart-price-tpot", view.finding, dimmed=dimmed, titled=False)
        downloads.of_rows(view.name, view, {says: lambda: charts.price_chart.ready(view)}, found.model)
    elif not dimmed:
        _what_would_do(found, asked)
    for note in found.notes:
        st.markdown(plain(sentence(note)))
    if found.nearly:
        st.subheader(tell("Nearly: held only at the centre of the memory's range"), anchor=False)
        _table(
            [option_row(option) for option in found.nearly],
            found.nearly,
            "need-nearly",
            tell("Options that nearly hold"),
        )


SIGNS = {"circle": "●", "diamond": "◆", "square": "■", "triangle-up": "▲", "cross": "✚", "star": "★"}


def _legend(view: views.View[views.Row]) -> str:
    """Say what the marks of the chart are; a table or prices of one maker's have one."""
    makers = " ".join(f"{SIGNS[mark]} {plain(maker or 'own')}" for maker, mark in marks_of(view.rows).items())
    return tell(
        "{makers} · blue: on the front · thin bars: 9 of 10 · time of a token at the load's own "
        "rate · prices are examples, not offers",
        makers=makers,
    )


def actions(found: Found) -> None:
    """Show what was left out and why, the plan and the command of the cheapest, and the answer as files."""
    if found.refused:
        label = tell("{refused:,} left out: why", refused=len(found.refused))
        with st.popover(label, type="tertiary", on_change="rerun", key="chip_left_out") as opened:
            if opened.open:
                _left_out(found)
    if found.best is None:
        return
    best = found.best
    st.page_link(
        turning.to(turning.FITS),
        label=plain(tell("Open the plan of {hardware}", hardware=hardware(best))),
        icon=":material/arrow_forward:",
        query_params=link_of_option(best),
    )
    with st.popover(tell("Command"), type="tertiary", on_change="rerun", key="chip_command") as opened:
        if opened.open:
            st.markdown(
                plain(
                    tell(
                        "One of {replicas}, as the engine's own command line:",
                        replicas=plural(best.replicas, "replica"),
                    )
                )
            )
            st.code(best.command, language="bash", wrap_lines=True)
    with st.popover(tell("Download"), type="tertiary"):
        downloads.report(found, f"{found.model.id}-hardware")
        st.download_button(
            tell("Answer (JSON)"),
            lambda: json.dumps(found.as_dict(), indent=2),
            f"{file_name(found.model.id)}-size.json",
            "application/json",
            on_click="ignore",
            key="json-size",
        )
        st.download_button(
            tell("All options (CSV)"), lambda: downloads.csv_of(found, found.model.name),
            f"{file_name(found.model.id)}-size.csv", "text/csv", on_click="ignore", key="csv-size",
        )  # fmt: skip


def _left_out(found: Found) -> None:
    lines = []
    for row in found.refused:
        formats = f"{row.weight_dtype}, KV {row.kv_cache_dtype}, {row.engine}"
        lines.append(f"- {plain(row.why)} :gray[:small[{plain(formats)}]]")
    st.markdown("\n".join(lines))


def _table(rows: Sequence[views.Row], options: Sequence[calculator.Service], key: str, alt: str) -> None:
    def open_row(clicked: str) -> None:
        option = options[st.session_state[clicked]["row"]]
        st.session_state[OPENS] = link_of_option(option)

    def pin_row(clicked: str) -> None:
        pins.toggle(pin_of_option(options[st.session_state[clicked]["row"]]))
        st.session_state[CHANGED] = True

    held = pins.pinned()
    tables.show(
        tables.OPTIONS,
        rows,
        key,
        alt,
        open_row,
        pin_row,
        [tell("Pinned") if held and pin_of_option(option) in held else tell("Pin") for option in options],
    )


def _change(**values: Any) -> None:
    """Change what is asked above; this part of the page alone would not show it."""
    state.change(**values)
    st.session_state[CHANGED] = True


def _what_would_do(found: Found, asked: Asked) -> None:
    """Offer what would bring an answer: goals that something meets, or more GPUs."""
    with st.spinner(tell("Looking for goals that something meets")):
        goals = searching.goals_that_would_do(asked, found) if found.goals.any else {}
    gpus = answer.gpus_that_would_do(found)
    if goals:
        parts = {"max_tpot_ms": tell("ms a token"), "max_ttft_ms": tell("ms to the first token")}
        label = listed([f"{value:,.4g} {parts[name]}" for name, value in goals.items()], " and ")
        st.button(plain(tell("Allow {label}", label=label)), icon=":material/check:", on_click=_change, kwargs=goals)
    if gpus is not None and gpus <= state.PARAMETERS["max_gpus"].most:
        st.button(
            tell("Allow {gpus:,} GPUs", gpus=gpus), icon=":material/check:", on_click=_change, kwargs={"max_gpus": gpus}
        )
