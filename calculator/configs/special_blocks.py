"""Blocks and widths that only few types have: listed blocks, shared blocks, streams, scaled widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calculator.architecture import blocks
from calculator.architecture.layers import FullAttention, LayerSpec, NoCache
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import LayerGroup
from calculator.architecture.recurrent import AttentionAndState
from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, UnsupportedError, shown

if TYPE_CHECKING:
    from calculator.configs.layers import Assembler

Layer = tuple[LayerSpec, tuple[WeightMatrix, ...]]


def runs(built: Sequence[Layer]) -> tuple[LayerGroup, ...]:
    """Join neighbouring layers of one kind."""
    groups: list[LayerGroup] = []
    for spec, weights in built:
        if groups and groups[-1].spec == spec and groups[-1].weights == weights:
            groups[-1] = LayerGroup(spec, groups[-1].count + 1, weights)
        else:
            groups.append(LayerGroup(spec, 1, weights))
    return tuple(groups)


def extra_embedding(layer: Assembler) -> blocks.Weights:
    """Yield what some types hold before their layers besides the embedding: a second, smaller one a layer."""
    keys = layer.keys
    if layer.family.special not in ("streams_and_layer_inputs", "layer_inputs"):
        return
    small = keys.optional_count("hidden_size_per_layer_input", minimum=0) or 0
    vocab = keys.count("vocab_size_per_layer_input")
    if small:
        width = layer.num_layers * small
        yield from blocks.linear("embedding", vocab, width, Sharding.COLUMNS, quantised=False)
        yield from blocks.linear("embedding", width, layer.hidden, Sharding.COPIED)
        yield from blocks.norms(small, 1)
    if layer.family.special == "streams_and_layer_inputs":
        streams = keys.count("altup_num_inputs")
        for _ in range(2 * (streams - 1)):
            yield from blocks.linear("embedding", layer.hidden, layer.hidden, Sharding.COPIED)


def per_layer(layer: Assembler) -> blocks.Weights:
    """Yield what a layer holds to take in its own small embedding, and to keep several streams."""
    keys, hidden, special = layer.keys, layer.hidden, layer.family.special
    if special not in ("streams_and_layer_inputs", "layer_inputs"):
        return
    small = keys.optional_count("hidden_size_per_layer_input", minimum=0) or 0
    if small:
        yield from blocks.linear("dense MLP", small, hidden, Sharding.COPIED)
        yield from blocks.linear("dense MLP", hidden, small, Sharding.COPIED)
        yield from blocks.norms(hidden, 1)
    if special == "streams_and_layer_inputs":
        streams, rank = keys.count("altup_num_inputs"), keys.count("laurel_rank")
        yield from blocks.linear("streams", streams, streams, Sharding.COPIED)
        yield from blocks.linear("streams", streams * streams, streams, Sharding.COPIED)
        yield from blocks.linear("streams", streams, hidden, Sharding.COPIED)
        yield from blocks.vector("streams", hidden)
        yield from blocks.linear("streams", rank, hidden, Sharding.COPIED)
        yield from blocks.linear("streams", hidden, rank, Sharding.COPIED)
        yield from blocks.norms(hidden, 2)


def with_shared_blocks(layer: Assembler, layers: list[Layer]) -> list[Layer]:
    """Add the attention blocks that hybrid layers share: each block's weights once, adapters for every use.

    References
    ----------
    transformers 5.23.0, ``models/zamba2/modeling_zamba2.py``.
    """
    keys, hidden, heads = layer.keys, layer.hidden, layer.plain
    places = [index for index, (spec, _) in enumerate(layers) if isinstance(spec, AttentionAndState)]
    num_blocks, rank = keys.count("num_mem_blocks"), keys.count("adapter_rank")
    bias, adapts = keys.flag("add_bias_linear"), keys.flag("use_shared_attention_adapter")
    width, wide = layer.dense_width(), layer.input_width
    for use, index in enumerate(places):
        spec, weights = layers[index]
        more = [*blocks.linear("attention", hidden, hidden, Sharding.COPIED)]
        if use < num_blocks:
            more += blocks.linear("attention", heads.query * heads.key, wide, Sharding.COLUMNS)
            more += blocks.linear("attention", heads.groups * heads.key, wide, Sharding.KV_HEADS)
            more += blocks.linear("attention", heads.groups * heads.key, wide, Sharding.KV_HEADS)
            more += blocks.linear("attention", hidden, heads.query * heads.key, Sharding.ROWS)
            more += blocks.mlp(hidden, width, True, bias)
            more += [*blocks.norms(wide, 1), *blocks.norms(hidden, 1)]
        more += blocks.linear("dense MLP", rank, hidden, Sharding.COPIED)
        more += blocks.linear("dense MLP", 2 * width, rank, Sharding.COLUMNS)
        if adapts:
            for _ in range(3):
                more += blocks.linear("attention", rank, wide, Sharding.COPIED)
                more += blocks.linear("attention", wide, rank, Sharding.COLUMNS)
        layers[index] = (spec, (*weights, *more))
    return layers


def short_conv_width(keys: Keys) -> int:
    """Return the width of an MLP that the config gives before it is cut to two thirds and rounded up."""
    width = keys.optional_count("block_ff_dim") or keys.count("intermediate_size")
    if not keys.flag("block_auto_adjust_ff_dim"):
        return width
    multiple, factor = keys.count("block_multiple_of"), keys.value("block_ffn_dim_multiplier")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1000:
        raise InvalidValueError(
            f"block_ffn_dim_multiplier must be a number above 0 and below 1,000, not {shown(factor)}"
        )
    return -(-int(factor * int(2 * width / 3)) // multiple) * multiple


def ffn_widths(keys: Keys, hidden: int, num_layers: int) -> list[int]:
    """Return the MLP width of every layer from a list of multiples of the hidden size."""
    given, divisor = keys.value("ffn_multipliers"), keys.count("ffn_dim_divisor")
    values = given if isinstance(given, list) else [given] * num_layers
    if len(values) != num_layers or any(
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000 for value in values
    ):
        raise InvalidValueError(f"ffn_multipliers must list a multiple for each of the {num_layers:,} layers")
    widths = []
    for value in values:
        width = max(divisor, int(value * hidden + divisor / 2) // divisor * divisor)
        widths.append(width + divisor if width < 0.9 * value * hidden else width)
    return widths


def block_configs(layer: Assembler, configs: Any) -> tuple[LayerGroup, ...]:
    """Return layers that a list describes one by one: KV heads, MLP width, or neither.

    References
    ----------
    The remote code of Nemotron-NAS; vLLM 0.33.0, ``model_executor/models/nemotron_nas.py``.
    """
    if not isinstance(configs, list) or len(configs) != layer.num_layers:
        raise InvalidValueError(f"block_configs must list the {layer.num_layers:,} layers")
    built: list[Layer] = []
    for index, config in enumerate(configs):
        attention, ffn = _part(config, "attention", index), _part(config, "ffn", index)
        spec: LayerSpec = NoCache()
        weights: list[WeightMatrix] = []
        if not attention.get("no_op"):
            ratio = attention.get("n_heads_in_group")
            if type(ratio) is not int or ratio < 1 or layer.heads % ratio:
                raise InvalidValueError(
                    f"block_configs: layer {index}: n_heads_in_group {shown(ratio)} does not divide the heads"
                )
            groups = layer.heads // ratio
            spec = FullAttention(groups, layer.head_dim, layer.head_dim)
            weights += blocks.attention(
                layer.hidden, layer.heads, groups, layer.head_dim, layer.head_dim, *layer.biases
            )
            weights += blocks.norms(layer.hidden, 1)
        if not ffn.get("no_op"):
            multiplier = ffn.get("ffn_mult")
            if not isinstance(multiplier, int | float) or isinstance(multiplier, bool) or not 0 < multiplier < 1000:
                raise InvalidValueError(f"block_configs: layer {index}: ffn_mult {shown(multiplier)} is not a width")
            weights += blocks.mlp(layer.hidden, _ffn_width(multiplier, layer.hidden), gated=True)
            weights += blocks.norms(layer.hidden, 1)
        built.append((spec, tuple(weights)))
    return runs(built)


def _part(config: Any, name: str, index: int) -> dict[str, Any]:
    part = config.get(name) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        raise InvalidValueError(f"block_configs: layer {index}: {name} is missing")
    for key in ("replace_with_linear", "sparsify", "window_length", "num_sink_tokens", "unshifted_sink"):
        if part.get(key):
            raise UnsupportedError(f"block_configs: layer {index}: {name}: {key} is not understood")
    return part


def _ffn_width(multiplier: float, hidden: int) -> int:
    width = int(2 * multiplier * hidden / 3)
    return -(-width // 256) * 256
