"""How often requests are thrown out and computed again with a full queue, by the rule that lets them in."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.engines.base import Admission
from calculator.messages import phrase, say, template
from calculator.planning.answer import Plan
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.curves.policies import Policy, policies
from calculator.planning.traffic.workload import Workload
from calculator.views.base import Row, View
from calculator.views.load.risk import RISK, TYPICAL, holds_none
from calculator.views.load.wording import rounded

NAME, TITLE = "preemptions", phrase("Preemptions")


@dataclass(frozen=True, eq=False)
class PreemptionRow(Row):
    """One rule of admission on the plan's pool, with a full queue.

    Attributes
    ----------
    engine, since : str
        Whose rule it is, and since which version.
    rule : str
        What it asks of the pool before it lets a request in.
    this_plan : bool
        Whether it is the plan's rule with the plan's limit.
    max_num_seqs : int or None
        Sequences that one scheduler runs at most; None by memory alone [-].
    running : float
        Requests that run at once on one replica, in the mean [-].
    preemptions : float
        Times that a request is thrown out [-].
    preemptions_low, preemptions_high : float or None
        The same over the range of the pool; None where only its middle was simulated [-].
    """

    engine: str
    since: str
    rule: str
    this_plan: bool
    max_num_seqs: int | None
    running: float
    preemptions: float
    preemptions_low: float | None
    preemptions_high: float | None


def preemption_view(plan: Plan, workload: Workload = TYPICAL, risk: float = RISK) -> View[PreemptionRow]:
    """Show how often a request is thrown out with a full queue, by rule of admission, on the plan's pool.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].
    workload : Workload
        The traffic [-].
    risk : float
        What the recommended limit keeps [-].

    Returns
    -------
    View
        A row a rule: the plan's own as it is and limited, then those of the other engines by memory alone.
    """
    if not concurrency(plan, workload, risk).sequences_even:
        return View(NAME, TITLE, say("preemptions.none", "{why}", why=holds_none(plan)), plan, [])
    found = policies(plan, workload, risk)
    rows = [
        PreemptionRow(
            engine=one.engine,
            since=one.since,
            rule=rule_of(one.admission),
            this_plan=index == 0,
            max_num_seqs=one.max_num_seqs,
            running=one.running,
            preemptions_low=one.preemptions_low,
            preemptions=one.preemptions,
            preemptions_high=one.preemptions_high,
        )
        for index, one in enumerate(found)
    ]
    return View(NAME, TITLE, _finding(found), plan, rows)


def rule_of(admission: Admission) -> str:
    """Say what a rule asks of the pool before it lets a request in."""
    if admission.whole_context:
        return say("preemptions.whole_context", "the longest sequence is kept for every slot")
    if admission.whole_output:
        return say("preemptions.whole_output", "all that may be answered is set aside")
    if admission.reserve_ratio:
        return say(
            "preemptions.reserve",
            "{share:.1%} of the answer still expected is set aside",
            share=admission.reserve_ratio,
        )
    if admission.watermark:
        return say(
            "preemptions.watermark", "the known tokens fit and {share:.0%} stays free", share=admission.watermark
        )
    return say("preemptions.known", "the known tokens fit")


def _finding(found: tuple[Policy, ...]) -> str:
    own = found[0]
    values = {
        "engine": say("preemptions.engine", "{title} {version}", title=own.engine, version=own.since),
        "running": rounded(own.running),
        "times": rounded(own.preemptions, 2),
    }
    limit = own.max_num_seqs or 0
    if own.preemptions == 0:
        ends = len(found) > 1 and found[1].own and found[1].max_num_seqs is None
        text = template("With a full queue {engine} runs {running} at once and throws none out{why}.")
        why = ""
        if ends:
            why = say("preemptions.limited", ": its limit of {limit:,} ends it before memory does", limit=limit)
        return say("preemptions.throws_none", text, **values, why=why)
    better = ""
    if len(found) > 1 and found[1].own and found[1].max_num_seqs:
        better = say(
            "preemptions.better",
            "; limited to {limit:,}, {times}",
            limit=found[1].max_num_seqs,
            times=rounded(found[1].preemptions, 2),
        )
    return say(
        "preemptions.throws",
        "With a full queue {engine} runs {running} at once and throws a request out {times} times{better}.",
        **values,
        better=better,
    )
