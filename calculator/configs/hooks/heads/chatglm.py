"""ChatGLM: groups of KV heads behind a switch; the first generation, without it, is another model."""

from __future__ import annotations

from calculator.configs.blocks.layers import Assembler
from calculator.errors import UnsupportedError
from calculator.messages import say


class ChatGLM(Assembler):
    """KV heads follow ``multi_query_attention``."""

    def check(self) -> None:
        """Refuse the first generation."""
        super().check()
        if not (self.keys.has("multi_query_attention") and self.keys.has("kv_channels")):
            raise UnsupportedError(
                say(
                    "chatglm.without_multi_query_attention",
                    "without multi_query_attention and kv_channels this is the first ChatGLM, which is not understood",
                ),
                what="multi_query_attention",
            )

    def kv_heads(self, heads: int) -> int:
        """Return the KV heads that the config gives if they are switched on."""
        given = super().kv_heads(heads)
        return given if self.keys.flag("multi_query_attention") else heads
