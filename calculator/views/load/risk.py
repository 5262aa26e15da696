"""The risk that the pool is exceeded, over the number of requests at once."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.traffic.concurrency import Concurrency, concurrency
from calculator.planning.traffic.curves.risk import risk_curve
from calculator.planning.traffic.workload import Workload
from calculator.units import plural
from calculator.views.base import Row, View
from calculator.views.load.wording import percent

NAME, TITLE = "risk", phrase("Risk")
TYPICAL = Workload(1.0, 1000, 250)
"""What a view is drawn for where no traffic is given: means of 1,000 and 250 tokens, each with variation 1."""
RISK = 0.01


@dataclass(frozen=True, eq=False)
class RiskRow(Row):
    """A number of requests at once on one replica.

    Attributes
    ----------
    sequences : int
        Requests in decode at once [-].
    risk : float
        The share of moments in which they hold more than the pool [-].
    recommended, even : bool
        Whether it is the most at the stated risk, and the most at even odds.
    """

    sequences: int
    risk: float
    recommended: bool
    even: bool


def risk_view(plan: Plan, workload: Workload = TYPICAL, risk: float = RISK) -> View[RiskRow]:
    """Show the risk that the pool is exceeded over the number of requests at once.

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
        A row a number of requests of one replica; none where it holds none.
    """
    found = concurrency(plan, workload, risk)
    rows = [
        RiskRow(count, chance, count == found.sequences, count == found.sequences_even)
        for count, chance in risk_curve(found)
    ]
    return View(NAME, TITLE, _finding(found), plan, rows)


def holds_none(plan: Plan) -> str:
    """Say that a plan holds none of a traffic, and why where its notes say so."""
    if plan.fits or not plan.notes:
        return say("risk.none", "No request of this traffic is held, not even at even odds.")
    return say("risk.none_because", "No request of this traffic is held: the plan {why}.", why=plan.notes[0])


def _finding(found: Concurrency) -> str:
    plan, most, even = found.plan, found.sequences, found.sequences_even
    if not even:
        return holds_none(plan)
    at_risk = percent(found.risk)
    if not most:
        return say(
            "risk.only_even",
            "Not one request fits at a risk of {risk} that it exceeds the pool; {even} at even odds.",
            risk=at_risk,
            even=plural(even, "request"),
        )
    return say(
        "risk.fit",
        "{requests} fit at a risk of {risk} that the pool is exceeded, {even:,} at even odds: {limit} {num:,}.",
        requests=plural(most, "request"),
        risk=at_risk,
        even=even,
        limit=plan.rules.flags["max_num_seqs"].strip("-").replace("-", "_"),
        num=found.max_num_seqs,
    )
