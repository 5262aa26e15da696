"""What an engine prints at start-up, read: its version, the model, the flags, and every figure of memory.

A log is hostile and long: it is read line by line, within bounds, and nothing of it is kept but what is recognised
here and the lines that are not, with what looks like a secret masked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calculator.engines import titles
from calculator.engines.log import Log
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, friendly, shown
from calculator.logs.lines.prose import Prose
from calculator.logs.lines.records import records
from calculator.logs.lines.starts import ALONE, Start, those_of_memory
from calculator.logs.lines.vocabulary import (
    UNQUANTISED,
    begins_a_start,
    may_be_of_the_start,
    stated_by,
    vocabulary,
)
from calculator.logs.names import gpu_of
from calculator.messages import joined, say, template
from calculator.reading.masking import mask

MAX_LOG_BYTES = 64 * 2**20
MAX_LINE = 16_384
MAX_LISTED = 400
MAX_SHOWN = 2_000
MAX_SHAPES, SEEN_ENOUGH, MOST_RANKS = 20_000, 8, 1_024
"""Lines that said nothing so often, or anything so often, are not looked at again where only their digits differ."""
_DIGITS = dict.fromkeys(map(ord, "0123456789"))


@dataclass(frozen=True)
class StartupLog:
    """What was read of a log.

    Attributes
    ----------
    engine : str
        Whose log it is; empty where no line was recognised.
    figures : dict
        What was printed, by name; sizes are GiB of one GPU, of the rank with the smallest pool.
    flags : dict
        Keywords of ``plan`` that the log states, and ``model`` and ``device`` as it names them.
    understood : int
        Lines that were recognised [-].
    not_understood : tuple of (int, str)
        Number and text of lines that were not, secrets masked.
    unlisted : int
        How many more there are [-].
    problems : tuple of str
        What is odd about the log: cut off, ranks that differ.
    """

    engine: str
    figures: dict[str, float]
    flags: dict[str, Any]
    understood: int
    not_understood: tuple[tuple[int, str], ...]
    unlisted: int
    problems: tuple[str, ...] = field(default=())

    @property
    def bears_on_memory(self) -> tuple[tuple[int, str], ...]:
        """Those of the lines not understood that speak of memory."""
        return tuple((number, text) for number, text in self.not_understood if _MEMORY.search(text))

    @property
    def others(self) -> int:
        """How many of the lines not understood do not, or are not listed [-]."""
        return len(self.not_understood) + self.unlisted - len(self.bears_on_memory)


SMALLEST = ("kv_pool_gib", "kv_tokens", "num_blocks", "max_concurrency", "kv_pool_bytes")
"""Figures that ranks print each for itself: the smallest holds for all."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,64}+[ -/]{0,64}+[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|[@-_])")
_MEMORY = re.compile(r"[GM]i?B\b|[Mm]emory|KV|kv[ _-]?cache|[Bb]locks?\b|OOM")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(line: str) -> str:
    """Return a line without terminal escapes and control characters."""
    if line.isprintable():
        return line
    return _CONTROL.sub("", _ESCAPES.sub("", line.replace("\t", " ")))


LEFT_TO_THE_CHECKPOINT = ("auto", UNQUANTISED)
"""A format that is stated so is what the checkpoint has, where another line says that."""


