"""Step 3.5 and later: windowed layers have query heads of their own, which a nested part may state."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.heads import Heads, checked
from calculator.configs.hooks.shared.listed_heads import ListedHeads
from calculator.configs.schedules.schedule import WINDOW


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
