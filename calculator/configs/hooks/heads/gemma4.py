"""Gemma 4: keys that are values too, and wider MLPs where a cache is shared."""

from __future__ import annotations

from calculator.configs.blocks.builder import LayerPlan
from calculator.configs.blocks.heads import shared_caches
from calculator.configs.hooks.shared.layer_inputs import LayerInputs


class JoinedKeys(LayerInputs):
    """Full attention may project keys and values as one; layers without a cache of their own may be twice as wide."""

    def keys_are_values(self, plan: LayerPlan) -> bool:
        """Say whether a layer projects keys and values as one."""
        return plan.kind == "full_attention" and self.keys.flag("attention_k_eq_v")

    def widths(self) -> list[int]:
        """Return the widths, doubled where a cache is shared."""
        widths, wide = super().widths(), self.keys.flag("use_double_wide_mlp")
        shared = shared_caches(self.keys, self.family, ["full_attention"] * self.num_layers)
        return [width * (2 if wide and shares else 1) for width, shares in zip(widths, shared, strict=True)]
