"""The answer about a load in one sentence: how many fit, how fast each is served, and how much together."""

from __future__ import annotations

from calculator.errors import UnsupportedError
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.traffic.concurrency import Concurrency, concurrency
from calculator.planning.traffic.curves.batches import speed_at
from calculator.planning.traffic.pools.loaded import lengths_served
from calculator.planning.traffic.workload import Workload
from calculator.units import plural
from calculator.views.load.risk import RISK, TYPICAL, holds_none
from calculator.views.load.speed import for_traffic
from calculator.views.load.wording import pace, percent, rounded, with_so_many


def load_answer(plan: Plan, workload: Workload = TYPICAL, risk: float = RISK) -> str:
    """Say how many requests of a traffic fit one replica, and how fast it serves those that were asked.

    Parameters
    ----------
    plan : Plan
        The plan [-].
    workload : Workload
        The traffic [-].
    risk : float
        That the pool is exceeded [-].

    Returns
    -------
    str
        One sentence, or two where the engine lets in fewer than fit.
    """
    found = concurrency(plan, workload, risk)
    if not found.sequences_even:
        return holds_none(plan)
    fit = _fit(found)
    try:
        here = speed_at(for_traffic(plan), plan.request.batch_size, lengths_served(plan, workload))
    except UnsupportedError as error:
        return say("load.no_speed", "{fit}; {why}.{limited}", fit=fit, why=str(error), limited=_limited(found))
    return say(
        "load.answer",
        "{fit}; {with_so_many} a token takes {pace} and {replica} gives {rate} tokens/s.{limited}",
        fit=fit,
        with_so_many=with_so_many(here.batch_size),
        pace=pace(here),
        replica=say("load.each_replica", "each replica") if plan.request.data_parallel_size > 1
        else say("load.the_replica", "the replica"),
        rate=rounded(here.output_tokens_per_second),
        limited=_limited(found),
    )  # fmt: skip


def _fit(found: Concurrency) -> str:
    if found.servable < found.sequences:
        return say(
            "load.let_in",
            "{requests} of this traffic {run} at once, as {engine} lets requests in; memory alone would hold {fit:,} "
            "at a risk of {risk} ({even:,} at even odds)",
            requests=plural(found.servable, "request"),
            run=say("load.runs_one", "runs") if found.servable == 1 else say("load.run_many", "run"),
            engine=found.plan.rules.title,
            fit=found.sequences,
            risk=percent(found.risk),
            even=found.sequences_even,
        )
    if not found.sequences:
        return say(
            "load.only_even",
            "Not one request of this traffic fits at a risk of {risk} ({even:,} at even odds)",
            risk=percent(found.risk),
            even=found.sequences_even,
        )
    return say(
        "load.fit",
        "{requests} of this traffic {fit} at a risk of {risk} ({even:,} at even odds)",
        requests=plural(found.sequences, "request"),
        fit=say("load.fits_one", "fits") if found.sequences == 1 else say("load.fit_many", "fit"),
        risk=percent(found.risk),
        even=found.sequences_even,
    )


def _limited(found: Concurrency) -> str:
    """Say so where the engine is set to let in fewer."""
    request = found.plan.request
    title, limit = found.plan.rules.title, request.max_num_seqs * request.attention_replicas
    if limit >= found.servable:
        return ""
    return say("load.by_limit", " {engine} lets in {limit:,} as it is set.", engine=title, limit=limit)
