"""What an engine prints at start-up, read: its version, the model, the flags, and every figure of memory.

A log is hostile and long: it is read line by line, within bounds, and nothing of it is kept but what is recognised
here and the lines that are not, with what looks like a secret masked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from calculator.engines import ENGINES, engine_log, titles
from calculator.engines.log import Argument, Log
from calculator.engines.patterns import Pattern, as_flag
from calculator.errors import FileFormatError
from calculator.messages import say
from calculator.reading.masking import mask

MAX_LOG_BYTES = 64 * 2**20
MAX_LINE = 16_384
MAX_LISTED = 400
MAX_SHOWN = 2_000
UNQUANTISED = "none"
"""The quantisation of a log that says there is none; a later line may name one."""


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


SMALLEST = ("kv_pool_gib", "kv_tokens", "num_blocks", "max_concurrency", "kv_pool_bytes")
"""Figures that ranks print each for itself: the smallest holds for all."""
_RANKS = re.compile(r"([A-Z]{2,3})([0-9]{1,3})")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,64}+[ -/]{0,64}+[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_DEVICE = re.compile(
    r"(?:NVIDIA|AMD|Tesla|GeForce|Instinct|Quadro)[ _][\w][\w /_-]{1,60}?(?=[,.;:()\]'\"]|\.json|$| - |  )"
)
_TELLING = (
    "GiB", "MiB", "GB", "KV", "kv_", "blocks", "memory", "version", "concurrency", "model", "args", "--", "config",
    "maximum", "tokens", "NVIDIA", "GeForce", "Instinct", "Tesla", "Quadro",
)  # fmt: skip
"""A line without any of these, or of the words that tell an engine's lines, is of nothing that is read here."""
_SERVING = ("throughput", "HTTP/1", "#running")
_REQUESTS = re.compile(r"\breqs?\b")
"""Lines of a running server: none of them is of the start, however many there are."""


@dataclass(frozen=True)
class Vocabulary:
    """What all engines print, together: a log says by its lines whose it is."""

    logs: dict[str, Log]
    arguments: dict[str, Argument]
    short_arguments: dict[str, str]
    telling: tuple[str, ...]
    assigned: re.Pattern[str]
    command: re.Pattern[str]

    def all_of(self, question: str) -> list[Any]:
        """Return every engine's answer to a question that has one."""
        return [answer for log in self.logs.values() if (answer := getattr(log, question))]


@cache
def vocabulary() -> Vocabulary:
    """Return what the engines print, read from their folders when the first log is read."""
    logs = {name: engine_log(name) for name in ENGINES}
    arguments = {name: argument for log in logs.values() for name, argument in log.arguments.items()}
    short = {name: full for log in logs.values() for name, full in log.short_arguments.items()}
    names = "|".join(sorted(arguments, key=len, reverse=True))
    return Vocabulary(
        logs,
        arguments,
        short,
        (*_TELLING, *(word for log in logs.values() for word in log.telling)),
        re.compile(
            rf"(?<![\w.])['\"]?+({names})['\"]?+\s{{0,40}}+[=:]\s{{0,40}}+"
            rf"('[^']{{0,200}}+'|\"[^\"]{{0,200}}+\"|[^\s,;)}}\]]{{1,200}})"
        ),
        re.compile(
            rf"(?<![\w-])(?:--(no-)?({names.replace('_', '[-_]')}|tp|pp)|-({'|'.join(short)}))"
            r"(?![\w-])(?:[= ]{1,40}+((?!-)[^\s\\]\S{0,200}))?"
        ),
    )


