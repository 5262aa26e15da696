"""The formula summed over the layers of a model, on one rank and over a replica; the caches that they keep there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from calculator.architecture.caches import Cache, State
from calculator.architecture.counts import Count
from calculator.architecture.latent import LatentAttention
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split, kv_replication
from calculator.formats.kv import StorageFormat, storage_format
from calculator.formats.names import PLAIN

INT64_MAX = 2**63 - 1


class Layout(NamedTuple):
    """How a cache is laid out on one rank.

    Attributes
    ----------
    storage : StorageFormat
        Format of a row.
    split : Split
        How ranks share heads, tokens and sequences.
    encoder_tokens : int
        Tokens of the encoder, 0 without one [tokens].
    """

    storage: StorageFormat
    split: Split
    encoder_tokens: int = 0


class OwnWay(NamedTuple):
    """How an engine's own class of a model type keeps its layers otherwise than the architecture does.

    Attributes
    ----------
    expands : bool
        Whether it keeps heads in place of latent vectors.
    window_more : int
        Tokens that it keeps beyond a window [tokens].
    """

    expands: bool = False
    window_more: int = 0


class Cached(NamedTuple):
    """Equal caches of a stage: one of them, and how many layers keep it."""

    cache: Cache
    layers: int


AS_IT_IS = OwnWay()


def kv_bytes_on_rank(layers: Sequence[LayerGroup], seq_len: Count, layout: Layout) -> Count:
    """Return what grows, of one sequence on one rank that serves it: the sum over the groups of some layers [bytes]."""
    return _kept(layers, layout.split.tokens_on_rank(seq_len), layout)


def kv_bytes_of_sequence(layers: Sequence[LayerGroup], seq_len: Count, layout: Layout) -> Count:
    """Return what grows, of one sequence on all ranks that serve it, copies included [bytes]."""
    return _kept(layers, seq_len, layout) * layout.split.kv_head_ranks


def _kept(layers: Sequence[LayerGroup], tokens: Count, layout: Layout) -> Count:
    """Return what some layers keep of so many tokens on one rank [bytes]."""
    ranks, total = layout.split.kv_head_ranks, 0 * tokens
    for group in layers:
        total = total + group.count * group.spec.kv_bytes(tokens, layout.storage, ranks, layout.encoder_tokens)
    return total


def copied_bytes_on_rank(layers: Sequence[LayerGroup], seq_len: int, layout: Layout) -> int:
    """Return what one rank keeps of a sequence beyond its share of one copy, each kind of layer by itself [bytes]."""
    copied, ranks = 0, layout.split.kv_head_ranks
    for group in layers:
        kept = int(kv_bytes_on_rank((group,), seq_len, layout))
        latent = isinstance(group.spec, LatentAttention)
        keepers = ranks if latent else kv_replication(group.spec.kv_heads, ranks) if group.spec.kv_heads else 1
        copied += kept - kept // keepers
    return copied


def state_bytes_on_rank(layers: Sequence[LayerGroup], split: Split) -> int:
    """Return the recurrent state of one sequence on one rank that serves it [bytes]."""
    return sum(group.count * group.spec.state_bytes(split.state_ranks) for group in layers)


def caches_of(layers: tuple[LayerGroup, ...], storage: StorageFormat, split: Split) -> tuple[Cached, ...]:
    """Return the caches of some layers on one rank, equal ones joined."""
    counts: dict[Cache, int] = {}
    heads, states = split.kv_head_ranks, split.state_ranks
    for group in layers:
        kept = group.spec.caches(storage, heads)
        if heads != states:
            by_rank = group.spec.caches(storage, states)
            kept = tuple(state if isinstance(state, State) else own for own, state in zip(kept, by_rank, strict=True))
        for cache in kept:
            counts[cache] = counts.get(cache, 0) + group.count
    return tuple([Cached(cache, count) for cache, count in counts.items()])


def caches_of_model(
    model: ModelArchitecture, storage: StorageFormat, split: Split, way: OwnWay = AS_IT_IS
) -> tuple[Cached, ...]:
    """Return the caches of a whole model on one rank, equal ones joined."""
    return model.remember(_caches_of_model, storage.name, split, way)


def kinds_of_model(model: ModelArchitecture, way: OwnWay = AS_IT_IS) -> tuple[type[Cache], ...]:
    """Return the kinds of cache of a whole model, whatever their format and split."""
    return model.remember(_kinds_of_model, way)


def _caches_of_model(model: ModelArchitecture, kv_cache_dtype: str, split: Split, way: OwnWay) -> tuple[Cached, ...]:
    return caches_of(layers_kept(model, model.groups, way), storage_format(kv_cache_dtype), split)


def _kinds_of_model(model: ModelArchitecture, way: OwnWay) -> tuple[type[Cache], ...]:
    layers, plain = layers_kept(model, model.groups, way), storage_format(PLAIN)
    return tuple(dict.fromkeys([type(cache) for group in layers for cache in group.spec.caches(plain, 1)]))


def layers_kept(model: ModelArchitecture, layers: tuple[LayerGroup, ...], way: OwnWay) -> tuple[LayerGroup, ...]:
    """Return some layers of a model with heads in place of latent vectors, and with longer windows."""
    if way.expands:
        layers = tuple(replace(group, spec=group.spec.as_heads(model.num_attention_heads)) for group in layers)
    if way.window_more:
        layers = tuple(replace(group, spec=group.spec.with_window(way.window_more)) for group in layers)
    return layers


def has(caches: tuple[Cached, ...], *kinds: type[Cache]) -> bool:
    """Whether any cache is of one of some kinds."""
    return any(isinstance(cached.cache, kinds) for cached in caches)
