"""What mixes tokens in a layer, attention or a recurrent block: what it keeps, and its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calculator.architecture import blocks
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import (
    ChunkedAttention,
    EncoderAttention,
    FullAttention,
    IndexedAttention,
    LayerSpec,
    SharedCache,
    SlidingWindow,
)
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import AttentionAndState
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.experts import expert_attention
from calculator.configs.blocks.state_layers import state_layer
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.traits import trait
from calculator.errors import InvalidValueError, UnsupportedError
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.configs.blocks.layers import Assembler

_BOTH_WAYS = "Bidirectional"
"""What the names of classes for embeddings hold whose decoder reads a text as a whole."""


def reads_as_a_whole(keys: Keys, family: Family) -> bool:
    """Say whether attention reads a text as a whole: the type does, or a checkpoint made for embeddings says so."""
    said = keys.value("is_causal")
    named = keys.value("architectures")
    names = named if isinstance(named, list) else []
    return trait(keys, family.bidirectional) or said is False or any(_BOTH_WAYS in str(name) for name in names)


def mixer_of(layer: Assembler, plan: LayerPlan) -> Layer:
    """Return what a layer's mixer keeps, and its weights."""
    if plan.kind == "linear_attention":
        return state_layer(layer.keys, layer.family, layer.hidden)
    if layer.bidirectional and layer.family.latent:
        raise UnsupportedError(
            say(
                "mixers.latent_attention_reads_text", "latent attention that reads a text as a whole is not understood"
            ),
            what="is_causal",
        )
    if layer.family.latent:
        return _latent(layer, plan.shares_index)
    spec, weights = _spec(layer, plan), tuple(layer.attention(plan))
    if layer.bidirectional:
        # what is not kept has no copies: heads are split
        split = (replace(m, sharding=Sharding.COLUMNS) if m.sharding is Sharding.KV_HEADS else m for m in weights)
        return spec, tuple(split)
    if plan.kind == "hybrid":
        state, more = state_layer(layer.keys, layer.family, layer.hidden)
        heads = plan.heads
        both = AttentionAndState(heads.groups, heads.key, heads.value, state=state)
        return both, (*more, *weights)
    return spec, weights


def _spec(layer: Assembler, plan: LayerPlan) -> LayerSpec:
    heads = plan.heads
    query = heads.query if heads.query != layer.heads else None
    if layer.bidirectional:
        return EncoderAttention(heads.query, heads.groups)
    if plan.shares_cache:
        return SharedCache()
    if plan.kind == "sliding_attention":
        window = layer.keys.count("sliding_window")
        return SlidingWindow(heads.groups, heads.key, heads.value, query, window=window)
    if plan.kind == "indexed":
        index = layer.index_head_dim()
        return IndexedAttention(heads.groups, heads.key, heads.value, query, index_head_dim=index)
    if plan.kind == "chunked_attention":
        chunk = layer.keys.count("attention_chunk_size")
        return ChunkedAttention(heads.groups, heads.key, heads.value, query, window=chunk)
    return FullAttention(heads.groups, heads.key, heads.value, query)


def attention_weights(layer: Assembler, plan: LayerPlan) -> blocks.Weights:
    """Yield the weights of a layer's attention."""
    keys, family, heads = layer.keys, layer.family, plan.heads
    qkv_bias, output_bias = trait(keys, family.qkv_bias), trait(keys, family.output_bias)
    if family.experts and family.experts.in_attention:
        yield from expert_attention(layer, heads)
        return
    yield from blocks.attention(
        layer.hidden,
        heads.query,
        heads.groups,
        heads.key,
        heads.value,
        qkv_bias,
        output_bias,
        trait(keys, family.gate),
        keys_are_values=layer.keys_are_values(plan),
        queries_only=plan.shares_cache,
        gate_bias=family.gate_bias,
    )
    if family.qk_norm and (not family.qk_norm_if or keys.flag(family.qk_norm_if)):
        cached_only = plan.shares_cache and family.shared_cache == "num_kv_shared_layers"
        if family.qk_norm in ("head", "head_bias"):
            yield from blocks.norms(heads.key, 1 if cached_only else 2, bias=family.qk_norm == "head_bias")
        elif family.qk_norm in ("width", "each_head"):
            yield from blocks.vector("norms", heads.query * heads.key, sharding=Sharding.COLUMNS)
            yield from blocks.vector("norms", heads.groups * heads.key, sharding=Sharding.KV_HEADS)
    if family.sinks == "all" or (family.sinks == "windowed" and plan.kind == "sliding_attention"):
        yield from blocks.vector("attention", heads.query, sharding=Sharding.COLUMNS)
    if family.sub_norms:
        yield from blocks.norms(layer.hidden, 1)


def _latent(layer: Assembler, shares_index: bool) -> Layer:
    keys = layer.keys
    rank, rope = keys.count("kv_lora_rank"), keys.count("qk_rope_head_dim", minimum=0)
    q_rank = keys.optional_count("q_lora_rank", minimum=0) or 0
    nope = keys.count("qk_nope_head_dim")
    v_dim = keys.optional_count("v_head_dim") or max(1, layer.hidden // layer.heads)
    bias = trait(keys, layer.family.qkv_bias)
    weights = [*blocks.latent_attention(layer.hidden, layer.heads, q_rank, rank, nope, rope, v_dim, bias)]
    index_dim = 0
    if layer.family.indexer:
        index_dim, index_heads = keys.count("index_head_dim"), keys.count("index_n_heads")
        if not q_rank:
            raise InvalidValueError(
                say("mixers.q_lora_rank_missing", "q_lora_rank is missing: the indexer reads the compressed queries")
            )
        if not shares_index:
            weights += blocks.indexer(layer.hidden, q_rank, index_heads, index_dim)
    return LatentAttention(rank, rope, index_dim, nope + rope, v_dim, shares_index), tuple(weights)
