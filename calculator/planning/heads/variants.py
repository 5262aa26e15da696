"""A model with every number of KV heads, with a list of them, and with latent attention in their place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from math import gcd
from typing import Any, NamedTuple

from calculator.architecture import blocks
from calculator.architecture.groups import LayerGroup, with_spec
from calculator.architecture.latent import LatentAttention, as_latent
from calculator.architecture.layers import ChunkedAttention, FullAttention, SlidingWindow
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.per_layer import listed
from calculator.catalogue.presets import load_model
from calculator.errors import UnsupportedError
from calculator.messages import say
from calculator.reading.schema import as_index


class Kind(StrEnum):
    """What attention a variant has."""

    MQA = "MQA"
    GQA = "GQA"
    MHA = "MHA"
    MLA = "MLA"
    OWN = "own"
    NO_WINDOW = "no window"

    @property
    def is_counted(self) -> bool:
        """Whether it is a number of KV heads."""
        return self in (Kind.MQA, Kind.GQA, Kind.MHA)


class Variant(NamedTuple):
    """A model with another number of KV heads, or another kind of attention.

    Attributes
    ----------
    kind : Kind
        What attention it has; ``OWN`` where layers differ.
    num_key_value_heads : int
        KV heads, the most of a layer [-].
    model : ModelArchitecture
        The model so varied.
    """

    kind: Kind
    num_key_value_heads: int
    model: ModelArchitecture


def kind_of(num_key_value_heads: int, num_attention_heads: int) -> Kind:
    """Return what attention so many KV heads make: MHA where each query head has its own, MQA where all share one."""
    if num_key_value_heads == num_attention_heads:
        return Kind.MHA
    return Kind.MQA if num_key_value_heads == 1 else Kind.GQA


def query_heads(model: ModelArchitecture) -> int:
    """Return the query heads that every layer's divide by: H, or their greatest common divisor where they differ [-].

    Raises
    ------
    UnsupportedError
        If no layer has heads.
    """
    if not any(_has_heads(group) for group in model.groups):
        raise UnsupportedError(
            say("variants.has_no_attention_heads", "{name} has no attention heads to vary", name=model.name),
            what="model",
        )
    own = (getattr(group.spec, "query_heads", None) for group in model.groups if _has_heads(group))
    return gcd(*(heads or model.num_attention_heads for heads in own))


def _has_heads(group: LayerGroup) -> bool:
    return isinstance(group.spec, FullAttention | LatentAttention)


def divisors(model: ModelArchitecture) -> list[int]:
    """Return every number of KV heads that the query heads divide by, from multi-query to multi-head attention [-]."""
    heads = query_heads(model)
    return [count for count in range(1, heads + 1) if heads % count == 0]


def counted(model: ModelArchitecture, kv_heads: Iterable[int | Sequence[int]] | None = None) -> list[Variant]:
    """Return a model with each number of KV heads asked for, by default with every one.

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    kv_heads : iterable of int or of sequence of int, optional
        KV heads of every layer, or a list with those of each layer [-].

    Returns
    -------
    list of Variant
        In the order asked, each once; windows kept, key and value projections counted anew.

    Raises
    ------
    CalculatorError
        If query heads do not divide by a number, or a list has not one entry a layer.
    """
    heads = query_heads(model)
    made: list[Variant] = []
    for count in divisors(model) if kv_heads is None else kv_heads:
        by_layer = listed(count)
        varied = (
            model.with_kv_heads(by_layer)
            if by_layer is not None
            else with_heads(model, count if isinstance(count, bool) else as_index(count))
        )
        same = {each for each in varied.kv_heads_by_layer if each}
        most = max(same)
        if any(each.model.layers == varied.layers for each in made):
            continue
        made.append(Variant(kind_of(most, heads) if len(same) == 1 else Kind.OWN, most, varied))
    return made


def with_heads(model: ModelArchitecture, num_key_value_heads: Any) -> ModelArchitecture:
    """Return a model with the same number of KV heads in every layer that has any, also where its layers differ."""
    if len({each for each in model.kv_heads_by_layer if each}) < 2:
        return model.with_kv_heads(num_key_value_heads)
    return model.with_kv_heads([num_key_value_heads if each else 0 for each in model.kv_heads_by_layer])


def keeps_latent(model: ModelArchitecture) -> bool:
    """Say whether any layer keeps one latent vector for all heads."""
    return any(isinstance(group.spec, LatentAttention) for group in model.groups)


def with_latent(model: ModelArchitecture) -> ModelArchitecture:
    """Return a model with latent attention of DeepSeek-V2's proportions in place of heads, its projections counted.

    Notes
    -----
    An assumption, not a known checkpoint: a vector of 4 head sizes and a rotary key of half a head size (512 + 64
    elements at a head size of 128), queries not compressed, as DeepSeek-V2-Lite has them.

    References
    ----------
    arXiv 2405.04434, section 2.1.4 and appendix B.

    Raises
    ------
    UnsupportedError
        If no layer has heads alone: an encoder's tokens, or a state beside the heads, have no latent form here.
    """
    layers = tuple(_latent(model, group) for group in model.layers)
    if layers == model.layers:
        raise UnsupportedError(
            say(
                "variants.has_no_layers_latent",
                "{name} has no layers that latent attention could take the place of",
                name=model.name,
            ),
            what="model",
        )
    return replace(model, layers=layers, variations={**model.variations, "layers": "changed"})


_PLAIN = (FullAttention, SlidingWindow, ChunkedAttention)
"""Layers whose only cache is that of their heads."""


def _latent(model: ModelArchitecture, group: LayerGroup) -> LayerGroup:
    spec = as_latent(group.spec)
    if type(group.spec) not in _PLAIN or not isinstance(spec, LatentAttention):
        return group
    assert isinstance(group.spec, FullAttention)
    heads = group.spec.query_heads or model.num_attention_heads
    nope, rope = group.spec.head_dim, spec.qk_rope_head_dim
    projections = blocks.latent_attention(
        model.hidden_size, heads, 0, spec.kv_lora_rank, nope, rope, group.spec.v_head_dim
    )
    kept = (matrix for matrix in group.weights if matrix.part != "attention")
    return replace(with_spec(group, spec), weights=(*projections, *kept))


def can_be_latent(model: ModelArchitecture) -> bool:
    """Say whether latent attention could take the place of the heads of any layer."""
    return not keeps_latent(model) and any(type(group.spec) in _PLAIN for group in model.groups)


def called(variant: Variant) -> str:
    """Return what a variant is called beside others: its KV heads, MLA, or the least and most of its layers."""
    if variant.kind is Kind.MLA:
        return say("heads.latent", "MLA")
    counts = {each for each in variant.model.kv_heads_by_layer if each}
    if len(counts) > 1:
        return say("heads.by_layer", "{least} to {most} by layer", least=min(counts), most=max(counts))
    return say("heads.count", "{count}", count=variant.num_key_value_heads)


def preset_with(model: str, kv_heads: int | str | None = None) -> ModelArchitecture:
    """Return a preset with other KV heads; ``all`` for as many as query heads, ``latent`` for latent attention."""
    loaded = load_model(model)
    if kv_heads is None:
        return loaded
    if kv_heads == "latent":
        return with_latent(loaded)
    return with_heads(loaded, query_heads(loaded) if kv_heads == "all" else kv_heads)
