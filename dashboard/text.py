"""Foreign text on the page, shown as it is written."""

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:$~&])")


def sentence(text: str) -> str:
    """Begin a message with a capital, unless it begins with the name of an input."""
    return text if "_" in text.split(" ")[0] else text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Escape text so that Markdown, HTML, icons and formulas in it stay text."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
