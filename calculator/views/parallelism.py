"""How to use the same GPUs: tensor, data, attention-data and context parallel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from calculator.errors import CalculatorError
from calculator.messages import Message, joined, phrase, say
from calculator.planning.answer import Plan
from calculator.planning.knobs import inside_a_replica
from calculator.planning.plan import vary
from calculator.request import MAX_RANKS
from calculator.units import plural
from calculator.views.base import ABSENT, Row, View, possible

NAME, TITLE = "parallelism", phrase("Ways to use the GPUs")
MOST_DEGREES = 64
"""Ways to divide the GPUs that are shown; numbers of up to 7,560 GPUs have no more divisors."""
ONE_GPU = {
    "tensor_parallel_size": 1, "pipeline_parallel_size": 1, "data_parallel_size": 1, "enable_attention_dp": False,
    "decode_context_parallel_size": 1, "enable_expert_parallel": False,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ParallelismRow(Row):
    """The plan with its GPUs used in one way.

    Attributes
    ----------
    way : str
        The way in words.
    refused : str
        Why it is not possible; empty where it is.
    this_plan : bool
        Whether it is the plan's own.
    max_batch_size, max_batch_size_low, max_batch_size_high : int
        Sequences that all GPUs hold, and the range of that [-].
    weights_bytes_per_gpu, kv_pool_bytes_per_gpu : int
        Weights and KV pool of one GPU [bytes].
    kv_copies : int
        GPUs of a replica that keep the same KV head [-].
    """

    way: str
    refused: str = ""
    this_plan: bool = ABSENT
    max_batch_size: int = ABSENT
    max_batch_size_low: int = ABSENT
    max_batch_size_high: int = ABSENT
    weights_bytes_per_gpu: int = ABSENT
    kv_pool_bytes_per_gpu: int = ABSENT
    kv_copies: int = ABSENT

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return self.way


class _Way(NamedTuple):
    label: Message
    changes: dict[str, Any]


def parallelism_view(plan: Plan) -> View[ParallelismRow]:
    """Use the same GPUs in every way that their number allows: tensor, data, attention-data and context parallel.

    Parameters
    ----------
    plan : Plan
        The answer to start from; one GPU alone is taken as a node of them [-].

    Returns
    -------
    View
        A row a way: sequences of all GPUs, weights and KV pool of one.
    """
    gpus = plan.num_gpus if plan.num_gpus > 1 else plan.accelerator.gpus_per_node
    ways = list(_ways(plan, gpus))
    rows = [_row(plan, way) for way in ways]
    all_tensor = {**ONE_GPU, "tensor_parallel_size": gpus}
    tensor = next((row for way, row in zip(ways, rows, strict=True) if way.changes == all_tensor), None)
    left_out = len(divisors(gpus)) - len(_degrees(gpus))
    finding = _finding(plan, gpus, rows, tensor)
    if left_out:
        more = plural(left_out, "more way")
        finding = joined(" ", [finding, say("parallelism.left_out", "{more} to divide them not shown.", more=more)])
    return View(NAME, TITLE, finding, plan, rows)


def _row(plan: Plan, way: _Way) -> ParallelismRow:
    try:
        other = vary(plan, **way.changes)
    except CalculatorError as error:
        return ParallelismRow(way.label, str(error))
    replicas = other.request.data_parallel_size
    return ParallelismRow(
        way=way.label,
        this_plan=other.request == plan.request,
        max_batch_size=other.total_max_batch_size,
        max_batch_size_low=other.max_batch_size_low * replicas,
        max_batch_size_high=other.max_batch_size_high * replicas,
        weights_bytes_per_gpu=other.per_gpu.weights_bytes,
        kv_pool_bytes_per_gpu=other.per_gpu.kv_pool_bytes,
        kv_copies=other.kv_replication,
    )


def _ways(plan: Plan, gpus: int) -> Iterator[_Way]:
    inside, short = inside_a_replica(plan)
    has_experts = plan.model.moe_intermediate_size > 0
    for degree in _degrees(gpus):
        replicas = gpus // degree
        split = {**ONE_GPU, inside: degree, "data_parallel_size": replicas}
        label = say("way.replicas", "{short} {degree}, DP {replicas}", short=short, degree=degree, replicas=replicas)
        yield _Way(label, split)
        if has_experts and degree < gpus and plan.rules.shares_experts_across_replicas:
            label = say("way.experts", "TP {degree}, DP {replicas}, EP", degree=degree, replicas=replicas)
            yield _Way(label, {**split, "enable_expert_parallel": True})
    if gpus == 1:
        return
    options, split = plan.rules.only_here, {**ONE_GPU, "tensor_parallel_size": gpus}
    if "enable_attention_dp" in options:
        label = say("way.attention_dp", "TP {degree}, attention DP", degree=gpus)
        yield _Way(label, {**split, "enable_attention_dp": True})
    if "decode_context_parallel_size" in options:
        most = gpus if _is_latent(plan) else gpus // max(1, plan.model.num_key_value_heads)
        if most > 1:
            label = say("way.context", "TP {degree}, context over {most}", degree=gpus, most=most)
            yield _Way(label, {**split, "decode_context_parallel_size": most})


def _degrees(gpus: int) -> list[int]:
    """Return the degrees to show: divisors for which degree and replicas are options, the smallest of many; falling."""
    within = [degree for degree in divisors(gpus) if degree <= MAX_RANKS and gpus // degree <= MAX_RANKS]
    return within[:MOST_DEGREES][::-1]


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, rising, from its primes: few steps for a product of small degrees."""
    found, rest, prime = [1], number, 2
    while rest > 1:
        if prime * prime > rest:
            prime = rest
        powers = [1]
        while rest % prime == 0:
            rest //= prime
            powers.append(powers[-1] * prime)
        found = [one * power for one in found for power in powers]
        prime += 1
    return sorted(found)


def _is_latent(plan: Plan) -> bool:
    return all(group.spec.kv_heads <= 1 for group in plan.model.groups)


def _finding(plan: Plan, gpus: int, rows: list[ParallelismRow], tensor: ParallelismRow | None) -> Message:
    answered = possible(rows)
    if not any(row.max_batch_size for row in answered):
        return say(
            "parallelism.none",
            "No way of using {gpus} holds a sequence of {tokens:,} tokens.",
            gpus=plural(gpus, "GPU"),
            tokens=plan.request.seq_len,
        )
    best = max(answered, key=lambda row: row.max_batch_size)
    more = ""
    if tensor and not tensor.refused and tensor is not best and tensor.max_batch_size:
        copies = say("parallelism.copies", ", where every KV head is kept {copies} times", copies=tensor.kv_copies)
        more = say(
            "parallelism.times",
            ", {factor:.2g} times as many as TP {gpus}{copies}",
            factor=best.max_batch_size / tensor.max_batch_size,
            gpus=gpus,
            copies=copies if tensor.kv_copies > 1 else "",
        )
    return say(
        "parallelism.best",
        "On {gpus} × {gpu}, {way} holds the most: {most:,} sequences of {tokens:,} tokens{more}.",
        gpus=gpus,
        gpu=plan.accelerator.name,
        way=best.way,
        most=best.max_batch_size,
        tokens=plan.request.seq_len,
        more=more,
    )
