"""A request: the table's values with defaults filled in, and what of them an engine is shown."""

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from calculator.architecture.split import Split
from calculator.errors import InvalidValueError, unknown_name
from calculator.formats.kv import StorageFormat, storage_format
from calculator.messages import say
from calculator.reading.fields import Field, Flag
from calculator.reading.frozen import frozen
from calculator.reading.schema import Schema
from calculator.request.options import ESTIMATE, NOTHING, options_of
from calculator.request.table import Table
from calculator.units import SIZES, in_text


@dataclass(frozen=True, kw_only=True)
class Request(Table):
    """Every input of a plan, defaults filled in, under the names of ``plan``.

    ``seq_len`` and ``max_num_batched_tokens`` are tokens, names in ``_bytes`` are bytes of one
    GPU, ``gpu_memory_utilization`` is a fraction, the rest counts; ``batch_size`` is of one replica.
    """

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Request":
        """Return a request of a value for every field, and of ``split`` where that is known.

        A frozen dataclass sets its many fields one by one.
        """
        made = object.__new__(cls)
        object.__setattr__(made, "__dict__", dict(values))
        return made

    @property
    def storage(self) -> StorageFormat:
        """The storage format of the cache."""
        return storage_format(self.kv_cache_dtype)

    @cached_property
    def split(self) -> Split:
        """How the ranks of a replica share heads, tokens and sequences."""
        return Split(self.tensor_parallel_size, self.decode_context_parallel_size, self.enable_attention_dp)

    @property
    def cutting(self) -> "Cutting":
        """All of it that bears on how the engine cuts its KV memory."""
        made: Cutting = Cutting._make(_CUTTING(self))
        return made

    @property
    def given_overheads(self) -> dict[str, int]:
        """The user's own values in place of estimates, by their keywords [bytes]."""
        values = _ESTIMATED(self)
        if values == _ALL_ESTIMATED:
            return {}
        return {name: value for name, value in zip(ESTIMATES, values, strict=True) if value is not None}

    @property
    def attention_replicas(self) -> int:
        """Ranks of a replica that each serve sequences of their own [-]."""
        return self.split.replicas


OPTIONS = options_of(Request)
"""The table: every keyword of ``plan`` beside ``model`` and ``gpu``."""
PLAN_FIELDS: dict[str, Field] = {name: option.of_plan for name, option in OPTIONS.items()}
PLAN_DEFAULTS: dict[str, Any] = {name: option.default for name, option in OPTIONS.items()}
FLAGS = tuple(name for name, option in OPTIONS.items() if isinstance(option.field, Flag))
PLAN_SCHEMA = Schema("Options", PLAN_FIELDS)

ESTIMATES = tuple(name for name, option in OPTIONS.items() if option.absent == ESTIMATE)
"""Keywords that stand in place of estimated lines of memory."""
_ESTIMATED, _ALL_ESTIMATED = attrgetter(*ESTIMATES), (None,) * len(ESTIMATES)

ZERO_IS_NONE = frozenset(name for name, option in OPTIONS.items() if option.absent == NOTHING)
"""Keywords of which 0 says what leaving them out does."""

_OF_A_PASS = ("max_num_batched_tokens", "max_num_seqs")
_CUTS = (*(name for name, option in OPTIONS.items() if option.cuts and name not in _OF_A_PASS), "split", *_OF_A_PASS)
_CUTTING = attrgetter(*_CUTS)

if TYPE_CHECKING:

    class Cutting(Request):
        """As below; the checker is shown the types of ``Request``, the engine less than its fields."""

        _fields: tuple[str, ...]

        @classmethod
        def _make(cls, values: Any) -> "Cutting": ...

        def _replace(self, **values: Any) -> "Cutting": ...

        def within(self, max_num_batched_tokens: int, max_num_seqs: int) -> "Cutting": ...

else:

    class Cutting(namedtuple("Cutting", _CUTS)):
        """All of a request that bears on how an engine cuts its KV memory, under the names of ``Request``.

        An engine is shown nothing else, and what is remembered of a model is found by all of it.
        """

        __slots__ = ()

        @property
        def storage(self) -> StorageFormat:
            """The storage format of the cache."""
            return storage_format(self.kv_cache_dtype)

        def within(self, max_num_batched_tokens: int, max_num_seqs: int) -> "Cutting":
            """Return the same with other limits of a forward pass, its tokens and its sequences."""
            return Cutting(*self[: -len(_OF_A_PASS)], max_num_batched_tokens, max_num_seqs)


_AS_THEY_ARE = frozenset((int, float, bool, type(None)))
_SIZES_IN_TEXT = frozenset(name for name, option in OPTIONS.items() if option.unit in SIZES)


def asked_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords as given, with the defaults that are values, in the order of the table.

    Raises
    ------
    UnknownNameError
        If a keyword does not exist; the near matches are named.
    InvalidValueError
        If a size in text cannot be read.
    """
    given = dict(PLAN_DEFAULTS)
    for name, value in options.items():
        if name not in OPTIONS:
            raise unknown_name("keyword of plan", name, ("model", "gpu", *OPTIONS))
        if type(value) not in _AS_THEY_ARE:
            value = _number(name, value) if isinstance(value, str) else frozen(value)
        given[name] = value
    return {name: value for name, value in given.items() if value is not None}


def is_left_out(name: str, value: Any) -> bool:
    """Whether a value says no more than leaving the keyword out: None, or 0 where none is what is left out."""
    return value is None or (name in ZERO_IS_NONE and type(value) in (int, float) and value == 0)


def _number(name: str, value: str) -> Any:
    """Return a size that is given in text as a number, and any other text as it is."""
    if name not in _SIZES_IN_TEXT:
        return value
    try:
        return in_text(value, OPTIONS[name].unit)
    except InvalidValueError as error:
        raise InvalidValueError(
            say("asked.cannot_read", "{name} cannot be read: {error}", name=name, error=error), what=name, asked=value
        ) from None
