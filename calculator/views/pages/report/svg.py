"""Charts as plain SVG: bars and lines drawn from rows, with their text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log10
from typing import NamedTuple

from calculator.views.pages.report.frame import escape

KV, WEIGHTS, GREY, LIGHT, RED = "#2a70d2", "#b65c12", "#7c8592", "#d9dde3", "#c0392b"
WIDTH, LEFT, LINE = 720, 150, 26
LETTER, GAP, LEGEND_GAP = 6.8, 16, 34
"""Of text of 12 px about so many for a letter, and what is left free beside it."""
LONGEST = 60
TICKS = 5


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
    scale = (WIDTH - LEFT - right) / longest
    drawn = []
    for index, row in enumerate(rows):
        top, left = index * LINE + 4, float(LEFT)
        weight = ' font-weight="700"' if row.own else ""
        drawn.append(_text(LEFT - 8, top + 13, row.label, f'text-anchor="end"{weight}'))
        for part in row.parts:
            wide = max(0.0, part.size * scale)
            drawn.append(_box(left, top, wide, LINE - 8, part))
            left += wide
        drawn.append(_text(left + 8, top + 13, row.end, weight.strip()))
    legend, high = _legend(dict.fromkeys((part.name, part.colour, part.hatched) for row in rows for part in row.parts))
    top = len(rows) * LINE + 10
    return _svg([*drawn, f'<g transform="translate(0 {top})">{legend}</g>'], top + high, alt)


def _legend(parts: Iterable[tuple[str, str, bool]]) -> tuple[str, int]:
    """Return squares with names, on as many lines as they take, and their height."""
    drawn, left, top = [], 0.0, 0
    for name, colour, hatched in parts:
        wide = len(name) * LETTER + LEGEND_GAP
        if left and left + wide > WIDTH:
            left, top = 0.0, top + 20
        drawn.append(_box(left, top, 12, 12, Part(name, 1, colour, hatched)))
        drawn.append(_text(left + 18, top + 11, name, ""))
        left += wide
    return "".join(drawn), top + 20


def _box(left: float, top: float, wide: float, high: float, part: Part) -> str:
    fill = f"url(#hatch-{part.colour[1:]})" if part.hatched else part.colour
    edge = f' stroke="{part.colour}" stroke-width="0.5"' if part.hatched else ""
    title = f"<title>{escape(part.name)}</title>"
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high}" fill="{fill}"{edge}>{title}</rect>'


class Mark(NamedTuple):
    """A point of a chart, and what is written beside it."""

    x: float
    y: float
    text: str
    colour: str = KV


def curve(
    points: Sequence[tuple[float, float]], marks: Sequence[Mark], limit: tuple[float, str] | None,
    axes: tuple[str, str], alt: str, log_x: bool = False,
) -> str:  # fmt: skip
    """Return a line, marks beside it and a limit across it.

    Parameters
    ----------
    points : sequence of (float, float)
        The line from left to right; none for marks alone [-].
    marks : sequence of Mark
        Points with a text [-].
    limit : (float, str) or None
        A height that is not to be passed, and what it is [-].
    axes : (str, str)
        What stands at the horizontal and the vertical axis [-].
    alt : str
        What the chart shows, in words [-].
    log_x : bool
        Whether the horizontal axis is logarithmic [-].

    Returns
    -------
    str
        An ``svg`` element.
    """
    high, top, left = 250, 24, 70

    def across(value: float) -> float:
        return log10(value) if log_x and value > 0 else value

    xs = [across(x) for x, _ in points] + [across(mark.x) for mark in marks]
    ys = [y for _, y in points] + [mark.y for mark in marks] + ([limit[0]] if limit else [])
    first, last, most = min(xs, default=0.0), max(xs, default=1.0), max(ys, default=1.0) * 1.08 or 1.0
    span = last - first or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (across(x) - first) / span * (WIDTH - left - 150), top + (1 - y / most) * (high - top)

    drawn = [f'<path d="M{left} {top}V{high}H{WIDTH - 60}" fill="none" stroke="{GREY}"/>']
    for step in range(TICKS + 1):
        value = most * step / TICKS
        _, y = place(xs[0] if not log_x and xs else 1.0, value)
        drawn.append(_text(left - 8, y + 4, f"{value:,.3g}", 'text-anchor="end" class="tick"'))
    for x in sorted({x for x, _ in _ends(points, marks)}):
        drawn.append(_text(place(x, 0)[0], high + 18, f"{x:,.4g}" if log_x else f"{x:,.0f}", 'class="tick"'))
    if points:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{KV}" stroke-width="2.5"/>')
    if limit:
        _, y = place(first if not log_x else 10**first, limit[0])
        drawn.append(f'<path d="M{left} {y:.1f}H{WIDTH - 60}" stroke="{GREY}" stroke-dasharray="5 4"/>')
        drawn.append(_text(left + 6, y - 6, limit[1], 'class="tick"'))
    for mark in marks:
        x, y = place(mark.x, mark.y)
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{mark.colour}"><title>{escape(mark.text)}</title>')
        drawn.append("</circle>" + _text(x + 9, y + 4, mark.text, ""))
    drawn.append(_text((left + WIDTH) / 2, high + 38, axes[0], 'text-anchor="middle" class="tick"'))
    drawn.append(_text(0, 12, axes[1], 'class="tick"'))
    return _svg(drawn, high + 46, alt)


def _ends(points: Sequence[tuple[float, float]], marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """Return the points whose place is written at the axis: the ends of the line, else the outermost marks."""
    if points:
        return [points[0], points[-1]]
    ordered = sorted((mark.x, mark.y) for mark in marks)
    return [ordered[0], ordered[-1]] if ordered else []


def _text(x: float, y: float, text: str, more: str) -> str:
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(shown)}</text>'


def _svg(drawn: Sequence[str], high: float, alt: str) -> str:
    hatches = "".join(
        f'<pattern id="hatch-{colour[1:]}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" stroke="{colour}" stroke-width="3"/></pattern>'
        for colour in (KV, RED)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {high:.0f}" role="img" aria-label="{escape(alt)}">'
        f"<defs>{hatches}</defs>{''.join(drawn)}</svg>"
    )
