"""Bailing (Ling and Ring): of a group of layers the last has latent attention, the others keep a state.

References
----------
vLLM 0.33.0, ``model_executor/models/bailing_moe_linear.py`` and ``bailing_moe_v3.py``,
``model_executor/layers/mamba/linear/bailing_linear_attn.py``; transformers 5.23.0, ``models/bailing_hybrid``.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import RecurrentState
from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.layers import Assembler
from calculator.configs.hooks.shared.direct_gates import DirectGates
from calculator.configs.keys import Keys
from calculator.configs.schedules.schedule import STATE
from calculator.errors import UnsupportedError, shown
from calculator.messages import say

GATES = {"head_wise": False, "element_wise": True}


def check_groups(keys: Keys) -> None:
    """Refuse layers behind the last whole group of which no list says what they are."""
    layers, group = keys.count("num_hidden_layers"), keys.count("layer_group_size")
    if layers % group and not keys.has("layer_types"):
        raise UnsupportedError(
            say(
                "bailing.groups",
                "num_hidden_layers {layers} are not whole groups of layer_group_size {group}, and there are no "
                "layer_types: sources differ on whether layers behind the last whole group keep a state or every token",
                layers=layers,
                group=group,
            ),
            what="layer_group_size",
            asked=group,
        )


class GatedGroups(DirectGates):
    """The third version: delta attention in the groups, and a gate on latent attention."""

    def check(self) -> None:
        """Refuse layers behind the last whole group of which no list says what they are."""
        super().check()
        check_groups(self.keys)

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the layer, the gate of attention included."""
        built = super().build(plan)
        if plan.kind == STATE:
            return built
        asked = self.keys.value("gated_attention_proj_granularity_type") or "head_wise"
        if asked not in GATES:
            raise UnsupportedError(
                say(
                    "bailing.gates",
                    "gated_attention_proj_granularity_type {asked} is not understood, only {known} are",
                    asked=shown(asked),
                    known=", ".join(GATES),
                ),
                what="gated_attention_proj_granularity_type",
                asked=asked,
                allowed=tuple(GATES),
            )
        width = self.heads * (self.keys.count("v_head_dim") if GATES[asked] else 1)
        spec, weights = built[0]
        return [(spec, (*weights, *blocks.linear("attention", width, self.hidden, Sharding.COLUMNS)))]


class NormedGroups(Assembler):
    """Up to version 2.5: lightning attention in the groups, its output normed group by group, which ranks share."""

    def check(self) -> None:
        """Refuse layers behind the last whole group of which no list says what they are."""
        super().check()
        check_groups(self.keys)

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the layer; the states of one split by groups of the norm."""
        built = super().build(plan)
        spec, weights = built[0]
        if not isinstance(spec, RecurrentState):
            return built
        groups = self.keys.count("group_norm_size")
        split = replace(spec, groups=groups) if groups > 1 else replace(spec, divisible=1)
        return [(split, weights)]
