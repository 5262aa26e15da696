"""Which layers of a config are a mixture of experts: by a list, or by the rule of its type."""

from __future__ import annotations

from collections.abc import Callable

from calculator.errors import InvalidValueError
from calculator.family import Family
from calculator.hf_keys import Keys


def sparse_layers(keys: Keys, family: Family, num_layers: int) -> list[bool]:
    """Say of every layer whether its MLP is a mixture of experts."""
    experts = family.experts
    if experts is None:
        return [False] * num_layers
    listed = keys.names("mlp_layer_types", num_layers)
    if listed is not None:
        if not set(listed) <= {"dense", "sparse"}:
            raise InvalidValueError("mlp_layer_types must say dense or sparse of each layer")
        keys.ignore("first_k_dense_replace", "moe_layer_freq")
        return [kind == "sparse" for kind in listed]
    if experts.dense == "first":
        return _first(keys, range(num_layers), experts.dense_key)
    return _RULES[experts.dense](keys, range(num_layers))


def _first(keys: Keys, every: range, key: str) -> list[bool]:
    first, step = keys.count(key, minimum=0), keys.value("moe_layer_freq")
    if isinstance(step, list):
        numbers = keys.numbers("moe_layer_freq") or []
        if len(numbers) != len(every) or not set(numbers) <= {0, 1}:
            raise InvalidValueError(f"moe_layer_freq must list 0 or 1 for each of the {len(every):,} layers")
        return [bool(number) for number in numbers]
    step = keys.optional_count("moe_layer_freq") or 1
    if not keys.optional_count("num_experts", minimum=0):
        return [False for _ in every]
    return [index >= first and index % step == 0 for index in every]


def _step(keys: Keys, every: range) -> list[bool]:
    step, dense = keys.count("decoder_sparse_step"), keys.numbers("mlp_only_layers") or []
    has_experts = bool(keys.optional_count("num_experts", minimum=0))
    return [has_experts and index not in dense and (index + 1) % step == 0 for index in every]


def _interleave(keys: Keys, every: range) -> list[bool]:
    listed, step = keys.numbers("moe_layers"), keys.count("interleave_moe_layer_step", minimum=0)
    chosen = set(listed if listed is not None else range(step - 1, len(every), step)) if step or listed else set()
    return [index in chosen for index in every]


def _period(keys: Keys, every: range) -> list[bool]:
    period, offset = keys.count("expert_layer_period"), keys.count("expert_layer_offset", minimum=0)
    has_experts = keys.count("num_experts") > 1
    return [has_experts and index % period == offset for index in every]


def _range(keys: Keys, every: range) -> list[bool]:
    """From one layer to another, each n-th."""
    start, step = keys.count("moe_layer_start_index", minimum=0), keys.count("moe_layer_interval")
    end = keys.value("moe_layer_end_index")
    last = len(every) - 1 if end in (None, -1) else keys.count("moe_layer_end_index", minimum=0)
    return [(index + 1) % step == 0 and start <= index <= last for index in every]


def _any(keys: Keys, every: range) -> list[bool]:
    """All layers, if there are experts at all."""
    has_experts = bool(keys.optional_count("num_experts", minimum=0))
    return [has_experts for _ in every]


def _switch(keys: Keys, every: range) -> list[bool]:
    """All layers, if a switch says so."""
    return [keys.flag("enable_moe_block") for _ in every]


_RULES: dict[str, Callable[[Keys, range], list[bool]]] = {
    "none": lambda _, every: [True for _ in every],
    "step": _step,
    "interleave": _interleave,
    "period": _period,
    "range": _range,
    "any": _any,
    "switch": _switch,
}
