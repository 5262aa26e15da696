"""How a line that an engine prints is recognised, and how what it says is read.

A size that is printed as GiB, GB (which then means GiB) or MiB is read as GiB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pattern:
    """One thing that an engine prints: how it is recognised, and what its groups mean."""

    expression: re.Pattern[str]
    means: Mapping[str, Callable[[str], Any]]
    literal: str
    """What any line that matches holds: most lines are told apart by it alone."""


LARGEST = 10**15
"""No size, count or share that an engine prints is beyond this: a petabyte, or as many tokens."""
_DIGITS = r"-?+[0-9]{1,25}+(?:,[0-9]{1,25}+){0,8}+(?:\.[0-9]{1,20}+)?+"
_NUMBER = re.compile(rf"({_DIGITS}(?:e[-+]?[0-9]{{1,3}}+)?+)\.?([kmgKMG]?)")


def number(text: str) -> float:
    """Read a number; one without bounds is none.

    Raises
    ------
    ValueError
        If it is no plain decimal number, or larger than anything that an engine prints.
    """
    found = _NUMBER.fullmatch(text)
    value = float(found[1].replace(",", "")) if found and not found[2] else LARGEST
    if abs(value) >= LARGEST:
        raise ValueError(text[:80])
    return value


_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
"""What human-readable counts end in."""


def count(text: str) -> int:
    """Read a count, with such a suffix; raises as ``number``."""
    if text[-1:] in _SUFFIXES:
        return _bounded(round(number(text[:-1]) * _SUFFIXES[text[-1]]))
    return int(number(text))


def _bounded(value: int) -> int:
    if abs(value) >= LARGEST:
        raise ValueError(f"{value}")
    return value


def first_name(text: str) -> str:
    """Return the first of names that are printed as a list."""
    return text.strip("[]'\" ")


def seen(text: str) -> int:
    """Return 0 for what is off, else 1: that a line was printed at all says something."""
    return int(text.strip() not in ("0", "false", "disabled", "off"))


def whole_mapping(text: str) -> int:
    """Return 1 for a mapping that is printed to its end.

    Raises
    ------
    ValueError
        If it is cut off.
    """
    if not text.rstrip().endswith("}"):
        raise ValueError(text[:80])
    return 1


def mib(text: str) -> float:
    """Read MiB [GiB]; raises as ``number``."""
    return number(text) / 1024


def word(text: str) -> str:
    """Read a word, without quotation marks."""
    return text.strip().strip("'\"")


def as_flag(text: str) -> bool | None:
    """Return what a switch is set to, None where that is no switch's value."""
    return {"true": True, "false": False}.get(text.strip().lower())


def as_switched_off(text: str) -> bool | None:
    """Return what is on where a switch says that it is off."""
    value = as_flag(text)
    return None if value is None else not value


_N = rf"((?<![0-9.,]){_DIGITS})"


def _literal(expression: str) -> str:
    """Return the longest text that stands in an expression outside of groups, classes, escapes and repeats."""
    rest = re.sub(r"<\w+>|\\.|\[[^\]]*\]", "\0", expression)
    while "(" in rest or "<" in rest:
        rest = re.sub(r"\([^()]*\)|<\w+:[^<>()|]*\|[^<>()]*>", "\0", rest)
        rest = re.sub(r"<\w+:([^<>()|]*)>", r"\1", rest)
    rest = re.sub(r".(?:[?*+]|\{[^}]*\})[?+]?", "\0", rest, flags=re.DOTALL)
    return max(re.split(r"[\0.^$]", rest), key=len) if "|" not in rest else ""


def pattern(expression: str, **means: Callable[[str], Any]) -> Pattern:
    """Return a pattern; ``<name>`` stands for a number of that name, ``<name:...>`` for another group."""
    literal = _literal(expression)
    expression = re.sub(r"<(\w+)>", lambda found: f"(?P<{found[1]}>{_N[1:]}", expression)
    expression = re.sub(r"<(\w+):((?:[^<>]|<[^>]*>)+)>", lambda found: f"(?P<{found[1]}>{found[2]})", expression)
    compiled = re.compile(expression)
    assert set(compiled.groupindex) == set(means), expression
    return Pattern(compiled, means, literal)


OUT_OF_MEMORY = (
    pattern(r"out of memory\. Tried to allocate <refused_gib> GiB", refused_gib=number),
    pattern(r"out of memory\. Tried to allocate <refused_gib> MiB", refused_gib=mib),
    pattern(r"has a total capacity of <capacity_gib> GiB", capacity_gib=number),
)
"""What torch prints for any engine: it says nothing of whose log it is."""
