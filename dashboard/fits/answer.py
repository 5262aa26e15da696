"""The answer: the headline, how it stands to what was asked, four numbers, and what bears on this plan."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.planning.sizing.prices import Given
from calculator.units import format_size
from calculator.views import words
from calculator.views.fits import verdict
from calculator.views.load.wording import milliseconds
from dashboard.fits import actions, prices
from dashboard.text import plain, sentence

UNLIMITED = 999_000_000
FEW_NOTES = 2


def say(plan: calculator.Plan, users: int, dimmed: bool) -> None:
    """Say the answer; one that is dimmed is the last that could be computed, and says for what."""
    headline = plain(words.headline(plan, users))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top"):
        st.title(f":gray[{headline}]" if dimmed else headline, anchor=False, width="content")
        actions.show(plan, dimmed)
    if dimmed:
        asked = f"{users:,} users of {plan.request.seq_len:,} tokens on {words.hardware(plan)}"
        said = f"{sentence(verdict.room(plan, users))}. {verdict.range_of(plan)}"
        st.markdown(f":gray[{plain(f'The last answer that could be computed, for {asked}. {said}')}]")
        return
    colour, icon = ("green", "check") if plan.fits else ("red", "close")
    badge = f":{colour}-badge[:material/{icon}: {plain(verdict.room(plan, users))}]"
    asked = f"You asked for **{users:,}**{plain(verdict.of_replicas(plan, users))}."
    rest = verdict.range_of(plan) or verdict.shortfall(plan) or _why_not(plan)
    one = f"Largest batch of one GPU: **{plan.max_batch_size // plan.request.attention_replicas:,}**."
    often = plain(verdict.how_often(plan))
    st.markdown(" ".join(filter(None, (badge, asked, plain(rest), f":gray[{often}]" if often else "", one))))


def _why_not(plan: calculator.Plan) -> str:
    return "" if plan.fits else f"{sentence(plan.notes[0])}."


def metrics(plan: calculator.Plan, users: int, own_prices: Given | None, dimmed: bool) -> None:
    """Show what one user takes, how long it could be, how fast and at what price."""
    show = _dimmed if dimmed else _metric
    own = plan.model.max_position_embeddings
    with st.grid(4, min_column_width=150):
        show("KV cache of one user", format_size(plan.kv_bytes_per_sequence), verdict.of_one_user(plan))
        is_unlimited = plan.max_context_len >= UNLIMITED
        longest = "no limit" if is_unlimited else f"{plan.max_context_len:,} tokens"
        show(f"Longest, {users:,} at once", longest, f"the model takes {own:,}")
        show(*_speed(plan))
        show("Price an hour", *prices.in_words(plan, own_prices))


def _metric(label: str, value: str, beside: str) -> None:
    st.metric(label, value, beside or None, delta_color="off", delta_arrow="off")


def _dimmed(label: str, value: str, beside: str) -> None:
    said = "  \n".join(f":gray[{plain(text)}]" for text in (label, f"{value}", beside) if text)
    st.markdown(said)


def _speed(plan: calculator.Plan) -> tuple[str, str, str]:
    """Return the time of a token with as many at once as are asked for, or as fit; none where no one does."""
    batch = min(plan.request.batch_size, plan.max_batch_size)
    if not batch:
        return "Speed", "no one fits", ""
    label = f"Speed, {batch * plan.request.data_parallel_size:,} at once"
    try:
        found = calculator.speed(plan, batch_size=batch, prompt_tokens=plan.request.seq_len, output_tokens=None)
    except calculator.CalculatorError:
        return label, "not known", ""
    low, high = map(milliseconds, (found.time_per_output_token_s_low, found.time_per_output_token_s_high))
    return label, f"{milliseconds(found.time_per_output_token_s)} ms a token", f"{low} to {high} ms"


def notes(plan: calculator.Plan, dimmed: bool) -> None:
    """Show what bears on this plan: the first few, the others where they are asked for."""
    lines = [sentence(note) for note in plan.notes[0 if plan.fits else 1 :]]
    if plan.model.unverified:
        lines.append(f"Not verified of {plan.model.name}: {plan.model.unverified}")
    if plan.accelerator.unverified:
        lines.append(f"Not verified for {plan.accelerator.name}: {', '.join(plan.accelerator.unverified)}")
    for line in lines[:FEW_NOTES]:
        st.markdown(f":gray[{plain(line)}.]" if dimmed else f":orange[:material/info:] {plain(line)}.")
    if len(lines) > FEW_NOTES:
        with st.expander(
            f"{len(lines) - FEW_NOTES} more that bear on this plan", on_change="rerun", key="notes"
        ) as more:
            if more.open:
                st.markdown("\n".join(f"- {plain(line)}." for line in lines[FEW_NOTES:]))
