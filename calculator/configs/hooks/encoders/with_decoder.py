"""Encoder-decoder models: a decoder that keeps a cache of its own tokens and one of the encoder's.

The encoder keeps nothing between tokens; its weights are counted with the embedding.
"""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.layers import CrossAttention
from calculator.architecture.matrices import Sharding
from calculator.architecture.model import LayerGroup
from calculator.configs.blocks.builder import Layer, runs
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.traits import Encoder
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

RAW_SYNONYMS = ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "is_encoder_decoder")


class EncoderDecoder:
    """Builds the encoder and the decoder of one config.

    Parameters
    ----------
    keys : Keys
        The config [-].
    family : Family
        The traits of its type; it has an ``encoder`` [-].
    """

    def __init__(self, keys: Keys, family: Family) -> None:
        if family.encoder is None:
            raise UnsupportedError(say("with_decoder.this_model_type_has", "this model type has no encoder"))
        encoder: Encoder = family.encoder
        self.keys, self.encoder = keys, encoder
        self.hidden = keys.count("hidden_size")
        self.num_encoder_layers = keys.count(encoder.layers)
        self.num_layers = keys.optional_count(encoder.decoder_layers) or self.num_encoder_layers
        self.encoder_heads, self.heads = keys.count(encoder.heads), keys.count(encoder.decoder_heads)
        self.gated, self.norm_bias = self._gated(), encoder.bias
        keys.ignore(*RAW_SYNONYMS)

    def _gated(self) -> bool:
        given = self.keys.value("feed_forward_proj")
        if given is not None and not isinstance(given, str):
            raise InvalidValueError(
                say(
                    "with_decoder.feed_forward_proj_must",
                    "feed_forward_proj must be a text, not {given}",
                    given=shown(given),
                )
            )
        return given is not None and given.split("-")[0] == "gated"

    def widest_mlp(self) -> int:
        """Return the width of the decoder's MLP."""
        return self.keys.count(self.encoder.decoder_width)

    def _head_dim(self, heads: int) -> int:
        given = self.keys.count(self.encoder.head_dim) if self.encoder.head_dim else None
        if given is None and self.hidden % heads:
            raise InvalidValueError(
                say(
                    "with_decoder.hidden_size_does_not",
                    "hidden_size {hidden} does not divide by {heads} heads",
                    hidden=self.hidden,
                    heads=heads,
                )
            )
        return given or self.hidden // heads

    def layers(self) -> tuple[LayerGroup, ...]:
        """Return the decoder's layers."""
        size = self._head_dim(self.heads)
        spec = CrossAttention(self.heads, size, size)
        layers: list[Layer] = []
        for index in range(self.num_layers):
            attention = list(self._attention(self.heads, Sharding.KV_HEADS))
            weights = [*attention, *attention, *self._positions(index, self.heads)]
            weights += [*self._mlp(self.widest_mlp()), *blocks.norms(self.hidden, 3, self.norm_bias)]
            layers.append((spec, tuple(weights)))
        return runs(layers)

    def _attention(self, heads: int, keys_and_values: Sharding = Sharding.COLUMNS) -> blocks.Weights:
        encoder, size = self.encoder, self._head_dim(heads)
        key_bias = encoder.bias and encoder.key_bias
        for sharding, bias in (
            (Sharding.COLUMNS, encoder.bias),
            (keys_and_values, key_bias),
            (keys_and_values, encoder.bias),
        ):
            yield from blocks.linear("attention", heads * size, self.hidden, sharding, bias)
        yield from blocks.linear("attention", self.hidden, heads * size, Sharding.ROWS, encoder.bias)

    def _positions(self, index: int, heads: int) -> blocks.Weights:
        where = self.encoder.relative_positions
        if where == "every" or (where == "first" and index == 0):
            buckets = self.keys.count("relative_attention_num_buckets")
            yield from blocks.linear("attention", heads, buckets, Sharding.COLUMNS, quantised=False)

    def _mlp(self, width: int) -> blocks.Weights:
        yield from blocks.mlp(self.hidden, width, self.gated, self.encoder.bias)

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:  # noqa: ARG002
        """Yield the embeddings, the tables of positions, and the whole encoder."""
        keys, encoder, hidden = self.keys, self.encoder, self.hidden
        separate = 3 if not tied and not encoder.always_tied and not encoder.convolutions else 1
        for _ in range(separate):
            yield from blocks.linear(
                "embedding", vocab, hidden, Sharding.COLUMNS, quantised=False, module="embed_tokens"
            )
        if encoder.positions:
            for key in (encoder.positions, encoder.source_positions or encoder.positions):
                rows = keys.count(key) + encoder.position_offset
                yield from blocks.vector("embedding", rows * hidden)
        if encoder.embedding_norm:
            yield from blocks.norms(hidden, 2, encoder.bias)
        if encoder.convolutions:
            yield from blocks.linear(
                "embedding", hidden, 3 * keys.count(encoder.convolutions), Sharding.COPIED, bias=True
            )
            yield from blocks.linear("embedding", hidden, 3 * hidden, Sharding.COPIED, bias=True)
        for index in range(self.num_encoder_layers):
            yield from self._attention(self.encoder_heads)
            yield from self._positions(index, self.encoder_heads)
            yield from self._mlp(keys.count(encoder.width))
            yield from blocks.norms(hidden, 2, encoder.bias)
        if encoder.end_norm:
            yield from blocks.norms(hidden, 1, encoder.bias)

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield the decoder's last norm, and the head where it is not the embedding."""
        if self.encoder.end_norm:
            yield from blocks.norms(self.hidden, 1, self.encoder.bias)
        if not tied and not self.encoder.always_tied:
            yield from blocks.linear("head", vocab, self.hidden, Sharding.COLUMNS, quantised=False, module="lm_head")
