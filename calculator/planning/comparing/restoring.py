"""Which flag of an engine brings a number of an older answer back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from calculator.errors import CalculatorError
from calculator.planning.answer import Plan
from calculator.planning.command import flag_of
from calculator.planning.comparing.terms import ANSWERS, HELD, LEFT, ONE_GPU, SEQUENCE
from calculator.planning.plan import vary
from calculator.request import FLAGS, OPTIONS

SETS_THE_SCENE = ("weight_dtype", "seq_len")
"""What follows from the model where it is not said: not how the engine is set up for it."""


class Restoring(NamedTuple):
    """A flag that brings numbers back.

    Attributes
    ----------
    keyword, value : str, object
        The keyword of ``plan`` and what to give it.
    flag : str
        The same as the engine's command line has it.
    restores : tuple of str
        Keys of the terms that are what they were.
    """

    keyword: str
    value: Any
    flag: str
    restores: tuple[str, ...]


def restorings(before: Plan, after: Plan) -> tuple[Restoring, ...]:
    """Return every single flag that brings back what differs: first those for the sequences, then for most numbers."""
    terms = [term for term in (*ANSWERS, *SEQUENCE, *ONE_GPU, *LEFT) if term.of(before) != term.of(after)]
    found = []
    for keyword, value in _tried(before, after) if terms else ():
        try:
            with_it = vary(after, **{keyword: value})
        except CalculatorError:
            continue
        restored = tuple(term.key for term in terms if term.of(with_it) == term.of(before))
        if restored:
            found.append(Restoring(keyword, value, flag_of(with_it, keyword), restored))
    return tuple(sorted(found, key=lambda one: (HELD not in one.restores, -len(one.restores))))


def _tried(before: Plan, after: Plan) -> Iterator[tuple[str, Any]]:
    """Yield the old value of what a version sets otherwise, and every switch of the engine the other way."""
    for name, option in OPTIONS.items():
        if not option.is_engines or name in SETS_THE_SCENE or name not in after.rules.flags:
            continue
        if before.asked.get(name) != after.asked.get(name):  # the reader's own change
            continue
        old, new = getattr(before.request, name), getattr(after.request, name)
        if name in FLAGS:
            for value in (True, False):
                if value != after.asked.get(name):
                    yield name, value
        elif old is not None and old != new:
            yield name, old
