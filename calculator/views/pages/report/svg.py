"""Charts as plain SVG: bars drawn from rows, with their text escaped, and what all charts are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from calculator.views.pages.report.frame import escape

KV, WEIGHTS, GREY, LIGHT, RED = "#2a70d2", "#b65c12", "#7c8592", "#d9dde3", "#c0392b"
WIDTH, LEFT, LINE = 720, 150, 26
LETTER, GAP, LEGEND_GAP = 6.8, 16, 34
"""Of text of 12 px about so many for a letter, and what is left free beside it."""
LONGEST = 60


class Part(NamedTuple):
    """A part of a bar: its name, its size, its colour, and whether it is hatched."""

    name: str
    size: float
    colour: str
    hatched: bool = False


class Row(NamedTuple):
    """A bar: what it is called, its parts, what stands at its end, and whether it is the one that was asked for."""

    label: str
    parts: tuple[Part, ...]
    end: str
    own: bool = False


def bars(rows: Sequence[Row], alt: str) -> str:
    """Return horizontal bars on one scale, each part with its name on hover, and a legend of the parts.

    Parameters
    ----------
    rows : sequence of Row
        The bars, from top to bottom [-].
    alt : str
        What they show, in words [-].

    Returns
    -------
    str
        An ``svg`` element.
    """
    longest = max((sum(part.size for part in row.parts) for row in rows), default=0.0) or 1.0
    right = min(WIDTH / 2, GAP + LETTER * max((len(row.end) for row in rows), default=0))
    start = min(WIDTH / 3, max(LEFT, GAP + LETTER * max((len(row.label) for row in rows), default=0)))
    scale = (WIDTH - start - right) / longest
    drawn = []
    for index, row in enumerate(rows):
        top, left = index * LINE + 4, float(start)
        weight = ' font-weight="700"' if row.own else ""
        drawn.append(text(start - 8, top + 13, row.label, f'text-anchor="end"{weight}'))
        for part in row.parts:
            wide = max(0.0, part.size * scale)
            drawn.append(_box(left, top, wide, LINE - 8, part))
            left += wide
        drawn.append(text(left + 8, top + 13, row.end, weight.strip()))
    legend, high = _legend(dict.fromkeys((part.name, part.colour, part.hatched) for row in rows for part in row.parts))
    top = len(rows) * LINE + 10
    return whole([*drawn, f'<g transform="translate(0 {top})">{legend}</g>'], top + high, alt)


def _legend(parts: Iterable[tuple[str, str, bool]]) -> tuple[str, int]:
    """Return squares with names, on as many lines as they take, and their height."""
    drawn, left, top = [], 0.0, 0
    for name, colour, hatched in parts:
        wide = len(name) * LETTER + LEGEND_GAP
        if left and left + wide > WIDTH:
            left, top = 0.0, top + 20
        drawn.append(_box(left, top, 12, 12, Part(name, 1, colour, hatched)))
        drawn.append(text(left + 18, top + 11, name, ""))
        left += wide
    return "".join(drawn), top + 20


def _box(left: float, top: float, wide: float, high: float, part: Part) -> str:
    fill = f"url(#hatch-{part.colour[1:]})" if part.hatched else part.colour
    edge = f' stroke="{part.colour}" stroke-width="0.5"' if part.hatched else ""
    title = f"<title>{escape(part.name)}</title>"
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high}" fill="{fill}"{edge}>{title}</rect>'


def text(x: float, y: float, said: str, more: str) -> str:
    """Return a text at a place, cut where it is too long."""
    shown = said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(shown)}</text>'


def whole(drawn: Sequence[str], high: float, alt: str) -> str:
    """Return what is drawn as one picture, which says in words what it shows."""
    hatches = "".join(
        f'<pattern id="hatch-{colour[1:]}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" stroke="{colour}" stroke-width="3"/></pattern>'
        for colour in (KV, RED)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {high:.0f}" role="img" aria-label="{escape(alt)}">'
        f"<defs>{hatches}</defs>{''.join(drawn)}</svg>"
    )
