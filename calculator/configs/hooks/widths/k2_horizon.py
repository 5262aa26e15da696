"""K2 Horizon: in layers with experts the values of attention are a mixture of experts too.

References
----------
vLLM 0.33.0, ``model_executor/models/k2_horizon.py`` ``K2HorizonMoVAAttention``.
"""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import LayerPlan
from calculator.configs.blocks.layers import Assembler
from calculator.configs.traits import trait

VALUES = "self_attn.v_proj"


class MixedValues(Assembler):
    """A router picks several projections to values for each token; one value of a token is kept all the same."""

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield the weights of a layer's attention, the one projection to values replaced where there are several."""
        count = self.keys.optional_count("mova_num_experts", minimum=0) or 0
        if not (count and plan.sparse):
            yield from super().attention(plan)
            return
        yield from (matrix for matrix in super().attention(plan) if matrix.module != VALUES)
        chosen, width = self.keys.count("mova_num_experts_per_tok"), plan.heads.groups * plan.heads.value
        yield from blocks.linear(
            "router",
            count,
            self.hidden,
            Sharding.COPIED,
            trait(self.keys, "moe_gate_bias"),
            module="self_attn.v_router",
        )
        yield from blocks.linear("attention", width, self.hidden, Sharding.KV_HEADS, False, count, min(chosen, count))
