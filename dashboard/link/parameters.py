"""How one parameter of a link is read: its default, its bounds, and what is said of what it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import calculator
from calculator.catalogue.model_names import meaning
from calculator.catalogue.presets import model_names
from calculator.errors import shown, unknown_name
from calculator.messages import say

CLEARED = "default"
"""What a link says of a field that was cleared: nothing is asked, so the planner's own default holds."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a link and of its widget: how it is read, its default, its bounds, whether it can be cleared.

    What a link leaves out is ``default``, but for what it ``keeps`` as the session has it; a field that the reader
    cleared is written as ``CLEARED`` where that is something else.
    """

    read: Callable[[str], Any]
    default: Any
    least: Any = None
    most: Any = None
    absent: str = "nothing"
    clears: bool = False
    keeps: bool = False


def choice(check: Callable[[str], Any], default: str, *also: str) -> Parameter:
    def read(text: str) -> str:
        found = text if text in also else check(text)
        return found if isinstance(found, str) else text

    return Parameter(read, default)


def preset(
    known: Callable[[], tuple[str, ...]], what: str, means: Callable[[str], str | None] = lambda _: None
) -> Callable[[str], str]:
    """Return what reads a preset's id or what else means it: a link must not make the server read a file."""

    def read(text: str) -> str:
        found = text if text in known() else means(text)
        if found is None:
            raise unknown_name(what, text, known())
        return found

    return read


def model_meant(text: str) -> str | None:
    """Return the preset that a repository means, where its name says neither another format nor another length."""
    found = meaning(text[:200], model_names())
    same = found is not None and found.max_position_embeddings is None and found.weight_dtype is None
    return found.preset if found is not None and same else None


def whole(text: str) -> int:
    plain = text.strip()
    if not plain.isascii() or not plain.removeprefix("-").isdigit():
        raise calculator.InvalidValueError(
            say("parameters.must_whole_number_not", "must be a whole number, not {text}", text=shown(text))
        )
    return int(plain)


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value:
        raise calculator.InvalidValueError(
            say("parameters.must_number_not", "must be a number, not {text}", text=shown(text))
        )
    return value


def bounded(value: Any, least: Any, most: Any) -> Any:
    if not least <= value <= most:
        raise calculator.InvalidValueError(
            say(
                "parameters.must_lie_between_not",
                "must lie between {least:,} and {most:,}, not {shown}",
                least=least,
                most=most,
                shown=shown(value),
            )
        )
    return value


def flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise calculator.InvalidValueError(
            say("parameters.must_true_false_not", "must be true or false, not {text}", text=shown(text))
        )
    return text == "true"
