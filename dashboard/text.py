"""Foreign text on the page, shown as it is written."""

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:$~&])")
_AUTOLINK = re.compile(r"(www|https?|ftp|mailto|xmpp|@|:material)", re.IGNORECASE)
_WORD_JOINER = "\u2060"


_FORMULA = re.compile(r"[=+\-@\t\r]")
_NOT_OF_FILES = re.compile(r"[^A-Za-z0-9._-]")


def sentence(text: str) -> str:
    """Begin a message with a capital, unless it begins with the name of an input."""
    return text if "_" in text.split(" ")[0] else text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Escape text so that Markdown, HTML, icons, formulas and addresses in it stay text, and none turns its direction.

    Addresses and icons are recognised after backslashes are taken away, so an invisible joiner breaks them up.
    """
    seen = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    joined = _AUTOLINK.sub(lambda found: found[0][0] + _WORD_JOINER + found[0][1:], seen)
    return _MARKUP.sub(r"\\\1", joined)


def file_name(text: str) -> str:
    """Return what a file may be called everywhere: letters, digits, dots and dashes, none of them hidden."""
    return _NOT_OF_FILES.sub("-", text)[:100].lstrip(".-") or "plan"


def cell(value: object) -> object:
    """Return a cell of a CSV file; text that a spreadsheet would take for a formula stays text."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
