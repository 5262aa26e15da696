"""What a checkpoint's lists of modules match, by the rules of the engine that reads them; patterns are foreign text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from calculator.errors import InvalidValueError, shown
from calculator.messages import say

LONGEST, MOST_REPEATS, MOST_ENTRIES, MOST_SECONDS = 300, 6, 50_000, 10.0
_NESTED = re.compile(r"[*+}][^()]{0,4000}+\)[*+{]|\){2,200}+[*+{]|\\[1-9]|\(\?P=")
"""A repeated group that holds a repeat, or a reference back: what can take a regular expression very long."""


@dataclass(frozen=True)
class Place:
    """A module of one layer, as checkpoints and as engines may call it.

    Attributes
    ----------
    kind : str
        ``linear``, ``experts``, ``head`` or ``embedding``.
    names : tuple of str
        What checkpoints call it, the place of its layer in front.
    wholes : tuple of str
        What an engine loads it as part of: a fused projection, or all experts of a layer.
    """

    kind: str
    names: tuple[str, ...]
    wholes: tuple[str, ...] = ()

    @property
    def all_names(self) -> tuple[str, ...]:
        """Its names, and those of what it is loaded as part of."""
        return self.names + self.wholes


Matches = Callable[[Place], bool]


def listed(names: object, what: str) -> tuple[str, ...]:
    """Return a list of names from a config, none where there is none; anything else is refused."""
    if names is None:
        return ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InvalidValueError(
            say(
                "patterns.must_list_names_modules",
                "{what} must be a list of names of modules, not {names}",
                what=what,
                names=shown(names),
            ),
            what=what,
            asked=names,
        )
    if len(names) > MOST_ENTRIES:
        raise InvalidValueError(
            say(
                "patterns.has_more_than_entries",
                "{what} has more than {most_entries:,} entries",
                what=what,
                most_entries=MOST_ENTRIES,
            ),
            what=what,
        )
    return tuple(names)


def flattened(names: object, what: str) -> tuple[str, ...]:
    """Return a list of names, or of lists of names, as one list."""
    if not isinstance(names, list | tuple):
        return listed(names, what)
    flat = [name for each in names for name in (each if isinstance(each, list | tuple) else [each])]
    return listed(flat, what)


@lru_cache(maxsize=4096)
def pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression of others; what could take very long to match is refused."""
    repeats = len(re.findall(r"[*+]|\{\d*,", text))
    if len(text) > LONGEST or repeats > MOST_REPEATS or _NESTED.search(text):
        raise InvalidValueError(
            say(
                "patterns.pattern_quantization_config_longer",
                "the pattern {text} of quantization_config is longer than {longest} characters or "
                "repeats within repeats, which can take endless; name the modules instead",
                text=shown(text),
                longest=LONGEST,
            ),
            what="quantization_config",
            asked=text,
        )
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidValueError(
            say(
                "patterns.pattern_quantization_config_no",
                "the pattern {text} of quantization_config is no regular expression: {error}",
                text=shown(text),
                error=error,
            ),
            what="quantization_config",
            asked=text,
        ) from None


class Clock:
    """Ends what takes too long: the lists and patterns of a checkpoint are foreign."""

    def __init__(self) -> None:
        self._end = time.monotonic() + MOST_SECONDS

    def check(self) -> None:
        """Raise ``InvalidValueError`` where the time is over."""
        if time.monotonic() > self._end:
            raise InvalidValueError(
                say(
                    "patterns.matching_module_lists_quantization",
                    "matching the module lists of quantization_config takes more than {most_seconds:g} s",
                    most_seconds=MOST_SECONDS,
                ),
                what="quantization_config",
            )


def exactly(entries: Iterable[str]) -> Matches:
    """Match a module, what it is loaded as part of, or any expert: names in full (fp8 and FBGEMM)."""
    given = tuple(entries)
    known, experts = frozenset(given), tuple(entry for entry in given if "experts" in entry)

    def matches(place: Place) -> bool:
        if any(name in known for name in place.all_names):
            return True
        return place.kind == "experts" and any(whole in entry for whole in place.wholes for entry in experts)

    return matches


def within(entries: Iterable[str]) -> Matches:
    """Match a module whose name holds an entry (AWQ, modules of GPTQ)."""
    given = tuple(dict.fromkeys(entries))
    return lambda place: any(entry in name for name in place.all_names for entry in given)


def wildcards(entries: Iterable[str]) -> Matches:
    """Match names in full, names that hold an entry, and wildcards (ModelOpt)."""
    given = tuple(dict.fromkeys(entries))
    plain = tuple(part for entry in given for part in _whole_tree(entry))
    in_full, held = exactly(plain), within(plain)
    globs = [pattern_of_glob(entry) for entry in plain if any(sign in entry for sign in "*?[")]

    def matches(place: Place) -> bool:
        if in_full(place) or held(place):
            return True
        return any(glob.match(name) for name in place.all_names for glob in globs)

    return matches


def _whole_tree(entry: str) -> tuple[str, ...]:
    """A name with a star right behind it stands for the module and all below it."""
    if len(entry) >= 2 and entry[-1] == "*" and entry[-2] != ".":
        return (entry[:-1], entry[:-1] + ".*")
    return (entry,)


@lru_cache(maxsize=4096)
def pattern_of_glob(text: str) -> re.Pattern[str]:
    """Return a wildcard as a regular expression, of no more repeats than one may have."""
    if len(text) > LONGEST or text.count("*") > MOST_REPEATS:
        raise InvalidValueError(
            say(
                "patterns.wildcard_quantization_config_longer",
                "the wildcard {text} of quantization_config is longer than {longest} characters or has "
                "more than {most_repeats} stars",
                text=shown(text),
                longest=LONGEST,
                most_repeats=MOST_REPEATS,
            ),
            what="quantization_config",
            asked=text,
        )
    return re.compile(translate(text))


def is_named(name: str, target: str) -> bool:
    """Whether a name is a target, or matches it as a regular expression behind ``re:`` (compressed-tensors)."""
    return bool(pattern(target[3:]).match(name)) if target.startswith("re:") else target == name


def named(entries: Iterable[str]) -> Matches:
    """Match names in full and regular expressions behind ``re:`` (compressed-tensors)."""
    known = frozenset(entry for entry in entries if not entry.startswith("re:"))
    patterns = [pattern(entry[3:]) for entry in dict.fromkeys(entries) if entry.startswith("re:")]

    def matches(place: Place) -> bool:
        return any(name in known or any(each.match(name) for each in patterns) for name in place.all_names)

    return matches
