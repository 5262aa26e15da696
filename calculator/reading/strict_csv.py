"""CSV tables of numbers, read piece by piece: bounded in memory, and nothing of a row is passed over."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO

from calculator.errors import FileFormatError, InvalidValueError, shown
from calculator.messages import say
from calculator.units import plural

MAX_TABLE_BYTES, MAX_LINE_BYTES, MAX_ROWS = 256 * 2**20, 64 * 2**10, 5_000_000
_ROWS_AT_ONCE = 2**15


def read_numbers(
    file: BinaryIO, name: str, places: Callable[[list[str]], Mapping[str, int]], texts: Sequence[str] = ()
) -> dict[str, Any]:
    """Read columns of numbers; blank lines and those that begin with # are left out.

    Parameters
    ----------
    file : binary file
        The table, UTF-8, with a header [-].
    name : str
        What it is called in an error [-].
    places : function of a header
        Which columns are read, and where each stands [-].
    texts : sequence of str
        Those of them that are kept as text [-].

    Returns
    -------
    dict of str to array of float64
        Each column; a list where it is text.

    Raises
    ------
    CalculatorError
        If it is no such table, with the row and the column.
    """
    import numpy

    reader = csv.reader(lines_of(file, name))
    begun = 0
    try:
        header = [title.strip() for title in next(reader, [])]
        wanted = places(header)
        pieces: dict[str, list[Any]] = {column: [] for column in wanted}
        while rows := list(islice(reader, _ROWS_AT_ONCE)):
            _check_width(rows, len(header), wanted, begun, name)
            for column, place in wanted.items():
                cells = [row[place] for row in rows]
                pieces[column].append(cells if column in texts else _floats(cells, column, begun, name))
            begun += len(rows)
            if begun > MAX_ROWS:
                raise FileFormatError(
                    say(
                        "strict_csv.more_than_rows_most",
                        "{name}: more than {max_rows:,} rows, the most that is read",
                        name=name,
                        max_rows=MAX_ROWS,
                    )
                )
    except csv.Error as error:
        raise FileFormatError(
            say(
                "strict_csv.line",
                "{name}: line {line_num:,}: {error}",
                name=name,
                line_num=reader.line_num,
                error=error,
            )
        ) from None
    kept = {column: list(chain.from_iterable(pieces.pop(column))) for column in texts if column in pieces}
    return kept | {column: numpy.concatenate(found) if found else numpy.empty(0) for column, found in pieces.items()}


def lines_of(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines that hold something, as text."""
    size = number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number, size = number + 1, size + len(line)
        if len(line) > MAX_LINE_BYTES:
            raise FileFormatError(
                say(
                    "strict_csv.line_longer_than_bytes",
                    "{name}: line {number:,}: longer than {max_line_bytes:,} bytes, the most that is read",
                    name=name,
                    number=number,
                    max_line_bytes=MAX_LINE_BYTES,
                )
            )
        if size > MAX_TABLE_BYTES:
            raise FileFormatError(
                say(
                    "strict_csv.larger_than_bytes_most",
                    "{name}: larger than {max_table_bytes:,} bytes, the most that is read",
                    name=name,
                    max_table_bytes=MAX_TABLE_BYTES,
                )
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise FileFormatError(
                say("strict_csv.line_not_utf_text", "{name}: line {number:,}: not UTF-8 text", name=name, number=number)
            ) from None
        if text.strip() and not text.startswith("#"):
            yield text


def _check_width(rows: Sequence[Sequence[str]], width: int, wanted: Mapping[str, int], begun: int, name: str) -> None:
    for number, row in enumerate(rows, begun + 1):
        if len(row) != width:
            lacking = next((column for column, place in wanted.items() if place >= len(row)), None)
            if lacking is not None:
                raise InvalidValueError(
                    say(
                        "strict_csv.row_missing",
                        "{name}: row {number:,}, {lacking}: is missing",
                        name=name,
                        number=number,
                        lacking=lacking,
                    ),
                    what=lacking,
                )
            raise FileFormatError(
                say(
                    "strict_csv.row_has_header_has",
                    "{name}: row {number:,} has {count}, the header has {width:,}",
                    name=name,
                    number=number,
                    count=plural(len(row), "cell"),
                    width=width,
                ),
                what=f"row {number}",
                asked=len(row),
                allowed=width,
                nearest=width,
            )


def _floats(cells: list[str], column: str, begun: int, name: str) -> Any:
    import numpy

    try:
        return numpy.fromiter(map(float, cells), numpy.float64, len(cells))
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not _is_number(cell))
        cell = cells[row]
        problem = f"must be a number, not {shown(cell)}" if cell.strip() else "is missing"
        raise InvalidValueError(
            say(
                "strict_csv.row",
                "{name}: row {begun:,}, {column}: {problem}",
                name=name,
                begun=begun + row + 1,
                column=column,
                problem=problem,
            ),
            what=column,
            asked=cell,
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
