"""Tables in Markdown, and the quantile that they print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that a share of the values does not exceed, the nearest rank [-]."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]


def table(columns: Mapping[str, Callable[[Any], str]], rows: Iterable[Any]) -> str:
    """Return rows under columns, each with the text of its cells."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(value(row) for value in columns.values()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
