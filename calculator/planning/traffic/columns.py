"""Columns of a trace: which there must be, and whole numbers in each, checked row by row."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from numbers import Real
from typing import Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, shown
from calculator.messages import joined, phrase, say
from calculator.reading.strict_csv import MAX_ROWS

COLUMNS = ("input_tokens", "output_tokens", "timestamp_s")
OTHER_NAMES = {
    "input_tokens": (
        "prompt_tokens", "contexttokens", "context_tokens", "input_length", "prompt_length", "num_prefill_tokens",
        "num_prompt_tokens", "request_tokens", "prompt_len", "input_len", "isl",
    ),
    "output_tokens": (
        "generatedtokens", "generated_tokens", "output_length", "response_length", "num_decode_tokens",
        "num_output_tokens", "completion_tokens", "response_tokens", "output_len", "osl",
    ),
}  # fmt: skip
"""What other traces call the same; a trace is refused with the name to use, never guessed."""
LATEST_S = 1e11
"""Seconds since 1970 are below it for three thousand years; milliseconds are above it since 1973."""


def titles_of(table: Any, name: str) -> list[str]:
    """Return the titles of a table's columns; refuse what is no table or lacks one of the lengths."""
    named = isinstance(table, Mapping) or (hasattr(table, "columns") and hasattr(table, "__getitem__"))
    if not named:
        raise InvalidValueError(
            say(
                "columns.trace_dataframe_mapping_columns",
                "a trace is a DataFrame or a mapping with the columns {names}, or the path of a CSV file "
                "with them, not {table}",
                names=", ".join(COLUMNS[:2]),
                table=shown(table),
            ),
            what="trace",
            asked=table,
            allowed=COLUMNS,
        )
    titles = list(map(str, getattr(table, "columns", table)))
    check_titles(titles, name)
    return titles


def check_titles(there: Sequence[str], name: str) -> None:
    """Refuse a table that lacks a column of lengths or has one of the columns twice."""
    for column in COLUMNS:
        if there.count(column) > 1:
            raise InvalidValueError(
                say(
                    "columns.there_columns",
                    "{name}: there are {count} columns {column}",
                    name=name,
                    count=there.count(column),
                    column=column,
                ),
                what=column,
            )
    for column in COLUMNS[:2]:
        if column not in there:
            nearest = _same(column, there)
            listed = joined(", ", list(map(shown, there[:8]))) or phrase("none")
            hint = (
                say("columns.rename", "rename {nearest} to it", nearest=shown(nearest))
                if nearest
                else say("columns.there", "there are {listed}", listed=listed)
            )
            if not nearest and len(there) == 1 and any(mark in there[0] for mark in ";\t|"):
                hint = joined("; ", [hint, phrase("columns are separated by commas")])
            raise InvalidValueError(
                say(
                    "columns.column_missing",
                    "{name}: the column {column} is missing: {hint}",
                    name=name,
                    column=column,
                    hint=hint,
                ),
                what=column,
                asked=tuple(there[:8]),
                allowed=COLUMNS,
                nearest=nearest,
            )


def _same(column: str, there: Iterable[str]) -> str | None:
    """Return the title that means a column, as far as its name tells."""
    plain = {title.strip().lower().replace(" ", "_"): title for title in there if title not in COLUMNS}
    for known in (column, *OTHER_NAMES[column]):
        if known in plain:
            return plain[known]
    near = difflib.get_close_matches(column, plain, n=1, cutoff=0.8)
    return plain[near[0]] if near else None


def check_pairs(prompt: Any, other: Any, name: str, title: str = "output_tokens") -> None:
    """Refuse columns of unlike lengths."""
    if len(prompt) != len(other):
        raise InvalidValueError(
            say(
                "columns.rows_input_tokens_stand",
                "{name}: {prompt:,} rows of input_tokens stand beside {other:,} of {title}",
                name=name,
                prompt=len(prompt),
                other=len(other),
                title=title,
            ),
            what=title,
            asked=len(other),
            allowed=len(prompt),
            nearest=len(prompt),
        )


