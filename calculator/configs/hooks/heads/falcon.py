"""Falcon: a switch for a single KV head, another for a layout with groups, and norms by layout."""

from __future__ import annotations

from calculator.configs.blocks.layers import Assembler


class Falcon(Assembler):
    """Heads and norms follow the layout of the decoder."""

    def kv_heads(self, heads: int) -> int:
        """Return one KV head, or as many as the new layout gives."""
        given = super().kv_heads(heads)
        new, multi = self.keys.flag("new_decoder_architecture"), self.keys.flag("multi_query")
        return given if new or not multi else 1

    def num_norms(self) -> int:
        """Return two norms for the new layout unless it says one."""
        usual, given = super().num_norms(), self.keys.optional_count("num_ln_in_parallel_attn")
        if self.keys.flag("new_decoder_architecture"):
            return 1 if given == 1 else 2
        return usual
