"""Encoders: token types beside positions, and a head that maps back to the vocabulary through a dense layer."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import Layer
from calculator.configs.blocks.layers import Assembler
from calculator.configs.traits import trait
from calculator.errors import UnsupportedError
from calculator.messages import say


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


class SinusoidHeads(EncoderOnly):
    """Positions are a table of the size of a head, which is no weight that is learned."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embeddings, and the table; an embedding of another width than the layers is refused."""
        yield from super().embedding(vocab, positions, tied)
        width = self.keys.optional_count("embedding_size")
        if width not in (None, self.hidden):
            raise UnsupportedError(
                say(
                    "alone.embedding_size",
                    "embedding_size {width} other than hidden_size {hidden} is not understood for this model type",
                    width=width,
                    hidden=self.hidden,
                ),
                what="embedding_size",
                asked=width,
                allowed=self.hidden,
            )
        yield from blocks.vector("embedding", positions * self.head_dim)


class NarrowEmbedding(EncoderOnly):
    """The embedding is narrower than the layers: a matrix widens it, and the head narrows it again."""

    narrow_key = "embedding_size"

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:  # noqa: ARG002
        """Yield the embeddings, their norm and what widens them."""
        narrow, types = self.keys.count(self.narrow_key), self.keys.optional_count("type_vocab_size", minimum=0) or 0
        yield from blocks.linear("embedding", vocab, narrow, Sharding.COLUMNS, quantised=False)
        yield from blocks.vector("embedding", (positions + types) * narrow)
        yield from blocks.norms(narrow, 1, self.norm_bias)
        if narrow != self.hidden:
            yield from blocks.linear("embedding", self.hidden, narrow, Sharding.COPIED, True)

    def end(self, vocab: int, tied: bool) -> blocks.Weights:  # noqa: ARG002
        """Yield what narrows the last layer's output, its norm and the bias of the head."""
        narrow = self.keys.count(self.narrow_key)
        yield from blocks.linear("head", narrow, self.hidden, Sharding.COPIED, True)
        yield from blocks.norms(narrow, 1, self.norm_bias)
        yield from blocks.vector("head", vocab, sharding=Sharding.COLUMNS)


class TwoEmbeddings(NarrowEmbedding):
    """The head has an embedding of its own, of another width than the one that tokens come in by."""

    narrow_key = "input_embedding_size"

    def end(self, vocab: int, tied: bool) -> blocks.Weights:  # noqa: ARG002
        """Yield what the last layer's output goes through, and the head with its bias."""
        width = self.keys.count("output_embedding_size")
        yield from blocks.linear("head", width, self.hidden, Sharding.COPIED, True)
        yield from blocks.norms(width, 1, self.norm_bias)
        yield from blocks.linear("head", vocab, width, Sharding.COLUMNS, quantised=False)
        yield from blocks.vector("head", vocab, sharding=Sharding.COLUMNS)


class Languages(EncoderOnly):
    """Every layer has an adapter for each language."""

    def more(self) -> blocks.Weights:
        """Yield the adapters."""
        named = self.keys.value("languages")
        count = len(named) if isinstance(named, list) else 1
        inner = self.hidden // self.keys.count("adapter_reduction_factor")
        yield from blocks.linear("adapters", inner, self.hidden, Sharding.COPIED, True, count, 1)
        yield from blocks.linear("adapters", self.hidden, inner, Sharding.COPIED, True, count, 1)
