"""Claims that circulate about KV heads, as data: what each says, and the figures that it is set against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from calculator.catalogue.presets import data_file
from calculator.reading import strict_yaml
from calculator.reading.fields import choice, mapping, text
from calculator.reading.frozen import frozen
from calculator.reading.schema import Schema


class Verdict(StrEnum):
    """What became of a claim when it was computed."""

    REPRODUCED = "reproduced"
    REFUTED = "refuted"
    CONDITIONAL = "conditional"


TOPICS = ("memory", "speed", "quality", "conversion", "models", "parallelism", "cost", "choice")


@dataclass(frozen=True, slots=True)
class ClaimEntry:
    """A claim as its file has it; ``holds`` is a template that ``figures`` fill in."""

    number: int
    topic: str
    verdict: Verdict
    says: str
    holds: str
    figures: Mapping[str, Mapping[str, Any]]
    source: str


_SCHEMA = Schema(
    "Claim",
    {
        "topic": choice(TOPICS),
        "verdict": choice(list(Verdict)),
        "says": text(400),
        "holds": text(1_000),
        "figures": mapping(required=False),
        "source": text(300, required=False),
    },
)


@cache
def claim_entries() -> tuple[ClaimEntry, ...]:
    """Return every claim of the shipped file, by its number.

    Raises
    ------
    FileFormatError
        If the file is not what it should be, with line and field.
    """
    document = strict_yaml.read(data_file("circulating_claims.yaml"))
    found = []
    for key, entry in document.data["claims"].items():
        for location, problem in _SCHEMA.all_problems(entry):
            raise document.error(("claims", key, *location), str(problem))
        if not key.isascii() or not key.isdigit():
            raise document.error(("claims", key), "a claim is known by its number")
        for name, figure in entry.get("figures", {}).items():
            if not isinstance(figure, dict) or "by" not in figure:
                raise document.error(("claims", key, "figures", name), "must name its function with by")
        found.append(
            ClaimEntry(
                int(key),
                entry["topic"],
                Verdict(entry["verdict"]),
                entry["says"],
                entry["holds"],
                frozen(entry.get("figures", {})),
                entry.get("source", ""),
            )
        )
    return tuple(found)
