"""Encoders: token types beside positions, and a head that maps back to the vocabulary through a dense layer."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
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


class PlainHead(EncoderOnly):
    """The head is the embedding with a bias, and nothing before it."""

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield the last norm, and the bias of the head."""
        yield from Assembler.end(self, vocab, tied)
