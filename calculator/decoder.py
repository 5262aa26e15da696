"""Decoders of equal layers: from a handful of numbers to layers and weight matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from calculator.attention import FullAttention
from calculator.errors import InvalidValueError, shown
from calculator.model import (
    MAX_HEADS,
    MAX_LAYERS,
    MAX_TOKENS,
    MAX_WIDTH,
    LayerGroup,
    ModelArchitecture,
    Place,
    Sharding,
    WeightMatrix,
    indivisible,
)
from calculator.schema import Schema, choice, count, flag

ARCHITECTURE_FIELDS = {
    "num_layers": count(MAX_LAYERS),
    "num_attention_heads": count(MAX_HEADS),
    "num_key_value_heads": count(MAX_HEADS),
    "head_dim": count(MAX_HEADS),
    "v_head_dim": count(MAX_HEADS, required=False),
    "hidden_size": count(MAX_WIDTH),
    "intermediate_size": count(MAX_WIDTH, minimum=0),
    "vocab_size": count(MAX_WIDTH),
    "max_position_embeddings": count(MAX_TOKENS),
    "torch_dtype": choice(["float16", "bfloat16", "float32"], required=False),
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
}
"""The fields of a uniform decoder. What is optional defaults to the most common block:
a gated MLP, two norm gains a layer, no biases, no learned positions, no experts."""

_SCHEMA = Schema(ARCHITECTURE_FIELDS)


def custom_model(name: str = "Own architecture", **fields: Any) -> ModelArchitecture:
    """Build a decoder of equal layers from its numbers, as typed by hand.

    Parameters
    ----------
    name : str
        What to call it [-].
    **fields : int, bool or str
        ``num_layers``, ``num_attention_heads``, ``num_key_value_heads``, ``head_dim``, ``hidden_size``,
        ``intermediate_size``, ``vocab_size``, ``max_position_embeddings`` and ``tie_word_embeddings``
        are required; ``ARCHITECTURE_FIELDS`` lists the others [-].

    Returns
    -------
    ModelArchitecture
        The model, its parameters counted by part.

    Raises
    ------
    CalculatorError
        If a field is unknown, missing or out of bounds, or if heads do not divide.
    """
    if not isinstance(name, str):
        raise InvalidValueError(f"name must be text, not {shown(name)}")
    checked = _SCHEMA.validate(fields)
    return replace(build_decoder(checked, id="custom", name=name), fields=checked)


def build_decoder(fields: dict[str, Any], **described: Any) -> ModelArchitecture:
    """Build a decoder of equal layers from validated ``ARCHITECTURE_FIELDS``."""
    heads, kv_heads = fields["num_attention_heads"], fields["num_key_value_heads"]
    if heads % kv_heads:
        raise indivisible(heads, kv_heads)
    experts = [name for name in ("num_experts", "num_experts_per_tok", "moe_intermediate_size") if fields.get(name)]
    if len(experts) not in (0, 3):
        raise InvalidValueError(
            "num_experts, num_experts_per_tok and moe_intermediate_size are given together or not at all"
        )
    if experts and fields["num_experts_per_tok"] > fields["num_experts"]:
        raise InvalidValueError(
            f"num_experts_per_tok {fields['num_experts_per_tok']} is more than the {fields['num_experts']} experts"
        )
    if not experts and not fields["intermediate_size"]:
        raise InvalidValueError("intermediate_size 0 is allowed only where every MLP is made of experts")
    head_dim = fields["head_dim"]
    spec = FullAttention(kv_heads, head_dim, fields.get("v_head_dim") or head_dim)
    return ModelArchitecture(
        layers=(LayerGroup(spec, fields["num_layers"]),),
        weights=tuple(_decoder_weights(fields, spec)),
        num_attention_heads=heads,
        hidden_size=fields["hidden_size"],
        intermediate_size=fields["intermediate_size"],
        vocab_size=fields["vocab_size"],
        mlp_projections=3 if fields.get("gated_mlp", True) else 2,
        num_experts_per_tok=fields.get("num_experts_per_tok") or 0,
        moe_intermediate_size=fields.get("moe_intermediate_size") or 0,
        max_position_embeddings=fields["max_position_embeddings"],
        torch_dtype=fields.get("torch_dtype"),
        tie_word_embeddings=fields["tie_word_embeddings"],
        **described,
    )


def _decoder_weights(fields: dict[str, Any], spec: FullAttention) -> Iterator[WeightMatrix]:
    """Yield every matrix of a decoder of equal layers, in the order of a forward pass."""
    num_layers, hidden, vocab = fields["num_layers"], fields["hidden_size"], fields["vocab_size"]
    heads, groups = fields["num_attention_heads"], spec.num_key_value_heads

    def vector(
        part: str, length: int, copies: int, sharding: Sharding = Sharding.COPIED, place: Place = Place.LAYERS
    ) -> WeightMatrix:
        return WeightMatrix(part, length, 1, copies, copies, sharding, place, quantised=False)

    def linear(
        part: str, outputs: int, inputs: int, sharding: Sharding, bias: bool, copies: int = 1, active: int = 1
    ) -> Iterator[WeightMatrix]:
        yield WeightMatrix(part, outputs, inputs, copies * num_layers, active * num_layers, sharding)
        if bias:
            yield vector(part, outputs, copies * num_layers, Sharding.COPIED if sharding is Sharding.ROWS else sharding)

    def mlp(part: str, width: int, copies: int = 1, active: int = 1) -> Iterator[WeightMatrix]:
        bias = fields.get("mlp_bias", False)
        for _ in range(2 if fields.get("gated_mlp", True) else 1):
            yield from linear(part, width, hidden, Sharding.COLUMNS, bias, copies, active)
        yield from linear(part, hidden, width, Sharding.ROWS, bias, copies, active)

    yield WeightMatrix("embedding", vocab, hidden, 1, 1, Sharding.COLUMNS, Place.FIRST, quantised=False)
    if fields.get("learned_positions"):
        yield vector("embedding", fields["learned_positions"] * hidden, 1, place=Place.FIRST)
    qkv_bias = fields.get("qkv_bias", False)
    yield from linear("attention", heads * spec.head_dim, hidden, Sharding.COLUMNS, qkv_bias)
    yield from linear("attention", groups * spec.head_dim, hidden, Sharding.KV_HEADS, qkv_bias)
    yield from linear("attention", groups * spec.v_head_dim, hidden, Sharding.KV_HEADS, qkv_bias)
    yield from linear("attention", hidden, heads * spec.v_head_dim, Sharding.ROWS, fields.get("output_bias", False))
    if fields.get("qk_norm"):
        yield vector("norms", spec.head_dim, 2 * num_layers)
    if fields.get("num_experts"):
        experts, chosen = fields["num_experts"], fields["num_experts_per_tok"]
        yield WeightMatrix("router", experts, hidden, num_layers, num_layers, Sharding.COPIED, quantised=False)
        yield from mlp("experts", fields["moe_intermediate_size"], experts, chosen)
    else:
        yield from mlp("dense MLP", fields["intermediate_size"])
    for _ in range(2 if fields.get("norm_bias") else 1):
        yield vector("norms", hidden, fields.get("norms_per_layer", 2) * num_layers)
        yield vector("norms", hidden, 1, place=Place.LAST)
    if not fields["tie_word_embeddings"]:
        yield WeightMatrix("head", vocab, hidden, 1, 1, Sharding.COLUMNS, Place.LAST, quantised=False)
