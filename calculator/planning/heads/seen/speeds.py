"""What tokens a second and seconds a token of a plan can be: the speed model's, and what single mistakes make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from calculator.errors import InvalidValueError, UnsupportedError
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.heads.seen.candidates import Asked, Candidate
from calculator.planning.traffic.timing.speed import Speed, speed
from calculator.planning.traffic.timing.work import work_of
from calculator.units import plural


@dataclass(frozen=True)
class Batch:
    """So many sequences of a plan that decode at once.

    Attributes
    ----------
    users : int
        Sequences [-].
    fast : Speed
        The speed model's answer.
    weights_s, read_s : float
        Seconds to read the weights of a step at the full bandwidth of all GPUs, and weights and cache [s].
    """

    users: int
    fast: Speed
    weights_s: float
    read_s: float


def batches(asked: Asked) -> list[Batch]:
    """Return the batch that was asked and the largest one.

    Raises
    ------
    CalculatorError
        If no plan says on which device, or its bandwidth is not known.
    """
    plan = asked.plan
    if plan is None:
        raise InvalidValueError(
            say(
                "speeds.tokens_second_depend_gpu", "tokens a second depend on the GPU: give a plan in place of a model"
            ),
            what="model",
            allowed="a plan",
        )
    counts = dict.fromkeys((plan.request.batch_size, plan.max_batch_size))
    return [_batch(plan, users) for users in counts if users]


def _batch(plan: Plan, users: int) -> Batch:
    bandwidth = plan.accelerator.bandwidth_gb_per_s
    if not bandwidth:
        raise UnsupportedError(
            say("speeds.bandwidth_not_known", "the bandwidth of {name} is not known", name=plan.accelerator.name),
            what="gpu",
        )
    fast = speed(plan, users, plan.request.seq_len, None)
    work = work_of(plan.model, plan.model.resolve_weight_dtype(plan.request.weight_dtype))
    per_s = bandwidth * 1e9 * plan.gpus_per_replica
    weights = work.dense_bytes + work.expert_bytes * work.touched(users)
    return Batch(users, fast, weights / per_s, (weights + users * plan.kv_bytes_per_sequence) / per_s)


def speed_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what tokens a second of all sequences, or of one, can be."""
    for batch in batches(asked):
        together = say("check.together", "{users} of {tokens:,} tokens together",
                       users=plural(batch.users, "user"), tokens=asked.seq_len)  # fmt: skip
        one = say("check.one_user", "one of {users} of {tokens:,} tokens",
                  users=plural(batch.users, "user"), tokens=asked.seq_len)  # fmt: skip
        fast = batch.fast
        ends = (fast.output_tokens_per_second, fast.output_tokens_per_second_low, fast.output_tokens_per_second_high)
        if asked.each != "sequence":
            yield Candidate(together, "", "", *map(Fraction, ends))
        if batch.users > 1:
            yield Candidate(one, "", "", *(Fraction(each) / batch.users for each in ends))
        for reading, share in ((together, 1), (one, batch.users)):
            if asked.each != "sequence" or share != 1 or batch.users == 1:
                for key, words, seconds in _on_paper(batch):
                    yield Candidate(reading, key, words, Fraction(batch.users) / share / Fraction(seconds))


def step_candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield what seconds a token can be."""
    for batch in batches(asked):
        reading = say("check.step", "a token with {users} of {tokens:,} tokens",
                      users=plural(batch.users, "user"), tokens=asked.seq_len)  # fmt: skip
        fast = batch.fast
        ends = (
            fast.time_per_output_token_s,
            fast.time_per_output_token_s_low,
            fast.time_per_output_token_s_high,
        )
        yield Candidate(reading, "", "", *map(Fraction, ends))
        for key, words, seconds in _on_paper(batch):
            yield Candidate(reading, key, words, Fraction(seconds))


def _on_paper(batch: Batch) -> Iterator[tuple[str, str, float]]:
    """Yield seconds of a step of which something is forgotten."""
    paper = say("check.nameplate", "weights and cache read at the full bandwidth, and nothing else")
    yield "nameplate", paper, batch.read_s
    yield "weights_alone", say("check.weights_alone", "the weights read at the full bandwidth, the cache not"), (
        batch.weights_s
    )  # fmt: skip


def impossible(asked: Asked, kind: str, number: Fraction) -> Message | None:
    """Say that no batch of a plan is so fast, where reading weights and cache alone takes longer; None else."""
    found = batches(asked)
    if kind == "speed":
        share = {batch.users: batch.users if asked.each == "sequence" else 1 for batch in found}
        best = max(found, key=lambda batch: batch.users / share[batch.users] / batch.read_s)
        most = best.users / share[best.users] / best.read_s
        if number <= most:
            return None
        return say(
            "check.too_fast",
            "It is not possible: with {users} reading weights and cache alone takes {ms:.3g} ms a step, so at most "
            "{most:,.0f} tokens/s.",
            users=plural(best.users, "user"), ms=1e3 * best.read_s, most=most,
        )  # fmt: skip
    best = min(found, key=lambda batch: batch.read_s)
    if number >= best.read_s:
        return None
    return say(
        "check.too_short", "It is not possible: with {users} reading weights and cache alone takes {ms:.3g} ms a step.",
        users=plural(best.users, "user"), ms=1e3 * best.read_s,
    )  # fmt: skip
