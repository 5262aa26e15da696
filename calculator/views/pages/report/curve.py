"""A chart of two axes as plain SVG: a line, marks with their names where there is room for them, and a limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from calculator.views.pages.report.frame import escape
from calculator.views.pages.report.svg import GREY, KV, LETTER, LONGEST, WIDTH, text, whole

LEFT, TOP, BOTTOM, RIGHT = 70, 24, 250, 660
NAMES = 120
"""How much room is kept at the right for the name of the last mark."""
RADIUS, AWAY, HIGH = 5.0, 9.0, 14.0
MOST_TICKS, HEADROOM = 6, 1.08


class Mark(NamedTuple):
    """A point of a chart, what is written beside it, its colour, and whether it is named or said on hover alone."""

    x: float
    y: float
    text: str
    colour: str = KV
    named: bool = True


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


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
        Points with a text; those that come later are drawn above [-].
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

    def across(value: float) -> float:
        return log10(value) if log_x and value > 0 else value

    places = [x for x, _ in points] + [mark.x for mark in marks]
    low, high = min(places, default=0.0), max(places, default=1.0)
    span = across(high) - across(low) or 1.0
    heights = [y for _, y in points] + [mark.y for mark in marks] + ([limit[0]] if limit else [])
    most = HEADROOM * max(heights, default=1.0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        wide = RIGHT - LEFT - NAMES
        return LEFT + RADIUS + (across(x) - across(low)) / span * wide, TOP + (1 - y / most) * (BOTTOM - TOP)

    drawn = [f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{GREY}"/>']
    for value in ticks(0, most):
        drawn.append(text(LEFT - 8, place(low, value)[1] + 4, f"{value:,g}", 'text-anchor="end" class="tick"'))
    for value in log_ticks(low, high) if log_x else ticks(low, high):
        drawn.append(text(place(value, 0)[0], BOTTOM + 18, f"{value:,.10g}", 'text-anchor="middle" class="tick"'))
    if points:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{KV}" stroke-width="2.5"/>')
    if limit:
        y = place(low, limit[0])[1]
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="{GREY}" stroke-dasharray="5 4"/>')
        drawn.append(text(LEFT + 6, y - 6, limit[1], 'class="tick"'))
    for mark in marks:
        x, y = place(mark.x, mark.y)
        title = f"<title>{escape(mark.text)}</title>"
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS:g}" fill="{mark.colour}">{title}</circle>')
    named = [(mark.text, *place(mark.x, mark.y)) for mark in marks if mark.named]
    line_px = list(_along([place(*point) for point in points]))
    drawn += [text(x, y, said, "") for said, x, y in _named(named, line_px)]
    drawn.append(text((LEFT + WIDTH) / 2, BOTTOM + 38, axes[0], 'text-anchor="middle" class="tick"'))
    drawn.append(text(0, 12, axes[1], 'class="tick"'))
    return whole(drawn, BOTTOM + 46, alt)


def _along(line: Sequence[tuple[float, float]]) -> Iterator[_Box]:
    """Yield what a line covers, piece by piece."""
    for (x, y), (right, bottom) in pairwise(line):
        pieces = 1 + int(max(abs(right - x), abs(bottom - y)) / HIGH)
        for piece in range(pieces):
            ends = [(x + (right - x) * each / pieces, y + (bottom - y) * each / pieces) for each in (piece, piece + 1)]
            (left, first), (last, second) = ends
            yield _Box(min(left, last) - 1, min(first, second) - 1, max(left, last) + 1, max(first, second) + 1)


def _named(marks: Sequence[tuple[str, float, float]], line: Sequence[_Box]) -> Iterator[tuple[str, float, float]]:
    """Yield the names that find room, the first and the last mark's before all others, and where each begins."""
    covered = [_Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for _, x, y in marks]
    taken: list[_Box] = list(line)
    order = dict.fromkeys((0, len(marks) - 1, *range(len(marks)))) if marks else ()
    for index in order:
        said, x, y = marks[index]
        wide = LETTER * min(len(said), LONGEST)
        others = [box for number, box in enumerate(covered) if number != index]
        for left, middle in (
            (x + AWAY, y),
            (x + AWAY, y - HIGH),
            (x + AWAY, y + HIGH),
            (x - AWAY - wide, y),
            (x - AWAY - wide, y + HIGH),
        ):
            box = _Box(left, middle - HIGH / 2, left + wide, middle + HIGH / 2)
            inside = box.left >= LEFT and box.right <= WIDTH and box.top >= TOP and box.bottom <= BOTTOM
            if said and inside and not any(box.meets(other) for other in (*taken, *others)):
                taken.append(box)
                yield said, left, middle + 4
                break


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two, 1, 2 or 5 times a power of ten apart, at most six of them."""
    rough = (high - low) / MOST_TICKS
    if rough <= 0:
        return [low]
    power = 10.0 ** floor(log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
    return [round(step * index, 12) for index in range(ceil(low / step), floor(high / step * (1 + 1e-12)) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two numbers above 0; the two where there are none."""
    found = [
        times * 10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1) for times in (1, 2, 5)
        if low <= times * 10.0**power <= high
    ]  # fmt: skip
    return (found if len(found) <= MOST_TICKS else found[::3]) or sorted({low, high})
