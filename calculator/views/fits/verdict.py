"""How an answer stands to what was asked: the margin, the range and its cause, and what is missing where it is not."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from calculator.messages import joined, phrase, say, uncapitalised
from calculator.units import GIB, format_size, plural
from calculator.views.growth import in_blocks
from calculator.views.words import asked_users

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

MOST_TENTHS = 10
"""From so many times on the room is said without a tenth [-]."""


def room(plan: Plan, users: int) -> str:
    """Say in a few words how what is held stands to the users asked for."""
    held = plan.total_max_batch_size
    if plan.fits:
        times = held / users
        if times < 1.05:
            return say("verdict.just", "fits, nothing to spare")
        tenths = floor(times * 10) / 10
        ratio = f"{tenths:.1f}" if times < MOST_TENTHS else f"{int(times):,}"
        return say("verdict.room", "fits, {ratio}\u00a0×\u00a0room", ratio=ratio)
    if not held:
        return say("verdict.none", "does not fit")
    if held >= users:
        return say("verdict.starts_not", "does not start")
    return say("verdict.too_many", "{more} too many", more=plural(users - held, "user"))


def range_of(plan: Plan) -> str:
    """Say in what range the users lie and what makes it; empty where nothing is estimated or nothing fits."""
    if not plan.range_cause or not plan.fits:
        return ""
    replicas = plan.request.data_parallel_size
    low, high = plan.max_batch_size_low * replicas, plan.max_batch_size_high * replicas
    if low == high:
        return say("verdict.no_range", "{low:,} over the whole range of {cause}.", low=low, cause=plan.range_cause)
    return say("verdict.range", "Range {low:,} to {high:,}, from {cause}.", low=low, high=high, cause=plan.range_cause)


def how_often(plan: Plan) -> str:
    """Say on how many machines with public logs this engine's ranges held; empty where too few are known."""
    from calculator.logs.proof.judged import FEWEST, proof

    machines = proof().machines.get(plan.rules.name, ())
    if len(machines) < FEWEST or not range_of(plan):
        return ""
    return say(
        "verdict.how_often", "Such ranges held on {held} of {machines} machines.",
        held=sum(kept for _, kept in machines), machines=len(machines),
    )  # fmt: skip


def shortfall(plan: Plan) -> str:
    """Say what is needed and what there is, where users do not fit; empty where it is not the pool that is short."""
    request, pool = plan.request, plan.per_gpu.kv_pool_bytes
    needed = plan.allocated_bytes_per_sequence * -(-request.batch_size // request.attention_replicas)
    if plan.fits or plan.refused or plan.stage.exceeds or not pool or needed <= pool:
        return ""
    return say(
        "verdict.needed", "Needed on each GPU: {needed} of KV; there are {pool}.",
        needed=format_size(needed), pool=format_size(pool),
    )  # fmt: skip


def of_one_user(plan: Plan) -> str:
    """Say what of one user's cache stands on one GPU, how often it is kept, and what blocks make of it."""
    copies, blocks = plan.kv_replication, in_blocks(plan)
    if blocks:
        return blocks
    if copies > 1:
        alone = plan.kv_bytes_per_sequence // copies
        return say("verdict.copies", "{alone}, kept {copies} times", alone=format_size(alone), copies=copies)
    if plan.gpus_per_replica == 1:
        return say("verdict.one_gpu", "on one GPU")
    return say("verdict.each_gpu", "{size} on each GPU", size=format_size(plan.kv_bytes_per_gpu))


def overheads_in_words(plan: Plan) -> str:
    """Name the parts of the overheads with their sizes in GiB."""
    named = [
        say("part.overhead", "{name} {size}", name=uncapitalised(line.name), size=f"{line.bytes / GIB:,.2f}")
        for line in plan.stage.overheads if line.bytes > 0
    ]  # fmt: skip
    return joined(", ", named)


def of_replicas(plan: Plan, users: int) -> str:
    """Say how many users each replica is asked for; empty where there is one."""
    replicas, each = plan.request.data_parallel_size, plan.request.batch_size
    if replicas == 1:
        return ""
    most = phrase("at most ") if users != asked_users(plan) else ""
    return say("verdict.each_replica", ", {most}{each:,} on each of {replicas:,} replicas",
               most=most, each=each, replicas=replicas)  # fmt: skip