@friendly
def read_log(content: str | bytes) -> StartupLog:
    """Read what an engine printed at start-up, whichever of them.

    Parameters
    ----------
    content : str or bytes
        The log, or any part of it [-].

    Returns
    -------
    StartupLog
        The engine, the flags and the figures; lines that were not understood are listed.

    Raises
    ------
    InvalidValueError
        If it is neither text nor bytes.
    FileFormatError
        If it is no text, too long, holds lines of two engines, or nothing that any of the engines prints.
    """
    known = vocabulary()
    starts = [Start()]
    devices: dict[str, None] = {}
    dates: list[str] = []
    sizes: list[int] = []
    prose = Prose()
    unread: list[tuple[int, str]] = []
    understood = unlisted = 0
    shapes: dict[str, int] = {}
    last = ""
    for number, line in records(_lines(content)):
        quick = may_be_of_the_start(line, known)
        shape = line.translate(_DIGITS) if quick else ""
        quick = quick and shapes.get(shape, 0) < MOST_RANKS
        if quick and starts[-1].has_ended and begins_a_start(line, known):
            starts.append(Start())
        start = starts[-1]
        said = start.take(line, known) if quick else False
        stated = stated_by(line, last, known) if quick or last.endswith("\\") else {}
        for name, value in stated.items():
            if name == "device":
                devices.setdefault(value)
            elif name == "date":
                dates.append(value)
            elif name == "device_mib":
                sizes.append(value)
            elif start.flags.get(name, UNQUANTISED) == UNQUANTISED:
                start.flags[name] = value
        if quick and len(shapes) < MAX_SHAPES:
            shapes[shape] = shapes.get(shape, 0) + (1 if said or stated else MOST_RANKS // SEEN_ENOUGH)
        last = line.rstrip() if line.rstrip().endswith("\\") else line
        prose.take(line)
        if said or stated.keys() - {"date"}:
            understood += 1
        elif line.strip():
            if len(unread) < MAX_LISTED:
                unread.append((number, mask(line.strip()[:MAX_SHOWN])[:400]))
            else:
                unlisted += 1
    starts = those_of_memory(starts)
    named = {
        engine: None
        for start in starts
        for engine, values in start.found.items()
        if any(name not in ALONE for name, *_ in values)
    }
    if len(named) > 1:
        raise FileFormatError(
            say(
                "reading.log_holds_lines_give",
                "the log holds lines of {names}: give the log of one engine at a time",
                names=joined(" and ", sorted(named)),
            )
        )
    if not named:
        raise FileFormatError(
            say(
                "reading.no_line_one_prints",
                'no line is one that {titles} prints about memory at start-up; such a line would be "GPU '
                'KV cache size: 157,584 tokens"',
                titles=titles(),
            )
        )
    engine = next(iter(named))
    whole = [start for start in starts if start.prints_a_capacity(engine)] or starts
    start = whole[-1]
    flags, ranks = start.flags, start.ranks
    figures, problems = _figures(start.found.get(engine, []), known.logs[engine])
    if len(starts) > 1:
        text = "the log holds {starts} starts: the last that prints what it has for KV is taken"
        problems.append(say("logs.problem.several_starts", text, starts=len(starts)))
    for name in (
        "engine_version", "device", "model", "file_type", "file", "architecture", "usage_context", "draft_method",
        "draft_tokens", "quantization", "kv_cache_dtype", "platform",
    ):  # fmt: skip
        if name in figures:
            found = figures.pop(name)
            if flags.setdefault(name, found) in LEFT_TO_THE_CHECKPOINT:
                flags[name] = found
    if "device" in flags:
        devices = {str(flags["device"]): None, **devices}
    if len(set(sizes)) == 1:
        flags["device_gib"] = sizes[0] / 1024
    if devices:
        memory = figures.get("memory_gib")
        flags["device"] = next((name for name in devices if gpu_of(name, memory)), next(iter(devices)))
        kinds = list(dict.fromkeys(gpu for name in devices if (gpu := gpu_of(name, None))))
        if len(kinds) > 1:
            text = template("the log names several GPUs, {gpus}: {gpu} is taken, and one plan is of one kind")
            taken = gpu_of(flags["device"], memory)
            problems.append(say("logs.problem.several_gpus", text, gpus=joined(", ", kinds), gpu=taken))
    elif prose.devices:
        flags["devices_beside"] = tuple(prose.devices)
    for name, value in prose.stated(engine).items():
        flags.setdefault(name, value)
    if "model" not in flags and prose.words:
        flags["words_beside"] = tuple(prose.words)
    if known.logs[engine].keeps_states_apart:
        flags["states_apart"] = True
    if start.described.get(engine):
        flags["described"] = start.described[engine]
    if dates:
        flags["date"] = max(dates)
    figures.pop("recognised", None)
    k_type = figures.pop("k_type", None)
    if figures.pop("v_type", k_type) == k_type and k_type:
        flags["kv_cache_dtype"] = k_type
    elif k_type:
        flags["kv_cache_types"] = True
    if "TP" in ranks:
        figures["ranks"] = ranks["TP"]
    if "EP" in ranks:
        figures["expert_ranks"] = ranks["EP"]
    for name in ("gpu_memory_utilization", "max_num_batched_tokens", "max_num_seqs", "seq_len", "block_size"):
        if name in figures:
            flags[name] = figures.pop(name)
    if last and not last.endswith((".", ")", "x", "}", "]", "s", "B")) and len(last) >= MAX_LINE - 1:
        problems.append(say("logs.problem.cut_off", "the last line is cut off"))
    return StartupLog(engine, figures, flags, understood, tuple(unread), unlisted, tuple(problems))


def read_file(name: str) -> StartupLog:
    """Read a log from a file, ``-`` for standard input, never more of it than a log may hold.

    Parameters
    ----------
    name : str
        Path of the file [-].

    Returns
    -------
    StartupLog
        As ``read_log``.

    Raises
    ------
    FileFormatError
        If it cannot be read, or as ``read_log``.
    """
    try:
        if name == "-":
            return read_log(sys.stdin.buffer.read(MAX_LOG_BYTES + 1))
        with Path(name).open("rb") as file:
            return read_log(file.read(MAX_LOG_BYTES + 1))
    except CalculatorError:
        raise
    except (OSError, ValueError) as error:
        raise FileFormatError(
            say(
                "reading.cannot_read",
                "{name}: cannot be read: {getattr}",
                name=name,
                getattr=getattr(error, "strerror", None) or error,
            )
        ) from None


def _lines(content: str | bytes) -> Iterable[tuple[int, str]]:
    if isinstance(content, bytearray | memoryview):
        content = bytes(content)
    if not isinstance(content, str | bytes):
        raise InvalidValueError(
            say("reading.log_text_bytes_not", "a log is text or bytes, not {content}", content=shown(content)),
            what="log",
            asked=content,
        )
    if isinstance(content, bytes):
        size, content = len(content), _decoded(content[: MAX_LOG_BYTES + 1])
    else:
        size = len(content)
    if size > MAX_LOG_BYTES:
        raise FileFormatError(
            say(
                "reading.log_longer_than_bytes",
                "the log is longer than {max_log_bytes:,} bytes: give the part until the first request is served",
                max_log_bytes=MAX_LOG_BYTES,
            )
        )
    if "\x00" in content[:65_536] or content[:65_536].count("\ufffd") > 1_000:
        raise FileFormatError(say("reading.log_no_text", "the log is no text"))
    return ((number, clean(line[:MAX_LINE])) for number, line in enumerate(content.splitlines(), 1))


WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
"""Marks at the beginning of a file in two bytes a letter, as Windows writes what a console prints."""
BINARY = 0.01
"""More control characters than this, zeros apart, and it is no text [-]."""


def _decoded(content: bytes) -> str:
    """Return a log's text; zeros are what is left where a file was cut while a program wrote it.

    Raises
    ------
    FileFormatError
        If it is no text.
    """
    if content[:2] in WIDE:
        return content[2:].decode(WIDE[content[:2]], "replace")
    if b"\x00" in content:
        whole = len(content)
        content = content.replace(b"\x00", b"")
        odd = len(content) - len(content.translate(None, _BINARY))
        if odd > BINARY * len(content) or len(content) < whole / 2:
            raise FileFormatError(say("reading.log_no_text_holds", "the log is no text: it holds zero bytes"))
    return content.decode("utf-8", "replace")


_BINARY = bytes(code for code in (*range(32), 127) if code not in b"\t\n\r\x1b\x08\x0c")


def _figures(values: list[tuple[str, Any, str]], log: Log) -> tuple[dict[str, Any], list[str]]:
    """Return one value of each figure: the sum of parts, the smallest of ranks, else the first."""
    figures: dict[str, Any] = {}
    problems: list[str] = []
    printed: dict[str, list[Any]] = {}
    for name, value, _ in values:
        printed.setdefault(name, []).append(value)
    for name, given in printed.items():
        if name in log.summed:
            figures[name] = sum(given)
        elif name in SMALLEST:
            figures[name] = min(given)
            if min(given) != max(given) and log.differs_beside.get(name) not in printed:
                text = template("{figure} is printed as {least:,} to {most:,}: the smallest is taken")
                problems.append(say("logs.problem.ranks_differ", text, figure=name, least=min(given), most=max(given)))
        else:
            figures[name] = given[0]
    if "capacity_gib" in figures:
        figures.setdefault("memory_gib", figures.pop("capacity_gib"))
    for name, parts in log.together.items():
        if any(part in figures for part in parts):
            figures[name] = round(sum(figures.pop(part, 0) for part in parts), 6)
    problems += log.join(figures, values)
    if figures.get("kv_pool_gib") == 0 and figures.get("kv_tokens"):
        # a pool that another part of the engine allocates is printed as 0.00 GiB beside its tokens
        del figures["kv_pool_gib"]
    return figures, problems
