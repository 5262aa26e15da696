"""Workloads of traces and of shipped tables: columns of numbers, checked row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.catalogue.traces import TRACES, trace_text
from calculator.errors import FileFormatError, InvalidValueError, shown, unknown_name
from calculator.planning.traffic.workload import Workload

MAX_TRACE_BYTES, MAX_TRACE_ROWS = 256 * 2**20, 5_000_000
COLUMNS = ("input_tokens", "output_tokens", "timestamp_s")
OTHER_NAMES = {
    "input_tokens": ("prompt_tokens", "contexttokens", "input_length", "num_prefill_tokens", "prompt_len", "isl"),
    "output_tokens": (
        "generatedtokens",
        "output_length",
        "num_decode_tokens",
        "completion_tokens",
        "output_len",
        "osl",
    ),
    "timestamp_s": ("timestamp", "arrived_at", "arrival_time", "time"),
}
"""What other traces call the same; a trace is refused with the name to use, never guessed."""


def workload_from_trace(
    trace: Any, requests_per_second: float | None = None, max_output_tokens: int | None = None
) -> Workload:
    """Return the workload of a trace, pair by pair.

    Parameters
    ----------
    trace : DataFrame, mapping of columns, path or str
        A table with the columns ``input_tokens`` and ``output_tokens`` and perhaps ``timestamp_s``, or the path of
        a CSV file with them [-].
    requests_per_second : float, optional
        Its rate; by default that of its timestamps [1/s].
    max_output_tokens : int, optional
        What requests ask for at most [tokens].

    Returns
    -------
    Workload
        The pairs as they are, never their means alone.

    Raises
    ------
    CalculatorError
        If a column is missing or a length is no whole number above 0, with the row and the column.
    """
    if isinstance(trace, str | Path):
        path = Path(trace)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_TRACE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        return _of_columns(_columns(content, str(path)), path.stem, requests_per_second, max_output_tokens)
    return _of_columns(trace, "trace", requests_per_second, max_output_tokens)


def workload(name: str, requests_per_second: float | None = None, max_output_tokens: int | None = None) -> Workload:
    """Return the workload of a shipped table.

    Parameters
    ----------
    name : str
        One of ``workload_ids()`` [-].
    requests_per_second : float, optional
        Its rate; by default that of the table, 1 where it has no times [1/s].
    max_output_tokens : int, optional
        What requests ask for at most [tokens].

    Returns
    -------
    Workload
        Its pairs, with licence and source.

    Raises
    ------
    UnknownNameError
        If there is no such table.
    """
    from dataclasses import replace

    if name not in TRACES:
        raise unknown_name("workload", name, TRACES)
    about = TRACES[name]
    made = _of_columns(_columns(trace_text(name), name), name, requests_per_second, max_output_tokens)
    return replace(made, licence=about.licence, source=about.source)


def workload_ids() -> tuple[str, ...]:
    """Return the names of the shipped tables."""
    return tuple(TRACES)


def _columns(content: bytes, name: str) -> dict[str, Any]:
    """Read a CSV file into columns of numbers; anything else is refused with row and column."""
    import csv

    if len(content) > MAX_TRACE_BYTES:
        raise FileFormatError(f"{name}: larger than {MAX_TRACE_BYTES:,} bytes, the most that is read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(f"{name}: not UTF-8 text") from None
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    reader = csv.reader(lines)
    header = [title.strip() for title in next(reader, [])]
    places = {column: header.index(column) for column in COLUMNS if column in header}
    _check_columns(places, header, name)
    columns: dict[str, list[str]] = {column: [] for column in places}
    for row in reader:
        for column, place in places.items():
            columns[column].append(row[place] if place < len(row) else "")
    return columns


def _check_columns(found: Iterable[str], there: Iterable[str], name: str) -> None:
    there = list(there)
    for column in COLUMNS[:2]:
        if column not in found:
            same = [title for title in there if title.lower().replace(" ", "_") in OTHER_NAMES[column]]
            hint = (
                f"rename {shown(same[0])} to it" if same else f"there are {', '.join(map(shown, there[:8])) or 'none'}"
            )
            raise InvalidValueError(
                f"{name}: the column {column} is missing: {hint}", what=column, allowed=COLUMNS, asked=there[:8]
            )


def _of_columns(
    table: Mapping[str, Any] | Any, name: str, requests_per_second: float | None, max_output_tokens: int | None
) -> Workload:
    import numpy

    titles = list(getattr(table, "columns", table))
    _check_columns(titles, titles, name)
    prompt, output = (_lengths(table[column], column, name) for column in COLUMNS[:2])
    if len(prompt) != len(output):
        raise InvalidValueError(f"{name}: {len(prompt):,} input_tokens stand beside {len(output):,} output_tokens")
    rate, dispersion = requests_per_second, 1.0
    if "timestamp_s" in titles:
        measured, dispersion = _arrivals(table["timestamp_s"], name)
        rate = measured if rate is None else rate
    correlation = 0.0
    if prompt.std() > 0 and output.std() > 0:
        correlation = float(numpy.clip(numpy.corrcoef(prompt, output)[0, 1], -1, 1))
    return Workload(
        requests_per_second=1.0 if rate is None else rate,
        prompt_tokens=float(prompt.mean()),
        output_tokens=float(output.mean()),
        prompt_cv=float(prompt.std() / prompt.mean()),
        output_cv=float(output.std() / output.mean()),
        correlation=correlation,
        max_output_tokens=max_output_tokens,
        trace=(prompt, output),
        name=name,
        dispersion=dispersion,
    )


def _lengths(column: Any, title: str, name: str) -> Any:
    """Return a column of whole numbers above 0 as int64."""
    import numpy

    values = _floats(column, title, name)
    bad = ~((values >= 1) & (values <= MAX_TOKENS) & (values == numpy.floor(values)))
    if bad.any():
        row = int(numpy.argmax(bad))
        raise InvalidValueError(
            f"{name}: row {row + 1:,}, {title}: must be a whole number from 1 to {MAX_TOKENS:,}, "
            f"not {shown(list(column)[row])}; {int(bad.sum()):,} of {len(values):,} rows are so",
            what=title,
            asked=list(column)[row],
        )
    return values.astype(numpy.int64)


def _floats(column: Any, title: str, name: str) -> Any:
    import numpy

    if len(column) == 0:
        raise InvalidValueError(f"{name}: {title} is empty: a trace has at least one request")
    if len(column) > MAX_TRACE_ROWS:
        raise InvalidValueError(f"{name}: {len(column):,} rows; at most {MAX_TRACE_ROWS:,} are read")
    try:
        return numpy.asarray(column, dtype=numpy.float64)
    except (TypeError, ValueError):
        for row, value in enumerate(column):
            try:
                float(value)
            except (TypeError, ValueError):
                raise InvalidValueError(
                    f"{name}: row {row + 1:,}, {title}: must be a number, not {shown(value)}", what=title, asked=value
                ) from None
        raise InvalidValueError(f"{name}: {title} must hold one number a row") from None


WINDOW_S = 60.0


def _arrivals(column: Any, name: str) -> tuple[float | None, float]:
    """Return the rate of a trace's arrivals [1/s] and the dispersion of their counts in windows of a minute [-]."""
    import numpy

    times = _floats(column, "timestamp_s", name)
    if not numpy.isfinite(times).all():
        raise InvalidValueError(f"{name}: timestamp_s must hold finite numbers")
    span = float(times.max() - times.min())
    if span <= 0:
        return None, 1.0
    counts = numpy.bincount(((times - times.min()) // WINDOW_S).astype(numpy.int64))[: max(1, int(span // WINDOW_S))]
    dispersion = float(counts.var() / counts.mean()) if len(counts) > 1 and counts.mean() > 0 else 1.0
    return (len(times) - 1) / span, dispersion
