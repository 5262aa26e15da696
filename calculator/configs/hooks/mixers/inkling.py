"""Inkling: short convolutions around attention and behind MLPs, and a bias by distance that tokens make themselves.

References
----------
transformers 5.23.0, ``models/inkling/modeling_inkling.py``; vLLM 0.33.0, ``models/inkling``.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.architecture.layers import SlidingWindow
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import ConvolvedAttention, ConvolvedWindow
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.layers import Assembler
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.schedules.schedule import FULL_ATTENTION, WINDOW
from calculator.configs.traits import one_of

KINDS = {"hybrid": FULL_ATTENTION, "hybrid_sliding": WINDOW}
DENSE = "dense_intermediate_size"


class ShortConvolutions(Assembler):
    """Four convolutions a layer: on keys, on values, and on what attention and the MLP add."""

    def __init__(self, keys: Keys, family: Family) -> None:
        dense = keys.optional_count(DENSE)
        if dense:
            # where the dense width has a key of its own, the usual one is that of an expert
            keys.settle("moe_intermediate_size", keys.count("intermediate_size"))
            keys.settle("intermediate_size", dense)
        super().__init__(keys, family)

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the layer, its attention with convolutions."""
        spec, weights = super().build(replace(plan, kind=KINDS[plan.kind]))[0]
        heads, width = plan.heads, 2 * self.hidden
        sizes = (heads.groups, heads.key, heads.value, heads.query if heads.query != self.heads else None)
        kernel = one_of(self.keys, "conv_kernel_size|sconv_kernel_size", self.keys.count) or 1
        convolutions = (
            *blocks.linear("attention", 2 * heads.groups * heads.key, kernel, Sharding.KV_HEADS, quantised=False),
            *blocks.linear("streams", width, kernel, Sharding.COLUMNS, quantised=False),
        )
        if plan.sparse:
            weights = (*weights, *blocks.correction(self.keys.count("num_experts"), is_parameter=False))
        if isinstance(spec, SlidingWindow):
            reach, kept = spec.window, ConvolvedWindow(*sizes, window=spec.window, streams_width=width, kernel=kernel)
            bias = blocks.vector("attention", self.keys.count("d_rel") * reach)
            return [(kept, (*weights, *convolutions, *bias))]
        bias = blocks.vector("attention", self.keys.count("d_rel") * self.keys.count("rel_extent"))
        return [
            (
                ConvolvedAttention(*sizes, streams_width=width, kernel=kernel),
                (*weights, *convolutions, *bias),
            )
        ]
