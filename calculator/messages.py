"""Text that people read: English by itself, and it knows its key and its values, so that a face can say it otherwise.

No logic reads a text: what must be told apart is told by ``key``, or better by a value of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Message(str):
    """A text, made of a template and values; for all that takes a ``str`` it is one.

    Attributes
    ----------
    key : str
        What is said, the same in every language: ``room.what``.
    template : str
        The English text, with the values' names and formats in braces.
    values : dict
        What is filled in; another message among them is a part that is said in the same language.
    """

    key: str
    template: str
    values: dict[str, Any]

    def __new__(cls, key: str, template: str, values: dict[str, Any]) -> Message:
        """Fill the values in."""
        made = super().__new__(cls, template.format(**values))
        made.key, made.template, made.values = key, template, values
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep key and values when it is copied or pickled."""
        return Message, (self.key, self.template, self.values)


def say(key: str, template: str, /, **values: Any) -> Message:
    """Return a text by its key, with the values that it names; a value's format stands in the template."""
    return Message(key, template, values)


def joined(separator: str, parts: Sequence[str]) -> Message:
    """Return parts that stand one after the other, each still known by its key."""
    names = [f"part_{index}" for index in range(len(parts))]
    template = separator.join(f"{{{name}}}" for name in names)
    return Message("text.joined", template, dict(zip(names, parts, strict=True)))
