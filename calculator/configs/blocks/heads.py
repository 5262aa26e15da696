"""Heads of a config's layers, and which layers share a cache or an indexer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.groups import divisors_of
from calculator.architecture.limits import MAX_HEADS
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, shown
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.configs.blocks.layers import Assembler


@dataclass(frozen=True)
class Heads:
    """Heads of a layer and their sizes: queries, KV heads, elements of a key and of a value."""

    query: int
    groups: int
    key: int
    value: int


def checked(heads: Heads, where: str = "num_key_value_heads") -> Heads:
    """Return the heads if query heads divide into the KV heads; ``where`` is where those stand."""
    if heads.query % heads.groups:
        allowed = divisors_of(heads.query)
        near = min(allowed, key=lambda groups: (abs(groups - heads.groups), groups))
        raise InvalidValueError(
            say(
                "heads.num_attention_heads_does",
                "num_attention_heads {query} does not divide by {where} {groups}; the nearest that it "
                "divides by is {near}",
                query=heads.query,
                where=where,
                groups=heads.groups,
                near=near,
            ),
            what=where.split()[0],
            asked=heads.groups,
            allowed=allowed,
            nearest=near,
        )
    return heads


def listed_heads(keys: Keys, name: str, num_layers: int, wanted: str) -> list[int]:
    """Return heads of every layer from a list, each at least 1; ``wanted`` is what they are called.

    Raises
    ------
    InvalidValueError
        If there is no list, not one entry a layer, or an entry is no number of heads; the layer, from 0, is named.
    """
    values = keys.value(name)
    if not isinstance(values, list):
        raise InvalidValueError(
            say(
                "heads.must_list_each_layers",
                "{name} must list the {wanted} of each of the {num_layers:,} layers, not {values}",
                name=name,
                wanted=wanted,
                num_layers=num_layers,
                values=shown(values),
            ),
            what=name,
            asked=values,
        )
    if len(values) != num_layers:
        raise InvalidValueError(
            say(
                "heads.lists_layers_there_give",
                "{name} lists {values:,} layers, and there are {num_layers:,}: give one entry a layer",
                name=name,
                values=len(values),
                num_layers=num_layers,
            ),
            what=name,
            asked=len(values),
            allowed=num_layers,
            nearest=num_layers,
        )
    for layer, value in enumerate(values):
        if type(value) is not int or not 1 <= value <= MAX_HEADS:
            raise InvalidValueError(
                say(
                    "heads.layer_must_whole_number",
                    "{name} of layer {layer} must be a whole number from 1 to {max_heads:,}, not {asked}",
                    name=name,
                    layer=layer,
                    max_heads=MAX_HEADS,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
                allowed=(1, MAX_HEADS),
            )
    return values


def heads_of(layer: Assembler, kind: str) -> Heads:
    """Return the heads of a kind of layer, by the keys that it has of its own or by the common ones."""
    keys, family = layer.keys, layer.family
    if not family.mlp:
        return Heads(0, 0, 0, 0)
    if family.latent:
        keys.ignore("num_key_value_heads", "head_dim", "qk_head_dim")
        return Heads(keys.count("num_attention_heads"), 1, 0, 0)
    own = {} if keys.has("per_layer_config") else family.kinds.get(kind, {})
    query = _own(keys, own, "num_attention_heads") or _query_heads(keys, family)
    groups = _own(keys, own, "num_key_value_heads") or layer.kv_heads(query)
    if "num_key_value_heads" in own and not keys.has(own["num_key_value_heads"]) and "if" not in own:
        groups *= family.windowed_groups_factor
    key = _own(keys, own, "head_dim") or layer.head_size(query)
    value = _own(keys, own, "v_head_dim") or (keys.optional_count("v_head_dim") if family.v_head_dim else None)
    return checked(Heads(query, groups, key, value or key))


def _own(keys: Keys, own: Mapping[str, str], name: str) -> int | None:
    """Return a size that a kind of layer has of its own; ``if`` names a switch for its KV heads."""
    if name not in own:
        return None
    switch, given = own.get("if"), keys.optional_count(own[name])
    return given if name != "num_key_value_heads" or switch is None or keys.flag(switch) else None


def _query_heads(keys: Keys, family: Family) -> int:
    if family.experts and family.experts.in_attention:
        heads = keys.count("num_key_value_heads") * keys.count("num_experts_per_tok")
        if keys.optional_count("num_attention_heads") not in (None, heads):
            raise InvalidValueError(
                say(
                    "heads.num_attention_heads_must",
                    "num_attention_heads must be num_key_value_heads × num_experts_per_tok, {heads}",
                    heads=heads,
                ),
                what="num_attention_heads",
                allowed=heads,
            )
        return heads
    return keys.count("num_attention_heads")


def head_size(keys: Keys, family: Family, hidden: int, heads: int) -> int:
    """Return the elements of a head: the config's own number, or hidden size over heads."""
    given = keys.optional_count("head_dim")
    if given is None and hidden % heads and not family.floor_head_dim:
        raise InvalidValueError(
            say(
                "heads.hidden_size_does_not",
                "hidden_size {hidden} does not divide by num_attention_heads {heads}, and there is no head_dim",
                hidden=hidden,
                heads=heads,
            ),
            what="hidden_size",
            asked=hidden,
        )
    if given is None and hidden < heads:
        raise InvalidValueError(
            say(
                "heads.hidden_size_less_than",
                "hidden_size {hidden} is less than num_attention_heads {heads}",
                hidden=hidden,
                heads=heads,
            ),
            what="hidden_size",
            asked=hidden,
            allowed=heads,
        )
    return given or hidden // heads


