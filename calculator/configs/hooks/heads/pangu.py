"""openPangu Pro V2: keys of two parts, values of a size of their own, learned tokens that every text attends to.

References
----------
vLLM 0.33.0, ``model_executor/models/openpangu.py`` ``OpenPanguSinkAttention``. The learned tokens take the first blocks
of the pool, once for all sequences.
"""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import LayerPlan
from calculator.configs.blocks.layers import Assembler


class LearnedTokens(Assembler):
    """Attention with keys, and perhaps values, that are parameters."""

    def head_size(self, heads: int) -> int:  # noqa: ARG002
        """Return the elements of a key: a part that is rotated, and one that is not."""
        return self.keys.count("qk_nope_dim") + self.keys.count("qk_rope_dim")

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield the weights of a layer's attention, the learned tokens included."""
        yield from super().attention(plan)
        heads, tokens = plan.heads, self.keys.count("param_sink_number")
        yield from blocks.norms(heads.key, 1)
        sizes = (heads.key, heads.value) if self.keys.flag("param_sink_with_value") else (heads.key,)
        for size in sizes:
            yield from blocks.vector("attention", tokens * heads.groups * size, sharding=Sharding.KV_HEADS)
