"""The answer about a load in one sentence: how many fit, how fast each is served, and how much together."""

from __future__ import annotations

from calculator.errors import UnsupportedError
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.traffic.concurrency import Concurrency, concurrency
from calculator.planning.traffic.pools.loaded import mean_lengths
from calculator.planning.traffic.speed import speed
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
    prompt, output = mean_lengths(plan, workload)
    try:
        here = speed(for_traffic(plan), batch_size=plan.request.batch_size, prompt_tokens=prompt, output_tokens=output)
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
    """Say so where the engine lets in fewer than memory holds."""
    request = found.plan.request
    title, limit = found.plan.rules.title, request.max_num_seqs * request.attention_replicas
    runs = min(found.saturated, limit)
    if runs >= found.sequences:
        return ""
    if limit <= found.saturated:
        return say("load.by_limit", " {engine} lets in {limit:,} as it is set.", engine=title, limit=limit)
    return say("load.by_rule", " {engine} itself lets in about {runs}.", engine=title, runs=rounded(runs))
