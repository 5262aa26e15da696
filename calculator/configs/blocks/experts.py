"""The mixtures of experts of a config: which layers are one, and their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.heads import Heads
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.traits import Experts, trait
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.configs.blocks.layers import Assembler


def sparse_layers(keys: Keys, family: Family, num_layers: int) -> list[bool]:
    """Say of every layer whether its MLP is a mixture of experts."""
    experts = family.experts
    if experts is None:
        return [False] * num_layers
    listed = keys.names("mlp_layer_types", num_layers)
    if listed is not None:
        if not set(listed) <= {"dense", "sparse"}:
            raise InvalidValueError(
                say("experts.mlp_layer_types_must", "mlp_layer_types must say dense or sparse of each layer"),
                what="mlp_layer_types",
                asked=listed,
                allowed=("dense", "sparse"),
            )
        keys.ignore("first_k_dense_replace", "moe_layer_freq")
        return [kind == "sparse" for kind in listed]
    if experts.dense == "first":
        return _first(keys, range(num_layers), experts.dense_key)
    return _RULES[experts.dense](keys, range(num_layers))


def _first(keys: Keys, every: range, key: str) -> list[bool]:
    first, step = keys.count(key, minimum=0) if key else 0, keys.value("moe_layer_freq")
    if isinstance(step, list):
        numbers = keys.numbers("moe_layer_freq") or []
        if len(numbers) != len(every) or not set(numbers) <= {0, 1}:
            raise InvalidValueError(
                say(
                    "experts.moe_layer_freq_must",
                    "moe_layer_freq must list 0 or 1 for each of the {every:,} layers",
                    every=len(every),
                ),
                what="moe_layer_freq",
                asked=numbers,
            )
        return [bool(number) for number in numbers]
    step = keys.optional_count("moe_layer_freq") or 1
    if not keys.optional_count("num_experts", minimum=0):
        return [False for _ in every]
    return [index >= first and index % step == 0 for index in every]


def _listed(keys: Keys, every: range) -> list[bool]:
    """All layers, if no list of 0 and 1 says otherwise."""
    return _first(keys, every, "") if keys.has("moe_layer_freq") else [True for _ in every]


def _enumerated(keys: Keys, every: range) -> list[bool]:
    """The layers of a list, which may be a text with commas; else all but the first three."""
    given = keys.value("moe_layers_enum")
    if given is None:
        return _first(keys, every, "first_k_dense_replace")
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list) or not all(str(name).strip().isdecimal() for name in names):
        raise InvalidValueError(
            say(
                "experts.moe_layers_enum_must",
                "moe_layers_enum must be numbers of layers, not {given}",
                given=shown(given),
            ),
            what="moe_layers_enum",
            asked=given,
        )
    chosen = {int(name) for name in names}
    return [index in chosen for index in every]


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
    "listed": _listed,
    "enumerated": _enumerated,
    "step": _step,
    "interleave": _interleave,
    "period": _period,
    "range": _range,
    "any": _any,
    "switch": _switch,
}


def experts_of(layer: Assembler) -> blocks.Weights:
    """Yield the router and the experts of a layer, shared ones included."""
    experts, keys = layer.family.experts, layer.keys
    if experts is None:
        raise UnsupportedError(say("experts.this_model_type_has", "this model type has no experts"))
    source = layer.expert_keys()
    count, chosen = source.count("num_experts"), source.count("num_experts_per_tok")
    width = source.count(experts.width)
    if chosen > count:
        raise InvalidValueError(
            say(
                "experts.num_experts_per_tok",
                "num_experts_per_tok {chosen} is more than the {count} experts there are",
                chosen=chosen,
                count=count,
            ),
            what="num_experts_per_tok",
            asked=chosen,
            allowed=count,
            nearest=count,
        )
    latent = (keys.optional_count(experts.latent_width) if experts.latent_width else None) or 0
    idle = (keys.optional_count(experts.idle, minimum=0) if experts.idle else None) or 0
    wide = blocks.WIDE if trait(keys, experts.wide_router) else 0
    yield from blocks.router(layer.hidden, count + idle, trait(keys, experts.router_bias), wide)
    if trait(keys, experts.correction):
        yield from blocks.correction(count + idle, experts.correction_counts)
    if experts.beside:
        yield from blocks.vector("router", layer.hidden + count)
    if latent:
        yield from blocks.linear("experts", latent, layer.hidden, Sharding.COPIED, layer.mlp_bias)
        yield from blocks.linear("experts", layer.hidden, latent, Sharding.COPIED, layer.mlp_bias)
    inputs = latent or layer.hidden
    yield from blocks.mlp(inputs, width, layer.gated, experts.bias, "experts", count, chosen)
    if experts.in_attention:
        yield from blocks.vector("experts", layer.hidden)
    yield from _shared_experts(layer, experts, width)


def _shared_experts(layer: Assembler, experts: Experts, width: int) -> blocks.Weights:
    keys = layer.keys
    shared = width if experts.shared == "same" else 0
    if experts.shared == "count":
        each = keys.optional_count(experts.shared_each) if experts.shared_each else None
        shared = (keys.optional_count("n_shared_experts", minimum=0) or 0) * (each or width)
    elif experts.shared == "width":
        shared = keys.optional_count(experts.shared_width, minimum=0) or 0
    if shared:
        bias = trait(keys, experts.shared_bias)
        yield from blocks.mlp(layer.hidden, shared, layer.gated, bias, part="shared experts")
    if shared and experts.shared_gate:
        yield from blocks.linear(
            "router", 1, layer.hidden, Sharding.COPIED, quantised=False, module="mlp.shared_expert_gate"
        )


def expert_attention(layer: Assembler, heads: Heads) -> blocks.Weights:
    """Yield attention whose queries and outputs are a mixture of experts."""
    keys, groups = layer.keys, heads.groups * heads.key
    count, chosen = keys.count("num_experts"), keys.count("num_experts_per_tok")
    yield from blocks.linear("attention", groups, layer.hidden, Sharding.KV_HEADS)
    yield from blocks.linear("attention", groups, layer.hidden, Sharding.KV_HEADS)
    yield from blocks.router(layer.hidden, count)
    yield from blocks.linear("experts", groups, layer.hidden, Sharding.COLUMNS, False, count, chosen)
    yield from blocks.linear("experts", layer.hidden, groups, Sharding.ROWS, False, count, chosen)
    yield from blocks.vector("attention", layer.hidden)
