"""What the curves of speed show, in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from calculator.messages import joined, say
from calculator.planning.traffic.words import PARTS
from calculator.views.load.wording import milliseconds, pace, percent, rounded, with_so_many

if TYPE_CHECKING:
    from calculator.planning.traffic.curves.batches import Bend, Decoding
    from calculator.planning.traffic.timing.speed import Speed
    from calculator.views.load.speed import SpeedRow

UNEVEN = 1.1
"""Beyond so many times the step of a steady number, what bursts do is said."""


def finding(
    here: Speed, rows: Sequence[SpeedRow], bent: Bend, arriving: Decoding | None, requests_per_second: float | None
) -> str:
    parts: list[str] = [
        say(
            "speed.at",
            "A token takes {pace} {with_so_many}, and one replica gives {rate} tokens/s; "
            "{bend:,} at once give half of the most that it could, {limit} tokens/s.",
            with_so_many=with_so_many(here.batch_size),
            pace=pace(here),
            rate=rounded(here.output_tokens_per_second),
            bend=bent.batch_size,
            limit=rounded(bent.limit_tokens_per_second),
        )
    ]
    if requests_per_second is not None:
        parts.append(_arrivals(arriving, requests_per_second, rows))
    unchecked = _not_checked(here, rows)
    if unchecked:
        parts.append(unchecked)
    return say("speed.finding", "{text}", text=joined(" ", parts))


def _arrivals(arriving: Decoding | None, rate: float, rows: Sequence[SpeedRow]) -> str:
    if arriving is None:
        return say("speed.too_many", "{rate:g} requests/s are more than these replicas could ever answer.", rate=rate)
    even = next((row.time_per_output_token_s for row in rows if row.arrivals), arriving.time_per_output_token_s)
    bursts = ""
    if arriving.time_per_output_token_s > UNEVEN * even:
        bursts = say("speed.bursts", ", as they come in bursts: {even} ms were they even", even=milliseconds(even))
    return say(
        "speed.arrivals",
        "{rate:g} requests/s keep {count} decoding on one replica in the mean, at {pace} a token{bursts}.",
        rate=rate,
        count=rounded(arriving.batch_size, 2),
        pace=pace(arriving),
        bursts=bursts,
    )


def _not_checked(here: Speed, rows: Sequence[SpeedRow]) -> str:
    """Say what of the curve was not measured; empty where all of it was."""
    if not here.checked:
        return say("speed.curve_not_checked", "Not checked: {why}.", why=here.why)
    beyond = next((row for row in rows if not row.checked and row.batch_size > here.batch_size), None)
    if beyond is None:
        return ""
    return say("speed.curve_not_checked_from", "Not checked from {count:,.0f} on: {why}.", count=beyond.batch_size,
               why=beyond.why)  # fmt: skip


def finding_of_step(here: Speed, rows: Sequence[SpeedRow]) -> str:
    total = here.time_per_output_token_s
    largest = sorted(here.terms, key=lambda term: -term.seconds)
    named = [
        say("step.part", "{part} {share}", part=PARTS[term.name], share=percent(round(term.seconds / total, 2)))
        for term in largest
        if term.seconds >= 0.005 * total
    ]
    return say(
        "step.finding",
        "The time of a token {with_so_many} is {parts}. {bounds}",
        with_so_many=with_so_many(here.batch_size),
        parts=joined(", ", named),
        bounds=_bounds(rows),
    )


def _bounds(rows: Sequence[SpeedRow]) -> str:
    """Say what is the largest part of a step up to which number at once."""
    runs = [(part, max(row.batch_size for row in run)) for part, run in groupby(rows, lambda row: row.bound)]
    if len(runs) == 1:
        return say("step.one_bound", "The largest part is {part} throughout.", part=PARTS[runs[0][0]])
    named = [say("step.until", "{part} up to {count:,.0f}", part=PARTS[part], count=count) for part, count in runs[:-1]]
    return say(
        "step.bounds",
        "The largest part is {until}, then {last}.",
        until=joined(", ", named),
        last=PARTS[runs[-1][0]],
    )
