"""What all engines print, together, and what one line says by it; each engine's own words are in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from calculator.engines import ENGINES, engine_log
from calculator.engines.log import Argument, Log
from calculator.engines.patterns import OUT_OF_MEMORY, Pattern, as_flag, as_switched_off

UNQUANTISED = "none"
"""The quantisation of a log that says there is none; a later line may name one."""
_RANKS = re.compile(r"([A-Z]{2,3})([0-9]{1,3})")
_DEVICE = re.compile(
    r"(?:NVIDIA|AMD|Tesla|GeForce|Instinct|Quadro)[ _][\w][\w /_-]{1,60}?(?:\.[0-9]{1,3}+gb)?+"
    r"(?=[,.;:()\]'\"|]|\.json|$| - |  )"
)
_NO_DEVICE = (
    "Release", "Corporation", "Container", "Driver", "Deep", "Nsight", "CUDA", "cuDNN", "Triton", "TensorRT", "Dynamo",
    "NIM", "Management", "Open", "Software", "Inference", "AI", "and", "or", "GPU", "GPUs", "devices", "ROCm",
)  # fmt: skip
_MIB = re.compile(r"(?<![0-9.])([0-9]{4,7}) ?MiB")
"""Sizes behind a device's name: nvidia-smi prints what the device has, and what is in use of it."""
_TELLS_A_DEVICE = re.compile(r"[0-9]|Graphics|Thor")
"""A device's name; what makers print of other things is none, nor what has their words but no number."""
_MODEL = re.compile(r"\b[Mm]odel (?:[Pp]ath|[Nn]ame|ID|id) ?[:=] {0,20}+['\"]?+([\w./~][\w./:@~-]{1,300})")
_NO_NAME = ("<", "$", "{", "...")
_CODE = frozenset("=[](){}")
"""Signs of an expression, which no name of a model has."""
"""What stands for a name in a help text or a warning."""
_DATE = re.compile(r"(?<![0-9])(20[0-9]{2})[-/]([01][0-9])[-/]([0-3][0-9])(?![0-9])")
_TELLING = (
    "GiB", "MiB", "GB", "KV", "kv_", "blocks", "memory", "version", "model", "args", "--", "config", "tokens", "Model",
    "NVIDIA", "GeForce", "Instinct", "Tesla", "Quadro",
)  # fmt: skip
"""A line without any of these, or of the words that tell an engine's lines, is of nothing that is read here."""
_SERVING = ("throughput", "HTTP/1", "#running", "Received request", "Receive: obj=", "log_server_r", "prompt_token_ids")
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

    @cached_property
    def patterns(self) -> tuple[tuple[str, tuple[str, ...], Pattern], ...]:
        """Return every pattern with what any line that matches holds, and whose it is."""
        own = [(pattern.literal, (name,), pattern) for name, log in self.logs.items() for pattern in log.patterns]
        return (*own, *((pattern.literal, tuple(self.logs), pattern) for pattern in OUT_OF_MEMORY))

    @cached_property
    def describes(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        """Return the expressions of lines that describe a model, and whose they are."""
        return tuple((name, expression) for name, log in self.logs.items() for expression in log.describes)

    @cached_property
    def answers(self) -> dict[str, tuple[Any, ...]]:
        """Return every engine's answer to a question, where it has one."""
        asked = ("served", "rank", "begins", "not_stated_after")
        return {name: tuple(filter(None, (getattr(log, name) for log in self.logs.values()))) for name in asked}

    @cached_property
    def drafts(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        """Return what tells that pools from a line on are those of a draft, and whose log it is."""
        return tuple((name, log.draft_from) for name, log in self.logs.items() if log.draft_from)


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


def is_of_serving(line: str) -> bool:
    """Whether a line is one of a server that runs: what a request's text holds says nothing of the start."""
    return any(word in line for word in _SERVING)


def may_be_of_the_start(line: str, known: Vocabulary) -> bool:
    """Tell the few lines that are worth a closer look from the many that are not."""
    if is_of_serving(line) or ("req" in line and _REQUESTS.search(line)):
        return False
    return any(word in line for word in known.telling)


def hits_of(line: str, known: Vocabulary) -> Iterable[tuple[str, Pattern, dict[str, Any]]]:
    """Yield whose pattern a line matches and what its groups say; a value that cannot be is not understood."""
    for literal, engines, pattern in known.patterns:
        match = pattern.expression.search(line) if literal in line else None
        if not match:
            continue
        try:
            values = {name: read(match[name]) for name, read in pattern.means.items()}
        except ValueError:
            continue
        for engine in engines:
            yield engine, pattern, values


def described_by(line: str, known: Vocabulary) -> Iterable[tuple[str, str, str]]:
    """Yield whose model a line describes, and the name and the value that it gives."""
    for engine, expression in known.describes:
        found = expression.search(line)
        if found:
            yield engine, found[1], found[2].strip()


def begins_a_start(line: str, known: Vocabulary) -> bool:
    """Whether a line is one of those that an engine prints first."""
    return any(expression.search(line) for expression in known.answers["begins"])


def begins_drafts(line: str, known: Vocabulary) -> Iterable[str]:
    """Yield in whose log pools that are printed from a line on are those of a draft."""
    return (engine for engine, expression in known.drafts if expression.search(line))


def rank_of(line: str, ranks: dict[str, int], known: Vocabulary) -> str:
    """Return the rank that prints a line, empty for none, and keep how many there are of each kind at least."""
    found = next((match for rank in known.answers["rank"] if (match := rank.search(line[:200]))), None)
    if not found:
        return ""
    for kind, number in _RANKS.findall(found[1]):
        ranks[kind] = max(ranks.get(kind, 0), int(number) + 1)
    return str(found[1]).strip(" _")


def stated_by(line: str, before: str, known: Vocabulary) -> dict[str, Any]:
    """Return what a line states of the configuration, by the names of ``plan``; the line before may go on in it."""
    stated: dict[str, Any] = {}
    for words in known.answers["not_stated_after"]:
        line = line.split(words)[0]
    some = known.assigned.finditer(line) if "=" in line or ":" in line else ()
    pairs = [(found[1], found[2]) for found in some if not line.startswith(" bytes", found.end())]
    for found in known.command.finditer(line) if "-" in line else ():
        name = (found[2] or found[3]).replace("-", "_")
        name = known.short_arguments.get(name, name)
        if known.arguments[name][1] in (as_flag, as_switched_off):
            value = found[4] if found[4] and as_flag(found[4]) is not None else "true"
            pairs.append((name, "false" if found[1] else value))
        elif found[4]:
            pairs.append((name, found[4]))
    for name, value in pairs:
        target, read = known.arguments[name]
        value = value.strip("'\"").rstrip(":")
        if target == "model" and (value.startswith(_NO_NAME) or _CODE & set(value)):
            continue
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
    served = next((match for expression in known.answers["served"] if (match := expression.search(whole))), None)
    if served and not served[1].startswith(_NO_NAME):
        stated["model"] = served[1]
    named = _MODEL.search(line)
    if named:
        stated.setdefault("model", named[1])
    dated = _DATE.search(line[:80])
    if dated:
        stated["date"] = "-".join(dated.groups())
    device = _DEVICE.search(line)
    if (
        device
        and "device" not in stated
        and _TELLS_A_DEVICE.search(device[0])
        and not device[0].replace("_", " ").split()[1].startswith(_NO_DEVICE)
    ):
        stated["device"] = device[0].replace("_", " ").strip()
        behind = [int(size) for size in _MIB.findall(line[device.end() : device.end() + 100])]
        if behind:
            stated["device_mib"] = max(behind)
    return stated
