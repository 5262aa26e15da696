"""What the GPUs of an answer cost: the reader's own prices first, else the catalogue's dated examples."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.planning.sizing.prices import Given, price_of, prices_in_text
from dashboard import state
from dashboard.text import plain, sentence, tell


def given() -> Given | None:
    """Return the reader's own prices; None where there are none, or they cannot be read."""
    try:
        return _read(st.session_state["prices"])
    except calculator.CalculatorError:
        return None


def _read(text: str | None) -> Given | None:
    found = prices_in_text(text) if text else None
    price_of(calculator.load_gpu(state.OPENING["gpu"]), found)
    return found


def in_words(plan: calculator.Plan, own: Given | None) -> tuple[str, str]:
    """Return what all GPUs cost an hour, and each user where all that fit are there."""
    price = price_of(plan.accelerator, own)
    if price is None:
        return tell("not known"), ""
    low, high = (one * plan.num_gpus for one in price.usd_per_hour)
    held = plan.total_max_batch_size
    each = tell("{span} a user, when full", span=_span(low / held, high / held)) if held else ""
    return _span(low, high), each


def chip_label(gpu: calculator.Accelerator | None, num_gpus: int, own: Given | None) -> str:
    """Return what the chip says: the price of all GPUs, or that none is known."""
    price = price_of(gpu, own) if gpu is not None else None
    return _span(*(one * num_gpus for one in price.usd_per_hour)) + " / h" if price else tell("No price")


def ask(gpu: calculator.Accelerator | None) -> None:
    """Ask for prices of one's own; say where the others are from."""
    st.text_input(
        tell("Own prices, USD per GPU and hour"), key="prices", max_chars=1_000,
        placeholder=f"{gpu.id if gpu is not None else 'h100-sxm'}=2.0",
        help=tell("By the ids of GPUs: one number, or the lowest and the highest with a colon between"),
    )  # fmt: skip
    try:
        _read(st.session_state["prices"])
    except calculator.CalculatorError as error:
        st.error(plain(sentence(str(error))))
    price = price_of(gpu) if gpu is not None else None
    if gpu is not None and price is not None:
        said = tell(
            "{name}: {span} per GPU and hour, seen {words}; examples, not quotes.",
            name=gpu.name,
            span=_span(*price.usd_per_hour),
            words=price.words,
        )
        st.markdown(plain(said))


def _span(low: float, high: float) -> str:
    if high < 0.0001:
        return tell("less than $0.0001")
    first, last = (_money(value) for value in (low, high))
    return f"${first}" if first == last else f"${first}\u2013{last}"


def _money(value: float) -> str:
    written = f"{value:,.2f}" if value >= 0.01 else f"{value:,.4f}"
    return written.removesuffix(".00")