def clean(line: str) -> str:
    """Return a line without terminal escapes and control characters."""
    if line.isprintable():
        return line
    return _CONTROL.sub("", _ESCAPES.sub("", line.replace("\t", " ")))


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
    FileFormatError
        If it is no text, too long, holds lines of two engines, or nothing that any of the engines prints.
    """
    known = vocabulary()
    found: dict[str, list[tuple[str, Any, str]]] = {}
    drafting: set[tuple[str, str]] = set()
    ranks: dict[str, int] = {}
    flags: dict[str, Any] = {}
    unread: list[tuple[int, str]] = []
    understood = unlisted = 0
    lines = _lines(content)
    last = ""
    for number, line in lines:
        quick = _may_be_of_the_start(line, known)
        hits = list(_hits(line, known)) if quick else []
        rank = _rank(line, ranks, known) if hits else ""
        if quick:
            drafting |= {(name, rank) for name, log in known.logs.items() if _begins_a_draft(log, line)}
        for engine, _, values in hits:
            for name, value in values.items():
                if name in known.logs[engine].pools and (engine, rank) in drafting:
                    flags.setdefault("speculative", "draft")
                else:
                    found.setdefault(engine, []).append((name, value, rank))
        drafting |= {(engine, rank) for engine, pattern, _ in hits if known.logs[engine].draft_after in pattern.means}
        stated = _stated(line, last, known) if quick or last.endswith("\\") else {}
        for name, value in stated.items():
            if flags.get(name, UNQUANTISED) == UNQUANTISED:
                flags[name] = value
        last = line.rstrip() if line.rstrip().endswith("\\") else line
        if hits or stated:
            understood += 1
        elif line.strip():
            if len(unread) < MAX_LISTED:
                unread.append((number, mask(line.strip()[:MAX_SHOWN])[:400]))
            else:
                unlisted += 1
    engines = [
        engine for engine, values in found.items() if any(name not in ("engine_version", "file") for name, *_ in values)
    ]
    if len(engines) > 1:
        raise FileFormatError(
            f"the log holds lines of {' and '.join(sorted(engines))}: give the log of one engine at a time"
        )
    if not engines:
        raise FileFormatError(
            f"no line is one that {titles()} prints about memory at start-up; "
            'such a line would be "GPU KV cache size: 157,584 tokens"'
        )
    engine = engines[0]
    figures, problems = _figures(found[engine], known.logs[engine])
    for name in ("engine_version", "device", "model", "file_type", "file"):
        if name in figures:
            flags.setdefault(name, figures.pop(name))
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
    for name in ("gpu_memory_utilization", "max_num_batched_tokens", "seq_len", "block_size"):
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
    except OSError as error:
        raise FileFormatError(f"{name}: cannot be read: {error.strerror}") from None


def _lines(content: str | bytes) -> Iterable[tuple[int, str]]:
    if isinstance(content, bytes):
        if b"\x00" in content[:65_536]:
            raise FileFormatError("the log is no text: it holds zero bytes")
        size, content = len(content), content[: MAX_LOG_BYTES + 1].decode("utf-8", "replace")
    else:
        size = len(content)
    if size > MAX_LOG_BYTES:
        raise FileFormatError(
            f"the log is longer than {MAX_LOG_BYTES:,} bytes: give the part until the first request is served"
        )
    if "\x00" in content[:65_536] or content[:65_536].count("\ufffd") > 1_000:
        raise FileFormatError("the log is no text")
    return ((number, clean(line[:MAX_LINE])) for number, line in enumerate(content.splitlines(), 1))


def _may_be_of_the_start(line: str, known: Vocabulary) -> bool:
    """Tell the few lines that are worth a closer look from the many that are not."""
    if any(word in line for word in _SERVING) or ("req" in line and _REQUESTS.search(line)):
        return False
    return any(word in line for word in known.telling)


def _hits(line: str, known: Vocabulary) -> Iterable[tuple[str, Pattern, dict[str, Any]]]:
    """Yield whose pattern a line matches and what its groups say; a value that cannot be is not understood."""
    for engine, log in known.logs.items():
        for pattern in log.patterns:
            match = pattern.expression.search(line) if pattern.literal in line else None
            if not match:
                continue
            try:
                values = {name: read(match[name]) for name, read in pattern.means.items()}
            except ValueError:
                continue
            yield engine, pattern, values


def _begins_a_draft(log: Log, line: str) -> bool:
    return bool(log.draft_from and log.draft_from.search(line))


def _rank(line: str, ranks: dict[str, int], known: Vocabulary) -> str:
    """Return the rank that prints a line, empty for none, and keep how many there are of each kind at least."""
    found = next((match for rank in known.all_of("rank") if (match := rank.search(line[:200]))), None)
    if not found:
        return ""
    for kind, number in _RANKS.findall(found[1]):
        ranks[kind] = max(ranks.get(kind, 0), int(number) + 1)
    return str(found[1]).strip(" _")


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
                text = "{figure} is printed as {least:,} to {most:,}: the smallest is taken"
                problems.append(say("logs.problem.ranks_differ", text, figure=name, least=min(given), most=max(given)))
        else:
            figures[name] = given[0]
    for name, parts in log.together.items():
        if any(part in figures for part in parts):
            figures[name] = round(sum(figures.pop(part, 0) for part in parts), 6)
    problems += log.join(figures, values)
    if figures.get("kv_pool_gib") == 0 and figures.get("kv_tokens"):
        # a pool that another part of the engine allocates is printed as 0.00 GiB beside its tokens
        del figures["kv_pool_gib"]
    return figures, problems


def _stated(line: str, before: str, known: Vocabulary) -> dict[str, Any]:
    """Return what a line states of the configuration, by the names of ``plan``; the line before may go on in it."""
    stated: dict[str, Any] = {}
    for words in known.all_of("not_stated_after"):
        line = line.split(words)[0]
    pairs = [(found[1], found[2]) for found in known.assigned.finditer(line)] if "=" in line or ":" in line else []
    for found in known.command.finditer(line) if "-" in line else ():
        name = (found[2] or found[3]).replace("-", "_")
        name = known.short_arguments.get(name, name)
        if known.arguments[name][1] is as_flag:
            value = found[4] if found[4] and as_flag(found[4]) is not None else "true"
            pairs.append((name, "false" if found[1] else value))
        elif found[4]:
            pairs.append((name, found[4]))
    for name, value in pairs:
        target, read = known.arguments[name]
        value = value.strip("'\"").rstrip(":")
        if value in ("None", "null", ""):
            if name == "quantization" and value == "None":
                stated.setdefault(name, UNQUANTISED)
            continue
        try:
            answer = read(value)
        except ValueError:
            continue
        if answer is not None:
            stated.setdefault(target, answer)
    whole = f"{before.rstrip(chr(92))} {line.strip()}" if before.endswith("\\") else line
    served = next((match for expression in known.all_of("served") if (match := expression.search(whole))), None)
    if served:
        stated["model"] = served[1]
    device = _DEVICE.search(line)
    if device and "device" not in stated:
        stated["device"] = device[0].replace("_", " ").strip()
    return stated
