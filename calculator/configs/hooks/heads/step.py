"""Step: queries that come of a narrow waist; from 3.5 on windowed layers with query heads of their own."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import LayerPlan
from calculator.configs.blocks.heads import Heads, checked
from calculator.configs.blocks.layers import Assembler
from calculator.configs.hooks.shared.listed_heads import ListedHeads
from calculator.configs.schedules.schedule import WINDOW


class SharedQueries(Assembler):
    """Step 3: one projection to a narrow query, a norm, and from there to all heads; one head of keys and values."""

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield the weights of a layer's attention; what comes before the heads every rank holds whole."""
        heads, at = plan.heads, "self_attn."
        waist = self.keys.optional_count("share_q_dim", minimum=0) or heads.key
        for name, width in (("q_proj", waist), ("k_proj", heads.key), ("v_proj", heads.value)):
            yield from blocks.linear("attention", width, self.hidden, Sharding.COPIED, module=at + name)
        yield from blocks.norms(waist, 1)
        yield from blocks.linear("attention", heads.query * heads.key, waist, Sharding.COLUMNS, module=at + "wq")
        yield from blocks.linear(
            "attention", self.hidden, heads.query * heads.value, Sharding.ROWS, module=at + "o_proj"
        )


class OtherSetting(ListedHeads):
    """Windowed layers are as ``attention_other_setting`` says, or as keys of their own."""

    def layer_heads(self, kinds: list[str]) -> list[Heads]:
        """Return the heads of every layer."""
        plain, nested = super().layer_heads(kinds), self.keys.nested("attention_other_setting")
        own = self.keys.optional_count("num_sliding_attention_heads")
        groups = size = None
        if nested is not None and own is None:
            own, groups = nested.optional_count("num_attention_heads"), nested.optional_count("num_key_value_heads")
            size = nested.optional_count("head_dim")
        windowed = [
            checked(
                replace(
                    heads,
                    query=own or heads.query,
                    groups=groups or heads.groups,
                    key=size or heads.key,
                    value=size or heads.value,
                )
            )
            for heads in plain
        ]
        pairs = zip(kinds, plain, windowed, strict=True)
        return [other if kind == WINDOW else heads for kind, heads, other in pairs]
