"""LFM2: the width that the config gives is cut to two thirds and rounded up."""

from __future__ import annotations

from calculator.configs.blocks.layers import Assembler
from calculator.errors import InvalidValueError, shown
from calculator.messages import say


class CutWidth(Assembler):
    """The MLP is narrower than the config says."""

    def dense_width(self, key: str = "intermediate_size", needed: bool = True) -> int:
        """Return the width that is built."""
        keys = self.keys
        if isinstance(keys.value(key), list):
            return super().dense_width(key, needed)
        width = keys.optional_count("block_ff_dim") or keys.count("intermediate_size")
        if not keys.flag("block_auto_adjust_ff_dim"):
            return width
        multiple, factor = keys.count("block_multiple_of"), keys.value("block_ffn_dim_multiplier")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1000:
            raise InvalidValueError(
                say(
                    "lfm2.block_ffn_dim_multiplier",
                    "block_ffn_dim_multiplier must be a number above 0 and below 1,000, not {factor}",
                    factor=shown(factor),
                )
            )
        return -(-int(factor * int(2 * width / 3)) // multiple) * multiple
