"""ERNIE 4.5 VL: experts for the tokens of texts, and others beside them for those of images.

References
----------
transformers 5.23.0, ``models/ernie4_5_vl_moe/modeling_ernie4_5_vl_moe.py`` ``Ernie4_5_VLMoeMoeBlock``.
"""

from __future__ import annotations

from typing import Any

from calculator.architecture import blocks
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.layers import Assembler
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

BOTH = 2
PLACES = ("moe_layer_start_index", "moe_layer_interval", "moe_layer_end_index")
"""The first layer with experts, each how manieth has some, and the last; -1 for the last there is."""


def _pair(keys: Keys, name: str) -> tuple[int, int]:
    """Return a number for texts and one for images; one number is both."""
    value: Any = keys.value(name)
    given = value if isinstance(value, list) else [value] * BOTH
    if len(given) != BOTH or not all(type(each) is int and each >= -1 for each in given):
        raise InvalidValueError(
            say(
                "ernie4_5_vl.pair",
                "{name} must be a whole number for texts and one for images, not {value}",
                name=name,
                value=shown(value),
            ),
            what=name,
            asked=value,
        )
    return given[0], given[1]


class ExpertsByKindOfToken(Assembler):
    """Of each layer with experts a token passes through those of its kind."""

    def __init__(self, keys: Keys, family: Family) -> None:
        pairs = {name: _pair(keys, name) for name in ("num_experts", "moe_intermediate_size")}
        self.of_images = {name: pair[1] for name, pair in pairs.items()}
        pairs |= {name: _pair(keys, name) for name in PLACES}
        last = keys.count("num_hidden_layers") - 1
        ends = [last if end == -1 else min(end, last) for end in pairs["moe_layer_end_index"]]
        if ends != [last] * BOTH or any(len(set(pairs[name])) > 1 for name in PLACES[:2]):
            raise UnsupportedError(
                say("ernie4_5_vl.layers", "experts for texts and for images in layers of their own are not understood"),
                what=PLACES[0],
            )
        for name, pair in pairs.items():
            keys.settle(name, -1 if name == PLACES[2] else pair[0])
        super().__init__(keys, family)

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the layer, the experts for images with those for texts."""
        built = super().build(plan)
        if not plan.sparse:
            return built
        (spec, weights), count, width = built[0], *self.of_images.values()
        images = (
            *blocks.router(self.hidden, count, value_bytes=blocks.WIDE),
            *blocks.correction(count, is_parameter=True),
            *blocks.mlp(self.hidden, width, self.gated, part="experts", copies=count, active=0),
        )
        return [(spec, (*weights, *images))]
