"""What one field of a mapping that people write may be: its kind, bounds, unit and help.

A set of fields is a pydantic model (``model_of``). A value that is plainly of the kind and within the bounds is taken
without it (``take``), since pydantic's model classes take as long to import as all else; the model decides on the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from calculator.errors import CalculatorError
from calculator.units import SIZES, in_text

if TYPE_CHECKING:
    from pydantic import BaseModel


class NotPlain(Exception):
    """A value is not plainly valid: the model decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one field may be.

    Attributes
    ----------
    required, nullable : bool
        Whether it must be there, and whether it may be None.
    default : object
        What holds where it is left out; None where that is nothing or is found out later.
    help, unit : str
        What it is, for a reader and an editor, and its unit.
    """

    required: bool = True
    nullable: bool = False
    default: Any = None
    help: str = ""
    unit: str = ""

    def take(self, value: Any) -> Any:
        """Return a value that is plainly valid, as it is kept; raise ``NotPlain`` for any other."""
        raise NotImplementedError

    def read(self, value: str) -> Any:
        """Return a size that is given in text as a number; what cannot be one is for the model to refuse."""
        if self.unit not in SIZES:
            return value
        try:
            return in_text(value, self.unit)
        except CalculatorError:
            raise NotPlain from None

    def kind(self) -> Any:
        """Return its type for pydantic, without None."""
        raise NotImplementedError

    def shown_kind(self) -> Any:
        """Return the type that an editor is shown."""
        return self.kind()

    def annotation(self, shown: bool = False) -> Any:
        """Return its type for pydantic, or the one that an editor is shown."""
        kind = self.shown_kind() if shown else self.kind()
        return kind | None if self.nullable else kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Field):
    """A whole number within bounds."""

    least: int = 1
    most: int

    def take(self, value: Any) -> int:
        """As ``Field``."""
        value = self.read(value) if type(value) is str else value
        if type(value) is int and self.least <= value <= self.most:
            return value
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _sized(_bounded(int, ge=self.least, le=self.most), self.unit)

    def shown_kind(self) -> Any:
        """As ``Field``."""
        plain = _bounded(int, ge=self.least, le=self.most)
        return plain | _bounded(str, pattern="^[0-9][0-9.]* ?[A-Za-z]+$") if self.unit in SIZES else plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Field):
    """A finite number, more than ``above``."""

    above: float = 0
    most: float

    def take(self, value: Any) -> float:
        """As ``Field``."""
        value = self.read(value) if type(value) is str else value
        if type(value) in (int, float) and self.above < value <= self.most:
            return float(value)
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _sized(_bounded(float, gt=self.above, le=float(self.most), allow_inf_nan=False), self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between(Field):
    """A finite number from ``least`` to ``most``, both among them."""

    least: float
    most: float

    def take(self, value: Any) -> float:
        """As ``Field``."""
        value = self.read(value) if type(value) is str else value
        if type(value) in (int, float) and self.least <= value <= self.most:
            return float(value)
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _sized(_bounded(float, ge=float(self.least), le=float(self.most), allow_inf_nan=False), self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Field):
    """A piece of text."""

    least: int = 1
    most: int = 400

    def take(self, value: Any) -> str:
        """As ``Field``."""
        if type(value) is str and self.least <= len(value) <= self.most and _is_unicode(value):
            return value
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _bounded(str, min_length=self.least, max_length=self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """True or false."""

    def take(self, value: Any) -> bool:
        """As ``Field``."""
        if type(value) is bool:
            return value
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Field):
    """One of some names."""

    names: tuple[str, ...]

    def take(self, value: Any) -> str:
        """As ``Field``."""
        if type(value) is str and value in self.names:
            return value
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return Literal[self.names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Field):
    """A list of things of one kind, within bounds of its length."""

    item: Field
    least: int = 0
    most: int | None = None

    def take(self, value: Any) -> list[Any]:
        """As ``Field``."""
        if isinstance(value, list) and self.least <= len(value) and (self.most is None or len(value) <= self.most):
            return [self.item.take(one) for one in value]
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _bounded(list[self.item.annotation()], min_length=self.least, max_length=self.most)  # type: ignore[misc]

    def shown_kind(self) -> Any:
        """As ``Field``."""
        return _bounded(list[self.item.annotation(shown=True)], min_length=self.least, max_length=self.most)  # type: ignore[misc]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(Field):
    """A mapping inside a mapping, of a closed set of fields; ``open`` where others may stand beside them."""

    name: str
    fields: Mapping[str, Field]
    open: bool = False

    def take(self, value: Any) -> dict[str, Any]:
        """As ``Field``."""
        if isinstance(value, dict):
            return taken(self.fields, value)
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return model_of(self.name, self.fields, self.open)

    def shown_kind(self) -> Any:
        """As ``Field``."""
        return model_of(self.name, self.fields, self.open, shown=True, help=self.help)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names(Field):
    """A mapping of names to anything, checked by whoever reads it."""

    def take(self, value: Any) -> dict[str, Any]:
        """As ``Field``."""
        if isinstance(value, dict) and all(type(name) is str for name in value):
            return dict(value)
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Either(Field):
    """A value of several kinds, checked by whoever reads it, which knows which of them is meant."""

    kinds: tuple[Field, ...]

    def take(self, value: Any) -> Any:
        """As ``Field``."""
        return value

    def kind(self) -> Any:
        """As ``Field``."""
        return Any

    def shown_kind(self) -> Any:
        """As ``Field``."""
        return reduce(or_, (kind.annotation(shown=True) for kind in self.kinds))


def _bounded(kind: Any, **bounds: Any) -> Any:
    from pydantic import Field as Bounds

    return Annotated[kind, Bounds(**bounds)]


def _sized(kind: Any, unit: str) -> Any:
    """Return a type that takes a size in text too, where its unit is one of sizes."""
    if unit not in SIZES:
        return kind
    from pydantic import BeforeValidator

    return Annotated[kind, BeforeValidator(lambda value: in_text(value, unit))]


def _is_unicode(value: str) -> bool:
    """Whether text can be written at all, which half a surrogate pair cannot."""
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def count(maximum: int, minimum: int = 1, required: bool = True) -> Count:
    """A whole number within bounds."""
    return Count(least=minimum, most=maximum, required=required)


def number(maximum: float, above: float = 0, required: bool = True) -> Number:
    """A finite number, more than ``above``."""
    return Number(above=above, most=maximum, required=required)


def text(maximum: int, required: bool = True, minimum: int = 1) -> Text:
    """A piece of text."""
    return Text(least=minimum, most=maximum, required=required)


def flag(required: bool = True) -> Flag:
    """True or false."""
    return Flag(required=required)


def choice(options: Iterable[str], required: bool = True) -> Choice:
    """One of some names."""
    return Choice(names=tuple(options), required=required)


def names(options: Iterable[str], required: bool = True) -> Listed:
    """A list of some of the names."""
    return Listed(item=choice(options), required=required)


def listed(item: Field, length: int | None = None, required: bool = True) -> Listed:
    """A list of things of one kind, of so many where that is said."""
    return Listed(item=item, least=length or 0, most=length, required=required)


def mapping(required: bool = True) -> Names:
    """A mapping of names to anything, checked by whoever reads it."""
    return Names(required=required)


def optional(field: Field) -> Field:
    """The same field, which may also be left out or None."""
    return replace(field, nullable=True, required=False)


def left_out(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The same fields, none of which must be there."""
    return {name: replace(field, required=False) for name, field in fields.items()}


