"""The axes of a grid: what each holds, and how many points that makes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.errors import InvalidValueError, shown, unknown_name
from calculator.messages import say
from calculator.planning import kv_cache
from calculator.request import OPTIONS
from calculator.request.calibration import calibration_of

if TYPE_CHECKING:
    import numpy

MAX_POINTS = 2_000_000
MAX_COMBINATIONS = 10_000
ARRAY_AXES = ("seq_len", "batch_size")
KV_HEADS = "num_key_value_heads"


@dataclass(frozen=True)
class Grid:
    """What is computed: every combination of models and keywords, each at every length and batch.

    Attributes
    ----------
    models : list of ModelArchitecture
        The models, with their own KV heads.
    named : list of str or None
        What each is called in its column; None where there is one model, which needs none.
    others : dict of str to list
        The values of every other axis than lengths and batches, KV heads among them.
    seq_len : array or None
        The lengths [tokens]; None for the longest of each model.
    batch_size : array
        The batches [-].
    """

    models: list[ModelArchitecture]
    named: list[str] | None
    others: dict[str, list[Any]]
    seq_len: numpy.ndarray | None
    batch_size: numpy.ndarray

    @property
    def axes(self) -> tuple[str, ...]:
        """The columns of the axes that are walked through."""
        return (*(("model",) if self.named else ()), *self.others)

    def combinations(self) -> Iterator[tuple[ModelArchitecture, dict[str, Any], tuple[Any, ...]]]:
        """Yield each model with the keywords of each combination, and what stands in the columns of the axes."""
        for index, model in enumerate(self.models):
            for values in itertools.product(*self.others.values()):
                yield model, dict(zip(self.others, values, strict=True)), (*self._name(index), *values)

    def lengths(self, model: ModelArchitecture) -> numpy.ndarray:
        """Return the lengths of a model, below each other [tokens]."""
        import numpy

        lengths = numpy.array([model.max_position_embeddings]) if self.seq_len is None else self.seq_len
        return lengths.reshape(-1, 1)

    def _name(self, index: int) -> tuple[str, ...]:
        return (self.named[index],) if self.named else ()


def grid_of(model: Any, axes: Mapping[str, Any]) -> Grid:
    """Return the grid that axes span.

    Raises
    ------
    CalculatorError
        If a keyword is unknown, a value out of bounds, or the grid too large.
    """
    known = ("gpu", "calibration", KV_HEADS, *OPTIONS)
    for name in axes:
        if name not in known:
            raise unknown_name("keyword of sweep", name, known)
    several = isinstance(model, Iterable) and not isinstance(model, str | Mapping)
    given = _values("model", model) if several else [model]
    if axes.get("calibration") is not None:
        axes = {**axes, "calibration": calibration_of(axes["calibration"])}
    values = {name: _values(name, value) for name, value in axes.items() if value is not None}
    lengths, batches = values.pop("seq_len", None), values.pop("batch_size", [1])
    others = [len(given), *(kv_cache.size_of(axis) for axis in values.values())]
    _check_size(1 if lengths is None else kv_cache.size_of(lengths), kv_cache.size_of(batches), *others)
    for heads in values.get(KV_HEADS, ()):
        _check_heads(heads)
    seq_len = None if lengths is None else _whole("seq_len", lengths)
    batch_size = _whole("batch_size", batches)
    _check_size(1 if seq_len is None else seq_len.size, batch_size.size, *others)
    models = [load_model(each) for each in given]
    named = [each if isinstance(each, str) else found.id for each, found in zip(given, models, strict=True)]
    return Grid(models, named if several else None, values, seq_len, batch_size)


def _whole(name: str, values: Any) -> numpy.ndarray:
    array: numpy.ndarray = kv_cache.whole_numbers(name, values)
    if int(array.max()) > MAX_TOKENS:
        asked = int(array.max())
        raise InvalidValueError(
            say(
                "axes.must_at_most_not",
                "{name} must be at most {max_tokens:,}, not {asked:,}",
                name=name,
                max_tokens=MAX_TOKENS,
                asked=asked,
            ),
            what=name,
            asked=asked,
            allowed=MAX_TOKENS,
            nearest=MAX_TOKENS,
        )
    return array


def _check_heads(heads: Any) -> None:
    """Refuse what is no number of KV heads of any model; a list has an entry for each layer."""
    for each in heads if isinstance(heads, list | tuple) else [heads]:
        if isinstance(each, bool) or not isinstance(each, int) or each < 0 or heads == 0:
            raise InvalidValueError(
                say(
                    "axes.must_whole_number_at",
                    "{kv_heads} must be a whole number of at least 1, or a list with one for each layer, not {heads}",
                    kv_heads=KV_HEADS,
                    heads=shown(heads),
                ),
                what=KV_HEADS,
                asked=heads,
                nearest=1,
            )


def _values(name: str, value: Any) -> Any:
    """Return the values of one axis as a list, array or range."""
    if getattr(value, "ndim", None) == 0:
        return [value.item()]
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return [value]
    if isinstance(value, set | frozenset | dict):
        raise InvalidValueError(
            say(
                "axes.must_list_range_array",
                "{name} must be a list, a range or an array, not {asked}",
                name=name,
                asked=shown(value),
            ),
            what=name,
            asked=value,
            allowed=("list", "range", "array"),
        )
    if not hasattr(value, "__len__"):
        value = list(itertools.islice(value, MAX_POINTS + 1))
    if kv_cache.size_of(value) == 0:
        raise InvalidValueError(
            say("axes.empty_give_at_least", "{name} is empty: give at least one value", name=name),
            what=name,
            asked=value,
        )
    if name in ARRAY_AXES:
        return value if hasattr(value, "dtype") or isinstance(value, list | tuple | range) else list(value)
    value = value.tolist() if hasattr(value, "dtype") else value
    return list(itertools.islice(value, MAX_COMBINATIONS + 1))


def _check_size(lengths: int, batches: int, *others: int) -> None:
    combinations = prod(others)
    points = lengths * batches * combinations
    if points > MAX_POINTS or combinations > MAX_COMBINATIONS:
        size = f"{points:,}" if points < 10**20 else shown(points)
        raise InvalidValueError(
            say(
                "axes.grid_has_points_combinations",
                "the grid has {size} points in {combinations:,} combinations; at most {max_points:,} "
                "points and {max_combinations:,} combinations of all else than seq_len and batch_size "
                "are computed at once",
                size=size,
                combinations=combinations,
                max_points=MAX_POINTS,
                max_combinations=MAX_COMBINATIONS,
            ),
            asked=points,
            allowed=MAX_POINTS,
        )
