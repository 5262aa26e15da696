"""Ways to lay a model out over GPUs that can be bought: machines or parts of one, and how their GPUs share a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calculator.architecture.latent import LatentAttention
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import kv_replication
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.engines.base import Engine
from calculator.errors import CalculatorError
from calculator.hardware import Accelerator
from calculator.messages import Message, joined, phrase, say, template
from calculator.planning.resolve import legal_degrees

SPLITS = (
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size",
    "enable_expert_parallel", "enable_attention_dp",
)  # fmt: skip
"""Keywords of ``plan`` that say how GPUs share a model; one that is given is kept as it is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the GPUs of one unit share a model; a unit is what is bought again for more load.

    Attributes
    ----------
    keywords : mapping
        Keywords of ``plan``.
    num_gpus : int
        GPUs of a unit: of one replica, or of the replicas that share experts [-].
    units : int
        Replicas of one unit [-].
    """

    keywords: Mapping[str, Any] = field(default_factory=dict)
    num_gpus: int = 1
    units: int = 1


def machine_sizes(gpu: Accelerator, most: int) -> tuple[int, ...]:
    """Return how many GPUs can be had together: powers of two within a machine, then whole machines, up to a bound.

    Parameters
    ----------
    gpu : Accelerator
        The GPU, which knows how many a usual machine holds [-].
    most : int
        The bound [-].

    Returns
    -------
    tuple of int
        Ascending; 11 GPUs of machines of 8 are 16. Machines of one GPU are joined in powers of two [-].
    """
    node = gpu.gpus_per_node
    powers = {1 << power for power in range((most if node == 1 else node).bit_length())}
    within = {size for size in powers if node == 1 or size <= node}
    whole = set() if node == 1 else set(range(node, most + 1, node))
    return tuple(sorted(size for size in within | whole if size <= most))


def layouts(
    model: ModelArchitecture, rules: Engine, gpu: Accelerator, most: int, given: Mapping[str, Any]
) -> Iterator[Layout]:
    """Yield every layout of a model over up to so many GPUs of a kind, the fewest GPUs first.

    Parameters
    ----------
    model, rules, gpu : ModelArchitecture, Engine, Accelerator
        The model, the engine's rules and the device [-].
    most : int
        GPUs at most [-].
    given : mapping
        Keywords of ``plan`` that are kept as they are [-].

    Returns
    -------
    iterator of Layout
        Tensor parallelism within a machine times pipeline stages; where they can make a difference also copies of
        attention under shared experts, over several machines too, and ranks that share a sequence's tokens: all that
        would keep copies, since fewer of them hold no more, ``⌈s / (B DCP)⌉`` blocks of as many, and read no less.
    """
    fixed = {name: given[name] for name in SPLITS if given.get(name) is not None}
    kept_together = _joined(rules, fixed)
    for size in machine_sizes(gpu, most):
        seen = set()
        for keywords in () if size % kept_together else _ways(model, rules, gpu, size // kept_together, fixed):
            asked = {**keywords, **fixed}
            units = _joined(rules, asked)
            unit = asked["tensor_parallel_size"] * asked["pipeline_parallel_size"] * units
            key = tuple(sorted(asked.items()))
            if unit == size and key not in seen:
                seen.add(key)
                yield Layout(asked, size, units)


def _ways(
    model: ModelArchitecture, rules: Engine, gpu: Accelerator, size: int, fixed: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    base = {"enable_attention_dp": False, "enable_expert_parallel": False, **fixed}
    degrees = [1]
    if rules.splits_layers:
        degrees = [tp for tp in legal_degrees(model, base) if tp <= gpu.gpus_per_node and not size % tp]
    for tp in reversed(degrees):
        if (stages := size // tp) <= model.num_layers:
            plain = _sizes(tp, stages)
            yield plain
            copies = _copies(model, tp)
            if copies > 1 and _has(rules, "decode_context_parallel_size"):
                yield {**plain, "decode_context_parallel_size": copies}
    if not rules.splits_layers or size == 1 or not model.moe_intermediate_size:
        return
    if _has(rules, "enable_attention_dp"):
        yield {**_sizes(size, 1), "enable_attention_dp": True}
        if size > gpu.gpus_per_node and (stages := size // gpu.gpus_per_node) <= model.num_layers:
            yield {**_sizes(gpu.gpus_per_node, stages), "enable_attention_dp": True}
    elif rules.shares_experts_across_replicas:
        for tp in degrees:
            if tp < size:
                yield {**_sizes(tp, 1), "data_parallel_size": size // tp, "enable_expert_parallel": True}


def weights_fit(
    model: ModelArchitecture, layout: Layout, weight_dtype: str, memory_bytes: int, checkpoint_bytes: int | None = None
) -> bool:
    """Whether the weights of every rank are less than a device: what does not fit so is not planned.

    Parameters
    ----------
    model, layout : ModelArchitecture, Layout
        The model, and how GPUs share it [-].
    weight_dtype : str
        A weight format by its own name [-].
    memory_bytes : int
        Of one device [bytes].
    checkpoint_bytes : int, optional
        What the whole model is stored in, where that is known better [bytes].

    Returns
    -------
    bool
        True too where ``plan`` refuses the layout, and says why.
    """
    asked = layout.keywords
    tensor, stages = asked.get("tensor_parallel_size", 1), asked.get("pipeline_parallel_size", 1)
    shared = tensor * layout.units if asked.get("enable_expert_parallel") else 1
    attention = 1 if asked.get("enable_attention_dp") else tensor
    try:
        held = weight_bytes_per_rank(
            model, weight_dtype, tensor, stages, shared, attention, encoders=False, checkpoint_bytes=checkpoint_bytes
        )
    except CalculatorError:
        return True
    return max(held) < memory_bytes


def _joined(rules: Engine, asked: Mapping[str, Any]) -> int:
    """Return the replicas that share experts, so that they are bought together [-]."""
    joins = rules.shares_experts_across_replicas and asked.get("enable_expert_parallel")
    return int(asked.get("data_parallel_size", 1)) if joins else 1


def _sizes(tensor: int, stages: int) -> dict[str, Any]:
    return {"tensor_parallel_size": tensor, "pipeline_parallel_size": stages}


def _has(rules: Engine, keyword: str) -> bool:
    return keyword in rules.only_here


def _copies(model: ModelArchitecture, tensor: int) -> int:
    """Return how many ranks keep the same part of the cache: what sharing a sequence's tokens would save [-]."""
    if any(isinstance(group.spec, LatentAttention) for group in model.groups):
        return tensor
    heads = model.num_key_value_heads
    return kv_replication(heads, tensor) if heads else 1


def in_words(keywords: Mapping[str, Any], stages: bool = False) -> Message:
    """Say how GPUs share a model: TP, and what else is not plain; stages always where that is asked for."""
    degrees = [
        ("layout.tp", template("TP {n}"), keywords.get("tensor_parallel_size", 1), True),
        ("layout.pp", template(", PP {n}"), keywords.get("pipeline_parallel_size", 1), stages),
        ("layout.dcp", template(", DCP {n}"), keywords.get("decode_context_parallel_size", 1), False),
        ("layout.dp", template(", DP {n}"), keywords.get("data_parallel_size", 1), False),
    ]
    said = [say(key, text, n=n) for key, text, n, always in degrees if always or n > 1]
    switches = (("enable_expert_parallel", ", EP"), ("enable_attention_dp", phrase(", attention DP")))
    place = -1 if stages and degrees[-1][2] > 1 else len(said)  # beside replicas that stand alone or not, DP ends it
    said[place:place] = [say(f"layout.{name}", text) for name, text in switches if keywords.get(name)]
    return joined("", said)
