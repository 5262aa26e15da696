"""Grids of requests: arrays first, a tidy DataFrame around them.

Lengths and batches are computed as arrays, by the same functions that answer a single plan;
the other axes are few and are walked through.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from calculator.architecture import sums
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError, friendly, shown, unknown_name
from calculator.planning import kv_cache
from calculator.planning.memory import largest_batch, longest_context
from calculator.planning.plan import plan
from calculator.request import OPTIONS

if TYPE_CHECKING:
    import numpy
    import pandas

    from calculator.planning.stage import Stage

MAX_POINTS = 2_000_000
MAX_COMBINATIONS = 10_000
ARRAY_AXES = ("seq_len", "batch_size")
MEASURES = (
    "kv_bytes_per_sequence", "kv_bytes_per_gpu", "weights_bytes_per_gpu", "overhead_bytes_per_gpu",
    "kv_pool_bytes_per_gpu", "num_blocks", "max_batch_size", "max_context_len", "num_gpus",
)  # fmt: skip


def sweep_arrays(model: ModelArchitecture | str, axes: Mapping[str, Any]) -> dict[str, Any]:
    """Compute a grid of plans as arrays, one entry a point, in the order of the axes.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    axes : mapping of str to value or list
        Any keyword of ``plan``; those that hold several values span the grid [-].

    Returns
    -------
    dict of str to array
        An entry for each axis and each of ``MEASURES`` (names carry the unit), ``fits``, and
        ``refused``: why a combination is not possible, empty where it is.

    Raises
    ------
    CalculatorError
        If a keyword is unknown, a value out of bounds, or the grid too large.
    """
    import numpy

    architecture = load_model(model)
    known = ("gpu", *OPTIONS)
    for name in axes:
        if name not in known:
            raise unknown_name("keyword of sweep", name, known)
    values = {name: _values(name, value) for name, value in axes.items() if value is not None}
    lengths = values.pop("seq_len", [architecture.max_position_embeddings])
    batches = values.pop("batch_size", [1])
    others = [kv_cache.size_of(axis) for axis in values.values()]
    _check_size(kv_cache.size_of(lengths), kv_cache.size_of(batches), *others)
    seq_len = kv_cache.whole_numbers("seq_len", lengths)
    batch_size = kv_cache.whole_numbers("batch_size", batches)
    for name, array in (("seq_len", seq_len), ("batch_size", batch_size)):
        if int(array.max()) > MAX_TOKENS:
            asked = int(array.max())
            raise InvalidValueError(
                f"{name} must be at most {MAX_TOKENS:,}, not {asked:,}",
                what=name, asked=asked, allowed=MAX_TOKENS, nearest=MAX_TOKENS,
            )  # fmt: skip
    _check_size(seq_len.size, batch_size.size, *others)
    inner = seq_len.size * batch_size.size
    tokens, sequences = numpy.repeat(seq_len, batch_size.size), numpy.tile(batch_size, seq_len.size)
    combinations = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    total = inner * len(combinations)
    columns: dict[str, Any] = {name: numpy.empty(total, dtype=object) for name in values}
    columns |= {
        "seq_len": numpy.tile(tokens, len(combinations)),
        "batch_size": numpy.tile(sequences, len(combinations)),
    }
    columns |= {name: numpy.zeros(total, dtype=numpy.int64) for name in MEASURES}
    columns |= {"fits": numpy.zeros(total, dtype=bool), "refused": numpy.full(total, "", dtype=object)}
    for index, chosen in enumerate(combinations):
        rows = slice(index * inner, (index + 1) * inner)
        try:
            measured = _measure(architecture, chosen, tokens, sequences)
        except (ParallelismError, UnsupportedError) as error:
            measured = {"refused": str(error)}
        for name, array in {**chosen, **measured}.items():
            columns[name][rows] = array
    return columns


def _measure(
    model: ModelArchitecture, chosen: Mapping[str, Any], tokens: numpy.ndarray, sequences: numpy.ndarray
) -> dict[str, Any]:
    """Compute one combination over arrays of lengths and batches."""
    import numpy

    base = plan(model, **{**chosen, "seq_len": int(tokens[0])})
    if base.rules.follows_length and "max_num_batched_tokens" not in chosen and int(tokens.min()) < int(tokens.max()):
        return _measure_each(model, chosen, tokens, sequences)
    request = base.request
    layout = sums.Layout(request.storage, request.split, request.encoder_seq_len or 0)
    most = sums.kv_bytes_of_sequence(model.groups, int(tokens.max()), layout) * int(sequences.max())
    most = max(most, *(stage.memory.weights_bytes for stage in base.stages))
    if most > sums.INT64_MAX:
        raise InvalidValueError(
            f"the largest point, about 10^{len(str(most)) - 1} bytes, exceeds the 64 bits of an array: "
            "sweep fewer tokens or sequences"
        )
    on_rank = request.split.sequences_on_rank(sequences)
    batch = largest_batch(base.stages, tokens) * request.attention_replicas
    counted = _tightest(base.stages, tokens)
    decides = counted
    if base.stage.exceeds:
        decides = [numpy.full(tokens.shape, stage is base.stage) for stage in base.stages]

    def of(stages: list[Any], measure: Callable[[Stage], Any]) -> Any:
        """Take each point's value from the stage that is its own."""
        if len(base.stages) == 1:
            return measure(base.stages[0])
        return numpy.select(stages, [numpy.broadcast_to(measure(stage), tokens.shape) for stage in base.stages])

    return {
        "kv_bytes_per_sequence": sums.kv_bytes_of_sequence(model.groups, tokens, layout),
        "kv_bytes_per_gpu": of(decides, lambda stage: sums.kv_bytes_on_rank(stage.layers, tokens, layout)) * on_rank,
        "weights_bytes_per_gpu": of(decides, lambda stage: stage.memory.weights_bytes),
        "overhead_bytes_per_gpu": of(decides, lambda stage: stage.memory.before_kv_bytes - stage.memory.weights_bytes),
        "kv_pool_bytes_per_gpu": of(decides, lambda stage: stage.memory.kv_pool_bytes),
        "num_blocks": of(counted, lambda stage: stage.geometry.num_blocks(stage.memory.kv_pool_bytes, tokens)),
        "max_batch_size": batch,
        "max_context_len": longest_context(base.stages, on_rank),
        "num_gpus": base.num_gpus,
        "fits": numpy.greater_equal(batch, sequences),
    }


