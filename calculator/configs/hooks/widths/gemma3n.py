"""Gemma 3n: several streams run beside each other, and each layer takes in an embedding of its own."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.hooks.shared.layer_inputs import LayerInputs


class Streams(LayerInputs):
    """Streams are made behind the embedding, mixed in each layer, and joined at the end."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embeddings, and what makes and joins the streams."""
        yield from super().embedding(vocab, positions, tied)
        for _ in range(2 * (self.keys.count("altup_num_inputs") - 1)):
            yield from blocks.linear("embedding", self.hidden, self.hidden, Sharding.COPIED)

    def more(self) -> blocks.Weights:
        """Yield what predicts, corrects and mixes the streams of a layer."""
        yield from super().more()
        hidden, streams, rank = self.hidden, self.keys.count("altup_num_inputs"), self.keys.count("laurel_rank")
        yield from blocks.linear("streams", streams, streams, Sharding.COPIED)
        yield from blocks.linear("streams", streams * streams, streams, Sharding.COPIED)
        yield from blocks.linear("streams", streams, hidden, Sharding.COPIED)
        yield from blocks.vector("streams", hidden)
        yield from blocks.linear("streams", rank, hidden, Sharding.COPIED)
        yield from blocks.linear("streams", hidden, rank, Sharding.COPIED)
        yield from blocks.norms(hidden, 2)
