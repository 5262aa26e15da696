"""JSON lines of numbers, an object a row: bounded in memory, and nothing of a row is guessed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from calculator.errors import FileFormatError, InvalidValueError, shown
from calculator.messages import say
from calculator.reading.strict_csv import MAX_ROWS, lines_of

LARGEST = 2**53
"""Beyond it whole numbers are not all told apart as floats; such a one counts as infinite."""


def read_objects(
    file: BinaryIO,
    name: str,
    wanted: Sequence[str],
    check: Callable[[list[str], str], None],
    as_given: Sequence[str] = (),
) -> dict[str, Any]:
    """Read columns of numbers, those of the wanted that the first object has.

    Parameters
    ----------
    file : binary file
        The rows, UTF-8 [-].
    name : str
        What it is called in an error [-].
    wanted : sequence of str
        The columns [-].
    check : function of titles and name
        Refuses the titles of the first object [-].
    as_given : sequence of str
        Further columns, kept as they are [-].

    Returns
    -------
    dict of str to array of float64
        Each column; a list of those that are kept.

    Raises
    ------
    CalculatorError
        If a row is no object or lacks a number, with the row and the column.
    """
    import numpy

    columns: dict[str, list[Any]] = {}
    for row, line in enumerate(lines_of(file, name), 1):
        found = _object(line, row, name)
        if row == 1:
            check(list(found), name)
            columns = {column: [] for column in (*wanted, *as_given) if column in found}
        for column, values in columns.items():
            if column not in found:
                raise InvalidValueError(
                    say(
                        "json_lines.row_missing",
                        "{name}: row {row:,}, {column}: is missing",
                        name=name,
                        row=row,
                        column=column,
                    ),
                    what=column,
                )
            given = found[column]
            values.append(given if column in as_given else _number(given, column, row, name))
        if row > MAX_ROWS:
            raise FileFormatError(
                say(
                    "json_lines.more_than_rows_most",
                    "{name}: more than {max_rows:,} rows, the most that is read",
                    name=name,
                    max_rows=MAX_ROWS,
                )
            )
    kept = {column: columns.pop(column) for column in as_given if column in columns}
    return kept | {column: numpy.asarray(values, numpy.float64) for column, values in columns.items()}


def _object(line: str, row: int, name: str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise FileFormatError(
            say("json_lines.row_not_json_object", "{name}: row {row:,} is not a JSON object", name=name, row=row)
        ) from None
    if not isinstance(found, dict):
        raise FileFormatError(
            say(
                "json_lines.row_not_json_object",
                "{name}: row {row:,} is not a JSON object, but {found}",
                name=name,
                row=row,
                found=shown(found),
            )
        )
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _number(value: Any, column: str, row: int, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError(
            say(
                "json_lines.row_must_number_not",
                "{name}: row {row:,}, {column}: must be a number, not {asked}",
                name=name,
                row=row,
                column=column,
                asked=shown(value),
            ),
            what=column,
            asked=value,
        )
    return float(value) if abs(value) <= LARGEST else float("inf")