def _tightest(stages: tuple[Stage, ...], tokens: numpy.ndarray) -> list[Any]:
    """Return for each stage the points at which it holds the fewest sequences; ``answer.tightest`` in arrays."""
    import numpy

    room = [stage.geometry.room(stage.memory.kv_pool_bytes, tokens) for stage in stages]
    weights = [stage.memory.weights_bytes for stage in stages]
    order = sorted(range(len(stages)), key=lambda index: -weights[index])
    first = numpy.argmin([numpy.broadcast_to(room[index], tokens.shape) for index in order], axis=0)
    chosen = numpy.asarray(order)[first]
    return [chosen == index for index in range(len(stages))]


def _measure_each(
    model: ModelArchitecture, chosen: Mapping[str, Any], tokens: numpy.ndarray, sequences: numpy.ndarray
) -> dict[str, Any]:
    """Compute one combination length by length, where an engine's own defaults follow the length."""
    import numpy

    measured = {name: numpy.zeros(tokens.size, dtype=numpy.int64) for name in MEASURES}
    measured["fits"] = numpy.zeros(tokens.size, dtype=bool)
    for length in numpy.unique(tokens):
        rows = tokens == length
        for name, array in _measure(model, chosen, tokens[rows], sequences[rows]).items():
            measured[name][rows] = array
    return measured


@friendly
def sweep(model: ModelArchitecture | str, **axes: Any) -> pandas.DataFrame:
    """Compute a grid of plans as a tidy DataFrame, a row a point.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    **axes : value or list
        Any keyword of ``plan``; those that hold several values span the grid, at most 2,000,000 points [-].

    Returns
    -------
    pandas.DataFrame
        The axes, then the measures (names carry the unit), ``fits``, and ``refused``: why a
        combination is not possible. Measures of a refused point are missing, not zero.

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


def _values(name: str, value: Any) -> Any:
    """Return the values of one axis as a list, array or range."""
    if getattr(value, "ndim", None) == 0:
        return [value.item()]
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return [value]
    if isinstance(value, set | frozenset | dict):
        raise InvalidValueError(
            f"{name} must be a list, a range or an array, not {shown(value)}",
            what=name, asked=value, allowed=("list", "range", "array"),
        )  # fmt: skip
    if not hasattr(value, "__len__"):
        value = list(itertools.islice(value, MAX_POINTS + 1))
    if kv_cache.size_of(value) == 0:
        raise InvalidValueError(f"{name} is empty: give at least one value", what=name, asked=value)
    if name in ARRAY_AXES:
        return value if hasattr(value, "dtype") or isinstance(value, list | tuple | range) else list(value)
    return list(itertools.islice(value, MAX_COMBINATIONS + 1))


def _check_size(lengths: int, batches: int, *others: int) -> None:
    combinations = prod(others)
    points = lengths * batches * combinations
    if points > MAX_POINTS or combinations > MAX_COMBINATIONS:
        size = f"{points:,}" if points < 10**20 else shown(points)
        raise InvalidValueError(
            f"the grid has {size} points in {combinations:,} combinations; at most {MAX_POINTS:,} points and "
            f"{MAX_COMBINATIONS:,} combinations of other keywords than seq_len and batch_size are computed at once",
            asked=points,
            allowed=MAX_POINTS,
        )
