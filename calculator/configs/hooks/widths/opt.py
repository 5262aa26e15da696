"""OPT: sizes that differ, or norms behind the layers, are refused."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.configs.blocks.layers import Assembler
from calculator.errors import UnsupportedError
from calculator.messages import say


class Opt(Assembler):
    """The embedding is as wide as the layers, and norms stand before attention and MLP."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embedding; projections of it, and norms after the layers, are refused."""
        yield from super().embedding(vocab, positions, tied)
        projected = self.keys.optional_count("word_embed_proj_dim")
        if projected not in (None, self.hidden) or not self.keys.flag("do_layer_norm_before"):
            raise UnsupportedError(
                say(
                    "opt.word_embed_proj_dim",
                    "word_embed_proj_dim other than hidden_size, or norms after the layers, are not understood",
                ),
                what="word_embed_proj_dim",
                asked=projected,
            )