def model_of(
    name: str, fields: Mapping[str, Field], is_open: bool = False, shown: bool = False, help: str = ""
) -> type[BaseModel]:
    """Return the pydantic model of a set of fields, strict and frozen; ``shown`` is the one that an editor is shown."""
    from pydantic import ConfigDict, create_model
    from pydantic import Field as Described

    def described(field: Field) -> Any:
        unit: dict[str, Any] | None = {"unit": field.unit} if field.unit else None
        missing = {} if field.required else {"default": field.default}
        return Described(**missing, description=field.help or None, json_schema_extra=unit)

    config = ConfigDict(strict=True, frozen=True, extra="allow" if is_open else "forbid", protected_namespaces=())
    made: dict[str, Any] = {key: (field.annotation(shown), described(field)) for key, field in fields.items()}
    return create_model(name, __config__=config, __doc__=help or None, **made)


def required(fields: Mapping[str, Field]) -> tuple[str, ...]:
    """Return the names of the fields that must be there."""
    return tuple(name for name, field in fields.items() if field.required)


def taken(
    fields: Mapping[str, Field], values: Mapping[str, Any], needed: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return plainly valid values as they are kept; raise ``NotPlain`` where one is not.

    ``needed`` is ``required(fields)``, where that is known.
    """
    kept = {}
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            raise NotPlain
        kept[name] = value if value is None and field.nullable else field.take(value)
    for name in required(fields) if needed is None else needed:
        if name not in kept:
            raise NotPlain
    return kept
