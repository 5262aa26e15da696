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
from calculator.planning.drafts import served
from calculator.planning.memory import largest_batch, longest_context
from calculator.planning.plan import plan
from calculator.planning.stage import distinct
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


@friendly
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
    tokens, sequences = seq_len.reshape(-1, 1), batch_size.reshape(1, -1)
    combinations = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    grid = len(combinations), tokens.size, sequences.size
    columns: dict[str, Any] = {name: numpy.empty(grid, dtype=object) for name in values}
    columns |= {name: numpy.empty(grid, dtype=numpy.int64) for name in (*ARRAY_AXES, *MEASURES)}
    columns |= {"fits": numpy.empty(grid, dtype=bool), "refused": numpy.full(grid, "", dtype=object)}
    columns["seq_len"][:], columns["batch_size"][:] = tokens, sequences
    for index, chosen in enumerate(combinations):
        into = {name: columns[name][index] for name in (*MEASURES, "fits")}
        try:
            _measure(architecture, chosen, tokens, sequences, into)
        except (ParallelismError, UnsupportedError) as error:
            columns["refused"][index] = str(error)
            for column in into.values():
                column[:] = 0
        for name, value in chosen.items():
            columns[name][index] = value
    return {name: column.reshape(-1) for name, column in columns.items()}


def _measure(
    model: ModelArchitecture,
    chosen: Mapping[str, Any],
    tokens: numpy.ndarray,
    sequences: numpy.ndarray,
    into: Mapping[str, numpy.ndarray],
) -> None:
    """Fill the columns of one combination: a row a length, an entry a batch.

    Lengths stand below each other and batches beside each other, so that what follows only one of them is computed
    as often as there are of it.
    """
    import numpy

    base = plan(model, **{**chosen, "seq_len": int(tokens[0, 0])})
    if base.rules.follows_length and "max_num_batched_tokens" not in chosen and int(tokens.min()) < int(tokens.max()):
        _measure_each(model, chosen, tokens, sequences, into)
        return
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
    stages = distinct(base.stages)
    tightest = _tightest(stages, tokens)

    def of_counted(measure: Callable[[Stage], Any]) -> Any:
        """Take the value of each length from the stage that holds the fewest."""
        return measure(stages[0]) if len(stages) == 1 else _chosen(tightest, [measure(stage) for stage in stages])

    def of_deciding(measure: Callable[[Stage], Any]) -> Any:
        """Take it from the stage that exceeds its device, where one does."""
        return measure(base.stage) if base.stage.exceeds else of_counted(measure)

    share = of_deciding(lambda stage: sums.kv_bytes_on_rank(stage.layers, tokens, layout))
    numpy.multiply(share, on_rank, out=into["kv_bytes_per_gpu"])
    longest = base.rules.longest_start(served(model, request.speculative_config), request, stages)
    starts = all(one.by_default for one in base.rules.refusals(model, request, stages, base.asked))
    numpy.logical_and(
        batch >= sequences, starts & (tokens <= (MAX_TOKENS if longest is None else longest)), out=into["fits"]
    )
    for name, values in {
        "kv_bytes_per_sequence": sums.kv_bytes_of_sequence(model.groups, tokens, layout),
        "weights_bytes_per_gpu": of_deciding(lambda stage: stage.memory.weights_bytes),
        "overhead_bytes_per_gpu": of_deciding(lambda stage: stage.memory.before_kv_bytes - stage.memory.weights_bytes),
        "kv_pool_bytes_per_gpu": of_deciding(lambda stage: stage.memory.kv_pool_bytes),
        "num_blocks": of_counted(lambda stage: stage.geometry.num_blocks(stage.memory.kv_pool_bytes, tokens)),
        "max_batch_size": batch,
        "max_context_len": longest_context(base.stages, on_rank),
        "num_gpus": base.num_gpus,
    }.items():
        into[name][:] = values


def _chosen(numbers: numpy.ndarray, values: list[Any]) -> numpy.ndarray:
    """Return at each place the value of some number; values are arrays, or one number for all places."""
    import numpy

    stacked = numpy.stack([numpy.broadcast_to(value, numbers.shape) for value in values])
    chosen: numpy.ndarray = numpy.take_along_axis(stacked, numbers[numpy.newaxis], axis=0)[0]
    return chosen


def _tightest(stages: tuple[Stage, ...], tokens: numpy.ndarray) -> numpy.ndarray:
    """Return for each length the stage that holds the fewest sequences, by its number; ``stage.tightest`` in arrays."""
    import numpy

    room = [stage.geometry.room(stage.memory.kv_pool_bytes, tokens) for stage in stages]
    order = sorted(range(len(stages)), key=lambda index: -stages[index].memory.weights_bytes)
    first = numpy.argmin([numpy.broadcast_to(room[index], tokens.shape) for index in order], axis=0)
    numbers: numpy.ndarray = numpy.asarray(order)[first]
    return numbers


def _measure_each(
    model: ModelArchitecture,
    chosen: Mapping[str, Any],
    tokens: numpy.ndarray,
    sequences: numpy.ndarray,
    into: Mapping[str, numpy.ndarray],
) -> None:
    """Fill one combination length by length, where an engine's own defaults follow the length."""
    rows: dict[int, int] = {}
    for row, length in enumerate(tokens[:, 0].tolist()):
        known = rows.setdefault(length, row)
        if known == row:
            _measure(
                model, chosen, tokens[row:][:1], sequences, {name: column[row:][:1] for name, column in into.items()}
            )
        for column in into.values():
            column[row] = column[known]


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
