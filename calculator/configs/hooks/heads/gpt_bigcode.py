"""GPT BigCode: a switch between one KV head and as many as query heads."""

from __future__ import annotations

from calculator.configs.blocks.layers import Assembler
from calculator.errors import InvalidValueError
from calculator.messages import say


class GPTBigCode(Assembler):
    """KV heads follow ``multi_query`` alone."""

    def kv_heads(self, heads: int) -> int:
        """Return one KV head, or as many as query heads; another number is refused."""
        given = self.keys.optional_count("num_key_value_heads")
        groups = 1 if self.keys.flag("multi_query") else heads
        if given not in (None, groups):
            raise InvalidValueError(
                say(
                    "gpt_bigcode.contradictory_num_key_value",
                    "contradictory: num_key_value_heads {given}, but multi_query means {groups}",
                    given=given,
                    groups=groups,
                ),
                what="num_key_value_heads",
                asked=given,
                allowed=groups,
            )
        return groups
