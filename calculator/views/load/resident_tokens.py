"""What requests hold of the pool at a random moment, where as many run as a risk allows and at even odds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.traffic.concurrency import Concurrency, concurrency
from calculator.planning.traffic.curves.risk import Holding, holding
from calculator.planning.traffic.workload import Workload
from calculator.units import plural
from calculator.views.base import Row, View
from calculator.views.load.risk import RISK, TYPICAL, holds_none
from calculator.views.load.wording import percent, rounded

NAME, TITLE = "resident-tokens", phrase("Resident tokens")


@dataclass(frozen=True, eq=False)
class ResidentRow(Row):
    """A part of the distribution of what a number of requests holds of the pool of one scheduler.

    Attributes
    ----------
    sequences : int
        Requests in decode at once on one replica [-].
    recommended : bool
        Whether that is the most at the stated risk; else the most at even odds.
    tokens_low, tokens_high : float
        From where to where, in tokens of the pool; None where blocks do not count tokens of one kind [tokens].
    pool_share_low, pool_share_high : float
        The same as a share of the pool [-].
    share : float
        The share of moments in which they hold that much [-].
    exceeds : bool
        Whether that is more than the pool.
    """

    sequences: int
    recommended: bool
    tokens_low: float | None
    tokens_high: float | None
    pool_share_low: float
    pool_share_high: float
    share: float
    exceeds: bool


def resident_tokens_view(plan: Plan, workload: Workload = TYPICAL, risk: float = RISK) -> View[ResidentRow]:
    """Show what requests hold of the pool at a random moment.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].
    workload : Workload
        The traffic [-].
    risk : float
        The risk that is taken [-].

    Returns
    -------
    View
        Rows of two distributions: of the most requests at the stated risk, and of the most at even odds.
    """
    found = concurrency(plan, workload, risk)
    if not found.sequences_even:
        return View(NAME, TITLE, say("resident_tokens.none", "{why}", why=holds_none(plan)), plan, [])
    rows: list[ResidentRow] = []
    for count, recommended in ((found.sequences, True), (found.sequences_even, False)):
        if count:
            rows += _rows(holding(found, count), count, recommended)
    return View(NAME, TITLE, _finding(found), plan, rows)


def _rows(held: Holding, count: int, recommended: bool) -> Iterator[ResidentRow]:
    for part in held.bins:
        low, high = (None if held.tokens is None else end * held.tokens for end in (part.low, part.high))
        yield ResidentRow(count, recommended, low, high, part.low, part.high, part.share, part.low >= 1 - 1e-9)


def _finding(found: Concurrency) -> str:
    count = found.sequences or found.sequences_even
    held = holding(found, count)
    of_pool = percent(held.mean)
    if held.tokens is not None:
        of_pool = say(
            "resident_tokens.of",
            "{mean} of the pool's {tokens:,} tokens",
            mean=rounded(held.mean * held.tokens),
            tokens=held.tokens,
        )
    else:
        of_pool = say("resident_tokens.share", "{share} of the pool", share=of_pool)
    ranks = found.plan.request.attention_replicas
    requests = plural(count, "request")
    if ranks > 1:
        requests = say(
            "resident_tokens.of_rank",
            "{requests} on one of {ranks} ranks",
            requests=plural(-(-count // ranks), "request"),
            ranks=ranks,
        )
    return say(
        "resident_tokens.mean",
        "{requests} hold {of_pool} in the mean; one of them {each} tokens, give or take {around}.",
        requests=requests,
        of_pool=of_pool,
        each=rounded(found.mean_tokens),
        around=rounded(found.sd_tokens),
    )
