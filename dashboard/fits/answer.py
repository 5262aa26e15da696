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
from dashboard.frame import page as frame
from dashboard.text import ended, listed, plain, sentence, tell, told

UNLIMITED = 999_000_000
FEW_NOTES = 2


def say(plan: calculator.Plan, users: int, dimmed: bool) -> None:
    """Say the answer; one that is dimmed is the last that could be computed, and says for what."""
    headline = plain(words.headline(plan, users))
    with frame.beside_actions(lambda: actions.show(plan, dimmed)):
        st.title(f":gray[{headline}]" if dimmed else headline, anchor=False)
        st.markdown(_verdict(plan, users, dimmed))


def _verdict(plan: calculator.Plan, users: int, dimmed: bool) -> str:
    """Say how the answer stands to what was asked, and how far it can be off."""
    if dimmed:
        asked = tell(
            "{users:,} users of {seq_len:,} tokens on {hardware}",
            users=users,
            seq_len=plan.request.seq_len,
            hardware=words.hardware(plan),
        )
        said = tell(
            "The last answer that could be computed, for {asked}. {room}. {range}",
            asked=asked,
            room=sentence(verdict.room(plan, users)),
            range=verdict.range_of(plan),
        )
        return f":gray[{plain(said)}]"
    colour, icon = ("green", "check") if plan.fits else ("red", "close")
    badge = f":{colour}-badge[:material/{icon}: {plain(verdict.room(plan, users))}]"
    asked = tell(
        "You asked for **{users:,}**{of_replicas}.", users=users, of_replicas=plain(verdict.of_replicas(plan, users))
    )
    rest = verdict.range_of(plan) or verdict.shortfall(plan) or _why_not(plan)
    one = tell(
        "Largest batch of one GPU: **{max_batch_size:,}**.",
        max_batch_size=plan.max_batch_size // plan.request.attention_replicas,
    )
    often = plain(verdict.how_often(plan))
    return " ".join(filter(None, (badge, asked, plain(rest), f":gray[{often}]" if often else "", one)))


def _why_not(plan: calculator.Plan) -> str:
    return "" if plan.fits else tell("{text}.", text=sentence(plan.notes[0]))


def metrics(plan: calculator.Plan, users: int, own_prices: Given | None, dimmed: bool) -> None:
    """Show what one user takes, how long it could be, how fast and at what price."""
    show = _dimmed if dimmed else _metric
    own = plan.model.max_position_embeddings
    with st.grid(4, min_column_width=150):
        show(tell("KV cache of one user"), format_size(plan.kv_bytes_per_sequence), verdict.of_one_user(plan))
        is_unlimited = plan.max_context_len >= UNLIMITED
        longest = (
            tell("no limit")
            if is_unlimited
            else tell("{max_context_len:,} tokens", max_context_len=plan.max_context_len)
        )
        show(tell("Longest, {users:,} at once", users=users), longest, tell("the model takes {own:,}", own=own))
        show(*_speed(plan))
        show(tell("Price an hour"), *prices.in_words(plan, own_prices))


def _metric(label: str, value: str, beside: str) -> None:
    st.metric(told(label), told(value), told(beside) or None, delta_color="off", delta_arrow="off")


def _dimmed(label: str, value: str, beside: str) -> None:
    said = "  \n".join(f":gray[{plain(text)}]" for text in (label, value, beside) if text)
    st.markdown(said)


def _speed(plan: calculator.Plan) -> tuple[str, str, str]:
    """Return the time of a token with as many at once as are asked for, or as fit; none where no one does."""
    batch = min(plan.request.batch_size, plan.max_batch_size)
    if not batch:
        return tell("Speed"), tell("no one fits"), ""
    label = tell("Speed, {batch:,} at once", batch=batch * plan.request.data_parallel_size)
    try:
        found = calculator.speed(plan, batch_size=batch, prompt_tokens=plan.request.seq_len, output_tokens=None)
    except calculator.CalculatorError:
        return label, tell("not known"), ""
    low, high = map(milliseconds, (found.time_per_output_token_s_low, found.time_per_output_token_s_high))
    return (
        label,
        tell("{time} ms a token", time=milliseconds(found.time_per_output_token_s)),
        tell("{low} to {high} ms", low=low, high=high),
    )


def notes(plan: calculator.Plan, dimmed: bool) -> None:
    """Show what bears on this plan: the first few, the others where they are asked for."""
    lines = [sentence(note) for note in plan.notes[0 if plan.fits else 1 :]]
    if plan.model.unverified:
        lines.append(
            tell("Not verified of {name}: {unverified}", name=plan.model.name, unverified=plan.model.unverified)
        )
    if plan.accelerator.unverified:
        lines.append(
            tell(
                "Not verified for {name}: {what}",
                name=plan.accelerator.name,
                what=listed(plan.accelerator.unverified),
            )
        )
    for line in lines[:FEW_NOTES]:
        st.markdown(f":gray[{ended(line)}]" if dimmed else f":orange[:material/info:] {ended(line)}")
    if len(lines) > FEW_NOTES:
        with st.expander(
            tell("{lines} more that bear on this plan", lines=len(lines) - FEW_NOTES), on_change="rerun", key="notes"
        ) as more:
            if more.open:
                st.markdown("\n".join(f"- {ended(line)}" for line in lines[FEW_NOTES:]))
