"""Layers that take in a small embedding of their own."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.layers import Assembler


class LayerInputs(Assembler):
    """A second, smaller embedding feeds each layer."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embedding, and the small ones of all layers."""
        yield from super().embedding(vocab, positions, tied)
        small = self._small()
        if small:
            rows, width = self.keys.count("vocab_size_per_layer_input"), self.num_layers * small
            yield from blocks.linear("embedding", rows, width, Sharding.COLUMNS, quantised=False)
            yield from blocks.linear("embedding", width, self.hidden, Sharding.COPIED)
            yield from blocks.norms(small, 1)

    def more(self) -> blocks.Weights:
        """Yield what takes the small embedding in."""
        small = self._small()
        if small:
            yield from blocks.linear("dense MLP", small, self.hidden, Sharding.COPIED)
            yield from blocks.linear("dense MLP", self.hidden, small, Sharding.COPIED)
            yield from blocks.norms(self.hidden, 1)

    def _small(self) -> int:
        return self.keys.optional_count("hidden_size_per_layer_input", minimum=0) or 0
