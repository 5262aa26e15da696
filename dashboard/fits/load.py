"""The plan under load: what of real traffic fits at a risk, how fast it is served, and what else is said of speed."""

from __future__ import annotations

from typing import Any

import streamlit as st

import calculator
from calculator import views
from calculator.planning.sizing.operating import known_speed
from calculator.views.load.circulating import said
from dashboard import downloads
from dashboard.fits import prices, shown
from dashboard.frame import lengths
from dashboard.inputs import traffic
from dashboard.text import plain, sentence, tell

LAST = "_traffic_last"
OF_RISK, OF_SPEED = ("risk", "resident-tokens"), ("speed", "step")
SLOW = "preemptions"


def show(plan: calculator.Plan, old: bool = False) -> None:
    """Show the answer, what is asked, and the charts; where that is not possible why, and the last answer dimmed.

    ``old`` says that the plan itself is no longer what is asked.
    """
    answer = st.container()
    try:
        asked, dimmed = traffic.ask(), old or traffic.wrong()
        st.session_state[LAST] = asked
    except calculator.CalculatorError as error:
        if not traffic.wrong() and not isinstance(error, lengths.SaidAtField):
            (st.info if traffic.awaits_trace() else st.error)(plain(sentence(str(error))))
        asked, dimmed = st.session_state.get(LAST), True
    if asked is None:
        return
    with st.spinner(tell("Computing")):
        words = views.load_answer(plan, asked.workload, asked.risk)
        drawn = {name: _view(name, plan, asked) for name in (*OF_RISK, *OF_SPEED)}
    answer.markdown(tell(":gray[Before: {words}]", words=plain(words)) if dimmed else f"**{plain(words)}**")
    if drawn["risk"].rows:
        _beside(drawn, OF_RISK, dimmed)
        _preemptions(plan, asked, dimmed)
    if drawn["speed"].rows:
        _beside(drawn, OF_SPEED, dimmed)
    if not dimmed and not known_speed(plan):
        _report(plan, asked)
    _circulating()


def _report(plan: calculator.Plan, asked: traffic.Traffic) -> None:
    """Offer these replicas under this traffic as one page: they are served when it is wanted."""
    replicas, own_prices = plan.request.data_parallel_size, prices.given()
    downloads.report(
        lambda: calculator.service(plan, asked.workload, asked.risk, prices=own_prices, replicas=replicas),
        f"{plan.model.id}-service",
        quiet=True,
    )


def _view(name: str, plan: calculator.Plan, asked: traffic.Traffic) -> views.View[Any]:
    of_rate = {"requests_per_second": asked.requests_per_second} if name in OF_SPEED else {}
    return views.VIEWS[name](plan, workload=asked.workload, risk=asked.risk, **of_rate)


def _beside(drawn: dict[str, views.View[Any]], names: tuple[str, ...], dimmed: bool) -> None:
    with st.grid(len(names), min_column_width=460, gap="large"):
        for name in names:
            with st.container():
                shown.show(drawn[name], dimmed=dimmed)


def _preemptions(plan: calculator.Plan, asked: traffic.Traffic, dimmed: bool) -> None:
    """Simulate full queues once it is unfolded: that takes seconds."""
    title = tell("How often requests are thrown out, by the rule that lets them in")
    with st.expander(title, on_change="rerun", key="fold-thrown-out") as fold:
        if fold.open:
            with st.spinner(tell("Simulating full queues")):
                view = _view(SLOW, plan, asked)
            shown.show(view, dimmed=dimmed)


def _circulating() -> None:
    with st.expander(tell("What circulates"), on_change="rerun", key="fold-circulates") as fold:
        if fold.open:
            view = views.circulating_speeds()
            st.markdown(plain(said()))
            st.markdown(plain(view.finding))
            rows = [
                {
                    tell("Attention"): row.kind,
                    tell("Said, tokens/s"): f"{row.claimed_tokens_per_second:,}",
                    tell("Said, ms"): f"{row.claimed_ms_a_token:g}",
                    tell("Said, batch"): f"{row.claimed_batch_size:,}",
                    tell("Batch over ms, tokens/s"): f"{row.implied_tokens_per_second:,.0f}",
                    tell("Weights alone, ms"): f"{row.weights_ms:.1f}",
                    tell("Computed, ms"): f"{row.ms_a_token:.0f}",
                    tell("Computed, tokens/s"): f"{row.tokens_per_second:,.0f}",
                    tell("Sequences that fit"): f"{row.max_batch_size:,}",
                }
                for row in view.rows
            ]
            st.dataframe(rows, hide_index=True, key="circulates", alt=view.finding)
            st.caption(plain(tell("Weights alone: all weights of one GPU over its bandwidth.")))
