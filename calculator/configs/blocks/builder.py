"""What builds the parts of a model from a config, and what every builder refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calculator.architecture import blocks
from calculator.architecture.layers import LayerSpec
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.model import LayerGroup
from calculator.configs.blocks.heads import Heads
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.errors import UnsupportedError, shown
from calculator.messages import say

Layer = tuple[LayerSpec, tuple[WeightMatrix, ...]]


@dataclass(frozen=True)
class LayerPlan:
    """All that tells one layer of a config from another; equal plans are built once."""

    kind: str
    heads: Heads
    sparse: bool
    width: int
    shares_cache: bool = False
    shares_index: bool = False


class Builder(Protocol):
    """Builds the layers and the rest of the weights of one config; ``Assembler`` does for nearly all types."""

    hidden: int
    heads: int
    gated: bool

    def layers(self) -> tuple[LayerGroup, ...]:
        """Return the layers in runs of one kind."""

    def widest_mlp(self) -> int:
        """Return the width of the widest dense MLP, 0 where there is none."""

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:
        """Yield what stands before the layers."""

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield what stands behind the layers."""


def runs(built: Sequence[Layer]) -> tuple[LayerGroup, ...]:
    """Join neighbouring layers of one kind."""
    groups: list[LayerGroup] = []
    for spec, weights in built:
        if groups and groups[-1].spec == spec and groups[-1].weights == weights:
            groups[-1] = LayerGroup(spec, groups[-1].count + 1, weights)
        else:
            groups.append(LayerGroup(spec, 1, weights))
    return tuple(groups)


def check_understood(keys: Keys, family: Family) -> None:
    """Refuse what would change the weights or the cache of a type that does not know it."""
    keys.ignore(*family.harmless)
    understood = family.experts is not None or "num_experts" in family.harmless
    experts = None if understood else keys.value("num_experts")
    if isinstance(experts, int) and experts > 1:
        raise UnsupportedError(
            say(
                "builder.num_experts_mixture_experts",
                "num_experts {experts}: a mixture of experts is not understood for this model type",
                experts=experts,
            ),
            what="num_experts",
            asked=experts,
        )
    for name, wanted in family.required.items():
        part, _, inner = name.rpartition(".")
        nested = keys.nested(part) if part else keys
        value = nested.value(inner) if nested else None
        if value is not None and (value != wanted or isinstance(value, bool) is not isinstance(wanted, bool)):
            raise UnsupportedError(
                say(
                    "builder.not_understood_this_model",
                    "{name} {asked} is not understood for this model type, only {wanted} is",
                    name=name,
                    asked=shown(value),
                    wanted=shown(wanted),
                ),
                what=name,
                asked=value,
                allowed=wanted,
            )
