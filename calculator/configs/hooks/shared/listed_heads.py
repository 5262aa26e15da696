"""Layers whose query heads a list gives, and a gate on attention that is a number a head or an element."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.architecture.limits import MAX_HEADS
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.builder import LayerPlan
from calculator.configs.blocks.heads import Heads, checked
from calculator.configs.blocks.layers import Assembler
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say


class ListedHeads(Assembler):
    """Query heads a layer from a list; the gate's width from ``gating``."""

    def layer_heads(self, kinds: list[str]) -> list[Heads]:
        """Return the heads of every layer, query heads from the list."""
        plain, listed = super().layer_heads(kinds), self.keys.numbers("num_attention_heads_per_layer")
        if not listed:
            return plain
        if len(listed) != len(plain) or not all(1 <= heads <= MAX_HEADS for heads in listed):
            raise InvalidValueError(
                say(
                    "listed_heads.num_attention_heads_per",
                    "num_attention_heads_per_layer must list the heads of the {plain:,} layers",
                    plain=len(plain),
                ),
                what="num_attention_heads_per_layer",
            )
        return [checked(replace(heads, query=query)) for heads, query in zip(plain, listed, strict=True)]

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield the weights of a layer's attention, and of its gate."""
        yield from super().attention(plan)
        gating = self.keys.value("gating")
        if gating not in (None, True, False, "per-head", "per-element"):
            raise UnsupportedError(
                say("listed_heads.gating_not_understood", "gating {gating} is not understood", gating=shown(gating)),
                what="gating",
                asked=gating,
            )
        if gating:
            width = plan.heads.query * (plan.heads.key if gating == "per-element" else 1)
            yield from blocks.linear("attention", width, self.hidden, Sharding.COLUMNS)
