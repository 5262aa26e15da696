"""Workloads of traces and of shipped tables: columns of numbers, checked row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from calculator.catalogue.traces import TRACES, trace_text
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, friendly, unknown_name
from calculator.messages import say
from calculator.planning.traffic.columns import COLUMNS, check_pairs, check_titles, lengths, times, titles_of
from calculator.planning.traffic.inputs import LENGTHS, TRAFFIC
from calculator.planning.traffic.reuse.prefixes import HASH_BLOCK_TOKENS, check_block_tokens, prefixes_of
from calculator.planning.traffic.workload import Workload
from calculator.reading.json_lines import read_objects
from calculator.reading.strict_csv import read_numbers

LINE_BEGINS, BOM = 1024, b"\xef\xbb\xbf"
HASHES = "hash_ids"
"""The column of what prompts share."""


@friendly
def workload_from_trace(
    trace: Any,
    requests_per_second: float | None = None,
    max_output_tokens: int | None = None,
    hash_block_tokens: int = HASH_BLOCK_TOKENS,
) -> Workload:
    """Return the workload of a trace, pair by pair.

    Parameters
    ----------
    trace : DataFrame, mapping of columns, path or str
        A table with the columns ``input_tokens`` and ``output_tokens`` and perhaps ``timestamp_s`` and ``hash_ids``
        (a prompt's blocks from its first token on, the same number where a block and all before it are the same: a
        list, or text such as ``0 14-27``), or the path of a CSV or JSON-lines file with them [-].
    requests_per_second : float, optional
        Its rate; by default that of its timestamps [1/s].
    max_output_tokens : int, optional
        What requests ask for at most [tokens].
    hash_block_tokens : int, optional
        Tokens of a block of ``hash_ids`` [tokens].

    Returns
    -------
    Workload
        The pairs as they are, never their means alone.

    Raises
    ------
    CalculatorError
        If a column is missing or a length is no whole number above 0, with the row and the column.
    """
    check_block_tokens(hash_block_tokens)
    if not isinstance(trace, str | Path):
        return _of_columns(trace, "trace", "trace", requests_per_second, max_output_tokens, hash_block_tokens)
    path = Path(trace)
    try:
        with path.open("rb") as file:
            columns = columns_of(file, str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, CalculatorError):
            raise
        why = getattr(error, "strerror", None) or error
        raise FileFormatError(
            say("tables.cannot_read", "{path}: cannot be read: {why}", path=str(path)[:400], why=why),
            what="trace",
            asked=trace,
        ) from None
    return _of_columns(columns, str(path), path.stem, requests_per_second, max_output_tokens, hash_block_tokens)


def workload_from_text(content: bytes, name: str) -> Workload:
    """Return the workload of a trace whose CSV or JSON lines are at hand, as ``workload_from_trace`` does."""
    return _of_columns(columns_of(BytesIO(content), name), name, name, None, None)


@friendly
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
    if not isinstance(name, str) or name not in TRACES:
        raise unknown_name("workload", name, TRACES)
    table = _shipped(name)
    rate = table.requests_per_second if requests_per_second is None else requests_per_second
    return replace(table, requests_per_second=rate, max_output_tokens=max_output_tokens)


@lru_cache(maxsize=len(TRACES))
def _shipped(name: str) -> Workload:
    about = TRACES[name]
    made = _of_columns(columns_of(BytesIO(trace_text(name)), name), name, name, None, None)
    return replace(made, licence=about.licence, source=about.source)


def workload_ids() -> tuple[str, ...]:
    """Return the names of the shipped tables."""
    return tuple(TRACES)


def columns_of(file: BinaryIO, name: str) -> dict[str, Any]:
    """Read the columns that a trace has of a CSV file, or of one of JSON lines where it begins with an object."""
    begins = file.read(LINE_BEGINS).removeprefix(BOM).lstrip()
    file.seek(0)
    if begins.startswith(b"{"):
        return read_objects(file, name, COLUMNS, check_titles, as_given=(HASHES,))
    if begins.startswith(b"["):
        raise FileFormatError(
            say(
                "tables.begins_json_array_write",
                "{name}: begins with [, a JSON array: write each request as an object on a line of its "
                "own, without [, ] and commas between them (JSON lines), or the table as CSV",
                name=name,
            ),
            what="trace",
            allowed=("CSV", "JSON lines"),
        )

    def places(header: list[str]) -> dict[str, int]:
        check_titles(header, name)
        return {column: header.index(column) for column in (*COLUMNS, HASHES) if column in header}

    return read_numbers(file, name, places, texts=(HASHES,))


def _of_columns(
    table: Any,
    name: str,
    called: str,
    requests_per_second: float | None,
    max_output_tokens: int | None,
    hash_block_tokens: int = HASH_BLOCK_TOKENS,
) -> Workload:
    titles = titles_of(table, name)
    prompt, output = (lengths(table[column], column, name) for column in COLUMNS[:2])
    check_pairs(prompt, output, name)
    rate, dispersion, seconds, prefixes = requests_per_second, 1.0, None, None
    if "timestamp_s" in titles:
        seconds = times(table["timestamp_s"], "timestamp_s", name)
        check_pairs(prompt, seconds, name, "timestamp_s")
        measured, dispersion = _arrivals(seconds)
        rate = measured if rate is None else rate
    if HASHES in titles:
        prefixes = prefixes_of(table[HASHES], prompt, hash_block_tokens, name)
    return Workload(
        requests_per_second=1.0 if rate is None else rate,
        prompt_tokens=float(prompt.mean()),
        output_tokens=float(output.mean()),
        max_output_tokens=max_output_tokens,
        trace=(prompt, output),
        name=called,
        dispersion=dispersion,
        times=seconds,
        prefixes=prefixes,
    )


WINDOW_S = 60.0


def _arrivals(seconds: Any) -> tuple[float | None, float]:
    """Return the rate of a trace's arrivals [1/s] and the dispersion of their counts in windows of a minute [-]."""
    import numpy

    seconds = seconds - seconds.min()
    span = float(seconds.max())
    if span <= 0:
        return None, 1.0
    windows = int(span // WINDOW_S)
    counts = numpy.unique(seconds[seconds < windows * WINDOW_S] // WINDOW_S, return_counts=True)[1]
    dispersion = 1.0
    if windows > 1 and counts.size:  # windows without an arrival count as well
        mean = counts.sum() / windows
        dispersion = float(((counts**2).sum() / windows - mean**2) / mean)
    return (len(seconds) - 1) / span, dispersion


def given_workload(said: Mapping[str, Any]) -> Workload:
    """Return what is said of traffic as a workload: of a trace, of a table in the package, or of means.

    Parameters
    ----------
    said : mapping
        ``trace`` (a file), ``workload`` (an id) or the lengths, and what stands beside them; one request a second
        where no rate is said [-].
    """
    means = {name: value for name, value in said.items() if name in LENGTHS}
    beside = {name: value for name, value in said.items() if name in TRAFFIC}
    given = [name for name in ("trace", "workload") if name in said] + list(means)
    if len(given) > 1 and given[0] in ("trace", "workload"):
        text = say(
            "tables.give_one_trace_workload",
            "give one of trace, workload and means: {given} and {given_2} both say how long requests are",
            given=given[0],
            given_2=given[1],
        )
        raise InvalidValueError(text, what=given[1], asked=said[given[1]])
    missing = [name for name in ("prompt_tokens", "output_tokens") if name not in means]
    if means or not given:
        if missing:
            text = say(
                "tables.missing_give_trace_workload",
                "{missing} is missing: give trace, workload, or prompt_tokens and output_tokens",
                missing=missing[0],
            )
            raise InvalidValueError(text, what=missing[0])
        return Workload(**{"requests_per_second": 1.0, **means, **beside})
    return replace(workload(said["workload"]) if "workload" in said else workload_from_trace(said["trace"]), **beside)
