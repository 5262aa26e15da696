"""Delta attention whose gates are projected at once, not through a narrow waist."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import RecurrentState
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.layers import Assembler
from calculator.configs.schedules.schedule import STATE


class DirectGates(Assembler):
    """The two gates of a state layer are matrices of the hidden size."""

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the layer; a state layer's gates are counted anew."""
        built = super().build(plan)
        if plan.kind != STATE:
            return built
        spec, weights = built[0]
        width = spec.conv_width // 3 if isinstance(spec, RecurrentState) else 0
        narrow = [m.outputs for m in weights if m.part == "state layers" and m.sharding is Sharding.COPIED]
        kept = tuple(
            m
            for m in weights
            if m.part != "state layers" or (m.sharding is not Sharding.COPIED and m.inputs not in narrow)
        )
        gates = tuple(blocks.linear("state layers", width, self.hidden, Sharding.COLUMNS, False, 2, 2))
        return [(spec, (*kept, *gates)), *built[1:]]
