"""How many KV heads: what G buys and costs, in memory, users, speed and published quality."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.planning.heads.rows import HeadRow
from calculator.views.heads import answer
from calculator.views.heads.chosen import name_of, row_of
from dashboard import downloads, state
from dashboard.frame import lengths
from dashboard.frame import page as frame
from dashboard.heads import asking, charts, evidence, panels
from dashboard.text import plain, sentence, tell

WIDTH = 1200
_LAST = "_heads_last"


def show() -> None:
    """Show the answer, what is asked below it, the charts, the evidence and what follows."""
    with st.container(horizontal_alignment="center").container(width=WIDTH):
        said, problems = st.container(gap="xsmall"), st.container()
        try:
            study = asking.ask()
            row = asking.choose(study)
            st.session_state[_LAST] = study, name_of(row)
        except calculator.CalculatorError as error:
            _warn(problems)
            if not isinstance(error, lengths.SaidAtField):
                st.error(plain(sentence(str(error))))
            _dimmed(said)
            state.save()
            return
        _warn(problems)
        with said:
            _answer(study, row)
        charts.show(study, row)
        charts.presets(study, row)
        with st.grid(2, min_column_width=420, gap="large"):
            with st.container():
                evidence.table(study, row)
            with st.container():
                evidence.seen(study)
                evidence.claims()
        panels.show(study, row)
        state.save()
        downloads.show_link()


def _dimmed(said: st.delta_generator.DeltaGenerator) -> None:
    """Keep the last answer, dimmed, where what is asked now has none."""
    if _LAST not in st.session_state:
        said.title(tell("This cannot be planned"), anchor=False)
        said.markdown(tell("Change an input below; nothing else was lost."))
        return
    study, name = st.session_state[_LAST]
    row = row_of(study, name)
    said.title(tell(":gray[Before: {headline}]", headline=plain(answer.headline(study, row))), anchor=False)
    said.markdown(f":gray[{plain(answer.verdict(study, row))}]")
    charts.show(study, row, dimmed=True)


def _answer(study: calculator.HeadStudy, row: HeadRow) -> None:
    """Show the headline, the verdict and which numbers meet the goals."""
    with frame.beside_actions(downloads.link):
        st.title(plain(answer.headline(study, row)), anchor=False)
        good = not row.refused and row.fits
        colour, icon = ("green", "check") if good else ("red", "close")
        room = f":{colour}-badge[:material/{icon}: {plain(answer.room(study, row))}]"
        st.markdown(f":blue-badge[{plain(answer.kind(row))}] {room} {plain(answer.verdict(study, row))}")
    asking.goals(study)
    for text in study.assumptions if row.kind == "mla" else ():
        st.caption(plain(text))


def _warn(where: st.delta_generator.DeltaGenerator) -> None:
    for problem in state.problems():
        where.warning(plain(problem))
