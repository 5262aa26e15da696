"""Compare: a plan beside another model, GPU, engine or version, the differences first."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator import charts, views
from calculator.planning.comparing.compare import Comparison, written
from calculator.views import words
from dashboard import downloads, figure, inputs, state, turning
from dashboard.compare import asking
from dashboard.text import plain, sentence

WIDTH = 1200


def show() -> None:
    """Show what differs, what is other below it, and what brings it back."""
    with st.container(horizontal_alignment="center").container(width=WIDTH):
        said, problems = st.container(gap="xsmall"), st.container()
        before = None
        try:
            before = _plan()
            changes = asking.other()
            after = asking.planned(before, changes)
        except calculator.CalculatorError as error:
            said.title("This cannot be compared", anchor=False)
            said.error(plain(sentence(str(error))))
            said.markdown("Change an input below; nothing else was lost.")
        else:
            if changes:
                _compared(calculator.compare(before, after), said)
            else:
                _side_by_side(before, said)
        for problem in state.problems():
            problems.warning(plain(problem))
        if before is not None:
            _versions(before)
        state.save()


def _plan() -> calculator.Plan:
    """Return the plan that the landing page shows."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        slot = st.container(width="content")
        st.page_link(turning.to(turning.FITS), label="Change this plan")
    with st.popover("Own inputs", key="chip_own") if _is_own() else st.container():
        model = inputs.chosen_model()
    gpu = None if st.session_state["gpu"] == state.CUSTOM else st.session_state["gpu"]
    plan = calculator.plan(**{"model": model, "gpu": gpu, **inputs.keywords()})
    slot.markdown(plain(f"{words.hardware(plan)}, {plan.model.name}, {plan.rules.title} {plan.rules.version}, beside:"))
    return plan


def _is_own() -> bool:
    return st.session_state["model"] in (state.CUSTOM, state.CONFIG)


def _side_by_side(plan: calculator.Plan, said: st.delta_generator.DeltaGenerator) -> None:
    """Show the same request on every engine, where nothing is other yet."""
    view = views.engines_view(plan)
    with said:
        st.title(plain(f"{plan.model.name} on {words.hardware(plan)}, engine by engine"), anchor=False)
        st.markdown(plain(view.finding))
    figure.show(charts.draw(view, False), "chart-engines", view.finding)
    for row in view.refused:
        st.caption(plain(f"{row.called}: {row.refused}."))
    downloads.of_view(view, lambda: charts.draw(view, False))


def _compared(compared: Comparison, said: st.delta_generator.DeltaGenerator) -> None:
    with said:
        st.title(plain(compared.finding), anchor=False)
        if not compared.after.fits:
            st.error(plain(sentence(compared.after.notes[0])))
    rows = [
        {
            "What": row.name,
            "Before": written(row.before, row.unit),
            "After": written(row.after, row.unit),
            "Change": "" if row.change is None else written(row.change, row.unit),
            "What moves it": row.cause,
        }
        for row in compared.changed
    ]
    if rows:
        st.dataframe(rows, hide_index=True, key="compared", alt=f"What differs: {compared.finding}")
    for one in compared.restoring:
        names = ", ".join(row.name for row in compared.changed if row.term in one.restores)
        st.markdown(plain(f"Brings back {names}:"))
        st.code(one.flag, language=None)
    for note in compared.after.notes[0 if compared.after.fits else 1 :]:
        st.caption(plain(sentence(note)))
    downloads.of_rows("compared", compared, {})


def _versions(plan: calculator.Plan) -> None:
    view = views.versions_view(plan)
    if not view.rows:
        return
    st.markdown(f"**{plan.rules.title} version by version.** {plain(view.finding)}")
    figure.show(charts.versions_chart(view), "chart-versions", view.finding)
    downloads.of_view(view, lambda: charts.versions_chart(view))
    with st.expander("Table", key="fold-versions"):
        st.dataframe(view.frame(), hide_index=True, key="table-versions", alt=f"Table of {view.title}")
