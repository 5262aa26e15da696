"""LongCat-Flash: two attentions and two dense MLPs a layer, and a mixture of experts beside the second half.

Of LongCat-Flash-Lite most parameters stand in tables of n-grams beside the embedding.
"""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.limits import MAX_WIDTH
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.experts import experts_of
from calculator.configs.blocks.layers import Assembler
from calculator.configs.blocks.mixers import mixer_of
from calculator.errors import InvalidValueError, shown
from calculator.messages import say

MOST_TABLES = 1_024


class TwoAttentions(Assembler):
    """A layer of the config is two that keep a cache."""

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the two halves, the experts with the first."""
        norms, (spec, mixer) = self.norms(), mixer_of(self, plan)
        dense = tuple(self.dense(plan.width))
        return [(spec, (*mixer, *dense, *experts_of(self), *norms)), (spec, (*mixer, *dense, *norms))]


class NgramEmbeddings(TwoAttentions):
    """Tables of n-grams, each of a size of its own, and a projection of each to the hidden size.

    Notes
    -----
    ``K (N - 1)`` tables of ``ratio x vocab + 2 i + 1`` rows of ``hidden / (K (N - 1))``; ranks share the rows.

    References
    ----------
    vLLM 0.33.0, ``model_executor/models/longcat_flash_ngram.py`` ``NgramEmbedding``.
    """

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield the embedding, and the tables beside it."""
        yield from super().embedding(vocab, positions, tied)
        keys = self.keys
        tables = keys.count("emb_split_num") * (keys.count("emb_neighbor_num") - 1)
        ratio = keys.value("ngram_vocab_size_ratio")
        if type(ratio) not in (int, float) or not 0 < ratio <= MAX_WIDTH / vocab:
            raise InvalidValueError(
                say(
                    "longcat_flash.ngram_vocab_size_ratio",
                    "ngram_vocab_size_ratio must be a number, more than 0, not {ratio}",
                    ratio=shown(ratio),
                ),
                what="ngram_vocab_size_ratio",
                asked=ratio,
            )
        if not 1 <= tables <= MOST_TABLES or self.hidden % tables:
            raise InvalidValueError(
                say(
                    "longcat_flash.emb_split_num_emb",
                    "emb_split_num and emb_neighbor_num make {tables:,} tables, which do not divide "
                    "hidden_size {hidden:,}",
                    tables=tables,
                    hidden=self.hidden,
                ),
                what="emb_split_num",
                asked=tables,
            )
        width, rows = self.hidden // tables, sum(int(ratio * vocab + 2 * i + 1) for i in range(tables))
        yield from blocks.linear("embedding", rows, width, Sharding.COLUMNS, quantised=False)
        yield from blocks.linear(
            "embedding", self.hidden, width, Sharding.COPIED, False, tables, tables, quantised=False
        )