def lengths(column: Any, title: str, name: str) -> Any:
    """Return a column of whole numbers above 0 as int64; any other is refused with its row."""
    import numpy

    values = numbers(column, title, name)
    bad = ~((values >= 1) & (values <= MAX_TOKENS) & (values == numpy.floor(values)))
    if bad.any():
        row = int(numpy.argmax(bad))
        value = values[row].item()
        nearest = None if value != value else round(min(max(1, value), MAX_TOKENS))
        many = (
            say("columns.rows_so", "; {sum:,} of {values:,} rows are so", sum=int(bad.sum()), values=len(values))
            if len(values) > 1
            else ""
        )
        raise _wrong(
            column,
            row,
            title,
            name,
            say("columns.whole_number_from", "a whole number from 1 to {max_tokens:,}", max_tokens=MAX_TOKENS),
            nearest,
            many,
        )
    return values.astype(numpy.int64)


def times(column: Any, title: str, name: str) -> Any:
    """Return a column of seconds as float64."""
    import numpy

    values = numbers(column, title, name)
    bad = ~(numpy.abs(values) <= LATEST_S)
    if bad.any():
        what = say(
            "columns.seconds_number_from",
            "seconds, a number from {value:g} to {latest_s:g}",
            value=-LATEST_S,
            latest_s=LATEST_S,
        )
        raise _wrong(column, int(numpy.argmax(bad)), title, name, what)
    return values


def numbers(column: Any, title: str, name: str) -> Any:
    """Return a column of numbers as float64; text, dates and truth values are none."""
    import numpy

    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__len__") or not hasattr(column, "__iter__"):
        raise InvalidValueError(
            say(
                "columns.must_hold_one_number",
                "{name}: {title} must hold one number a row, not {column}",
                name=name,
                title=title,
                column=shown(column),
            ),
            what=title,
            asked=column,
        )
    if len(column) == 0:
        raise InvalidValueError(
            say(
                "columns.empty_trace_has_at",
                "{name}: {title} is empty: a trace has at least one request",
                name=name,
                title=title,
            ),
            what=title,
        )
    if len(column) > MAX_ROWS:
        raise InvalidValueError(
            say(
                "columns.rows_at_most_read",
                "{name}: {column:,} rows; at most {max_rows:,} are read",
                name=name,
                column=len(column),
                max_rows=MAX_ROWS,
            ),
            what=title,
            asked=len(column),
            allowed=MAX_ROWS,
            nearest=MAX_ROWS,
        )
    try:
        values = numpy.ma.asarray(column)
    except ValueError:  # rows of unlike lengths
        values = None
    if values is None or values.ndim != 1:
        raise InvalidValueError(
            say("columns.must_hold_one_number", "{name}: {title} must hold one number a row", name=name, title=title),
            what=title,
            asked=column,
        )
    # a list of numbers and truth values becomes an array of numbers
    listed = isinstance(column, list | tuple) and any(type(value) is bool for value in column)
    if values.dtype.kind in "iuf" and not listed:
        return numpy.ma.filled(values.astype(numpy.float64), numpy.nan)
    for row, value in enumerate(column):
        if isinstance(value, bool) or not isinstance(value, Real | Decimal) or values.dtype.kind in "mM":
            raise _wrong(column, row, title, name, phrase("a number"))
    return numpy.fromiter(map(_as_float, column), numpy.float64, len(column))


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _wrong(
    column: Any, row: int, title: str, name: str, wanted: str, nearest: float | None = None, more: str = ""
) -> InvalidValueError:
    """Say what of a row is wrong."""
    value = next(islice(column, row, None))
    value = value.item() if hasattr(value, "item") and not _is_missing(value) else value
    text = (
        phrase("is missing")
        if _is_missing(value)
        else say("columns.must_not", "must be {wanted}, not {shown}", wanted=wanted, shown=shown(value))
    )
    allowed = (1, MAX_TOKENS) if nearest is not None else None
    return InvalidValueError(
        say(
            "columns.row",
            "{name}: row {row:,}, {title}: {text}{more}",
            name=name,
            row=row + 1,
            title=title,
            text=text,
            more=more,
        ),
        what=title,
        asked=value,
        allowed=allowed,
        nearest=nearest,
    )


def _is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN, NaT, NA or masked."""
    import numpy

    if value is None or value is numpy.ma.masked:
        return True
    try:
        return bool(value != value)
    except TypeError:  # what is missing is neither equal nor not
        return True
