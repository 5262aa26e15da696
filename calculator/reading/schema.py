"""Strict validation of mappings that people write, and the sentences that it answers with.

The checks are pydantic's own (``pydantic_core``, without the model classes, whose import
would double the start of the command line).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_core import SchemaValidator, ValidationError

from calculator.errors import CalculatorError, InvalidValueError, shown, unknown_name

Field = dict[str, Any]


def count(maximum: int, minimum: int = 1, required: bool = True) -> Field:
    """A whole number within bounds."""
    return _field({"type": "int", "strict": True, "ge": minimum, "le": maximum}, required)


def number(maximum: float, above: float = 0, required: bool = True) -> Field:
    """A finite number, more than ``above``."""
    return _field({"type": "float", "gt": above, "le": maximum, "allow_inf_nan": False, "strict": True}, required)


def text(maximum: int = 400, required: bool = True, minimum: int = 1) -> Field:
    """A piece of text."""
    return _field({"type": "str", "strict": True, "min_length": minimum, "max_length": maximum}, required)


def flag(required: bool = True) -> Field:
    """True or false."""
    return _field({"type": "bool", "strict": True}, required)


def choice(options: Iterable[str], required: bool = True) -> Field:
    """One of some names."""
    return _field({"type": "literal", "expected": list(options)}, required)


def names(options: Iterable[str], required: bool = True) -> Field:
    """A list of some of the names."""
    return _field({"type": "list", "items_schema": {"type": "literal", "expected": list(options)}}, required)


def listed(item: Field, length: int | None = None, required: bool = True) -> Field:
    """A list of things of one kind, of so many where that is said."""
    bounds = {} if length is None else {"min_length": length, "max_length": length}
    return _field({"type": "list", "items_schema": item["schema"], **bounds}, required)


def nested(fields: Mapping[str, Field], required: bool = True) -> Field:
    """A mapping inside a mapping."""
    return _field({"type": "typed-dict", "fields": dict(fields), "extra_behavior": "forbid"}, required)


def mapping(required: bool = True) -> Field:
    """A mapping of names to anything, checked by whoever reads it."""
    return _field({"type": "dict", "keys_schema": {"type": "str"}}, required)


def optional(field: Field) -> Field:
    """The same field, which may also be left out or None."""
    return {**field, "schema": {"type": "nullable", "schema": field["schema"]}, "required": False}


def _field(schema: dict[str, Any], required: bool) -> Field:
    return {"type": "typed-dict-field", "schema": schema, "required": required}


class Schema:
    """A closed set of fields: anything else is refused by name."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._validator = SchemaValidator({"type": "typed-dict", "fields": dict(fields), "extra_behavior": "forbid"})

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked values; raise the first problem as a ``CalculatorError``."""
        try:
            return self._validated(values)
        except ValidationError:
            pass
        try:
            return self._validated(_plain(values))
        except ValidationError as error:
            raise next(self.problems(error))[1] from None

    def _validated(self, values: Mapping[str, Any]) -> dict[str, Any]:
        validated: dict[str, Any] = self._validator.validate_python(values)
        return validated

    def problems(self, error: ValidationError) -> Any:
        """Yield ``(location, CalculatorError)`` for every problem of a failed validation."""
        for problem in error.errors(include_url=False):
            yield problem["loc"], _explain(dict(problem), self._names_at(problem["loc"]))

    def _names_at(self, location: tuple[int | str, ...]) -> Iterable[str]:
        """Return the names that are allowed beside a field, which may lie in a mapping of its own."""
        fields = self._fields
        for step in location[:-1]:
            fields = fields.get(str(step), {}).get("schema", {}).get("fields", fields)
        return fields

    def all_problems(self, values: Mapping[str, Any]) -> list[tuple[tuple[int | str, ...], CalculatorError]]:
        """Return every problem of a mapping with its location, none where it is valid."""
        try:
            self._validator.validate_python(values)
        except ValidationError as error:
            return list(self.problems(error))
        return []


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
