"""The knobs of a request: each change that may be worth trying alone, with what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from calculator.catalogue.presets import load_gpu, proposed_gpu_ids
from calculator.engines.beside.experts import joins_replicas, replicas_joined
from calculator.errors import CalculatorError
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.plan import vary
from calculator.planning.sizing.layouts import SPLITS, Layout, in_words, layouts
from calculator.planning.stage import distinct
from calculator.units import format_bytes, format_gib, plural

BATCHED_TOKENS = (2_048,)
NEXT_GPU = 1.05
"""A GPU counts as the next larger one from 5 % more memory on."""

KV_FORMAT, WEIGHT_FORMAT = say("knob.kv_format", "KV format"), say("knob.weight_format", "Weight format")
GPUS, LENGTH, GPU = say("knob.gpus", "GPUs"), say("knob.length", "Length"), say("knob.gpu", "GPU")
SPLIT = say("knob.split", "Split")
TOKENS, POOL = say("knob.batched_tokens", "Batched tokens"), say("knob.kv_pool", "KV pool")


SWITCHES = ("enable_expert_parallel", "enable_attention_dp")
PLAIN_SPLIT = {
    "pipeline_parallel_size": 1, "data_parallel_size": 1, "decode_context_parallel_size": 1,
    **dict.fromkeys(SWITCHES, False),
}  # fmt: skip
"""Where a layout does not say otherwise."""


class Change(NamedTuple):
    """One step of one knob: which, the change and its cost in words, the keywords, and its plan where that is known."""

    knob: Message
    label: Message
    cost: Message
    keywords: dict[str, Any]
    plan: Plan | None = None


def changes_of(plan: Plan) -> Iterator[Change]:
    """Yield every change of one knob, knob by knob, the smaller steps first."""
    yield from _mending(plan)
    yield from _kv_pool(plan)
    yield from _kv_formats(plan)
    yield from _weight_formats(plan)
    yield from _splits(plan)
    yield from _counts(plan)
    yield from _lengths(plan)
    yield from _batched_tokens(plan)
    yield from _gpus(plan)


def _mending(plan: Plan) -> Iterator[Change]:
    """Yield what mends each reason why the engine does not start."""
    for refusal in plan.refused:
        if refusal.keywords:
            yield Change(refusal.knob, refusal.label, refusal.cost, dict(refusal.keywords))


def _kv_pool(plan: Plan) -> Iterator[Change]:
    """Yield the largest pool that every device holds, where one that is given exceeds it."""
    now = plan.request.kv_cache_memory_bytes
    largest = min(one.memory.unused_bytes + one.memory.kv_pool_bytes for one in distinct(plan.stages))
    if now is not None and 0 < largest < now:
        shown = format_gib if format_gib(largest) != format_gib(now) else format_bytes
        label = say("lever.kv_pool", "KV pool of {size} instead of {now}", size=shown(largest), now=shown(now))
        cost = say("lever.largest_pool", "the largest that one GPU holds")
        yield Change(POOL, label, cost, {"kv_cache_memory_bytes": largest})


def _kv_formats(plan: Plan) -> Iterator[Change]:
    now = storage.FORMATS[plan.request.kv_cache_dtype].bits_per_value
    for name in plan.rules.kv_cache_dtypes:
        bits = storage.FORMATS[name].bits_per_value
        if bits < now:
            label = say("lever.kv_format", "KV cache in {name}", name=name)
            cost = say("lever.bits_a_value", "{bits:g} bits a value instead of {now:g}", bits=bits, now=now)
            yield Change(KV_FORMAT, label, cost, {"kv_cache_dtype": name})


def _weight_formats(plan: Plan) -> Iterator[Change]:
    now = weights.weight_format(plan.request.weight_dtype).bits
    for weight in (weights.FORMATS[name] for name in plan.rules.weight_dtypes):
        if weight.bits < now:
            label = say("lever.weight_format", "Weights in {name}", name=weight.name)
            cost = say("lever.bits_a_weight", "{bits} bits a weight instead of {now}", bits=weight.bits, now=now)
            yield Change(WEIGHT_FORMAT, label, cost, {"weight_dtype": weight.name})


def _splits(plan: Plan) -> Iterator[Change]:
    """Yield other ways to share a model among the same GPUs: copies of a cache that need not be kept."""
    now = split_of(plan)
    for layout in layouts(plan.model, plan.rules, plan.accelerator, plan.num_gpus, {}):
        keywords = {**PLAIN_SPLIT, **layout.keywords}
        if layout.num_gpus != plan.num_gpus or keywords == now or _is_plain(keywords):
            continue
        label = say("lever.split", "{split} on the same GPUs", split=in_words(keywords))
        batch = -(-plan.request.batch_size * plan.request.data_parallel_size // keywords["data_parallel_size"])
        if batch != plan.request.batch_size:
            keywords["batch_size"] = batch
        yield Change(SPLIT, label, say("lever.no_cost", "no more GPUs, the same formats"), keywords)


def _counts(plan: Plan) -> Iterator[Change]:
    """Yield other numbers of GPUs that can be bought, each shared in the way that holds most, with as many stages."""
    request, now = plan.request, plan.num_gpus
    replicas = now // _in_a_unit(plan)
    stages = request.pipeline_parallel_size if plan.rules.splits_layers else None
    best: dict[int, tuple[Plan, dict[str, Any]]] = {}
    most = plan.accelerator.gpus_per_node * (stages or 1) * (_in_a_unit(plan) // plan.gpus_per_replica)
    for layout in layouts_of(plan, most):
        if stages not in (None, layout.keywords["pipeline_parallel_size"]) or layout.num_gpus * replicas == now:
            continue
        keywords = change_to(plan, layout)
        try:
            other = vary(plan, **keywords)
        except CalculatorError:
            continue
        known = best.get(layout.num_gpus)
        if known is None or other.total_max_batch_size > known[0].total_max_batch_size:
            best[layout.num_gpus] = other, keywords
    for size in sorted(best, key=lambda size: (size * replicas < now, abs(size * replicas - now))):
        (other, keywords), count = best[size], size * replicas
        label = say(
            "lever.count", "{count} ({split}) instead of {now}",
            count=plural(count, "GPU"), split=in_words({**split_of(plan), **keywords}), now=now,
        )  # fmt: skip
        yield Change(GPUS, label, more_gpus(count - now), keywords, other)


def _lengths(plan: Plan) -> Iterator[Change]:
    now = plan.request.seq_len
    shorter, longer = say("lever.shorter", "shorter sequences"), say("lever.longer", "longer sequences")
    for tokens in (now // 2, now * 2):
        if 0 < tokens <= max(plan.model.max_position_embeddings, now):
            yield Change(LENGTH, length(tokens, now), shorter if tokens < now else longer, {"seq_len": tokens})


def _batched_tokens(plan: Plan) -> Iterator[Change]:
    now = plan.request.max_num_batched_tokens
    for tokens in BATCHED_TOKENS:
        if tokens < now and "max_num_batched_tokens" in plan.rules.flags:
            label = say("lever.batched_tokens", "{tokens:,} batched tokens instead of {now:,}", tokens=tokens, now=now)
            cost = say("lever.slower_prefill", "slower prefill")
            yield Change(TOKENS, label, cost, {"max_num_batched_tokens": tokens})


def _gpus(plan: Plan) -> Iterator[Change]:
    memory = plan.per_gpu.total_bytes
    others = (load_gpu(gpu) for gpu in proposed_gpu_ids() if gpu != plan.request.gpu)
    for other in sorted(
        others,
        key=lambda other: (other.memory_bytes < NEXT_GPU * memory, other.memory_bytes, not other.memory_verified),
    ):
        if other.gpus_per_node >= plan.request.tensor_parallel_size:
            label = say("lever.gpu", "{name} instead of {now}", name=other.name, now=plan.accelerator.name)
            then, now = format_gib(other.memory_bytes, 1), format_gib(memory, 1)
            cost = (
                say("lever.gpu_memory", "{memory} a GPU instead of {now}", memory=then, now=now)
                if then != now
                else say("lever.gpu_memory", "{memory} a GPU, as now", memory=then)
            )
            yield Change(GPU, label, cost, {"gpu": other.id, "gpu_memory_bytes": None})


def layouts_of(plan: Plan, most: int) -> Iterator[Layout]:
    """Yield the layouts of a plan's model over GPUs of its kind that can be bought, as the search has them.

    Switches that the plan has are kept, with the replicas that share experts; replicas that stand alone stay alone.
    """
    request = plan.request
    given: dict[str, Any] = {name: True for name in SWITCHES if getattr(request, name)}
    if joins_replicas(plan.rules, request):
        given["data_parallel_size"] = request.data_parallel_size
    for layout in layouts(plan.model, plan.rules, plan.accelerator, most, given):
        joined = layout.units > 1 and not joins_replicas(plan.rules, request) and request.data_parallel_size > 1
        if not joined:
            yield layout


def change_to(plan: Plan, layout: Layout) -> dict[str, Any]:
    """Return the keywords that turn a plan into one of another layout, which is asked for as much in all."""
    request, now = plan.request, split_of(plan)
    asked = {**PLAIN_SPLIT, "data_parallel_size": now["data_parallel_size"], **layout.keywords}
    inside = ("tensor_parallel_size", "pipeline_parallel_size") if plan.rules.splits_layers else (
        "pipeline_parallel_size",
    )  # fmt: skip
    changes = {name: value for name, value in asked.items() if value != now[name] or name == inside[0]}
    batch = -(-request.batch_size * replicas_joined(plan.rules, request) // layout.units)
    return changes if batch == request.batch_size else {**changes, "batch_size": batch}


def split_of(plan: Plan) -> dict[str, Any]:
    """Return how a plan's GPUs share its model, as keywords."""
    return {name: getattr(plan.request, name) for name in SPLITS}


def _is_plain(keywords: Mapping[str, Any]) -> bool:
    return all(keywords[name] == PLAIN_SPLIT[name] for name in (*SWITCHES, "decode_context_parallel_size"))


def _in_a_unit(plan: Plan) -> int:
    """Return the GPUs that stand or fall together: of a replica, or of those that share experts [-]."""
    return plan.num_gpus if joins_replicas(plan.rules, plan.request) else plan.gpus_per_replica


def inside_a_replica(plan: Plan) -> tuple[str, str]:
    """Return the keyword that an engine shares a model by within a node, and its short name."""
    return ("tensor_parallel_size", "TP") if plan.rules.splits_layers else ("pipeline_parallel_size", "PP")


def length(tokens: int, now: int) -> Message:
    """Say that sequences have another length."""
    return say("lever.length", "{tokens:,} tokens instead of {now:,}", tokens=tokens, now=now)


def more_gpus(more: int) -> Message:
    """Say how many GPUs more or fewer a change takes."""
    return plural(more, "more GPU", "more GPUs") if more > 0 else plural(-more, "fewer GPU", "fewer GPUs")
