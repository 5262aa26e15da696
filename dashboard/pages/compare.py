"""Compare: plans side by side, what differs first, and what brings it back."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator import charts, views
from calculator.views.comparing.difference import engine_by_engine, fitting, headline, told_apart, verdict
from calculator.views.comparing.side_by_side import LETTERS, MOST, SideBySide, side_by_side
from dashboard import downloads, figure, inputs, state
from dashboard.compare import asking, pins, shown
from dashboard.compare.asking import Compared
from dashboard.frame import turning
from dashboard.text import plain, sentence, tell

WIDTH = 1200
_LAST = "_compared_last"


def show() -> None:
    """Show what differs, the plans as chips below it, what is other, and then the rest."""
    with st.container(horizontal_alignment="center").container(width=WIDTH):
        said, problems = st.container(gap="xsmall"), st.container()
        chips, fields = st.container(), st.container()
        dimmed = False
        try:
            compared = asking.first()
            compared = _with_fields(compared, fields)
            st.session_state[_LAST] = compared
        except calculator.CalculatorError as error:
            fields.error(plain(sentence(str(error))))
            compared, dimmed = st.session_state.get(_LAST, []), True
        if not compared:
            said.title(tell("This cannot be compared"), anchor=False)
            said.markdown(tell("Change an input below; nothing else was lost."))
        elif len(compared) == 1:
            _alone(compared[0], said, dimmed)
        else:
            _side_by_side(compared, said, chips, dimmed)
        for problem in state.problems():
            problems.warning(plain(problem))
        state.save()
        if len(compared) > 1:
            downloads.show_link()


def _with_fields(compared: list[Compared], where: DeltaGenerator) -> list[Compared]:
    """Show the fields of what is other; return what is compared, the plan that they make of the first among it."""
    first = compared[0]
    if len(compared) == MOST:
        return compared
    if len(compared) < 2:
        with where:
            _fields(first)
    else:  # made only while it is open: fields that are emptied would send what they held before
        with where.popover(
            tell("Add a plan"), icon=":material/add:", type="tertiary", on_change="rerun", key="chip_add"
        ) as opened:
            if opened.open:
                _fields(first)
    others = asking.changes()
    if not others:
        return compared
    st.session_state[_LAST] = st.session_state.get(_LAST) or compared
    made = asking.beside(first, others)
    # what the fields say is other than the first; the landing page's plan gives way to it
    kept = [one for one in compared if one.pin in pins.pinned()] or compared[:1]
    return [*kept, made]


def _fields(first: Compared) -> None:
    st.markdown(plain(tell("{told_alone}, beside the same with:", told_alone=told_alone(first))))
    asking.other(first.plan.request.engine)


def told_alone(one: Compared) -> str:
    """Say a plan by itself."""
    plan = one.plan
    return tell(
        "{name} on {num_gpus:,} × {gpu}, {title} {version}",
        name=plan.model.name,
        num_gpus=plan.num_gpus,
        gpu=plan.accelerator.name,
        title=plan.rules.title,
        version=plan.rules.version,
    )


def _alone(one: Compared, said: DeltaGenerator, dimmed: bool) -> None:
    """Show the same request on every engine and version, where nothing stands beside it yet."""
    view = views.engines_view(one.plan)
    _title(said, engine_by_engine(view), dimmed)
    said.markdown(
        tell(
            "Nothing stands beside it yet: choose below what is other, or pin plans, up to {most}, where you see them.",
            most=MOST,
        )
    )
    with st.container(horizontal=True, gap="xsmall"):
        st.page_link(turning.to(turning.FITS), label=tell("Change this plan"))
        inputs.calibration_chip()
    with st.grid(2, min_column_width=480, gap="large"):
        with st.container():
            st.subheader(tell("One GPU on each engine"), anchor=False)
            alt = tell("{name}: one GPU on each engine", name=one.plan.model.name)
            figure.show(charts.draw.ready(view), "chart-engines", alt, dimmed=dimmed)
        with st.container():
            shown.engines(one.plan, dimmed=dimmed)
    shown.versions(one.plan, dimmed)


def _side_by_side(compared: list[Compared], said: DeltaGenerator, chips: DeltaGenerator, dimmed: bool) -> None:
    beside = side_by_side([one.plan for one in compared])
    _title(said, headline(beside), dimmed)
    fits, badge = fitting(beside)
    colour, icon = ("green", "check") if fits else ("red", "close")
    words = plain(str(verdict(beside)))
    said.markdown(f":gray[{words}]" if dimmed else f":{colour}-badge[:material/{icon}: {plain(badge)}] {words}")
    with chips:
        _chips(compared, beside)
    wide = len(compared) > 2  # more columns than half the width has room for
    above, halves = st.container(), st.grid(2, min_column_width=480, gap="large")
    with above if wide else halves.container():
        shown.differing(beside, dimmed)
        if not dimmed:
            shown.causes(beside.plans)
    right = halves.container()
    with right:
        shown.bars(beside.plans, dimmed)
    with halves.container() if wide else right:
        shown.engines(compared[0].plan, "A", dimmed)
    shown.versions(compared[0].plan, dimmed)


def _title(said: DeltaGenerator, text: str, dimmed: bool) -> None:
    said.title(tell(":gray[Before: {text}]", text=plain(text)) if dimmed else plain(text), anchor=False)


def _chips(compared: list[Compared], beside: SideBySide) -> None:
    """Show every plan as a chip that opens it or takes it out, and what can be done with all."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for letter, one, called in zip(LETTERS, compared, told_apart(beside), strict=False):
            with st.popover(plain(f"{letter}: {called}"), key=f"chip_{letter}"):
                _one(one, letter)
        if not all(one.pin in pins.pinned() for one in compared):
            st.button(
                tell("Pin all") if len(compared) > 2 else tell("Pin both"),
                icon=":material/keep_public:", type="tertiary", on_click=asking.keep, args=(compared,),
                help=tell("Keeps these plans side by side, so that another can be added"),
            )  # fmt: skip
        if len(compared) == 2:
            st.button(
                tell("Swap"),
                icon=":material/swap_horiz:",
                type="tertiary",
                on_click=asking.keep,
                args=(compared[::-1],),
            )
        downloads.link()
        downloads.report(beside, "comparison", quiet=True)


def _one(one: Compared, letter: str) -> None:
    st.markdown(f"**{letter}**: {plain(told_alone(one))}")
    for note in one.plan.notes:
        st.markdown(f"- {plain(sentence(note))}")
    st.page_link(turning.to(turning.FITS), label=tell("Open this plan"), query_params=pins.link_of(one.pin))
    if one.from_fields or one.pin in pins.pinned():
        st.button(tell("Take it out"), key=f"drop_{letter}", on_click=asking.drop, args=(one,))
