"""Inverse questions: what would change the answer, and the fewest GPUs that would do.

Everything here asks ``plan()`` again with one input changed; nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.catalogue.presets import load_gpu
from calculator.engines.beside.experts import joins_replicas
from calculator.engines.support import Support, offered
from calculator.errors import CalculatorError, friendly
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.knobs import (
    GPUS,
    LENGTH,
    SPLIT,
    SWITCHES,
    Change,
    change_to,
    changes_of,
    layouts_of,
    length,
    more_gpus,
    split_of,
)
from calculator.planning.plan import vary
from calculator.planning.sizing.costs import quality_of, risk_of
from calculator.planning.sizing.layouts import in_words, weights_fit

if TYPE_CHECKING:
    import pandas

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
    note : Message or str
        How the engine runs it on that device, where that is not plain.
    """

    kind: Message
    label: Message
    cost: Message
    changes: dict[str, Any]
    plan: Plan
    gain: int
    note: str = ""

    @property
    def key(self) -> str:
        """Which knob, the same in every language."""
        return self.kind.key

    @property
    def users(self) -> int:
        """Sequences that fit with the change, over all replicas [-]."""
        return self.plan.total_max_batch_size

    @property
    def usd_per_hour(self) -> tuple[float, float] | None:
        """What all GPUs cost with the change: the lowest and the highest price; None where none is known [USD/h]."""
        return self.plan.price_usd_per_hour

    @property
    def quality(self) -> str:
        """What it may cost in answers, as published; empty where it costs none."""
        shorter = self.gain > 0
        return "" if "seq_len" in self.changes and not shorter else quality_of(self.changes)

    @property
    def risk(self) -> str:
        """What is not sure of it: how the engine runs it, what was not measured; empty where there is nothing."""
        return risk_of(self.changes, self.plan, self.note)

    def row(self) -> dict[str, Any]:
        """Return it as one row of a table."""
        low, high = self.usd_per_hour or (None, None)
        return {
            "kind": str(self.kind),
            "change": str(self.label),
            "users": self.users,
            "gain": self.gain,
            "fits": self.plan.fits,
            "num_gpus": self.plan.num_gpus,
            "usd_per_hour_low": low,
            "usd_per_hour_high": high,
            "cost": str(self.cost),
            "quality": str(self.quality),
            "risk": str(self.risk),
        }


class Levers(tuple[Lever, ...]):
    """Changes in their order, which can be shown as a table."""

    __slots__ = ()

    def frame(self) -> pandas.DataFrame:
        """Return them as a DataFrame, one row each."""
        import pandas

        return pandas.DataFrame([lever.row() for lever in self]).convert_dtypes()


@friendly
def levers(plan: Plan) -> Levers:
    """Try every knob alone and return the changes, the largest gain first.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    Levers
        A tuple, each recomputed by ``plan()``; those that the model does not allow are left out.
    """
    return _by_gain(_tried(plan))


@friendly
def next_steps(plan: Plan) -> Levers:
    """Return the smallest step of every knob that gains anything, the largest gain first.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    Levers
        A tuple, one for each kind of knob: the next format, degree, length and GPU.
    """
    steps: dict[str, Lever] = {}
    for lever in _tried(plan):
        if lever.gain > 0:
            steps.setdefault(lever.key, lever)
    return _by_gain(steps.values())


def _tried(plan: Plan) -> Iterator[Lever]:
    """Yield every change that model and engine allow and that changes the answer, smaller steps first."""
    now = _support(plan, {})
    for change in changes_of(plan):
        support = now if _BEARS_ON_SUPPORT.isdisjoint(change.keywords) else _support(plan, change.keywords)
        if now.ok and not support.ok:
            continue
        try:
            other = change.plan or vary(plan, **change.keywords)
        except CalculatorError:
            continue
        lever = _lever(plan, change, other, support)
        if lever.gain or other.fits != plan.fits:
            yield lever


_BEARS_ON_SUPPORT = {"gpu", "weight_dtype", "kv_cache_dtype"}


def _support(plan: Plan, changes: Mapping[str, Any]) -> Support:
    """Say whether the engine runs a plan's formats on its device with some changes; anything where nothing is known."""
    gpu = load_gpu(changes["gpu"]) if "gpu" in changes else plan.accelerator
    formats = [changes.get(name, getattr(plan.request, name)) for name in ("weight_dtype", "kv_cache_dtype")]
    return offered(plan.rules, gpu, *formats)


def _lever(plan: Plan, change: Change, other: Plan, support: Support) -> Lever:
    gain = other.total_max_batch_size - plan.total_max_batch_size
    note = support.why if support.ok else ""
    return Lever(change.knob, change.label, change.cost, change.keywords, other, gain, note)


