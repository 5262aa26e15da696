"""How a report is printed: text of one line, tables and JSON that nothing in them can act through."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO


def say(text: str = "", to: TextIO | None = None) -> None:
    """Print one line: all text of a report goes through here, so that none of it can act on a terminal or a CI log."""
    print(one_line(text), file=to)


def print_json(content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    print("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text))


def print_table(rows: Iterable[Sequence[str]], align: str) -> None:
    """Print rows in columns; ``align`` holds ``l`` or ``r`` for each."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(line, widths, align, strict=True)
        )
        say("  ".join(cells).rstrip())


def one_line(text: str) -> str:
    """Escape what a terminal or a CI log would act on, so that a name in a file stays a name."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
