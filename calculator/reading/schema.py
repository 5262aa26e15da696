"""Strict validation of mappings that people write, and the sentences that it answers with.

What a field may be is said once, by a ``Field``. A set of them is a pydantic model, which alone decides what is
refused and why; it is built when it is first needed, since pydantic's model classes take as long to import as all
else. A mapping whose values are plainly of the kinds and within the bounds that are said is taken without it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from calculator.errors import CalculatorError, InvalidValueError, shown, unknown_name

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Location = tuple[int | str, ...]


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
        if type(value) is int and self.least <= value <= self.most:
            return value
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _bounded(int, ge=self.least, le=self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Field):
    """A finite number, more than ``above``."""

    above: float = 0
    most: float

    def take(self, value: Any) -> float:
        """As ``Field``."""
        if type(value) in (int, float) and self.above < value <= self.most:
            return float(value)
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _bounded(float, gt=self.above, le=float(self.most), allow_inf_nan=False)


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
            return _taken(self.fields, value)
        raise NotPlain

    def kind(self) -> Any:
        """As ``Field``."""
        return _model(self.name, self.fields, self.open)

    def shown_kind(self) -> Any:
        """As ``Field``."""
        return _model(self.name, self.fields, self.open, shown=True, help=self.help)


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


def text(maximum: int = 400, required: bool = True, minimum: int = 1) -> Text:
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


def _model(
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


def _taken(fields: Mapping[str, Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plainly valid values as they are kept; raise ``NotPlain`` where one is not."""
    taken = {}
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            raise NotPlain
        taken[name] = value if value is None and field.nullable else field.take(value)
    for name, field in fields.items():
        if field.required and name not in taken:
            raise NotPlain
    return taken


class Schema:
    """A closed set of fields: anything else is refused by name.

    Parameters
    ----------
    name : str
        What the pydantic model is called [-].
    fields : mapping of str to Field
        What each may be [-].
    """

    def __init__(self, name: str, fields: Mapping[str, Field]) -> None:
        self.name = name
        self.fields = fields

    @cached_property
    def model(self) -> type[BaseModel]:
        """The pydantic model, which decides and explains."""
        return _model(self.name, self.fields)

    def json_schema(self, title: str, help: str) -> dict[str, Any]:
        """Return the JSON Schema of the fields, for editors."""
        made = _model(self.name, self.fields, shown=True, help=help).model_json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked values; raise the first problem as a ``CalculatorError``."""
        try:
            return _taken(self.fields, values)
        except NotPlain:
            return self.judged(_plain(values))

    def judged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values as the pydantic model takes them; raise its first problem."""
        from pydantic import ValidationError

        try:
            made = self.model.model_validate(dict(values))
        except ValidationError as error:
            raise next(self._problems(error))[1] from None
        return {name: value for name, value in _as_plain(made).items() if name in values}

    def all_problems(self, values: Mapping[str, Any]) -> list[tuple[Location, CalculatorError]]:
        """Return every problem of a mapping with its location, none where it is valid."""
        try:
            _taken(self.fields, values)
        except NotPlain:
            from pydantic import ValidationError

            try:
                self.model.model_validate(dict(values))
            except ValidationError as error:
                return list(self._problems(error))
        return []

    def _problems(self, error: ValidationError) -> Iterator[tuple[Location, CalculatorError]]:
        """Yield ``(location, CalculatorError)`` for every problem of a failed validation."""
        for problem in error.errors(include_url=False):
            yield problem["loc"], _explain(dict(problem), self._names_at(problem["loc"]))

    def _names_at(self, location: Location) -> Iterable[str]:
        """Return the names that are allowed beside a field, which may lie in a mapping of its own."""
        fields = self.fields
        for step in location[:-1]:
            field = fields.get(str(step))
            fields = field.fields if isinstance(field, Nested) else fields
        return fields


def _as_plain(value: Any) -> Any:
    """Return what a model holds as a dict, nested ones too; only what was given."""
    if hasattr(value, "model_fields_set"):
        return {name: _as_plain(getattr(value, name)) for name in value.model_fields_set}
    return value


_PLAIN = (bool, int, float, str, type(None))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn numpy integers and the like into plain ints; what has no index stays as it is."""
    return {
        name: value if isinstance(value, _PLAIN) or not hasattr(value, "__index__") else _index(value)
        for name, value in values.items()
    }


def _index(value: Any) -> Any:
    try:
        return operator.index(value)
    except TypeError:
        return value


def _explain(problem: dict[str, Any], known: Iterable[str]) -> CalculatorError:
    name = ".".join(map(str, problem["loc"]))
    kind, context, value = problem["type"], problem.get("ctx", {}), problem.get("input")
    if kind == "missing":
        return InvalidValueError(f"{name} is missing")
    if kind == "extra_forbidden":
        return unknown_name("field", name, known)
    explain = _SENTENCES.get(kind)
    if explain is None:
        return InvalidValueError(f"{name} cannot be {shown(value)}: {problem['msg']}")
    return InvalidValueError(f"{name} {explain(value, context)}")


def _whole_number(value: Any, _: dict[str, Any]) -> str:
    near = ""
    if isinstance(value, float) and value == value and 1 <= round(min(abs(value), 1e15)) < 1e15 and value > 0:
        near = f"; the nearest is {round(value)}"
    how = " written without quotes" if isinstance(value, str) else ""
    return f"must be a whole number{how}, not {shown(value)}{near}"


def _text(value: Any, _: dict[str, Any]) -> str:
    how = "; write it in quotes" if type(value) in (int, float) else ""
    return f"must be text, not {shown(value)}{how}"


_SENTENCES: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "int_type": _whole_number,
    "int_from_float": _whole_number,
    "int_parsing_size": lambda value, _: f"is far out of range: {shown(value)}",
    "greater_than_equal": lambda value, context: f"must be at least {context['ge']}, not {shown(value)}",
    "less_than_equal": lambda value, context: f"must be at most {context['le']:,}, not {shown(value)}",
    "greater_than": lambda value, context: f"must be more than {context['gt']:g}, not {shown(value)}",
    "finite_number": lambda value, _: f"must be a finite number, not {shown(value)}",
    "float_type": lambda value, _: f"must be a number, not {shown(value)}",
    "bool_type": lambda value, _: f"must be true or false, not {shown(value)}",
    "string_type": _text,
    "string_too_short": lambda _, __: "must not be empty",
    "string_too_long": lambda _, context: f"must be at most {context['max_length']} characters long",
    "literal_error": lambda value, context: f"must be one of {context['expected']}, not {shown(value)}",
    "too_short": lambda value, context: f"must list {context['min_length']} values, not {shown(value)}",
    "too_long": lambda value, context: f"must list {context['max_length']} values, not {shown(value)}",
    "list_type": lambda value, _: f"must be a list, not {shown(value)}",
    "dict_type": lambda value, _: f"must be a mapping of names to values, not {shown(value)}",
}
