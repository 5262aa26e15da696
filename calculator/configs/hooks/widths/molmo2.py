"""Molmo 2: words of its own behind the vocabulary that its text model has, and one of two norms on queries and keys."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.configs.blocks.layers import Assembler
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.errors import UnsupportedError, shown
from calculator.messages import say

NORMS = {"qwen3": "head", "olmo": "width"}


class MoreWords(Assembler):
    """The embedding has rows that the head has not."""

    def __init__(self, keys: Keys, family: Family) -> None:
        asked = keys.value("qk_norm_type")
        if asked not in NORMS:
            raise UnsupportedError(
                say(
                    "molmo2.norms",
                    "qk_norm_type must be {known}, not {asked}",
                    known=" or ".join(NORMS),
                    asked=shown(asked),
                ),
                what="qk_norm_type",
                asked=asked,
                allowed=tuple(NORMS),
            )
        super().__init__(keys, replace(family, qk_norm=NORMS[asked]))

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embedding, more words included."""
        yield from super().embedding(vocab + self.keys.count("additional_vocab_size", minimum=0), positions, tied)
