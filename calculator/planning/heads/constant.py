"""The parameters that fewer KV heads free, given to the MLP: models of one size that differ in their KV heads alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor

from calculator.architecture.groups import LayerGroup
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.errors import UnsupportedError
from calculator.messages import say

PARTS = ("dense MLP", "shared experts", "experts")
"""What of a layer is widened: the first of these that it has."""


def at_constant_parameters(varied: ModelArchitecture, base: ModelArchitecture, multiple: int = 1) -> ModelArchitecture:
    """Return a varied model whose MLPs are so much wider or narrower that it has the parameters of another.

    Parameters
    ----------
    varied, base : ModelArchitecture
        The model to widen, and the one whose parameters it keeps, layer by layer [-].
    multiple : int
        Columns that a width stays a multiple of, so that so many GPUs can share it [elements].

    Returns
    -------
    ModelArchitecture
        The model. Equal layers have one width where that is within a column of what they need; else some of them have
        the next multiple, so that they are together within half of ``multiple`` columns of those that they stand for.

    Raises
    ------
    UnsupportedError
        If a layer that differs has no MLP, or would have none left.

    References
    ----------
    arXiv 2307.09288, appendix A.2.1: the feed-forward layers of the ablation are widened to make up for the
    parameters of grouped and multi-query attention.
    """
    layers = tuple(layer for run in _runs(varied, base) for layer in _widened(*run, multiple, varied.name))
    if layers == varied.layers:
        return varied
    width = mlp_width(layers[0])
    return replace(
        varied,
        layers=layers,
        variations={**varied.variations, "layers": "changed"},
        intermediate_size=width if varied.intermediate_size and PARTS[0] in varied.parts else varied.intermediate_size,
    )


def _runs(varied: ModelArchitecture, base: ModelArchitecture) -> list[tuple[LayerGroup, LayerGroup]]:
    """Return neighbouring layers that are equal in both models, as groups of so many."""
    runs: list[tuple[LayerGroup, LayerGroup]] = []
    for now, before in zip(_each(varied), _each(base), strict=True):
        if runs and (replace(runs[-1][0], count=1), replace(runs[-1][1], count=1)) == (now, before):
            count = runs[-1][0].count + 1
            runs[-1] = replace(now, count=count), replace(before, count=count)
        else:
            runs.append((now, before))
    return runs


def mlp_width(layer: LayerGroup) -> int:
    """Return the width of the MLP of a layer that its parameters are made up with, 0 without one [elements]."""
    split = [matrix for matrix in _mlp(layer) if matrix.sharding is Sharding.COLUMNS]
    return split[0].outputs if split else 0


def _each(model: ModelArchitecture) -> list[LayerGroup]:
    return [replace(group, count=1) for group in model.layers for _ in range(group.count)]


def _parameters(layer: LayerGroup) -> int:
    return sum(matrix.num_parameters for matrix in layer.weights)


def _mlp(layer: LayerGroup) -> list[WeightMatrix]:
    there = {matrix.part for matrix in layer.weights}
    part = next((part for part in PARTS if part in there), None)
    return [matrix for matrix in layer.weights if matrix.part == part]


def _widened(now: LayerGroup, before: LayerGroup, multiple: int, name: str) -> Iterator[LayerGroup]:
    """Yield equal layers with the parameters of others, to whole columns of their MLPs: the narrower ones first."""
    parameters = _parameters(before) - _parameters(now)
    if not parameters:
        yield now
        return
    mlp, width = _mlp(now), mlp_width(now)
    column = sum(
        matrix.copies * (matrix.inputs if matrix.sharding is Sharding.COLUMNS else matrix.outputs)
        for matrix in mlp
        if matrix.sharding in (Sharding.COLUMNS, Sharding.ROWS)
    )
    if not column:
        raise UnsupportedError(
            say(
                "constant.layer_has_no_mlp",
                "a layer of {name} has no MLP that could keep its parameters constant",
                name=name,
            ),
            what="constant_parameters",
        )
    wanted = width + Fraction(parameters, column)
    nearest = round(wanted / multiple) * multiple
    narrow = floor(wanted / multiple) * multiple
    wider = 0 if abs(nearest - wanted) <= 1 else round(now.count * (wanted - narrow) / multiple)
    narrow = narrow if abs(nearest - wanted) > 1 else nearest
    for count, columns in ((now.count - wider, narrow), (wider, narrow + multiple)):
        if not count:
            continue
        if columns < 1:
            raise UnsupportedError(
                say(
                    "constant.mlp_would_have_no",
                    "an MLP of {name} would have no column left at constant parameters",
                    name=name,
                ),
                what="constant_parameters",
            )
        weights = tuple(_of_width(matrix, columns) if matrix in mlp else matrix for matrix in now.weights)
        yield replace(now, count=count, weights=weights)


def _of_width(matrix: WeightMatrix, width: int) -> WeightMatrix:
    if matrix.sharding is Sharding.COLUMNS:
        return replace(matrix, outputs=width)
    return replace(matrix, inputs=width) if matrix.sharding is Sharding.ROWS else matrix
