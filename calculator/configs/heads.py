"""Heads of a config's layers, which layers share a cache or an indexer, and what no layer may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calculator.architecture.limits import MAX_HEADS
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, UnsupportedError, shown


@dataclass(frozen=True)
class Heads:
    """Heads of a layer and their sizes: queries, KV heads, elements of a key and of a value."""

    query: int
    groups: int
    key: int
    value: int


def checked(heads: Heads) -> Heads:
    """Return the heads if query heads divide into the KV heads."""
    if heads.query % heads.groups:
        raise InvalidValueError(
            f"num_attention_heads {heads.query} does not divide by num_key_value_heads {heads.groups}"
        )
    return heads


def heads_of(keys: Keys, family: Family, hidden: int, kind: str) -> Heads:
    """Return the heads of a kind of layer, by the keys that it has of its own or by the common ones."""
    if not family.mlp:
        return Heads(0, 0, 0, 0)
    if family.latent:
        keys.ignore("num_key_value_heads", "head_dim", "qk_head_dim")
        return Heads(keys.count("num_attention_heads"), 1, 0, 0)
    own = {} if keys.has("per_layer_config") else family.kinds.get(kind, {})
    query = _own(keys, own, "num_attention_heads") or _query_heads(keys, family)
    groups = _own(keys, own, "num_key_value_heads") or _groups(keys, family, query)
    if "num_key_value_heads" in own and not keys.has(own["num_key_value_heads"]) and "if" not in own:
        groups *= family.windowed_groups_factor
    key = _own(keys, own, "head_dim") or _head_dim(keys, family, hidden, query)
    value = _own(keys, own, "v_head_dim") or (keys.optional_count("v_head_dim") if family.v_head_dim else None)
    return checked(Heads(query, groups, key, value or key))


def listed_heads(keys: Keys, num_layers: int) -> list[Heads]:
    """Return the heads of every layer, from lists."""
    query, groups = keys.numbers("num_query_heads") or [], keys.numbers("num_key_value_heads") or []
    if len(query) != num_layers or len(groups) != num_layers or min(*query, *groups) < 1:
        raise InvalidValueError(f"num_query_heads and num_kv_heads must list the heads of the {num_layers:,} layers")
    if max(*query, *groups) > MAX_HEADS:
        raise InvalidValueError(f"num_query_heads and num_kv_heads must not be more than {MAX_HEADS:,}")
    size = keys.count("head_dim")
    return [checked(Heads(heads, kv_heads, size, size)) for heads, kv_heads in zip(query, groups, strict=True)]


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
            raise InvalidValueError(f"num_attention_heads must be num_key_value_heads × num_experts_per_tok, {heads}")
        return heads
    return keys.count("num_attention_heads")


def _groups(keys: Keys, family: Family, heads: int) -> int:
    special, given = family.special, keys.optional_count("num_key_value_heads")
    if special == "parallel_norms":
        new, multi = keys.flag("new_decoder_architecture"), keys.flag("multi_query")
        return (given or heads) if new or not multi else 1
    if special == "multi_query":
        groups = 1 if keys.flag("multi_query") else heads
        if given not in (None, groups):
            raise InvalidValueError(f"contradictory: num_key_value_heads {given}, but multi_query means {groups}")
        return groups
    if special == "multi_query_attention":
        return (given or heads) if keys.flag("multi_query_attention") else heads
    if special == "nested_configs":
        nested = keys.nested("attn_config")
        return (nested.optional_count("kv_n_heads") if nested else None) or given or 1
    return given or heads


def _head_dim(keys: Keys, family: Family, hidden: int, heads: int) -> int:
    if family.special == "shared_blocks":
        keys.ignore("kv_channels", "attention_head_dim", "num_query_groups")
        return max(1, 2 * hidden // heads)
    given = keys.optional_count("head_dim")
    if given is None and hidden % heads and not family.floor_head_dim:
        raise InvalidValueError(
            f"hidden_size {hidden} does not divide by num_attention_heads {heads}, and there is no head_dim"
        )
    if given is None and hidden < heads:
        raise InvalidValueError(f"hidden_size {hidden} is less than num_attention_heads {heads}")
    return given or hidden // heads


def shared_caches(keys: Keys, family: Family, kinds: Sequence[str]) -> list[bool]:
    """Say of every layer whether it reuses the cache of an earlier one."""
    count = len(kinds)
    if family.shared_cache == "num_kv_shared_layers":
        shared = keys.optional_count("num_kv_shared_layers", minimum=0) or 0
        first = count - shared
        if shared and (first < 1 or set(kinds[first:]) - set(kinds[:first])):
            raise InvalidValueError(
                f"num_kv_shared_layers {shared} of {count} layers leaves a kind of layer without a cache to share"
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
            raise InvalidValueError(f"index_topk_pattern must be a letter F or S a layer, not {shown(pattern)}")
        listed = listed or [{"F": "full", "S": "shared"}[letter] for letter in pattern]
    if listed is None:
        return [max(index - offset + 1, 0) % frequency != 0 for index in range(num_layers)]
    if not set(listed) <= {"full", "shared"} or listed[0] != "full":
        raise InvalidValueError("indexer_types must say full or shared of each layer, full of the first")
    return [kind == "shared" for kind in listed]


def check_understood(keys: Keys, family: Family) -> None:
    """Refuse what would change the weights or the cache of a type that does not know it."""
    keys.ignore(*family.harmless)
    experts = keys.value("num_experts") if family.experts is None else None
    if isinstance(experts, int) and experts > 1:
        raise UnsupportedError(f"num_experts {experts}: a mixture of experts is not understood for this model type")
    for name, wanted in family.required.items():
        part, _, inner = name.rpartition(".")
        nested = keys.nested(part) if part else keys
        value = nested.value(inner) if nested else None
        if value is not None and (value != wanted or isinstance(value, bool) is not isinstance(wanted, bool)):
            raise UnsupportedError(
                f"{name} {shown(value)} is not understood for this model type, only {shown(wanted)} is"
            )
    if family.special == "multi_query_attention" and not (
        keys.has("multi_query_attention") and keys.has("kv_channels")
    ):
        raise UnsupportedError(
            "without multi_query_attention and kv_channels this is the first ChatGLM, which is not understood"
        )
