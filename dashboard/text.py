"""Foreign text on the page, shown as it is written."""

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:$~&])")


def plain(text: str) -> str:
    """Escape text so that Markdown, HTML, icons and formulas in it stay text."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
