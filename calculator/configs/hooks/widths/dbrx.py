"""DBRX: parts of the config hold the keys of attention and of the experts."""

from __future__ import annotations

from calculator.configs.blocks.layers import Assembler
from calculator.configs.keys import Keys


class Dbrx(Assembler):
    """KV heads stand in ``attn_config``, experts in ``ffn_config``."""

    def kv_heads(self, heads: int) -> int:  # noqa: ARG002
        """Return the KV heads of the attention's own part; one where there are none."""
        given, nested = self.keys.optional_count("num_key_value_heads"), self.keys.nested("attn_config")
        return (nested.optional_count("kv_n_heads") if nested else None) or given or 1

    def expert_keys(self) -> Keys:
        """Return the experts' own part."""
        return self.keys.nested("ffn_config") or self.keys

    def dense_width(self, key: str = "intermediate_size", needed: bool = True) -> int:  # noqa: ARG002
        """Return 0: every MLP is a mixture of experts."""
        self.keys.value("intermediate_size")
        return 0
