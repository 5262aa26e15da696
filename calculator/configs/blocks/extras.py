"""Weights of a layer that only some types have, as data: a matrix whose sizes are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.traits import Trait, trait

if TYPE_CHECKING:
    from calculator.configs.blocks.builder import LayerPlan
    from calculator.configs.blocks.layers import Assembler

STATE_KIND = "linear_attention"
PARTS = ("embedding", "attention", "norms", "dense MLP", "router", "streams", "head")
"""Parts of a model that a type may have more of."""


@dataclass(frozen=True)
class Extra:
    """A matrix or a vector that layers of a type have besides those of the common block.

    Attributes
    ----------
    part : str
        The part of the model that it belongs to.
    outputs, inputs : str
        Its sizes: factors joined by ``*``, each a number, ``hidden``, ``heads``, ``groups``, ``head_dim``,
        ``v_head_dim``, ``width`` (of the dense MLP), or the name of a key.
    copies : int
        How many a layer has [-].
    where : str
        The layers that have it: ``all``, ``attention``, ``sparse``, ``dense``, ``end`` for the end of the model
        alone, or a kind of layer.
    when : bool or str
        Whether there is one at all; a key with ``?`` behind it decides by being given.
    sharding : Sharding
        What tensor parallelism does with it.
    """

    part: str
    outputs: str
    inputs: str = "1"
    copies: int = 1
    where: str = "all"
    when: Trait = True
    sharding: Sharding = Sharding.COPIED

    def __post_init__(self) -> None:
        """Refuse a part that no format and no engine would know.

        Raises
        ------
        ValueError
            If the part is none of ``PARTS``.
        """
        if self.part not in PARTS:
            raise ValueError(f"{self.part!r} is no part of a model")


def extras_of(layer: Assembler, plan: LayerPlan) -> blocks.Weights:
    """Yield what a layer has by the extras of its type."""
    places = {
        "all": True,
        "attention": plan.kind != STATE_KIND,
        "sparse": plan.sparse,
        "dense": not plan.sparse,
        plan.kind: True,
    }
    heads = plan.heads
    sizes = {"heads": heads.query, "groups": heads.groups, "head_dim": heads.key, "v_head_dim": heads.value}
    sizes |= {"width": plan.width}
    for extra in layer.family.extras:
        if places.get(extra.where, False) and _is_there(layer, extra):
            yield from _matrix(layer, extra, {name: size for name, size in sizes.items() if size})


def end_extras(layer: Assembler) -> blocks.Weights:
    """Yield what the end of the model has by the extras of its type."""
    for extra in layer.family.extras:
        if extra.where == "end" and _is_there(layer, extra):
            yield from _matrix(layer, extra, {})


def _is_there(layer: Assembler, extra: Extra) -> bool:
    if isinstance(extra.when, str) and extra.when.endswith("?"):
        return layer.keys.value(extra.when.removesuffix("?")) is not None
    return trait(layer.keys, extra.when)


def _matrix(layer: Assembler, extra: Extra, known: dict[str, int]) -> blocks.Weights:
    known = {"hidden": layer.hidden, **known}
    outputs, inputs = (_size(layer, size, known) for size in (extra.outputs, extra.inputs))
    if extra.inputs == "1":
        yield from blocks.vector(extra.part, outputs, extra.copies, extra.sharding)
    elif outputs and inputs:
        yield from blocks.linear(extra.part, outputs, inputs, extra.sharding, False, extra.copies, extra.copies)


def _size(layer: Assembler, size: str, known: dict[str, int]) -> int:
    product = 1
    for factor in size.split("*"):
        value = known.get(factor)
        product *= int(factor) if factor.isdecimal() else layer.keys.count(factor, 0) if value is None else value
    return product
