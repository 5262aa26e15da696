"""Strict validation of mappings that people write, and the sentences that it answers with.

A closed set of fields is a pydantic model, which alone decides what is refused and why. It is built when it is first
needed: where every value is plainly valid it is not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.errors import CalculatorError, InvalidValueError, UnknownNameError, shown, unknown_name
from calculator.messages import say
from calculator.reading.fields import Between, Choice, Count, Field, Nested, NotPlain, Number, model_of, required, taken

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Location = tuple[int | str, ...]


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
        self._required = required(fields)

    @cached_property
    def model(self) -> type[BaseModel]:
        """The pydantic model, which decides and explains."""
        return model_of(self.name, self.fields)

    def json_schema(self, title: str, help: str) -> dict[str, Any]:
        """Return the JSON Schema of the fields, for editors."""
        made = model_of(self.name, self.fields, shown=True, help=help).model_json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked values; raise the first problem as a ``CalculatorError``."""
        try:
            return taken(self.fields, values, self._required)
        except NotPlain:
            return self.judged(_plain(values))

    def judged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values as the pydantic model takes them; raise its first problem."""
        from pydantic import ValidationError

        try:
            made = self.model.model_validate(dict(values))
        except ValidationError as error:
            problems = [problem for _, problem in self._problems(error)]
            first, misspelt = problems[0], next((one for one in problems if isinstance(one, UnknownNameError)), None)
            if misspelt is not None and error.errors(include_url=False)[0]["type"] == "missing":
                # a field that does not exist is why another is missing
                raise InvalidValueError(f"{first}; {misspelt}", what=first.what, nearest=misspelt.nearest) from None
            raise first from None
        return {name: value for name, value in _as_plain(made).items() if name in values}

    def all_problems(self, values: Mapping[str, Any]) -> list[tuple[Location, CalculatorError]]:
        """Return every problem of a mapping with its location, none where it is valid."""
        try:
            taken(self.fields, values, self._required)
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
            yield problem["loc"], _explain(dict(problem), self._fields_at(problem["loc"]))

    def _fields_at(self, location: Location) -> Mapping[str, Field]:
        """Return the fields that are allowed beside one, which may lie in a mapping of its own."""
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
        name: value if isinstance(value, _PLAIN) or not hasattr(value, "__index__") else as_index(value)
        for name, value in values.items()
    }


def as_index(value: Any) -> Any:
    """Return a whole number of any type as a plain one; anything else as it is."""
    try:
        return operator.index(value)
    except TypeError:
        return value


def _explain(problem: dict[str, Any], known: Mapping[str, Field]) -> CalculatorError:
    name = ".".join(map(str, problem["loc"]))
    kind, context, value = problem["type"], problem.get("ctx", {}), problem.get("input")
    if kind == "missing":
        return InvalidValueError(say("schema.missing", "{name} is missing", name=name), what=name)
    if kind == "extra_forbidden":
        return unknown_name("field", name, known, name)
    explain = _SENTENCES.get(kind)
    text = explain(value, context) if explain else f"cannot be {shown(value)}: {problem['msg']}"
    field = known.get(str(problem["loc"][-1])) if problem["loc"] else None
    allowed, nearest = _bounds(field), _nearest(field, value)
    return InvalidValueError(f"{name} {text}", what=name, asked=value, allowed=allowed, nearest=nearest)


def _bounds(field: Field | None) -> tuple[Any, ...] | None:
    """Return the least and the most of a number, or the names of a choice."""
    if isinstance(field, Choice):
        return field.names
    if isinstance(field, Number):
        return (field.above, field.most)
    return (field.least, field.most) if isinstance(field, Count | Between) else None


def _nearest(field: Field | None, value: Any) -> float | None:
    """Return the nearest number that is allowed, None where there is none."""
    if not isinstance(field, Count | Number | Between) or type(value) not in (int, float) or value != value:
        return None
    if isinstance(field, Number):
        return None if value <= field.above else min(value, field.most)
    clamped: float = max(field.least, min(value, field.most))
    return round(clamped) if isinstance(field, Count) else clamped


def _whole_number(value: Any, _: dict[str, Any]) -> str:
    near = f"; the nearest is {round(value)}" if isinstance(value, float) and 0.5 < value < 1e15 else ""
    how = " written without quotes" if isinstance(value, str) else ""
    return f"must be a whole number{how}, not {shown(value)}{near}"


def _least(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else f"{bound}"


def _most(bound: float) -> str:
    """Show an upper bound; that of a fraction as 1.0."""
    return f"{bound:,.0f}" if bound > 1 and bound == int(bound) else f"{bound:,}"


def _text(value: Any, _: dict[str, Any]) -> str:
    how = "; write it in quotes" if type(value) in (int, float) else ""
    return f"must be text, not {shown(value)}{how}"


_SENTENCES: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "value_error": lambda _, context: f"cannot be read: {context['error']}",
    "int_type": _whole_number,
    "int_from_float": _whole_number,
    "int_parsing_size": lambda value, _: f"is far out of range: {shown(value)}",
    "greater_than_equal": lambda value, context: f"must be at least {_least(context['ge'])}, not {shown(value)}",
    "less_than_equal": lambda value, context: f"must be at most {_most(context['le'])}, not {shown(value)}",
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
