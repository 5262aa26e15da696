"""Inverse questions: what would change the answer, and the fewest GPUs that would do.

Everything here asks ``plan()`` again with one input changed; nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from calculator.catalogue.presets import gpu_ids, load_gpu
from calculator.errors import CalculatorError
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.planning.answer import Plan
from calculator.planning.plan import vary
from calculator.planning.resolve import legal_degrees
from calculator.units import format_gib

MAX_REPLICA_GPUS = 64
BATCHED_TOKENS = (2_048,)
NEXT_GPU = 1.05
"""A GPU counts as the next larger one from 5 % more memory on."""


@dataclass(frozen=True)
class Lever:
    """One change of a request and the plan that it leads to.

    Attributes
    ----------
    kind : str
        Which knob: KV format, weight format, GPUs, length, batched tokens or GPU.
    label : str
        The change in words.
    cost : str
        What it costs, where that is known.
    changes : dict
        The keywords to change.
    plan : Plan
        The answer with the change.
    gain : int
        Sequences that fit more than before, over all replicas [-].
    """

    kind: str
    label: str
    cost: str
    changes: dict[str, Any]
    plan: Plan
    gain: int


def levers(plan: Plan) -> tuple[Lever, ...]:
    """Try every knob alone and return the changes, the largest gain first.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    tuple of Lever
        Each recomputed by ``plan()``; those that the model does not allow are left out.
    """
    return _by_gain(_tried(plan))


def next_steps(plan: Plan) -> tuple[Lever, ...]:
    """Return the smallest step of every knob that gains anything, the largest gain first.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    tuple of Lever
        One for each kind of knob: the next format, degree, length and GPU.
    """
    steps: dict[str, Lever] = {}
    for lever in _tried(plan):
        if lever.gain > 0:
            steps.setdefault(lever.kind, lever)
    return _by_gain(steps.values())


def _tried(plan: Plan) -> Iterator[Lever]:
    """Yield every change that the model allows and that changes the answer, smaller steps first."""
    for kind, label, cost, changes in _candidates(plan):
        try:
            other = vary(plan, **changes)
        except CalculatorError:
            continue
        gain = other.total_max_batch_size - plan.total_max_batch_size
        if gain or other.fits != plan.fits:
            yield Lever(kind, label, cost, changes, other, gain)


def _by_gain(found: Iterable[Lever]) -> tuple[Lever, ...]:
    return tuple(sorted(found, key=lambda lever: (-lever.gain, lever.plan.num_gpus, lever.label)))


def smallest_fit(plan: Plan) -> Plan | None:
    """Find the fewest GPUs of the same kind that hold one replica of the request.

    Parameters
    ----------
    plan : Plan
        The answer whose model, GPU, length, batch, formats and switches are kept [-].

    Returns
    -------
    Plan or None
        The plan with the fewest GPUs, tensor parallelism within a node before pipeline stages;
        None where 64 GPUs a replica do not suffice.

    Notes
    -----
    Replicas that share experts (``enable_expert_parallel``) do not stand alone: there it is the smallest replica
    with as many of them as asked, and all are counted. Ways that ``plan()`` refuses under the switches kept, such
    as a degree that ``decode_context_parallel_size`` does not divide, are passed over.
    """
    apart = {} if plan.request.enable_expert_parallel else {"data_parallel_size": 1}
    for way in ways_to_split(plan):
        try:
            other = vary(plan, **way, **apart)
        except CalculatorError:
            continue
        if other.fits:
            return other
    return None


def degrees_within_a_node(plan: Plan) -> list[int]:
    """Return the degrees that GPUs of a node can share layers in, under a plan's engine and switches, ascending [-]."""
    if not plan.rules.splits_layers:
        return [1]
    legal = legal_degrees(plan.model, asdict(plan.request))
    return [degree for degree in legal if degree <= plan.accelerator.gpus_per_node]


def inside_a_replica(plan: Plan) -> tuple[str, str]:
    """Return the keyword that an engine shares a model by within a node, and its short name."""
    return ("tensor_parallel_size", "TP") if plan.rules.splits_layers else ("pipeline_parallel_size", "PP")


def ways_to_split(plan: Plan) -> Iterator[dict[str, int]]:
    """Yield every way to split one replica over GPUs, the plan's own included: fewest GPUs first, then stages."""
    own = plan.request.tensor_parallel_size, plan.request.pipeline_parallel_size
    most = {degree: min(MAX_REPLICA_GPUS // degree, plan.model.num_layers) for degree in degrees_within_a_node(plan)}
    shapes = {own, *((tp, pp) for tp, stages in most.items() for pp in range(1, stages + 1))}
    for tp, pp in sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape[1])):
        yield {"tensor_parallel_size": tp, "pipeline_parallel_size": pp}


