"""LongCat-Flash: two attentions and two dense MLPs a layer, and a mixture of experts beside the second half."""

from __future__ import annotations

from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.experts import experts_of
from calculator.configs.blocks.layers import Assembler
from calculator.configs.blocks.mixers import mixer_of


class TwoAttentions(Assembler):
    """A layer of the config is two that keep a cache."""

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the two halves, the experts with the first."""
        norms, (spec, mixer) = self.norms(), mixer_of(self, plan)
        dense = tuple(self.dense(plan.width))
        return [(spec, (*mixer, *dense, *experts_of(self), *norms)), (spec, (*mixer, *dense, *norms))]
