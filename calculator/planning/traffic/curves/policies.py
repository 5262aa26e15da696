"""Rules of admission side by side on one pool: how many each lets run with a full queue, and how often it evicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.engines import ENGINES, engine_class
from calculator.engines.base import Admission
from calculator.engines.versions import in_words
from calculator.planning.traffic.admission import MOST_RUNNING
from calculator.planning.traffic.concurrency import concurrency, settles_at
from calculator.planning.traffic.pools.queue import preemptions, thrown_out

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Workload


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule of admission on the pool of a plan, with a full queue.

    Attributes
    ----------
    engine, since : str
        An engine that lets requests in so, and since which of its versions.
    admission : Admission
        The rule.
    own : bool
        Whether it is the plan's own.
    max_num_seqs : int or None
        Sequences that one scheduler runs at most; None by memory alone [-].
    running : float
        Requests that run at once, in the mean, on one replica [-].
    preemptions : float
        Times that a request is thrown out and computed again [-].
    preemptions_low, preemptions_high : float or None
        The same over the range of the pool; None where only its middle was simulated [-].
    """

    engine: str
    since: str
    admission: Admission
    own: bool
    max_num_seqs: int | None
    running: float
    preemptions: float
    preemptions_low: float | None = None
    preemptions_high: float | None = None


def policies(plan: Plan, workload: Workload, risk: float = 0.01) -> tuple[Policy, ...]:
    """Return each engine's rule of admission on the pool of one plan; the plan's own twice, as it is and limited.

    Parameters
    ----------
    plan : Plan
        Whose pool it is [-].
    workload : Workload
        The traffic [-].
    risk : float
        What ``max_num_seqs`` of the second row keeps [-].

    Returns
    -------
    tuple of Policy
        The plan's own rule; the same with the recommended ``max_num_seqs`` where that is less, and by memory alone
        where its own limit ends it before; then the others, by memory alone.
    """
    limit, rules = plan.request.max_num_seqs, plan.rules
    recommended = concurrency(plan, workload, risk).max_num_seqs
    own: list[int | None] = [limit] if limit <= recommended else [limit, recommended]
    alone = [(rules.title, rules.version, rules.admission), *known()]
    if settles_at(plan, workload, rules.admission) > limit * plan.request.attention_replicas:
        own.append(None)  # by memory alone, as the others
    rows = [(*alone[0], most) for most in own]
    rows += [(*other, None) for other in alone[1:] if other[2] != rules.admission]
    return tuple(_policy(plan, workload, risk, *row) for row in rows)


def known() -> Iterator[tuple[str, str, Admission]]:
    """Yield the rules of admission of all engines, with the version that each began with, if it was not always so."""
    for name in ENGINES:
        engine = engine_class(name)
        for change in engine.changes:
            if "admission" in change.values:
                yield engine.title, in_words(change.since) if any(change.since) else "", change.values["admission"]


def _policy(
    plan: Plan, workload: Workload, risk: float, title: str, since: str, admission: Admission, most: int | None
) -> Policy:
    own, running = admission == plan.rules.admission, settles_at(plan, workload, admission)
    if most is None:
        middle = thrown_out(plan, workload, admission, MOST_RUNNING, risk)
        return Policy(title, since, admission, own, most, running, middle)
    low, middle, high = preemptions(plan, workload, admission, most, risk)
    running = min(running, most * plan.request.attention_replicas)
    return Policy(title, since, admission, own, most, running, middle, low, high)
