"""The parameters that fewer KV heads free, given to the MLP: models of one size that differ in their KV heads alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from calculator.architecture.groups import LayerGroup
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.errors import UnsupportedError

PARTS = ("dense MLP", "shared experts", "experts")
"""What of a layer is widened: the first of these that it has."""


def at_constant_parameters(varied: ModelArchitecture, base: ModelArchitecture, multiple: int = 1) -> ModelArchitecture:
    """Return a varied model whose MLPs are so much wider or narrower that each layer has the parameters of another's.

    Parameters
    ----------
    varied, base : ModelArchitecture
        The model to widen, and the one whose parameters it keeps, layer by layer [-].
    multiple : int
        Columns that the width stays a multiple of, so that so many GPUs can share it [elements].

    Returns
    -------
    ModelArchitecture
        The model; each layer is within half of ``multiple`` columns of the layer that it stands for.

    Raises
    ------
    UnsupportedError
        If a layer that differs has no MLP, or would have none left.

    References
    ----------
    arXiv 2307.09288, appendix A.2.1: the feed-forward layers of the ablation are widened to make up for the
    parameters of grouped and multi-query attention.
    """
    pairs = zip(_each(varied), _each(base), strict=True)
    made: dict[tuple[int, int], LayerGroup] = {}
    runs: list[LayerGroup] = []
    for now, before in pairs:
        key = id(now.weights), id(before.weights)
        if key not in made:
            made[key] = _widened(now, _parameters(before) - _parameters(now), multiple, varied.name)
        layer = replace(made[key], spec=now.spec)
        if runs and replace(runs[-1], count=1) == layer:
            runs[-1] = replace(runs[-1], count=runs[-1].count + 1)
        else:
            runs.append(layer)
    if tuple(runs) == varied.layers:
        return varied
    width = mlp_width(runs[0])
    return replace(
        varied,
        layers=tuple(runs),
        variations={**varied.variations, "layers": "changed"},
        intermediate_size=width if varied.intermediate_size and PARTS[0] in varied.parts else varied.intermediate_size,
    )


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


def _widened(layer: LayerGroup, parameters: int, multiple: int, name: str) -> LayerGroup:
    """Return a layer with so many parameters more, to whole columns of its MLP."""
    if not parameters:
        return layer
    mlp, width = _mlp(layer), mlp_width(layer)
    column = sum(
        matrix.copies * (matrix.inputs if matrix.sharding is Sharding.COLUMNS else matrix.outputs)
        for matrix in mlp
        if matrix.sharding in (Sharding.COLUMNS, Sharding.ROWS)
    )
    if not column:
        raise UnsupportedError(
            f"a layer of {name} has no MLP that could keep its parameters constant", what="constant_parameters"
        )
    wanted = round(Fraction(width * column + parameters, column * multiple)) * multiple
    if wanted < 1:
        raise UnsupportedError(
            f"an MLP of {name} would have no column left at constant parameters", what="constant_parameters"
        )
    weights = tuple(_of_width(matrix, wanted) if matrix in mlp else matrix for matrix in layer.weights)
    return replace(layer, weights=weights)


def _of_width(matrix: WeightMatrix, width: int) -> WeightMatrix:
    if matrix.sharding is Sharding.COLUMNS:
        return replace(matrix, outputs=width)
    return replace(matrix, inputs=width) if matrix.sharding is Sharding.ROWS else matrix
