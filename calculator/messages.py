"""Text that people read: English by itself, and it knows its key and its values, so that a face can say it otherwise.

No logic reads a text: what must be told apart is told by ``key``, or better by a value of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

JOINED = "text.joined"
"""The key of parts that stand one after the other: only what is between them is said by a language."""


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
        """Fill the values in; an error among them is what it says."""
        values = {name: str(value) if isinstance(value, Exception) else value for name, value in values.items()}
        made = super().__new__(cls, template.format(**values))
        made.key, made.template, made.values = key, template, values
        return made

    def __str__(self) -> str:
        """Return itself: a text stays known when it is asked for as a ``str``."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep key and values when it is copied or pickled."""
        return Message, (self.key, self.template, self.values)


class Counted(Message):
    """A number and what it counts, of which a language has its own forms.

    Attributes
    ----------
    forms : tuple of str
        The English templates for one, and for any other number.
    """

    forms: tuple[str, str]

    @classmethod
    def of(cls, key: str, number: int, one: str, many: str) -> Counted:
        """Return ``1 sequence`` or ``55 sequences``, by the two templates."""
        made = cls(key, one if number == 1 else many, {"number": number})
        made.forms = one, many
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep both forms as well."""
        return Counted.of, (self.key, self.values["number"], *self.forms)


class Recased(Message):
    """A message that begins with a capital or a small letter, where a language has them."""

    def __new__(cls, text: str, recased: str) -> Recased:
        """Say a text as it is recased in English."""
        made = str.__new__(cls, recased)
        made.key, made.template, made.values = "text.recased", "{text}", {"text": text}
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep how it is recased as well."""
        return Recased, (self.values["text"], str.__str__(self))


class Unsaid(NamedTuple):
    """A text that is made when it is read: what makes it, and of what."""

    make: Callable[..., str]
    values: tuple[Any, ...]


def said(text: str | Unsaid) -> str:
    """Return a text, made now where it was not made before."""
    return text.make(*text.values) if isinstance(text, Unsaid) else text


def begins_with_name(text: str) -> bool:
    """Whether the first word of a text is a name that is written in its own way: a capital, dot or line within it."""
    within = text.partition(" ")[0].rstrip(".,:;")[1:]
    return within != within.lower() or "_" in within or "." in within


def capitalised(text: str) -> Message:
    """Return a text that begins with a capital, unless it begins with a name such as vLLM, llama.cpp or seq_len."""
    return Recased(text, text if begins_with_name(text) else text[:1].upper() + text[1:])


def uncapitalised(text: str) -> Message:
    """Return a text that begins with a small letter, unless it begins with a name or an abbreviation."""
    return Recased(text, text[:1].lower() + text[1:] if text[1:2].islower() else text)


def say(key: str, template: str, /, **values: Any) -> Message:
    """Return a text by its key, with the values that it names; a value's format stands in the template."""
    return Message(key, template, values)


def phrase(text: str) -> Message:
    """Return a text that stands in a table as it is, such as a label; in a language it is known by itself."""
    return Message("phrase", text, {})


def joined(separator: str, parts: Sequence[str]) -> Message:
    """Return parts that stand one after the other, each still known by its key."""
    names = [f"part_{index}" for index in range(len(parts))]
    template = separator.join(f"{{{name}}}" for name in names)
    return Message(JOINED, template, dict(zip(names, parts, strict=True)))


def template(text: str) -> str:
    """Return a template with values as it is; so one that stands in a table is marked for catalogues of languages."""
    return text
