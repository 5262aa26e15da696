"""Grids of requests: arrays first, a tidy DataFrame around them.

Lengths and batches are computed as arrays, by the same functions that answer a single plan;
the other axes are few and are walked through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

from calculator.architecture.model import ModelArchitecture
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError, friendly
from calculator.planning.sweep.axes import ARRAY_AXES, KV_HEADS, grid_of
from calculator.planning.sweep.measures import MEASURES, PRICES, measure

if TYPE_CHECKING:
    import numpy
    import pandas


@friendly
def sweep_arrays(model: ModelArchitecture | str, axes: Mapping[str, Any]) -> dict[str, Any]:
    """Compute a grid of plans as arrays, one entry a point, in the order of the axes.

    Parameters
    ----------
    model : ModelArchitecture or str, or list of these
        Models, by preset id or Hugging Face id; of a list ``model`` is a column [-].
    axes : mapping of str to value or list
        Any keyword of ``plan``, and ``num_key_value_heads`` (a number, or a list with one a layer); those that hold
        several values span the grid [-].

    Returns
    -------
    dict of str to array
        An entry for each axis, each of ``MEASURES`` and ``PRICES`` (names carry the unit), ``fits``, and
        ``refused``: why a combination is not possible, empty where it is. Of an axis or of ``refused`` that has one
        value in all points the array is read-only.

    Raises
    ------
    CalculatorError
        If a keyword is unknown, a value out of bounds, or the grid too large.
    """
    import numpy

    grid = grid_of(model, axes)
    combinations = list(grid.combinations())
    batches = grid.batch_size.reshape(1, -1)
    shape = len(combinations), grid.lengths(combinations[0][0]).size, batches.size
    columns: dict[str, Any] = dict.fromkeys(grid.axes)
    columns |= {name: numpy.empty(shape, dtype=numpy.int64) for name in (*ARRAY_AXES, *MEASURES)}
    columns |= {name: numpy.empty(shape, dtype=numpy.float64) for name in PRICES}
    columns["fits"] = numpy.empty(shape, dtype=bool)
    columns["batch_size"][:] = batches
    reasons = []
    for index, (architecture, keywords, _) in enumerate(combinations):
        tokens = grid.lengths(architecture)
        columns["seq_len"][index] = tokens
        into = {name: columns[name][index] for name in (*MEASURES, *PRICES, "fits")}
        reasons.append(_fill(architecture, keywords, tokens, batches, into))
        if reasons[-1]:
            for name, column in into.items():
                column[:] = nan if name in PRICES else 0
    stated = zip(*(shown for _, _, shown in combinations), strict=True)
    columns |= {name: _of_combinations(values, shape) for name, values in zip(grid.axes, stated, strict=True)}
    columns["refused"] = _of_combinations(reasons, shape)
    return {name: column.reshape(-1) for name, column in columns.items()}


def _of_combinations(values: Sequence[Any], shape: tuple[int, ...]) -> numpy.ndarray:
    """Return a column of objects, one value for all points of a combination; one value of all is kept once."""
    import numpy

    each = numpy.empty((len(values), 1, 1), dtype=object)
    for index, value in enumerate(values):
        each[index, 0, 0] = value
    if all(value is values[0] for value in values):
        return numpy.broadcast_to(each[:1], shape)
    return numpy.broadcast_to(each, shape).copy()


def _fill(
    model: ModelArchitecture,
    keywords: dict[str, Any],
    tokens: numpy.ndarray,
    batches: numpy.ndarray,
    into: Mapping[str, numpy.ndarray],
) -> str:
    """Fill the columns of one combination; return why it is not possible, or nothing."""
    heads = keywords.pop(KV_HEADS, None)
    try:
        varied = _with_heads(model, heads)
        measure(varied, keywords, tokens, batches, into)
    except (ParallelismError, UnsupportedError) as error:
        return str(error)
    return ""


def _with_heads(model: ModelArchitecture, heads: int | Sequence[int] | None) -> ModelArchitecture:
    """Return the model with other KV heads; what one model of several does not divide into is refused as not possible.

    Raises
    ------
    UnsupportedError
        If this model cannot have so many.
    """
    if heads is None:
        return model
    try:
        return model.with_kv_heads(heads)
    except InvalidValueError as error:
        raise UnsupportedError(str(error)) from None


@friendly
def sweep(model: ModelArchitecture | str, **axes: Any) -> pandas.DataFrame:
    """Compute a grid of plans as a tidy DataFrame, a row a point.

    Parameters
    ----------
    model : ModelArchitecture or str, or list of these
        Models, by preset id or Hugging Face id; of a list ``model`` is a column [-].
    **axes : value or list
        Any keyword of ``plan``, and ``num_key_value_heads`` (a number, or a list with one a layer); those that hold
        several values span the grid, at most 2,000,000 points [-].

    Returns
    -------
    pandas.DataFrame
        The axes, then the measures (names carry the unit; of one replica, of one GPU where they say so, and
        ``num_gpus``, ``total_max_batch_size`` and the price of all replicas), ``fits``, and ``refused``: why a
        combination is not possible. Measures of a refused point are missing, not zero; so is a price that is not known.

    Raises
    ------
    CalculatorError
        If a keyword is unknown, a value out of bounds, or the grid too large.
    """
    import pandas

    frame = pandas.DataFrame(sweep_arrays(model, axes)).infer_objects()
    refused = frame["refused"] != ""
    if refused.any():
        frame = frame.astype(dict.fromkeys(MEASURES, "Int64"))
        frame.loc[refused, list(MEASURES)] = pandas.NA
    return frame