def what_would_fit(plan: Plan) -> tuple[Lever, ...]:
    """Return the single changes that make a plan fit, the largest gain first; empty where it fits already.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    tuple of Lever
        One for each kind of knob: the one that changes least.
    """
    if plan.fits:
        return ()
    changes = list(levers(plan))
    if plan.max_context_len:
        shorter = vary(plan, seq_len=plan.max_context_len)
        label = f"{plan.max_context_len:,} tokens instead of {plan.request.seq_len:,}"
        changes.append(_lever(plan, "Length", label, "a shorter context", {"seq_len": plan.max_context_len}, shorter))
    smallest = smallest_fit(plan)
    if smallest:
        way = {name: getattr(smallest.request, name) for name in ("tensor_parallel_size", "pipeline_parallel_size")}
        other = vary(plan, **way)
        label = f"{other.num_gpus} × {other.accelerator.name} ({shape(other)})"
        changes.append(_lever(plan, "GPUs", label, _more_gpus(other.num_gpus - plan.num_gpus), way, other))
    best: dict[str, Lever] = {}
    for lever in changes:
        if lever.plan.fits:
            best[lever.kind] = min(lever, best.get(lever.kind, lever), key=_size)
    return _by_gain(best.values())


def _size(lever: Lever) -> tuple[int, int, int]:
    """How little a change goes beyond what was asked: GPUs, then memory, then what fits."""
    return lever.plan.num_gpus, lever.plan.all_gpus.total_bytes, -lever.plan.request.seq_len


def _lever(plan: Plan, kind: str, label: str, cost: str, changes: dict[str, Any], other: Plan) -> Lever:
    return Lever(kind, label, cost, changes, other, other.total_max_batch_size - plan.total_max_batch_size)


def _candidates(plan: Plan) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield every knob: kind, the change in words, its cost, the keywords."""
    request, model = plan.request, plan.model
    now = storage.FORMATS[request.kv_cache_dtype].bits_per_value
    for name in plan.rules.kv_cache_dtypes:
        bits = storage.FORMATS[name].bits_per_value
        if bits < now:
            yield (
                "KV format",
                f"KV cache in {name}",
                f"{bits:g} bits a value instead of {now:g}",
                {"kv_cache_dtype": name},
            )
    bits_now = weights.weight_format(request.weight_dtype).bits
    for weight in (weights.FORMATS[name] for name in plan.rules.weight_dtypes):
        if weight.bits < bits_now:
            cost = f"{weight.bits} bits a weight instead of {bits_now}"
            yield "Weight format", f"Weights in {weight.name}", cost, {"weight_dtype": weight.name}
    inside, short = inside_a_replica(plan)
    now, node = getattr(request, inside), plan.accelerator.gpus_per_node
    degrees = degrees_within_a_node(plan) if plan.rules.splits_layers else range(1, node + 1)
    for degree in sorted(degrees, key=lambda degree: (degree < now, abs(degree - now))):
        if degree != now:
            count = plan.num_gpus // now * degree
            label = f"{count} GPUs ({short} {degree}) instead of {plan.num_gpus}"
            yield "GPUs", label, _more_gpus(count - plan.num_gpus), {inside: degree}
    for tokens in (request.seq_len // 2, request.seq_len * 2):
        if 0 < tokens <= max(model.max_position_embeddings, request.seq_len):
            label = f"{tokens:,} tokens instead of {request.seq_len:,}"
            yield (
                "Length",
                label,
                "shorter sequences" if tokens < request.seq_len else "longer sequences",
                {"seq_len": tokens},
            )
    for tokens in BATCHED_TOKENS:
        if tokens < request.max_num_batched_tokens and "max_num_batched_tokens" in plan.rules.flags:
            label = f"{tokens:,} batched tokens instead of {request.max_num_batched_tokens:,}"
            yield "Batched tokens", label, "slower prefill", {"max_num_batched_tokens": tokens}
    memory = plan.per_gpu.total_bytes
    others = (load_gpu(gpu) for gpu in gpu_ids() if gpu != request.gpu)
    for other in sorted(
        others,
        key=lambda other: (other.memory_bytes < NEXT_GPU * memory, other.memory_bytes, not other.memory_verified),
    ):
        if other.gpus_per_node >= request.tensor_parallel_size:
            cost = f"{format_gib(other.memory_bytes, 1)} a GPU instead of {format_gib(memory, 1)}"
            label = f"{other.name} instead of {plan.accelerator.name}"
            yield "GPU", label, cost, {"gpu": other.id, "gpu_memory_bytes": None}


def shape(plan: Plan) -> str:
    """Say how a plan's GPUs are used: TP and PP, and DP where there are several replicas."""
    request = plan.request
    replicas = f", DP {request.data_parallel_size}" if request.data_parallel_size > 1 else ""
    return f"TP {request.tensor_parallel_size}, PP {request.pipeline_parallel_size}{replicas}"


def _more_gpus(more: int) -> str:
    return f"{abs(more):,} {'more' if more > 0 else 'fewer'} {'GPU' if abs(more) == 1 else 'GPUs'}"
