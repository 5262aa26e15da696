"""Seconds a token and tokens a second over the sequences that decode at once, and what a step is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from calculator.errors import UnsupportedError
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.plan import vary
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.curves.batches import bend, decoding_at, speed_at
from calculator.planning.traffic.pools.loaded import lengths_served
from calculator.planning.traffic.timing.speed import Speed
from calculator.planning.traffic.workload import Workload
from calculator.views.base import Row, View
from calculator.views.load.risk import RISK, TYPICAL
from calculator.views.load.speed_words import finding, finding_of_step

NAME, TITLE = "speed", phrase("Speed")
STEP_NAME, STEP_TITLE = "step", phrase("What a step is made of")
POINTS, FEWEST, MOST = 40, 16, 4096
BEYOND = 1.2
"""How far beyond what fits, or was asked, a curve goes."""


@dataclass(frozen=True, eq=False)
class SpeedRow(Row):
    """One number of sequences that decode at once on one replica.

    Attributes
    ----------
    batch_size : float
        Sequences that decode at once [-].
    asked, fits, bend, arrivals : bool
        Whether it is the number asked of the plan, the most of the traffic that the engine lets in at the stated
        risk, the number that gives half of the limit, and the one that the stated arrivals keep decoding in the mean.
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float
        From one token of a sequence to its next [s].
    output_tokens_per_second, output_tokens_per_second_low, output_tokens_per_second_high : float
        Tokens of all of them [1/s].
    weights_s, kv_s, compute_s, links_s, launch_s, prefill_s : float
        The parts of the time a token [s].
    kv_share : float
        The share of it that reads the KV cache [-].
    bound : str
        The largest part.
    checked : bool
        Whether such a set-up was measured.
    why : str
        What of it was not.
    """

    batch_size: float
    asked: bool
    fits: bool
    bend: bool
    arrivals: bool
    time_per_output_token_s: float
    time_per_output_token_s_low: float
    time_per_output_token_s_high: float
    output_tokens_per_second: float
    output_tokens_per_second_low: float
    output_tokens_per_second_high: float
    weights_s: float
    kv_s: float
    compute_s: float
    links_s: float
    launch_s: float
    prefill_s: float
    kv_share: float
    bound: str
    checked: bool
    why: str


def speed_view(
    plan: Plan, workload: Workload = TYPICAL, risk: float = RISK, requests_per_second: float | None = None
) -> View[SpeedRow]:
    """Show seconds a token and tokens a second over the sequences that decode at once.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].
    workload : Workload
        The traffic; its means are those of what the plan's longest sequence leaves, and a sequence holds what
        residents hold in the mean [-].
    risk : float
        At which the most that fit are marked [-].
    requests_per_second : float, optional
        Arrivals over all replicas; the number that they keep decoding is marked [1/s].

    Returns
    -------
    View
        A row a number of sequences of one replica; none where the device's speed is not known.
    """
    return _view(NAME, TITLE, plan, workload, risk, requests_per_second)


def step_view(
    plan: Plan, workload: Workload = TYPICAL, risk: float = RISK, requests_per_second: float | None = None
) -> View[SpeedRow]:
    """Show what a step is made of, over the sequences that decode at once.

    Parameters
    ----------
    plan, workload, risk, requests_per_second
        As ``speed_view`` takes them [-].

    Returns
    -------
    View
        The rows of ``speed_view``.
    """
    return _view(STEP_NAME, STEP_TITLE, plan, workload, risk, requests_per_second)


def _view(
    name: str, title: str, plan: Plan, workload: Workload, risk: float, requests_per_second: float | None
) -> View[SpeedRow]:
    lengths = lengths_served(plan, workload)
    asked = plan.request.batch_size
    served = for_traffic(plan)
    try:
        here = speed_at(served, asked, lengths)
    except UnsupportedError as error:
        return View(name, title, say(f"{name}.unknown", "{why}.", why=str(error)), plan, [])
    fits = concurrency(plan, workload, risk).servable
    bent = bend(served, lengths)
    arriving = None
    if requests_per_second is not None:
        arriving = decoding_at(served, workload, requests_per_second)
    marks = _Marks(asked, fits, bent.batch_size, arriving.batch_size if arriving else 0)
    shown = [count for count in marks if 0 < count <= MOST]
    furthest = max(FEWEST, BEYOND * max(shown, default=0))

    def at(count: float) -> Speed:
        return speed_at(served, count, lengths)

    counts = _refined(sorted({*_grid(min(MOST, round(furthest))), *shown}), at)
    rows = [_row(count, at(count), marks) for count in counts]
    if name == STEP_NAME:
        return View(name, title, finding_of_step(here, rows), plan, rows)
    said = finding(here, rows, bent, arriving, requests_per_second)
    return View(name, title, said, plan, rows)


class _Marks(NamedTuple):
    asked: float
    fits: float
    bend: float
    arrivals: float


def for_traffic(plan: Plan) -> Plan:
    """Return the plan as it serves traffic: whether it fits is not asked of a batch of its longest sequences."""
    return plan if plan.fits else vary(plan, batch_size=1)


def _grid(most: int) -> list[int]:
    """Return numbers from 1 to the most, close where they are few."""
    return sorted({1, *(round(most * (step / POINTS) ** 1.5) for step in range(1, POINTS + 1))} - {0})


def _refined(counts: list[float], at: Callable[[float], Speed]) -> list[float]:
    """Add the whole numbers between which the largest part, or whether it was measured, changes."""
    found = set(counts)
    for first, second in pairwise(counts):
        before = _kind(at(first))
        if _kind(at(second)) == before:
            continue
        low, high = math.floor(first), math.ceil(second)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _kind(at(middle)) == before else (low, middle)
        found |= {max(first, low), min(second, high)}
    return sorted(found)


def _kind(found: Speed) -> tuple[str, bool]:
    return found.bound, found.checked


def _row(count: float, found: Speed, marks: _Marks) -> SpeedRow:
    terms = {term.name: term.seconds for term in found.terms}
    return SpeedRow(
        batch_size=count,
        asked=count == marks.asked,
        fits=count == marks.fits,
        bend=count == marks.bend,
        arrivals=count == marks.arrivals,
        time_per_output_token_s=found.time_per_output_token_s,
        time_per_output_token_s_low=found.time_per_output_token_s_low,
        time_per_output_token_s_high=found.time_per_output_token_s_high,
        output_tokens_per_second=found.output_tokens_per_second,
        output_tokens_per_second_low=found.output_tokens_per_second_low,
        output_tokens_per_second_high=found.output_tokens_per_second_high,
        weights_s=terms["weights"],
        kv_s=terms["kv"],
        compute_s=terms["compute"],
        links_s=terms["links"],
        launch_s=terms["launch"],
        prefill_s=terms["prefill"],
        kv_share=terms["kv"] / found.time_per_output_token_s,
        bound=found.bound,
        checked=found.checked,
        why=found.why,
    )
