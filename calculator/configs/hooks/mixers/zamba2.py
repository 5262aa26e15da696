"""Zamba 2: a few attention blocks that many layers share, with an adapter for every use.

References
----------
transformers 5.23.0, ``models/zamba2/modeling_zamba2.py``.
"""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import AttentionAndState
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.layers import Assembler


class SharedBlocks(Assembler):
    """Hybrid layers attend over the embedding beside the hidden state, with weights that they share."""

    def head_size(self, heads: int) -> int:
        """Return the elements of a head: both inputs over the heads."""
        self.keys.ignore("kv_channels", "attention_head_dim", "num_query_groups")
        return max(1, 2 * self.hidden // heads)

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield nothing for a hybrid layer: its attention is counted with the shared blocks."""
        if plan.kind != "hybrid":
            yield from super().attention(plan)

    def each_layer(self) -> list[Layer]:
        """Return the layers with the shared blocks: each block's weights once, adapters for every use."""
        layers = super().each_layer()
        keys, hidden, heads = self.keys, self.hidden, self.plain
        places = [index for index, (spec, _) in enumerate(layers) if isinstance(spec, AttentionAndState)]
        num_blocks, rank = keys.count("num_mem_blocks"), keys.count("adapter_rank")
        bias, adapts = keys.flag("add_bias_linear"), keys.flag("use_shared_attention_adapter")
        width, wide = self.dense_width(), 2 * self.hidden
        for use, index in enumerate(places):
            spec, weights = layers[index]
            more = [*blocks.linear("attention", hidden, hidden, Sharding.COPIED)]
            if use < num_blocks:
                more += blocks.linear("attention", heads.query * heads.key, wide, Sharding.COLUMNS)
                more += blocks.linear("attention", heads.groups * heads.key, wide, Sharding.KV_HEADS)
                more += blocks.linear("attention", heads.groups * heads.key, wide, Sharding.KV_HEADS)
                more += blocks.linear("attention", hidden, heads.query * heads.key, Sharding.ROWS)
                more += blocks.mlp(hidden, width, True, bias)
                more += [*blocks.norms(wide, 1), *blocks.norms(hidden, 1)]
            more += blocks.linear("dense MLP", rank, hidden, Sharding.COPIED)
            more += blocks.linear("dense MLP", 2 * width, rank, Sharding.COLUMNS)
            if adapts:
                for _ in range(3):
                    more += blocks.linear("attention", rank, wide, Sharding.COPIED)
                    more += blocks.linear("attention", wide, rank, Sharding.COLUMNS)
            layers[index] = (spec, (*weights, *more))
        return layers
