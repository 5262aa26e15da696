"""Layers of one kind: what each keeps, and its weights, which follow the KV heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from calculator.architecture.blocks import attention
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import FullAttention, LayerSpec
from calculator.architecture.limits import MAX_HEADS
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.errors import InvalidValueError
from calculator.messages import say


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Consecutive layers of one kind: what each keeps, and its weights."""

    spec: LayerSpec
    count: int
    weights: tuple[WeightMatrix, ...] = ()


def with_spec(group: LayerGroup, spec: LayerSpec) -> LayerGroup:
    """Return layers with another spec; matrices that follow the KV heads are counted anew."""
    before, now, weights = group.spec.kv_heads, spec.kv_heads, group.weights
    heads_stay = isinstance(spec, FullAttention) and isinstance(group.spec, FullAttention)
    if before and now and heads_stay:
        weights = tuple(
            replace(matrix, outputs=matrix.outputs // before * now) if matrix.sharding is Sharding.KV_HEADS else matrix
            for matrix in weights
        )
    elif type(spec) is not type(group.spec):
        weights = tuple(
            replace(matrix, sharding=Sharding.COPIED) if matrix.sharding is Sharding.KV_HEADS else matrix
            for matrix in weights
        )
    return LayerGroup(spec, group.count, weights)


def with_heads(group: LayerGroup, num_key_value_heads: int) -> LayerGroup:
    """Return layers with another number of KV heads; a latent vector becomes heads, whose projections are counted."""
    now = with_spec(group, group.spec.with_kv_heads(num_key_value_heads))
    if not isinstance(group.spec, LatentAttention) or not isinstance(now.spec, FullAttention):
        return now
    rows = [matrix for matrix in group.weights if matrix.part == "attention" and matrix.sharding is Sharding.ROWS]
    if not rows:
        return now
    hidden, heads = rows[0].outputs, rows[0].inputs // now.spec.v_head_dim
    projections = attention(hidden, heads, num_key_value_heads, now.spec.head_dim, now.spec.v_head_dim)
    kept = (matrix for matrix in group.weights if matrix.part not in ("attention", "indexer"))
    return replace(now, weights=(*projections, *kept))


def merge(layers: Iterable[LayerGroup]) -> tuple[LayerGroup, ...]:
    """Join layers that keep the same, whatever their order and weights."""
    counts: dict[LayerSpec, int] = {}
    for group in layers:
        counts[group.spec] = counts.get(group.spec, 0) + group.count
    return tuple([LayerGroup(spec, count) for spec, count in counts.items()])


def divisors_of(heads: int) -> tuple[int, ...]:
    """Return every number of KV heads that so many query heads divide into, ascending [-]."""
    return tuple(g for g in range(1, min(heads, MAX_HEADS) + 1) if heads % g == 0)


def indivisible(heads: int, kv_heads: int, where: str = "num_key_value_heads") -> InvalidValueError:
    """Build the error for KV heads that query heads do not divide into, with the nearest that they do."""
    allowed = divisors_of(heads)
    near = min(allowed, key=lambda g: (abs(g - kv_heads), g))
    return InvalidValueError(
        say(
            "groups.not_possible_query_heads",
            "{where} {kv_heads} is not possible: {heads} query heads do not divide by it; allowed "
            "are the divisors of {heads}, the nearest is {near}",
            where=where,
            kv_heads=kv_heads,
            heads=heads,
            near=near,
        ),
        what="num_key_value_heads",
        asked=kv_heads,
        allowed=allowed,
        nearest=near,
    )


def cut(layers: Sequence[LayerGroup], counts: Iterable[int]) -> tuple[tuple[LayerGroup, ...], ...]:
    """Cut layers into stages of so many layers each, first to last; stages of the same layers are one object."""
    remaining = [(group.count, group) for group in reversed(layers)]
    made: dict[tuple[tuple[int, int, int], ...], tuple[LayerGroup, ...]] = {}
    stages = []
    for wanted in counts:
        parts = []
        while wanted:
            left, group = remaining.pop()
            taken = min(wanted, left)
            parts.append((taken, group))
            wanted -= taken
            if left > taken:
                remaining.append((left - taken, group))
        key = tuple((taken, id(group.spec), id(group.weights)) for taken, group in parts)
        if key not in made:
            made[key] = tuple(LayerGroup(group.spec, taken, group.weights) for taken, group in parts)
        stages.append(made[key])
    return tuple(stages)
