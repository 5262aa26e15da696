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
    """Show what differs, the plans as chips, what is other below what differs, and then the rest."""
    with st.container(horizontal_alignment="center").container(width=WIDTH):
        said, problems, chips = st.container(gap="xsmall"), st.container(), st.container()
        with chips:
            first, compared, error = _compared()
        if not compared:
            said.title(tell("This cannot be compared"), anchor=False)
            said.markdown(tell("Change an input below; nothing else was lost."))
            _fields(first, error)
        elif len(compared) == 1:
            _alone(compared[0], said, first, error)
        else:
            _side_by_side(compared, said, chips, first, error)
        for problem in state.problems():
            problems.warning(plain(problem))
        state.save()
        if len(compared) > 1:
            downloads.show_link()


def _compared() -> tuple[list[Compared], list[Compared], calculator.CalculatorError | None]:
    """Return what there is without the fields, what is compared, and why the last is shown where nothing is."""
    first: list[Compared] = []
    try:
        first = asking.first()
        compared = _with_other(first)
    except calculator.CalculatorError as error:
        return first, st.session_state.get(_LAST, []), error
    st.session_state[_LAST] = compared
    return first, compared, None


def _with_other(compared: list[Compared]) -> list[Compared]:
    """Return what is compared, the plan that the fields make of the first among it."""
    others = asking.changes()
    if not others or len(compared) == MOST:
        return compared
    st.session_state[_LAST] = st.session_state.get(_LAST) or compared
    made = asking.beside(compared[0], others)
    # what the fields say is other than the first; the landing page's plan gives way to it
    kept = [one for one in compared if one.pin in pins.pinned()] or compared[:1]
    return [*kept, made]


def _fields(first: list[Compared], error: calculator.CalculatorError | None) -> None:
    """Show what is other as a row of fields where one plan stands by itself, and why there is no answer."""
    if len(first) == 1:
        _other(first[0])
    if error is not None:
        st.error(plain(sentence(str(error))))


def _add(first: list[Compared]) -> None:
    """Offer the fields where plans stand side by side already, made only while they are open.

    Fields that are emptied would send what they held before.
    """
    if 1 < len(first) < MOST:
        with st.popover(
            tell("Add a plan"), icon=":material/add:", type="tertiary", on_change="rerun", key="chip_add"
        ) as opened:
            if opened.open:
                _other(first[0])


def _other(first: Compared) -> None:
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


def _alone(
    one: Compared, said: DeltaGenerator, first: list[Compared], error: calculator.CalculatorError | None
) -> None:
    """Show the same request on every engine and version, where nothing stands beside it yet."""
    dimmed = error is not None
    _fields(first, error)
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


def _side_by_side(
    compared: list[Compared],
    said: DeltaGenerator,
    chips: DeltaGenerator,
    first: list[Compared],
    error: calculator.CalculatorError | None,
) -> None:
    """Show what differs, and below it the fields of what is other."""
    dimmed = error is not None
    beside = side_by_side([one.plan for one in compared])
    _title(said, headline(beside), dimmed)
    fits, badge = fitting(beside)
    colour, icon = ("green", "check") if fits else ("red", "close")
    words = plain(str(verdict(beside)))
    said.markdown(f":gray[{words}]" if dimmed else f":{colour}-badge[:material/{icon}: {plain(badge)}] {words}")
    with chips:
        _chips(compared, beside, first)
        if len(first) != 1:
            _fields(first, error)
    wide = len(compared) > 2  # more columns than half the width has room for
    above, halves = st.container(), st.grid(2, min_column_width=480, gap="large")
    with above if wide else halves.container():
        shown.differing(beside, dimmed)
        if not dimmed:
            shown.causes(beside.plans)
        if len(first) == 1:
            _fields(first, error)
    right = halves.container()
    with right:
        shown.bars(beside.plans, dimmed)
    with halves.container() if wide else right:
        shown.engines(compared[0].plan, "A", dimmed)
    shown.versions(compared[0].plan, dimmed)


def _title(said: DeltaGenerator, text: str, dimmed: bool) -> None:
    said.title(tell(":gray[Before: {text}]", text=plain(text)) if dimmed else plain(text), anchor=False)


def _chips(compared: list[Compared], beside: SideBySide, first: list[Compared]) -> None:
    """Show every plan as a chip that opens it or takes it out, and what can be done with all."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for letter, one, called in zip(LETTERS, compared, told_apart(beside), strict=False):
            with st.popover(plain(f"{letter}: {called}"), key=f"chip_{letter}"):
                _one(one, letter)
        _add(first)
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
