"""What an engine prints at start-up, read: its version, the model, the flags, and every figure of memory.

A log is hostile and long: it is read line by line, within bounds, and nothing of it is kept but what is recognised
here and the lines that are not, with what looks like a secret masked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from calculator.errors import FileFormatError
from calculator.log_patterns import (
    ARGUMENTS,
    DRAFT,
    PATTERNS,
    POOLS,
    SHORT_ARGUMENTS,
    SMALLEST,
    SUMMED,
    TOGETHER,
    as_flag,
)

MAX_LOG_BYTES = 64 * 2**20
MAX_LINE = 16_384
MAX_LISTED = 400
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


_NAMES = "|".join(sorted(ARGUMENTS, key=len, reverse=True))
_ASSIGNED = re.compile(
    rf"(?<![\w.])['\"]?({_NAMES})['\"]?\s*[=:]\s*('[^']{{0,200}}'|\"[^\"]{{0,200}}\"|[^\s,;)}}\]]{{1,200}})"
)
_COMMAND = re.compile(
    rf"(?<![\w-])(?:--(no-)?({_NAMES.replace('_', '[-_]')}|tp|pp)|-({'|'.join(SHORT_ARGUMENTS)}))"
    r"(?![\w-])(?:[= ]+((?!-)[^\s\\]\S{0,200}))?"
)
_SERVED = re.compile(r"(?:(?:^|[\s$#])vllm serve|vllm-openai:[\w.-]{1,80}(?= +[\w.-]+/)) +((?!-)[\w./:@-]{2,200})")
_NO_ARGUMENTS = "Replace gpu_memory_utilization config with"
"""What vLLM prints after these words is what could be given, not what is."""
_RANK = re.compile(r"\(Worker_((?:[A-Z]{2,3}\d{1,3}_?)+)[ )]|\[\d{4}-[^\]]{0,40}?((?: [A-Z]{2,3}\d{1,3})+)\]")
_RANKS = re.compile(r"([A-Z]{2,3})(\d{1,3})")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(hf_(?=[A-Za-z0-9]{6})|sk-|gh[opsu]_|AKIA|eyJ)[\w.~+/=-]{6,}"
    r"|(?i:((?:(?:api|access|secret|private)[_-]?key(?:[_-]?id)?"
    r"|token|secret|password|passwd|authorization)['\"]?\s*[=:]\s*(?:bearer )?)"
    r"['\"]?[^\s'\",;)]{4,})"
    r"|(://)[^/\s:@]{1,200}:[^/\s@]{1,200}@"
)
_DEVICE = re.compile(
    r"(?:NVIDIA|AMD|Tesla|GeForce|Instinct|Quadro)[ _][\w][\w /_-]{1,60}?(?=[,.;:()\]'\"]|\.json|$| - |  )"
)
_QUICK = re.compile(
    r"GiB|MiB|GB\b|KV|kv size|kv_|blocks|memory|padding layers|max model len|version|build:|ServerArgs|engine \(v|"
    r"concurrency|model|max_seq|tensor_parallel|cells|n_ctx|n_seq|n_ubatch|general\.name|args|--|[Cc]hunked|"
    r"mem_fraction|config|vllm serve|vllm-|vllm:|sgl-|sglang:|file type|\.gguf|-(?:tp|pp|dp|dcp)\b|swa|draft|"
    r"NVIDIA|maximum|max seq|tokens|GeForce|Instinct|Tesla|Quadro|flash_attn|fraction|full_layer|block size"
)
_SERVING = re.compile(r"throughput|HTTP/1|\breqs?\b|#running")
"""Lines of a running server: none of them is of the start, however many there are."""


def mask(text: str) -> str:
    """Return a line with what looks like a secret masked."""
    return _SECRET.sub(lambda found: (found[2] or found[3] or found[1] or "") + "•••" + ("@" if found[3] else ""), text)


def clean(line: str) -> str:
    """Return a line without terminal escapes and control characters."""
    return _CONTROL.sub("", _ESCAPES.sub("", line.replace("\t", " ")))


def read_log(content: str | bytes) -> StartupLog:
    """Read what vLLM, SGLang, TensorRT-LLM or llama.cpp printed at start-up.

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
        If it is no text, too long, holds lines of two engines, or nothing that any of the four prints.
    """
    found: dict[str, list[tuple[str, Any, str]]] = {}
    drafting: set[tuple[str, str]] = set()
    ranks: dict[str, int] = {}
    flags: dict[str, Any] = {}
    unread: list[tuple[int, str]] = []
    understood = unlisted = 0
    lines = _lines(content)
    last = ""
    for number, line in lines:
        quick = bool(_QUICK.search(line)) and not _SERVING.search(line)
        hits = (
            [(pattern, match) for pattern in PATTERNS for match in [pattern.expression.search(line)] if match]
            if quick
            else []
        )
        rank = _rank(line, ranks) if hits else ""
        if quick and DRAFT.search(line):
            drafting.add(("llama.cpp", rank))
        for pattern, match in hits:
            for name, read in pattern.means.items():
                if name in POOLS and (pattern.engine, rank) in drafting:
                    flags.setdefault("speculative", "draft")
                else:
                    found.setdefault(pattern.engine, []).append((name, read(match[name]), rank))
        if any("free_after_pool_gib" in pattern.means for pattern, _ in hits):
            drafting.add(("sglang", rank))
        stated = _stated(line, last) if quick or last.endswith("\\") else {}
        for name, value in stated.items():
            if flags.get(name, UNQUANTISED) == UNQUANTISED:
                flags[name] = value
        last = line.rstrip() if line.rstrip().endswith("\\") else line
        if hits or stated:
            understood += 1
        elif line.strip():
            if len(unread) < MAX_LISTED:
                unread.append((number, mask(line.strip())[:400]))
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
            "no line is one that vLLM, SGLang, TensorRT-LLM or llama.cpp prints about memory at start-up; "
            'a line of vLLM would be "GPU KV cache size: 157,584 tokens"'
        )
    engine = engines[0]
    figures, problems = _figures(found[engine])
    for name in ("engine_version", "device", "model", "file_type", "file"):
        if name in figures:
            flags.setdefault(name, figures.pop(name))
    figures.pop("server_args", None)
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
        problems.append("the last line is cut off")
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


def _rank(line: str, ranks: dict[str, int]) -> str:
    """Return the rank that prints a line, empty for none, and keep how many there are of each kind at least."""
    found = _RANK.search(line[:200])
    if not found:
        return ""
    named = found[1] or found[2]
    for kind, number in _RANKS.findall(named):
        ranks[kind] = max(ranks.get(kind, 0), int(number) + 1)
    return named.strip(" _")


def _figures(values: list[tuple[str, Any, str]]) -> tuple[dict[str, Any], list[str]]:
    """Return one value of each figure: the sum of parts, the smallest of ranks, else the first."""
    figures: dict[str, Any] = {}
    problems = []
    for name in dict.fromkeys(name for name, *_ in values):
        given = [value for key, value, _ in values if key == name]
        if name in SUMMED:
            figures[name] = sum(given)
        elif name in SMALLEST:
            figures[name] = min(given)
            if min(given) != max(given) and not (name == "kv_tokens" and "full_tokens" in figures):
                problems.append(f"{name} is printed as {min(given):,} to {max(given):,}: the smallest is taken")
        else:
            figures[name] = given[0]
    for name, parts in TOGETHER.items():
        if any(part in figures for part in parts):
            figures[name] = round(sum(figures.pop(part, 0) for part in parts), 6)
    if "full_tokens" in figures:
        figures["kv_tokens"] = figures.pop("full_tokens")
    if "k_gib" in figures:
        del figures["k_gib"], figures["v_gib"]
        problems += _token_pools(figures, values)
    if "window_pools_gib" in figures:
        figures["kv_pool_gib"] = figures.pop("window_pools_gib")
    if "kv_pool_bytes" in figures:
        figures["kv_pool_gib"] = figures.pop("kv_pool_bytes") / 2**30
    buffers = figures.pop("kv_buffer_gib", None)
    if "cells_gib" in figures:
        figures["kv_pool_gib"] = figures.pop("cells_gib")
    elif buffers is not None:
        figures.setdefault("kv_pool_gib", buffers)
    for name, other in (
        ("buffer_gib", "weights_gib"),
        ("state_buffer_gib", "state_gib"),
        ("outside_torch_gib", "non_torch_gib"),
    ):
        if name in figures:
            figures.setdefault(other, figures.pop(name))
    if "peak_torch_gib" in figures and "weights_gib" in figures:
        figures["activation_gib"] = round(figures.pop("peak_torch_gib") - figures["weights_gib"], 4)
    if figures.get("kv_pool_gib") == 0 and figures.get("kv_tokens"):
        # a pool that another part of the engine allocates is printed as 0.00 GiB beside its tokens
        del figures["kv_pool_gib"]
    return figures, problems


def _token_pools(figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
    """Add the pool of keys and values, of the rank that has least; with windows a rank prints two, states are apart."""
    windows = "window_tokens" in figures
    sizes: dict[str, list[float]] = {}
    for (name, k, rank), (_, v, _) in pairwise(values):
        if name == "k_gib" and (windows or k + v not in sizes.get(rank, ())):
            sizes.setdefault(rank, []).append(k + v)
    whole = [sum(parts) for parts in sizes.values() if len(parts) > 1 or not windows]
    if whole:
        figures["kv_pool_gib"] = round(min(whole) + figures.get("state_gib", 0.0), 6)
    elif "window_pools_gib" not in figures:
        return ["the size of one of the two pools is not printed: only their tokens are compared"]
    return []


def _stated(line: str, before: str = "") -> dict[str, Any]:
    """Return what a line states of the configuration, by the names of ``plan``; the line before may go on in it."""
    stated: dict[str, Any] = {}
    line = line.split(_NO_ARGUMENTS)[0]
    pairs = [(found[1], found[2]) for found in _ASSIGNED.finditer(line)] if "=" in line or ":" in line else []
    for found in _COMMAND.finditer(line) if "-" in line else ():
        name = (found[2] or found[3]).replace("-", "_")
        name = SHORT_ARGUMENTS.get(name, name)
        if ARGUMENTS[name][1] is as_flag:
            value = found[4] if found[4] and as_flag(found[4]) is not None else "true"
            pairs.append((name, "false" if found[1] else value))
        elif found[4]:
            pairs.append((name, found[4]))
    for name, value in pairs:
        target, read = ARGUMENTS[name]
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
    served = _SERVED.search(f"{before.rstrip(chr(92))} {line.strip()}" if before.endswith("\\") else line)
    if served:
        stated["model"] = served[1]
    device = _DEVICE.search(line)
    if device and "device" not in stated:
        stated["device"] = device[0].replace("_", " ").strip()
    return stated
