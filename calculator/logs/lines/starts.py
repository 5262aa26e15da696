"""The starts of a log: an engine that did not start is started again, and one file holds them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from calculator.logs.lines.vocabulary import UNQUANTISED, Vocabulary, begins_drafts, described_by, hits_of, rank_of

SAID_BY_ANY_LINE = {"server_lines", "offline_lines"}
"""Figures that a line says by who prints it, whatever it says besides."""
SAID_ANYWHERE = ("engine_version", "file", "architecture", "refused_gib", "capacity_gib", *SAID_BY_ANY_LINE)
"""Figures that another engine's log may hold too."""
STATED_ALONE = ("engine_version", "file", "draft_method", "draft_tokens", "args_whole")
"""Figures that are of the set-up alone, not of memory."""
ALONE = frozenset((*SAID_ANYWHERE, *STATED_ALONE))

ENDS_A_START = frozenset({
    "kv_pool_gib", "kv_tokens", "num_blocks", "kv_buffer_gib", "cells_gib", "allocated_gib", "k_gib",
    "nothing_left", "refused_gib", "refused_sequences", "needed_gib",
})  # fmt: skip
"""Figures after which a line that begins a start begins another one: a capacity, or why there is none."""


@dataclass
class Start:
    """What is read of one start: figures by engine, what is stated, and who prints."""

    found: dict[str, list[tuple[str, Any, str]]] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    described: dict[str, dict[str, str]] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    drafting: set[tuple[str, str]] = field(default_factory=set)
    has_ended: bool = False

    def take(self, line: str, known: Vocabulary) -> bool:
        """Take what a line prints; return whether it is one that an engine prints."""
        hits = list(hits_of(line, known))
        rank = rank_of(line, self.ranks, known) if hits else ""
        self.drafting |= {(engine, rank) for engine in begins_drafts(line, known)}
        for engine, _, values in hits:
            for name, value in values.items():
                if name in known.logs[engine].pools and (engine, rank) in self.drafting:
                    self.flags.setdefault("speculative", "draft")
                else:
                    self.found.setdefault(engine, []).append((name, value, rank))
                self.has_ended = self.has_ended or name in ENDS_A_START
        said = list(described_by(line, known))
        for engine, name, value in said:
            self.described.setdefault(engine, {}).setdefault(name, value)
        self.drafting |= {
            (engine, rank) for engine, pattern, _ in hits if known.logs[engine].draft_after in pattern.means
        }
        return bool(said) or any(pattern.means.keys() - SAID_BY_ANY_LINE for _, pattern, _ in hits)

    def prints_memory(self) -> bool:
        """Whether any engine's figures of memory are among those of this start."""
        names = {name for values in self.found.values() for name, *_ in values}
        return any(name.endswith("_gib") or name in ENDS_A_START for name in names - ALONE)

    def prints_a_capacity(self, engine: str) -> bool:
        """Whether an engine's figures of this start hold a capacity, or why there is none."""
        return any(name in ENDS_A_START - {"refused_gib"} for name, *_ in self.found.get(engine, []))

    def add(self, other: Start) -> None:
        """Take what another part of the log states and this one does not."""
        for name, value in other.flags.items():
            if self.flags.get(name, UNQUANTISED) == UNQUANTISED:
                self.flags[name] = value
        for engine, values in other.found.items():
            self.found.setdefault(engine, []).extend(values)
        for engine, pairs in other.described.items():
            self.described[engine] = {**pairs, **self.described.get(engine, {})}


def those_of_memory(starts: list[Start]) -> list[Start]:
    """Return the starts that print figures of memory; what others state belongs to the one before, or the first.

    People paste the command and the configuration behind the lines that they ask about.
    """
    found: list[Start] = []
    before: list[Start] = []
    for start in starts:
        if start.prints_memory():
            found.append(start)
        elif found:
            found[-1].add(start)
        else:
            before.append(start)
    if not found:
        found = [before.pop(0)]
    for start in before:
        found[0].add(start)
    return found
