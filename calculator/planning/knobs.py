"""The knobs of a request: each change of one input that may be worth trying, with what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

from calculator.catalogue.presets import load_gpu, proposed_gpu_ids
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.resolve import legal_degrees
from calculator.planning.sizing.layouts import SPLITS, in_words, layouts
from calculator.planning.stage import distinct
from calculator.units import format_bytes, format_gib

BATCHED_TOKENS = (2_048,)
NEXT_GPU = 1.05
"""A GPU counts as the next larger one from 5 % more memory on."""

KV_FORMAT, WEIGHT_FORMAT = say("knob.kv_format", "KV format"), say("knob.weight_format", "Weight format")
GPUS, LENGTH, GPU = say("knob.gpus", "GPUs"), say("knob.length", "Length"), say("knob.gpu", "GPU")
SPLIT = say("knob.split", "Split")
TOKENS, POOL = say("knob.batched_tokens", "Batched tokens"), say("knob.kv_pool", "KV pool")


_SWITCHES = ("enable_expert_parallel", "enable_attention_dp")


class Change(NamedTuple):
    """One input changed: which knob, the change and its cost in words, and the keywords."""

    knob: Message
    label: Message
    cost: Message
    keywords: dict[str, Any]


def changes_of(plan: Plan) -> Iterator[Change]:
    """Yield every change of one input, knob by knob, the smaller steps first."""
    yield from _mending(plan)
    yield from _kv_pool(plan)
    yield from _kv_formats(plan)
    yield from _weight_formats(plan)
    yield from _splits(plan)
    yield from _degrees(plan)
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
    request, plain = plan.request, {"decode_context_parallel_size": 1, **dict.fromkeys(_SWITCHES, False)}
    now = {name: getattr(request, name) for name in SPLITS}
    for layout in layouts(plan.model, plan.rules, plan.accelerator, plan.num_gpus, {}):
        keywords = {**plain, "data_parallel_size": 1, **layout.keywords}
        if layout.num_gpus != plan.num_gpus or keywords == now or all(keywords[name] == plain[name] for name in plain):
            continue
        label = say("lever.split", "{split} on the same GPUs", split=in_words(keywords))
        yield Change(SPLIT, label, say("lever.no_cost", "no more GPUs, the same formats"), keywords)


def _degrees(plan: Plan) -> Iterator[Change]:
    inside, short = inside_a_replica(plan)
    now, node = getattr(plan.request, inside), plan.accelerator.gpus_per_node
    degrees = degrees_within_a_node(plan) if plan.rules.splits_layers else range(1, node + 1)
    for degree in sorted(degrees, key=lambda degree: (degree < now, abs(degree - now))):
        if degree != now:
            count = plan.num_gpus // now * degree
            label = say(
                "lever.degree", "{count} GPUs ({short} {degree}) instead of {now}",
                count=count, short=short, degree=degree, now=plan.num_gpus,
            )  # fmt: skip
            yield Change(GPUS, label, more_gpus(count - plan.num_gpus), {inside: degree})


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
            cost = say(
                "lever.gpu_memory", "{memory} a GPU instead of {now}",
                memory=format_gib(other.memory_bytes, 1), now=format_gib(memory, 1),
            )  # fmt: skip
            yield Change(GPU, label, cost, {"gpu": other.id, "gpu_memory_bytes": None})


def degrees_within_a_node(plan: Plan) -> list[int]:
    """Return the degrees that GPUs of a node can share layers in, under a plan's engine and switches, ascending [-]."""
    if not plan.rules.splits_layers:
        return [1]
    legal = legal_degrees(plan.model, asdict(plan.request))
    return [degree for degree in legal if degree <= plan.accelerator.gpus_per_node]


def inside_a_replica(plan: Plan) -> tuple[str, str]:
    """Return the keyword that an engine shares a model by within a node, and its short name."""
    return ("tensor_parallel_size", "TP") if plan.rules.splits_layers else ("pipeline_parallel_size", "PP")


def length(tokens: int, now: int) -> Message:
    """Say that sequences have another length."""
    return say("lever.length", "{tokens:,} tokens instead of {now:,}", tokens=tokens, now=now)


def more_gpus(more: int) -> Message:
    """Say how many GPUs more or fewer a change takes."""
    gpus = "GPU" if abs(more) == 1 else "GPUs"
    if more > 0:
        return say("lever.more_gpus", f"{{number:,}} more {gpus}", number=more)
    return say("lever.fewer_gpus", f"{{number:,}} fewer {gpus}", number=-more)
