"""Tables of what was found: value and range in one cell that still sorts as a number, the first column opens a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from calculator.messages import phrase
from calculator.views.load.wording import milliseconds, rounded
from calculator.views.sizing.options import OptionRow
from dashboard.text import tell, told

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

NOT_KNOWN = phrase("not known")
ROW_PX, ROWS = 35, 11
"""The height of a row, and how many are seen at once, the head among them; the rest scrolls in the table."""


@dataclass(frozen=True)
class Column:
    """A column: what it sorts by, and what is read; a text where both are the same."""

    name: str
    value: Callable[[Any], Any]
    text: Callable[[Any], str] | None = None


def _dollars(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return NOT_KNOWN
    return f"{low:,.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:,.2f}–{high:,.2f}"


def _held(row: OptionRow) -> str:
    return f"{row.held:,}" + (f" ({row.held_low:,}–{row.held_high:,})" if row.held_low != row.held_high else "")


def _ms(row: OptionRow) -> str:
    ends = row.time_per_output_token_s, row.time_per_output_token_s_low, row.time_per_output_token_s_high
    if any(end is None for end in ends):
        return NOT_KNOWN
    central, low, high = (milliseconds(end or 0.0) for end in ends)
    return f"{central} ({low}–{high})"


def _tokens(row: OptionRow) -> str:
    return NOT_KNOWN if row.output_tokens_per_second is None else rounded(row.output_tokens_per_second)


OPTIONS = (
    Column(phrase("Hardware, opens it"), lambda row: row.hardware),
    Column(
        "$ / h", lambda row: row.usd_per_hour_low, lambda row: _dollars(row.usd_per_hour_low, row.usd_per_hour_high)
    ),
    Column(phrase("Users held"), lambda row: row.held, _held),
    Column(phrase("ms a token"), lambda row: row.time_per_output_token_s, _ms),
    Column(phrase("Split"), lambda row: row.split),
    Column(phrase("Tokens/s"), lambda row: row.output_tokens_per_second, _tokens),
    Column(
        phrase("$ / M tokens"),
        lambda row: row.usd_per_million_output_tokens_low,
        lambda row: _dollars(row.usd_per_million_output_tokens_low, row.usd_per_million_output_tokens_high),
    ),
    Column(phrase("Limited by"), lambda row: row.limited_by),
    Column(phrase("Used"), lambda row: row.utilisation, lambda row: _percent(row.utilisation)),
    Column(phrase("Engine"), lambda row: row.engine),
    Column(phrase("Weights"), lambda row: row.weight_dtype),
    Column("KV", lambda row: row.kv_cache_dtype),
    Column(phrase("Price seen"), lambda row: row.price_seen),
)
PINS, PINS_AT = phrase("Beside others"), 5
"""The column of buttons that pin an option for comparing, beyond those that are seen on a phone."""
WHERE_THEY_DIFFER = (phrase("Engine"), phrase("Weights"), "KV")
RUNS = (
    Column(phrase("Model, opens it"), lambda row: row.name),
    Column(phrase("Users held"), lambda row: row.max_batch_size, lambda row: f"{row.max_batch_size:,}"),
    Column(
        phrase("Parameters, 10⁹"),
        lambda row: row.num_parameters / 1e9,
        lambda row: f"{row.num_parameters / 1e9:,.1f}",
    ),
    Column(phrase("On GPUs"), lambda row: row.num_gpus, lambda row: _times(row.num_gpus, row.replicas)),
    Column(phrase("Weights"), lambda row: row.weight_dtype),
    Column(phrase("Longest, tokens"), lambda row: row.max_context_len, lambda row: f"{row.max_context_len:,}"),
    Column(phrase("Split"), lambda row: row.split),
    Column(phrase("Note"), lambda row: row.note),
)


def _percent(share: float | None) -> str:
    return NOT_KNOWN if share is None else f"{share:.0%}"


def _times(num_gpus: int, replicas: int) -> str:
    return (
        f"{num_gpus:,}"
        if replicas == 1
        else tell("{num_gpus:,}, {replicas:,} times", num_gpus=num_gpus, replicas=replicas)
    )


def show(
    columns: Sequence[Column],
    rows: Sequence[Any],
    key: str,
    alt: str,
    on_open: Callable[..., None],
    on_pin: Callable[..., None] | None = None,
    pinned: Sequence[str] = (),
) -> None:
    """Show rows; a click on the first column calls ``on_open`` with the key, which holds the row, one on a pin another.

    ``pinned`` says of each row what its button is called.
    """
    kept = [
        column
        for column in columns
        if column.name not in WHERE_THEY_DIFFER or columns is RUNS or len({column.value(row) for row in rows}) > 1
    ]
    kept = [
        replace(column, name=told(column.name))
        for column in kept
        if any(column.value(row) not in (None, "") for row in rows)
    ]
    buttons = {kept[0].name: _button(kept[0].name, f"{key}-open", on_open)}
    if on_pin is not None:
        called = {id(row): text for row, text in zip(rows, pinned, strict=True)}
        pins = told(PINS)
        kept.insert(PINS_AT, Column(pins, lambda row: called[id(row)]))
        buttons[pins] = _button(pins, f"{key}-pin", on_pin)
    st.dataframe(
        styled(kept, rows),
        hide_index=True,
        key=key,
        alt=told(alt),
        height=ROW_PX * ROWS if len(rows) >= ROWS else "content",
        placeholder=told(NOT_KNOWN),
        column_config=buttons,
    )


def _button(name: str, key: str, on_click: Callable[..., None]) -> Any:
    return st.column_config.ButtonColumn(
        name, type="tertiary", alignment="left", key=key, on_click=on_click, args=(key,), pinned=False
    )


class Said(float):
    """A number that reads otherwise: its cell shows the text and sorts by the number."""

    text: str

    def __new__(cls, value: float, text: str) -> Said:
        """Keep the text beside the number."""
        made = super().__new__(cls, value)
        made.text = text
        return made


def styled(columns: Sequence[Column], rows: Sequence[Any]) -> Styler:
    """Return a table whose cells hold numbers and read as text."""
    import pandas

    frame = pandas.DataFrame({column.name: _cells(column, rows) for column in columns})
    said = [column.name for column in columns if column.text is not None]
    return frame.style.format(_text, subset=said)


def _cells(column: Column, rows: Sequence[Any]) -> Any:
    import pandas

    values = [column.value(row) for row in rows]
    if column.text is None:
        return [told(value) if isinstance(value, str) else value for value in values]
    said = [None if value is None else Said(value, column.text(row)) for value, row in zip(values, rows, strict=True)]
    return pandas.Series(said, dtype=object)  # numbers of a plain column would lose their text


def _text(value: Any) -> str:
    return told(value.text if isinstance(value, Said) else NOT_KNOWN)
