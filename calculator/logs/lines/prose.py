"""What the words beside a log's lines name: people say which card it was, and which model, and paste the log below."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from calculator.catalogue.presets import gpu_id, gpu_ids
from calculator.errors import UnknownNameError
from calculator.logs.lines.vocabulary import is_of_serving

MOST_LINES, MOST_WORDS, LONGEST = 2_000, 400, 2_000
"""No more lines, words that may be a model's name, and characters of a line are looked at."""
_IS_OF_A_LOG = re.compile(
    r"\s{0,40}+(?:\(\w{3,30}+[^)]{0,60}\)|\[(?:[0-9]|T[Ra-z]|rank|llama|\w{1,40}+\.py)|"
    r"INFO|WARN|ERROR|DEBUG|CRITICAL|Traceback|File \"|[\d.:-]{4,30}|"
    r"llama_|llm_|ggml_|print_info|load|create_tensor|[\w.-]{1,60}+ {0,20}+\| )"
)
_MAKERS = r"(?:NVIDIA|Nvidia|AMD|Intel|GeForce|Tesla|Quadro|Instinct|Radeon|RTX|GTX|RX|Arc|AI|PRO|Pro)"
_MORE = r"(?:[Tt]i|SUPER|Super|XTX?|Ada|Blackwell|Laptop|SXM[0-9]?|PCI[Ee]|NVL|D|[0-9]{2,3} ?GB?)"
_CARD = re.compile(
    r"(?<![\w/.@=:-])(?:(?P<many>[0-9]{1,2} ?[x×*] ?|(?:[Dd]ual|[Tt]win|[Tt]wo|[Ff]our|[Ee]ight) )|"
    r"(?P<maker>(?:" + _MAKERS + r"[ -]?){1,5}+)){0,3}+"
    r"(?:(?P<chip>[A-Z]{1,3}[0-9]{1,4}[A-Z]{0,3})|(?P<small>[a-z]{1,3}[0-9]{1,4}[a-z]{0,2})|"
    r"(?P<number>[1-9][0-9]{3}(?:Ti|D)?)|(?P<box>DGX Spark|Strix Halo))s?+"
    r"(?P<more>(?:[ -]" + _MORE + r"\b){0,4}+)(?![\w/@=-])"
)
"""A card as people write it: a chip in capitals, or in small letters or four digits behind a maker or a count."""
_GB = re.compile(r"([0-9]{2,3}) ?GB?\b")
_VERSION = re.compile(r"(?<![\w/.@=-])([A-Za-z][\w.-]{2,20}+) (?:version:? )?v?([0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,60}+)")
_RANKS = re.compile(r"(?<![\w-])(?:TP|tp)(?: ?[=:] ?| )?([1-9][0-9]?)(?![\w.])")
_FILE = re.compile(r"\.(?:ya?ml|json|sh|py|md|txt|log|whl)$")
_WORD = re.compile(r"(?<![\w/.@=-])[A-Za-z][\w./+-]{3,100}+")
_BEFORE_A_BAR = re.compile(r"\s{0,8}+([A-Za-z][\w.-]{3,60}+) {0,30}+\| ")


@dataclass
class Prose:
    """What a log's text holds that no engine printed.

    Attributes
    ----------
    devices : dict
        Ids that each card that is named may be, in the order of the text.
    words : dict
        What may be a model's name.
    versions : dict
        What is named with a version, in lower case, and the version.
    ranks : dict
        Degrees of tensor parallelism that are named.
    """

    devices: dict[tuple[str, ...], None] = field(default_factory=dict)
    words: dict[str, None] = field(default_factory=dict)
    versions: dict[tuple[str, str], None] = field(default_factory=dict)
    ranks: dict[int, None] = field(default_factory=dict)
    lines: int = 0

    def take(self, line: str) -> None:
        """Take what a line names: all of one that no engine printed, of any other the service before its bar."""
        if self.lines >= MOST_LINES:
            return
        self.lines = MOST_LINES if is_of_serving(line) else self.lines + 1
        before = _BEFORE_A_BAR.match(line[:LONGEST])
        if before:
            self._word(before[1])
        if _IS_OF_A_LOG.match(line):
            return
        for found in cards(line[:LONGEST]):
            self.devices.setdefault(found)
        for name, version in _VERSION.findall(line[:LONGEST]):
            self.versions.setdefault((name.lower(), version.rstrip(".")))
        for degree in _RANKS.findall(line[:LONGEST]):
            self.ranks.setdefault(int(degree))
        for word in _WORD.findall(line[:LONGEST]):
            self._word(word)

    def stated(self, engine: str) -> dict[str, Any]:
        """Return what the text states of an engine's start, by the names of ``plan``, where it states one thing."""
        same = {version for name, version in self.versions if name.replace("-", "") == engine.replace("-", "")}
        found: dict[str, Any] = {}
        if len(same) == 1:
            found["engine_version"] = next(iter(same))
        if len(self.ranks) == 1:
            found["tensor_parallel_size"] = next(iter(self.ranks))
        return found

    def _word(self, word: str) -> None:
        if len(self.words) < MOST_WORDS and any(sign.isdigit() for sign in word):
            word = word.rstrip(".,;:/-_")
            # a recipe or a script has the name of what it starts
            self.words.setdefault(_FILE.sub("", word).rpartition("/")[2] if _FILE.search(word) else word)


def cards(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the ids that each card that a line names may be, those that no preset has left out.

    Parameters
    ----------
    line : str
        Text as a person writes it [-].

    Returns
    -------
    iterator of tuple of str
        Ids of presets.
    """
    for found in _CARD.finditer(line):
        chip = found["chip"] or found["number"] or found["small"] or found["box"]
        if (found["number"] or found["small"]) and not (found["many"] or found["maker"]):
            continue
        named = f"{found['maker'] or ''}{chip}"
        more = _GB.sub(r"\1GB", found["more"]).split()
        for many in range(len(more), -1, -1):
            ids = _ids_of(" ".join([named, *more[:many]]))
            if ids:
                yield ids
                break


def _ids_of(name: str) -> tuple[str, ...]:
    try:
        return (gpu_id(name),)
    except UnknownNameError as error:
        choices = error.allowed if isinstance(error.allowed, tuple) else ()
        return () if set(choices) >= set(gpu_ids()) else choices
