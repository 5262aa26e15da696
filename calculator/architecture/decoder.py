"""Decoders of equal layers: from a handful of numbers to layers and weight matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from calculator.architecture import blocks
from calculator.architecture.groups import LayerGroup, indivisible
from calculator.architecture.layers import FullAttention, SlidingWindow
from calculator.architecture.limits import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.per_layer import heads_by_layer, listed, windows_by_layer
from calculator.errors import InvalidValueError, shown
from calculator.formats.names import TORCH
from calculator.messages import say
from calculator.reading.fields import Field, Listed, choice, count, flag, optional
from calculator.reading.schema import Schema

ARCHITECTURE_FIELDS: dict[str, Field] = {
    "num_layers": count(MAX_LAYERS),
    "num_attention_heads": count(MAX_HEADS),
    "num_key_value_heads": count(MAX_HEADS),
    "head_dim": count(MAX_HEADS),
    "v_head_dim": count(MAX_HEADS, required=False),
    "hidden_size": count(MAX_WIDTH),
    "intermediate_size": count(MAX_WIDTH, minimum=0),
    "vocab_size": count(MAX_WIDTH),
    "max_position_embeddings": count(MAX_TOKENS),
    "torch_dtype": choice(list(TORCH), required=False),
    "tie_word_embeddings": flag(),
    "num_experts": count(MAX_HEADS, required=False),
    "num_experts_per_tok": count(MAX_HEADS, required=False),
    "moe_intermediate_size": count(MAX_WIDTH, required=False),
    "gated_mlp": flag(required=False),
    "qkv_bias": flag(required=False),
    "output_bias": flag(required=False),
    "mlp_bias": flag(required=False),
    "qk_norm": flag(required=False),
    "norms_per_layer": count(8, required=False),
    "norm_bias": flag(required=False),
    "learned_positions": count(MAX_TOKENS, minimum=0, required=False),
    "sliding_window": optional(count(MAX_TOKENS)),
}
"""The fields of a uniform decoder. What is optional defaults to the most common block:
a gated MLP, two norm gains a layer, no biases, no learned positions, no experts, no windows."""
PER_LAYER: dict[str, Field] = {
    "num_key_value_heads": Listed(item=count(MAX_HEADS), least=1, most=MAX_LAYERS),
    "sliding_window": Listed(item=optional(count(MAX_TOKENS)), least=1, most=MAX_LAYERS),
}
"""What may be a list with an entry for each layer, first to last, and what such a list holds."""

_SCHEMA = Schema("Architecture", ARCHITECTURE_FIELDS)
_FOR_ALL = {"num_key_value_heads": 1, "sliding_window": None}
"""What every layer has before a list gives each its own."""


def custom_model(name: str = "Own architecture", **fields: Any) -> ModelArchitecture:
    """Build a decoder from its numbers, as typed by hand: equal layers, or KV heads and windows layer by layer.

    Parameters
    ----------
    name : str
        What to call it [-].
    **fields : int, bool or str
        ``num_layers``, ``num_attention_heads``, ``num_key_value_heads``, ``head_dim``, ``hidden_size``,
        ``intermediate_size``, ``vocab_size``, ``max_position_embeddings`` and ``tie_word_embeddings``
        are required; ``ARCHITECTURE_FIELDS`` lists the others. ``num_key_value_heads`` and ``sliding_window`` [tokens]
        may be lists with an entry for each layer, first to last; a window of None sees every earlier token [-].

    Returns
    -------
    ModelArchitecture
        The model, its parameters counted by part.

    Raises
    ------
    CalculatorError
        If a field is unknown, missing or out of bounds, or if heads do not divide; a list of the wrong length, or a
        layer whose heads do not divide, is named.
    """
    if not isinstance(name, str):
        raise InvalidValueError(
            say("decoder.name_must_text_not", "name must be text, not {name}", name=shown(name)),
            what="name",
            asked=name,
        )
    lists = {key: values for key in PER_LAYER if (values := listed(fields.get(key))) is not None}
    checked = _SCHEMA.validate({**fields, **{key: _FOR_ALL[key] for key in lists}})
    model = build_decoder(checked, id="custom", name=name)
    layers = model.layers
    if "num_key_value_heads" in lists:
        layers = heads_by_layer(layers, lists["num_key_value_heads"], model.num_attention_heads)
    if "sliding_window" in lists:
        layers = windows_by_layer(layers, lists["sliding_window"])
    return replace(model, layers=layers, fields={**checked, **lists})


def build_decoder(fields: dict[str, Any], **described: Any) -> ModelArchitecture:
    """Build a decoder of equal layers from validated ``ARCHITECTURE_FIELDS``."""
    heads, kv_heads = fields["num_attention_heads"], fields["num_key_value_heads"]
    if heads % kv_heads:
        raise indivisible(heads, kv_heads)
    experts = [name for name in ("num_experts", "num_experts_per_tok", "moe_intermediate_size") if fields.get(name)]
    if len(experts) not in (0, 3):
        raise InvalidValueError(
            say(
                "decoder.num_experts_num_experts",
                "num_experts, num_experts_per_tok and moe_intermediate_size are given together or not at all",
            )
        )
    if experts and fields["num_experts_per_tok"] > fields["num_experts"]:
        raise InvalidValueError(
            say(
                "decoder.num_experts_per_tok",
                "num_experts_per_tok {num_experts_per_tok} is more than the {num_experts} experts",
                num_experts_per_tok=fields["num_experts_per_tok"],
                num_experts=fields["num_experts"],
            ),
            what="num_experts_per_tok",
            asked=fields["num_experts_per_tok"],
            nearest=fields["num_experts"],
        )
    if not experts and not fields["intermediate_size"]:
        raise InvalidValueError(
            say(
                "decoder.intermediate_size_allowed_only",
                "intermediate_size 0 is allowed only where every MLP is made of experts",
            ),
            what="intermediate_size",
            asked=0,
        )
    head_dim = fields["head_dim"]
    spec = FullAttention(kv_heads, head_dim, fields.get("v_head_dim") or head_dim)
    if fields.get("sliding_window"):
        spec = SlidingWindow(kv_heads, head_dim, spec.v_head_dim, window=fields["sliding_window"])
    hidden, vocab, learned = fields["hidden_size"], fields["vocab_size"], fields.get("learned_positions") or 0
    norm_bias, tied = fields.get("norm_bias", False), fields["tie_word_embeddings"]
    embedding = blocks.linear("embedding", vocab, hidden, Sharding.COLUMNS, quantised=False, module="embed_tokens")
    head = () if tied else blocks.linear("head", vocab, hidden, Sharding.COLUMNS, quantised=False, module="lm_head")
    return ModelArchitecture(
        layers=(LayerGroup(spec, fields["num_layers"], tuple(_layer_weights(fields, spec))),),
        embedding=(*embedding, *blocks.vector("embedding", learned * hidden)),
        end=(*blocks.norms(hidden, 1, norm_bias), *head),
        num_attention_heads=heads,
        hidden_size=hidden,
        intermediate_size=fields["intermediate_size"],
        vocab_size=vocab,
        mlp_projections=3 if fields.get("gated_mlp", True) else 2,
        num_experts_per_tok=fields.get("num_experts_per_tok") or 0,
        moe_intermediate_size=fields.get("moe_intermediate_size") or 0,
        max_position_embeddings=fields["max_position_embeddings"],
        torch_dtype=fields.get("torch_dtype"),
        tie_word_embeddings=tied,
        **described,
    )


def _layer_weights(fields: dict[str, Any], spec: FullAttention) -> Iterator[WeightMatrix]:
    """Yield every matrix of one layer."""
    hidden, gated, mlp_bias = fields["hidden_size"], fields.get("gated_mlp", True), fields.get("mlp_bias", False)
    yield from blocks.attention(
        hidden,
        fields["num_attention_heads"],
        spec.num_key_value_heads,
        spec.head_dim,
        spec.v_head_dim,
        fields.get("qkv_bias", False),
        fields.get("output_bias", False),
    )
    yield from blocks.norms(spec.head_dim, 2 if fields.get("qk_norm") else 0)
    if fields.get("num_experts"):
        experts, chosen = fields["num_experts"], fields["num_experts_per_tok"]
        yield from blocks.router(hidden, experts)
        yield from blocks.mlp(hidden, fields["moe_intermediate_size"], gated, mlp_bias, "experts", experts, chosen)
    else:
        yield from blocks.mlp(hidden, fields["intermediate_size"], gated, mlp_bias)
    yield from blocks.norms(hidden, fields.get("norms_per_layer", 2), fields.get("norm_bias", False))
