"""DeciLM: a list of KV heads, a number a layer, over equal query heads.

References
----------
The remote code of DeciLM-6B and DeciLM-7B: ``configuration_decilm.py``; vLLM 0.4.0 ``model_executor/models/decilm.py``,
which loads every layer with the most KV heads of any. Newer versions of vLLM read ``block_configs`` alone.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.heads import Heads, checked, listed_heads
from calculator.configs.blocks.layers import Assembler

LISTED = "num_key_value_heads_per_layer"


class ListedKVHeads(Assembler):
    """Every layer has KV heads of its own; a number for all beside the list is the default of another type."""

    def kv_heads(self, heads: int) -> int:
        """Return as many KV heads as query heads: the list has each layer's own."""
        self.keys.ignore("num_key_value_heads")
        return heads

    def layer_heads(self, kinds: list[str]) -> list[Heads]:  # noqa: ARG002
        """Return the heads of every layer, from the list."""
        return [
            checked(replace(self.plain, groups=groups), f"{LISTED} of layer {layer},")
            for layer, groups in enumerate(listed_heads(self.keys, LISTED, self.num_layers, "KV heads"))
        ]
