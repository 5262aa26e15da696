"""Estimates in words: no more digits than they deserve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.messages import say

if TYPE_CHECKING:
    from calculator.planning.traffic.curves.batches import Decoding
    from calculator.planning.traffic.timing.speed import Speed


def rounded(value: float, digits: int = 3) -> str:
    """Write an estimate with so many digits that count: 3,560 or 0.058."""
    kept = float(f"{value:.{digits}g}")
    return f"{kept:,.0f}" if kept >= 10 ** (digits - 1) else f"{kept:,.{digits}g}"


def percent(share: float) -> str:
    """Write a share in percent: 1 % or 0.1 %."""
    return say("load.percent", "{number} %", number=rounded(100 * share))


def with_so_many(count: float) -> str:
    """Say how many decode at once: ``with 64 at once``, or ``alone``."""
    return say("load.alone", "alone") if count == 1 else say("load.with", "with {count} at once", count=f"{count:,.0f}")


def milliseconds(seconds: float) -> str:
    """Write seconds as milliseconds with two digits, by themselves."""
    return rounded(1000 * seconds, 2)


def pace(found: Speed | Decoding) -> str:
    """Say how long a token takes, with its range: ``18 ms (14 to 25)``."""
    return say(
        "load.pace",
        "{central} ms ({low} to {high})",
        central=milliseconds(found.time_per_output_token_s),
        low=milliseconds(found.time_per_output_token_s_low),
        high=milliseconds(found.time_per_output_token_s_high),
    )
