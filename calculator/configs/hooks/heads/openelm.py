"""OpenELM: lists of heads and of MLP widths, a number a layer."""

from __future__ import annotations

from calculator.configs.blocks.heads import Heads, checked, listed_heads
from calculator.configs.blocks.layers import Assembler
from calculator.errors import InvalidValueError
from calculator.messages import say


class ListedSizes(Assembler):
    """Every layer has heads and a width of its own."""

    def widest_heads(self) -> Heads:
        """Return the heads of the layer with most KV heads."""
        return max(self._listed_heads(), key=lambda heads: heads.groups)

    def layer_heads(self, kinds: list[str]) -> list[Heads]:  # noqa: ARG002
        """Return the heads of every layer, from lists."""
        return self._listed_heads()

    def _listed_heads(self) -> list[Heads]:
        keys, num_layers = self.keys, self.num_layers
        query = listed_heads(keys, "num_query_heads", num_layers, "query heads")
        groups = listed_heads(keys, "num_key_value_heads", num_layers, "KV heads")
        size = keys.count("head_dim")
        return [
            checked(Heads(heads, kv_heads, size, size), f"num_key_value_heads of layer {layer},")
            for layer, (heads, kv_heads) in enumerate(zip(query, groups, strict=True))
        ]

    def widths(self) -> list[int]:
        """Return the width of every layer, from a list of multiples of the hidden size."""
        keys, hidden, num_layers = self.keys, self.hidden, self.num_layers
        given, divisor = keys.value("ffn_multipliers"), keys.count("ffn_dim_divisor")
        values = given if isinstance(given, list) else [given] * num_layers
        if len(values) != num_layers or any(
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000 for value in values
        ):
            raise InvalidValueError(
                say(
                    "openelm.ffn_multipliers_must_list",
                    "ffn_multipliers must list a multiple for each of the {num_layers:,} layers",
                    num_layers=num_layers,
                )
            )
        widths = []
        for value in values:
            width = max(divisor, int(value * hidden + divisor / 2) // divisor * divisor)
            widths.append(width + divisor if width < 0.9 * value * hidden else width)
        return widths

    def dense_width(self, key: str = "intermediate_size", needed: bool = True) -> int:  # noqa: ARG002
        """Return the width of the widest layer."""
        return max(self.widths())