def shared_caches(keys: Keys, family: Family, kinds: Sequence[str]) -> list[bool]:
    """Say of every layer whether it reuses the cache of an earlier one."""
    count = len(kinds)
    if family.shared_cache == "num_kv_shared_layers":
        shared = keys.optional_count("num_kv_shared_layers", minimum=0) or 0
        first = count - shared
        if shared and (first < 1 or set(kinds[first:]) - set(kinds[:first])):
            raise InvalidValueError(
                say(
                    "heads.num_kv_shared_layers",
                    "num_kv_shared_layers {shared} of {count} layers leaves a kind of layer without a cache to share",
                    shared=shared,
                    count=count,
                ),
                what="num_kv_shared_layers",
                asked=shared,
            )
        return [index >= first for index in range(count)]
    if family.shared_cache == "use_cla":
        factor, used = keys.optional_count("cla_share_factor") or 1, keys.flag("use_cla")
        return [used and index % factor != 0 for index in range(count)]
    return [False] * count


def shared_indexers(keys: Keys, family: Family, num_layers: int) -> list[bool]:
    """Say of every layer whether it reuses the choice of an earlier layer's indexer."""
    if not family.indexer:
        return [False] * num_layers
    listed, pattern = keys.names("indexer_types", num_layers), keys.value("index_topk_pattern")
    frequency = keys.optional_count("index_topk_freq", minimum=0) or 1
    offset = keys.optional_count("index_skip_topk_offset", minimum=0)
    offset = 2 if offset is None else offset
    keys.ignore("index_topk")
    if pattern is not None:
        if not isinstance(pattern, str) or len(pattern) != num_layers or not set(pattern) <= {"F", "S"}:
            raise InvalidValueError(
                say(
                    "heads.index_topk_pattern_must",
                    "index_topk_pattern must be a letter F or S a layer, not {pattern}",
                    pattern=shown(pattern),
                ),
                what="index_topk_pattern",
                asked=pattern,
            )
        listed = listed or [{"F": "full", "S": "shared"}[letter] for letter in pattern]
    if listed is None:
        return [max(index - offset + 1, 0) % frequency != 0 for index in range(num_layers)]
    if not set(listed) <= {"full", "shared"} or listed[0] != "full":
        raise InvalidValueError(
            say(
                "heads.indexer_types_must_say", "indexer_types must say full or shared of each layer, full of the first"
            ),
            what="indexer_types",
            asked=listed,
        )
    return [kind == "shared" for kind in listed]
