"""What can go wrong, as one tree.

::

    CalculatorError (ValueError)
    ├── UnknownNameError     a model, GPU, storage format or keyword that does not exist
    ├── InvalidValueError    a number, path or text that is outside what is allowed
    ├── ParallelismError     a degree of parallelism that the model cannot be split into
    ├── UnsupportedError     understood, and refused: not computed rather than guessed
    └── FileFormatError      a file that is not what it claims to be, with its line

Every error that input can cause is one of these. A message says what was asked, what is
allowed, and the nearest value that works. Memory that does not suffice is no error: it is
the answer of a plan.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from calculator.messages import joined, phrase, say

P = ParamSpec("P")
R = TypeVar("R")


class CalculatorError(ValueError):
    """Any request that cannot be answered, with the reason.

    Attributes
    ----------
    what : str
        The input that is at fault, such as the keyword; empty where it is none alone.
    asked, allowed, nearest : object
        What was asked, what would be allowed, and the nearest value that works; None where there is none.
    """

    def __init__(
        self, message: str, *, what: str = "", asked: object = None, allowed: object = None, nearest: object = None
    ) -> None:
        super().__init__(message)
        self.what, self.asked, self.allowed, self.nearest = what, asked, allowed, nearest

    def __str__(self) -> str:
        """Return the message itself, which knows its key where it was made with one."""
        message = self.args[0]
        return message if isinstance(message, str) else str(message)

    def _render_traceback_(self) -> list[str]:
        """Let notebooks show the sentence alone: the reader's own cell is at fault, not this code."""
        return [f"{type(self).__name__}: {self}"]


class UnknownNameError(CalculatorError):
    """A name that does not exist."""


class InvalidValueError(CalculatorError):
    """A value outside what is allowed."""


class ParallelismError(CalculatorError):
    """A degree of parallelism that the model cannot be split into."""


class UnsupportedError(CalculatorError):
    """Something understood that is refused rather than guessed."""


class FileFormatError(CalculatorError):
    """A file that is not what it claims to be.

    Attributes
    ----------
    line : int
        The line at fault, the first where none is known.
    """

    def __init__(self, message: str, *, line: int = 1, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.line = line


def shown(value: object, limit: int = 60) -> str:
    """Quote a foreign value for a message: on one line, escaped, and short."""
    text = (
        repr(value) if not isinstance(value, int) or abs(value) < 10**20 else f"about 10^{int(math.log10(abs(value)))}"
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"


def unknown_name(
    kind: str, asked: object, known: Iterable[str], what: str = "", otherwise: str = ""
) -> UnknownNameError:
    """Build the error for a name that is not among the known ones, with the near matches and what else would do."""
    names = sorted(known)
    text = str(asked)[:200]
    begun = [name for name in names if len(text) > 1 and name.startswith(text.lower())]
    similar = difflib.get_close_matches(text.lower(), names, n=3, cutoff=0.5)
    within = [name for name in names if len(text) > 2 and text.lower() in name]
    near = list(dict.fromkeys(begun + within[:3] + similar))[:3]
    hint = say("errors.known_are", "known are {names}", names=_listed(names))
    if near:
        hint = say("errors.did_you_mean", "did you mean {names}?", names=joined(" or ", near))
    if otherwise:
        hint = joined("; ", [hint, otherwise])
    return UnknownNameError(
        say("errors.unknown", "unknown {kind} {asked}: {hint}", kind=phrase(kind), asked=shown(asked), hint=hint),
        what=what or kind,
        asked=asked,
        allowed=tuple(names),
        nearest=near[0] if near else None,
    )


def friendly(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a call with a misspelt, missing or surplus argument into a ``CalculatorError``."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            traceback = error.__traceback__
            if traceback is None or traceback.tb_next is not None:
                raise
            parameters = inspect.signature(function).parameters.values()
            known = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
            takes_any = any(each.kind == each.VAR_KEYWORD for each in parameters)
            # one that takes any keyword failed for want of an argument, unless a keyword looks like it
            near = [each for each in known[len(args) :] if each not in kwargs]
            unknown = [name for name in kwargs if name not in known]
            misspelt = next((each for each in unknown if not takes_any or difflib.get_close_matches(each, near)), None)
            if misspelt:
                called = function.__qualname__.removesuffix(".__init__")
                raise unknown_name(f"keyword of {called}", misspelt, known) from None
            raise InvalidValueError(str(error).replace("()", "", 1).replace(".__init__", "", 1)) from None

    return call


def _listed(names: list[str], limit: int = 20) -> str:
    if len(names) <= limit:
        return joined(", ", names)
    return say("errors.and_more", "{names} and {more} more", names=joined(", ", names[:limit]), more=len(names) - limit)