def _by_gain(found: Iterable[Lever]) -> Levers:
    """Return changes by their gain, those that cost nothing first."""
    return Levers(
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
    """Find the fewest GPUs of the same kind that hold what is asked of one replica.

    Parameters
    ----------
    plan : Plan
        The answer whose model, GPU, length, batch, formats and switches are kept [-].

    Returns
    -------
    Plan or None
        The plan with the fewest GPUs that can be bought, of the same layouts as ``size`` tries, the plan's own among
        them: plain splits before those that share a cache or experts, fewer stages before more. None where 64 GPUs do
        not suffice.

    Notes
    -----
    Replicas that share experts (``enable_expert_parallel``) do not stand alone: where they are asked for, it is the
    smallest with as many of them, and all are counted; where they are found, ``batch_size`` is shared out among them.
    Ways that ``plan()`` refuses are passed over.
    """
    apart = {} if joins_replicas(plan.rules, plan.request) else {"data_parallel_size": 1}
    alone = vary(plan, **apart)
    for changes in ways_to_split(alone):
        try:
            other = vary(alone, **changes)
        except CalculatorError:
            continue
        if other.fits:
            return other
    return None


def ways_to_split(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield every way to share one replica among GPUs that can be bought, the plan's own included, fewest GPUs first.

    Of as many GPUs the plain ways come first, of those the ones with fewer stages.
    """
    shared = (*SWITCHES, "decode_context_parallel_size")

    def order(num_gpus: int, split: Mapping[str, Any]) -> tuple[int, bool, int]:
        return num_gpus, any(split.get(name, 1) > 1 or split.get(name) is True for name in shared), split[_DEGREES[1]]

    ways = [
        (order(layout.num_gpus, layout.keywords), change_to(plan, layout))
        for layout in layouts_of(plan, MAX_REPLICA_GPUS)
        if weights_fit(
            plan.model, layout, plan.request.weight_dtype, plan.accelerator.memory_bytes, plan.request.checkpoint_bytes
        )
    ]
    ways.append((order(plan.num_gpus, split_of(plan)), {}))
    for _, changes in sorted(ways, key=lambda way: way[0]):
        yield changes


@friendly
def what_would_fit(plan: Plan, tried: Levers | None = None) -> Levers:
    """Return the single changes that make a plan fit, the largest gain first; empty where it fits already.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].
    tried : Levers, optional
        What ``levers`` returned for it, where that was asked already [-].

    Returns
    -------
    Levers
        A tuple, one for each kind of knob: the one that changes least.
    """
    if plan.fits:
        return Levers()
    changes, support = list(levers(plan) if tried is None else tried), _support(plan, {})
    if plan.max_context_len:
        shorter = vary(plan, seq_len=plan.max_context_len)
        label = length(plan.max_context_len, plan.request.seq_len)
        cost = say("lever.shorter_context", "a shorter context")
        changes.append(_lever(plan, Change(LENGTH, label, cost, {"seq_len": plan.max_context_len}), shorter, support))
    smallest = smallest_fit(plan)
    if smallest:
        now, then = split_of(plan), {**split_of(smallest), "data_parallel_size": _replicas(plan, smallest)}
        way = {name: value for name, value in then.items() if name in _DEGREES or value != now[name]}
        if smallest.request.batch_size != plan.request.batch_size:
            way["batch_size"] = smallest.request.batch_size
        other = vary(plan, **way)
        label = say(
            "lever.smallest_fit", "{gpus} × {gpu} ({shape})",
            gpus=f"{other.num_gpus:,}", gpu=other.accelerator.name, shape=shape(other),
        )  # fmt: skip
        cost = more_gpus(other.num_gpus - plan.num_gpus)
        changes.append(_lever(plan, Change(GPUS, label, cost, way), other, support))
    best: dict[str, Lever] = {}
    for lever in changes:
        if lever.plan.fits:
            best[lever.key] = min(lever, best.get(lever.key, lever), key=_size)
    return _by_gain(best.values())


_DEGREES = ("tensor_parallel_size", "pipeline_parallel_size")


def _replicas(plan: Plan, smallest: Plan) -> int:
    """Return how many replicas as small as can be serve what all of a plan's are asked for [-]."""
    shared = joins_replicas(smallest.rules, smallest.request)
    return smallest.request.data_parallel_size if shared else plan.request.data_parallel_size


def _size(lever: Lever) -> tuple[int, int, int]:
    """How little a change goes beyond what was asked: GPUs, then memory, then what fits."""
    gpus = lever.plan.num_gpus
    return gpus, gpus * lever.plan.per_gpu.total_bytes, -lever.plan.request.seq_len


def shape(plan: Plan) -> str:
    """Say how a plan's GPUs are used: TP and PP, and what else is not plain."""
    return in_words(split_of(plan), stages=True)
