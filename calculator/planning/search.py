"""Inverse questions: what would change the answer, and the fewest GPUs that would do.

Everything here asks ``plan()`` again with one input changed; nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from calculator.errors import CalculatorError, friendly
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.knobs import GPUS, LENGTH, SPLIT, Change, changes_of, degrees_within_a_node, length, more_gpus
from calculator.planning.plan import vary

MAX_REPLICA_GPUS = 64


@dataclass(frozen=True)
class Lever:
    """One change of a request and the plan that it leads to.

    Attributes
    ----------
    kind : Message
        Which knob: KV format, weight format, GPUs, length, batched tokens or GPU.
    label : Message
        The change in words.
    cost : Message
        What it costs, where that is known.
    changes : dict
        The keywords to change.
    plan : Plan
        The answer with the change.
    gain : int
        Sequences that fit more than before, over all replicas [-].
    """

    kind: Message
    label: Message
    cost: Message
    changes: dict[str, Any]
    plan: Plan
    gain: int

    @property
    def key(self) -> str:
        """Which knob, the same in every language."""
        return self.kind.key


@friendly
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


@friendly
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
            steps.setdefault(lever.key, lever)
    return _by_gain(steps.values())


def _tried(plan: Plan) -> Iterator[Lever]:
    """Yield every change that the model allows and that changes the answer, smaller steps first."""
    for change in changes_of(plan):
        try:
            other = vary(plan, **change.keywords)
        except CalculatorError:
            continue
        lever = _lever(plan, change, other)
        if lever.gain or other.fits != plan.fits:
            yield lever


def _by_gain(found: Iterable[Lever]) -> tuple[Lever, ...]:
    """Return changes by their gain, those that cost nothing first."""
    return tuple(
        sorted(
            found,
            key=lambda lever: (
                lever.key != SPLIT.key or lever.gain <= 0,
                -lever.gain,
                lever.plan.num_gpus,
                lever.label,
            ),
        )
    )


@friendly
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


def ways_to_split(plan: Plan) -> Iterator[dict[str, int]]:
    """Yield every way to split one replica over GPUs, the plan's own included: fewest GPUs first, then stages."""
    own = plan.request.tensor_parallel_size, plan.request.pipeline_parallel_size
    most = {degree: min(MAX_REPLICA_GPUS // degree, plan.model.num_layers) for degree in degrees_within_a_node(plan)}
    shapes = {own, *((tp, pp) for tp, stages in most.items() for pp in range(1, stages + 1))}
    for tp, pp in sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape[1])):
        yield {"tensor_parallel_size": tp, "pipeline_parallel_size": pp}


@friendly
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
        label = length(plan.max_context_len, plan.request.seq_len)
        cost = say("lever.shorter_context", "a shorter context")
        changes.append(_lever(plan, Change(LENGTH, label, cost, {"seq_len": plan.max_context_len}), shorter))
    smallest = smallest_fit(plan)
    if smallest:
        way = {name: getattr(smallest.request, name) for name in ("tensor_parallel_size", "pipeline_parallel_size")}
        other = vary(plan, **way)
        label = say(
            "lever.smallest_fit", "{gpus} × {gpu} ({shape})",
            gpus=other.num_gpus, gpu=other.accelerator.name, shape=shape(other),
        )  # fmt: skip
        changes.append(_lever(plan, Change(GPUS, label, more_gpus(other.num_gpus - plan.num_gpus), way), other))
    best: dict[str, Lever] = {}
    for lever in changes:
        if lever.plan.fits:
            best[lever.key] = min(lever, best.get(lever.key, lever), key=_size)
    return _by_gain(best.values())


def _size(lever: Lever) -> tuple[int, int, int]:
    """How little a change goes beyond what was asked: GPUs, then memory, then what fits."""
    return lever.plan.num_gpus, lever.plan.all_gpus.total_bytes, -lever.plan.request.seq_len


def _lever(plan: Plan, change: Change, other: Plan) -> Lever:
    return Lever(*change, plan=other, gain=other.total_max_batch_size - plan.total_max_batch_size)


def shape(plan: Plan) -> str:
    """Say how a plan's GPUs are used: TP and PP, and DP where there are several replicas."""
    request = plan.request
    replicas = say("search.replicas", ", DP {replicas}", replicas=request.data_parallel_size)
    return say(
        "search.shape",
        "TP {tensor}, PP {pipeline}{replicas}",
        tensor=request.tensor_parallel_size,
        pipeline=request.pipeline_parallel_size,
        replicas=replicas if request.data_parallel_size > 1 else "",
    )
