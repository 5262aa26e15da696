"""A value for each layer, written short: ``8x40, 4x40`` is 8 in each of the first 40 layers, then 4 in 40 more."""

from __future__ import annotations

import re

from calculator.errors import InvalidValueError, shown
from calculator.messages import say

MOST_LAYERS = 10_000
MOST_WRITTEN = 4_000
NOTHING = "none"
_ENTRY = re.compile(r"(\d{1,9}|none)(?:\s{0,3}[x×*]\s{0,3}(\d{1,5}))?", re.ASCII | re.IGNORECASE)


def is_by_layer(text: str) -> bool:
    """Say whether a text gives layers their own values: it repeats one, or has several."""
    return bool(re.search(r"[,\[]|\d\s{0,3}[x×*]\s{0,3}\d", text, re.IGNORECASE))


def parse_by_layer(text: str, what: str, may_be_none: bool = False) -> list[int | None]:
    """Return a value for each layer, first to last, from entries with commas between.

    Parameters
    ----------
    text : str
        Entries such as ``8``, or ``8x40`` for 40 layers of the same [-].
    what : str
        The input that it stands for, named where it cannot be read [-].
    may_be_none : bool
        Whether an entry may be ``none`` [-].

    Returns
    -------
    list of int or None
        One entry a layer [-].

    Raises
    ------
    InvalidValueError
        If an entry is no number, or there are too many layers; the entry is named.
    """
    if len(text) > MOST_WRITTEN:
        raise InvalidValueError(
            say(
                "by_layer.longer_than_characters",
                "{what} is longer than {most_written:,} characters",
                what=what,
                most_written=MOST_WRITTEN,
            ),
            what=what,
        )
    found: list[int | None] = []
    for entry in text.strip().strip("[]").split(","):
        match = _ENTRY.fullmatch(entry.strip())
        value = None if match is None or match[1].lower() == NOTHING else int(match[1])
        if match is None or (value is None and not may_be_none):
            raise InvalidValueError(
                say(
                    "by_layer.layer_not_number_one",
                    "{what} of layer {found}: {strip} is not a number, or one times layers such as 8x40{value}",
                    what=what,
                    found=len(found),
                    strip=shown(entry.strip()),
                    value=say("by_layer.none", " or none") if may_be_none else "",
                ),
                what=what,
                asked=entry.strip(),
            )
        times = int(match[2] or 1)
        if not 1 <= times <= MOST_LAYERS - len(found):
            raise InvalidValueError(
                say(
                    "by_layer.gives_layers_give",
                    "{what} gives {found:,} layers; give 1 to {most_layers:,}",
                    what=what,
                    found=len(found) + times,
                    most_layers=MOST_LAYERS,
                ),
                what=what,
                asked=len(found) + times,
                allowed=(1, MOST_LAYERS),
            )
        found += [value] * times
    return found


def write_by_layer(values: list[int | None] | list[int]) -> str:
    """Return values as they are read, runs of the same written once."""
    runs: list[tuple[int | None, int]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1] = value, runs[-1][1] + 1
        else:
            runs.append((value, 1))
    return ", ".join(f"{NOTHING if value is None else value} x {times}" for value, times in runs)
