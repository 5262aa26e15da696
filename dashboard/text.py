"""Text on the page: said in the reader's language, and foreign text shown as it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from calculator.languages import said_in
from calculator.messages import Message, begins_with_name, joined
from dashboard import language

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:$~&])")
_AUTOLINK = re.compile(r"(www|https?|ftp|mailto|xmpp|@|:material)", re.IGNORECASE)
_WORD_JOINER = "\u2060"


_FORMULA = re.compile(r"[=+\-@\t\r]")
_NOT_OF_FILES = re.compile(r"[^A-Za-z0-9._-]")


def tell(template: str, /, **values: Any) -> str:
    """Return a text of the page in the reader's language, with the values that it names."""
    return said_in(Message("page", template, values), language.now())


def told(text: str) -> str:
    """Return a text of the calculator in the reader's language."""
    return said_in(text, language.now())


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Return texts one after the other, as the reader's language separates them."""
    return told(joined(separator, texts))


def ended(text: str) -> str:
    """Return a sentence as plain text, with what ends one."""
    return tell("{text}.", text=plain(text))


def sentence(text: str) -> str:
    """Begin a message with a capital, unless it begins with a name."""
    text = told(text)
    return text if begins_with_name(text) else text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Escape text so that Markdown, HTML, icons, formulas and addresses in it stay text, and none turns its direction.

    Addresses and icons are recognised after backslashes are taken away, so an invisible joiner breaks them up.
    """
    said = told(text)
    seen = " ".join(said.split())
    if not seen.isprintable():
        seen = "".join(char if char.isprintable() else "\ufffd" for char in seen)
    joined = _AUTOLINK.sub(lambda found: found[0][0] + _WORD_JOINER + found[0][1:], seen)
    return _MARKUP.sub(r"\\\1", joined)


def file_name(text: str) -> str:
    """Return what a file may be called everywhere: letters, digits, dots and dashes, none of them hidden."""
    return _NOT_OF_FILES.sub("-", text)[:100].lstrip(".-") or "plan"


def cell(value: object) -> object:
    """Return a cell of a CSV file; text that a spreadsheet would take for a formula stays text."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
