"""Encoders: token types beside positions, and a head that maps back to the vocabulary through a dense layer."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.builder import Layer
from calculator.configs.layers import Assembler
from calculator.configs.traits import trait


class EncoderOnly(Assembler):
    """The layers keep nothing; the head is the one that the encoder was trained with."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embeddings of tokens, positions and kinds of token."""
        yield from super().embedding(vocab, positions, tied)
        types = self.keys.optional_count("type_vocab_size", minimum=0) or 0
        yield from blocks.vector("embedding", types * self.hidden)

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield the last norm, and the head: a dense layer, a norm and the embedding with a bias."""
        yield from super().end(vocab, tied)
        bias = "classifier_bias" if self.keys.has("classifier_bias") else "head_dense_bias"
        yield from blocks.linear("head", self.hidden, self.hidden, Sharding.COPIED, trait(self.keys, bias))
        yield from blocks.norms(self.hidden, 1, self.norm_bias)


class PlainFirst(EncoderOnly):
    """Norms have a bias only where the config says so, and none stands before the first layer's attention."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:  # noqa: ARG002
        """Yield the embedding and its norm."""
        yield from blocks.linear("embedding", vocab, self.hidden, Sharding.COLUMNS, quantised=False)
        yield from blocks.norms(self.hidden, 1, self.norm_bias)

    def each_layer(self) -> list[Layer]:
        """Return the layers, the first with a norm less."""
        first, *others = super().each_layer()
        norm, less = (tuple(blocks.norms(self.hidden, copies, self.norm_bias)) for copies in (2, 1))
        spec, weights = first
        return [(spec, (*(matrix for matrix in weights if matrix not in norm), *less)), *others]


class PlainHead(EncoderOnly):
    """The head is the embedding with a bias, and nothing before it."""

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield the last norm, and the bias of the head."""
        yield from Assembler.end(self, vocab, tied)
