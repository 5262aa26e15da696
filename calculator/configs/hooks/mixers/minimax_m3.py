"""MiniMax M3: an index picks the tokens that some layers read; a nested part may hold its sizes under other names."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import LayerPlan
from calculator.configs.blocks.layers import Assembler

NESTED = {"index_head_dim": "sparse_index_dim", "index_n_heads": "sparse_num_index_heads"}


class IndexBesideHeads(Assembler):
    """Layers with an index have its queries, its key and their norms."""

    def index_head_dim(self) -> int:
        """Return the elements of an index key."""
        return self._size("index_head_dim")

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield the weights of a layer's attention, and of its index."""
        yield from super().attention(plan)
        if plan.kind == "indexed":
            size, heads = self._size("index_head_dim"), self._size("index_n_heads")
            yield from blocks.linear("indexer", heads * size, self.hidden, Sharding.COPIED)
            yield from blocks.linear("indexer", size, self.hidden, Sharding.COPIED)
            yield from blocks.norms(size, 2)

    def _size(self, name: str) -> int:
        nested = self.keys.nested("sparse_attention_config")
        return (nested.optional_count(NESTED[name]) if nested else None) or self.keys.count(name)
