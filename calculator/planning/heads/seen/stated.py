"""A number as people write it, ``34.36 GB``, ``671B``, ``800 tokens/s``: its digits, and what its unit can mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from calculator.errors import InvalidValueError, shown, unknown_name
from calculator.messages import say
from calculator.units import GB, GIB, KIB, MIB

DECIMAL = {"KB": 10**3, "MB": 10**6, "GB": GB, "TB": 10**12}
BINARY = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 2**40}
OF_BYTES = ("kv_cache", "weights", "total", "saved_bytes")
OF_PARAMETERS = ("parameters", "active")
_COUNTED = {"million": 10**6, "billion": 10**9, "trillion": 10**12}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what each kind of number is in it.

    Attributes
    ----------
    name : str
        As it is shown.
    scales : dict of str to Fraction
        By kind of number: what one of the unit is in bytes, parameters, tokens a second, seconds or shares.
    """

    name: str
    scales: dict[str, Fraction]


def _unit(name: str, scale: int | Fraction, *kinds: str) -> Unit:
    return Unit(name, dict.fromkeys(kinds, Fraction(scale)))


UNITS: dict[str, Unit] = {
    "bytes": _unit("bytes", 1, *OF_BYTES),
    **{name: _unit(name, size, *OF_BYTES) for name, size in (DECIMAL | BINARY).items()},
    "parameters": _unit("parameters", 1, *OF_PARAMETERS),
    **{
        say("stated.parameters", "{name} parameters", name=name): _unit(
            say("stated.parameters", "{name} parameters", name=name), size, *OF_PARAMETERS
        )
        for name, size in _COUNTED.items()
    },
    **{name: _unit(name, size, *OF_PARAMETERS) for name, size in _COUNTED.items()},
    "B": Unit("B", {**dict.fromkeys(OF_PARAMETERS, Fraction(10**9)), **dict.fromkeys(OF_BYTES, Fraction(1))}),
    "M": _unit("M", 10**6, *OF_PARAMETERS),
    "T": _unit("T", 10**12, *OF_PARAMETERS),
    "%": _unit("%", Fraction(1, 100), "saving"),
    "tokens/s": _unit("tokens/s", 1, "speed"),
    "ms": _unit("ms", Fraction(1, 1000), "step_time"),
    "s": _unit("s", 1, "step_time"),
}
"""Every unit by its name. B alone is billions of parameters (671B), or bytes."""
_ALIASES = {
    "byte": "bytes", "percent": "%", "per cent": "%", "bn": "billion", "mn": "million", "tn": "trillion",
    "params": "parameters", "parameter": "parameters", "param": "parameters",
    "tok/s": "tokens/s", "token/s": "tokens/s", "t/s": "tokens/s", "tps": "tokens/s", "tokens/sec": "tokens/s",
    "tokens/second": "tokens/s", "tok/sec": "tokens/s", "milliseconds": "ms", "seconds": "s", "second": "s", "sec": "s",
}  # fmt: skip
_EACH = {
    "token": "token", "tok": "token", "layer": "layer", "gpu": "gpu", "card": "gpu", "device": "gpu", "rank": "gpu",
    "sequence": "sequence", "request": "sequence", "user": "sequence", "seq": "sequence",
}  # fmt: skip
_NUMBER = re.compile(r"\s{0,9}+(\d{1,3}+(?:,\d{3}){1,6}+|\d{1,30}+)(\.\d{1,12}+)?+\s{0,9}+(\D{0,60}+)", re.ASCII)
_RATE = re.compile(r"\b(?:tokens?|toks?|t)\s{0,3}(?:/|\bper\b|\ba\b)\s{0,3}(?:seconds?|secs?|s)\b", re.IGNORECASE)
_OF_ALL = re.compile(r"\bof\s(?:all|the)\s(?:users|sequences|requests)\b", re.IGNORECASE)
_SAID = re.compile(r"[\s/]{1,9}")
_FILLING = frozenset(("per", "a", "an", "each", "of", "and", "the", "for", "in"))
_KINDS = {
    "weights": "weights", "weight": "weights", "kv": "kv_cache", "cache": "kv_cache", "total": "total",
    "parameters": "parameters", "params": "parameters", "active": "active",
}  # fmt: skip
"""What a number may say that it is of, in a word behind its unit."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A number as it was written.

    Attributes
    ----------
    number, half : Fraction
        The number, and half of its last digit, in its unit.
    unit : Unit
        The unit, without what it is of each.
    each : str
        What it is said to be of each: token, layer, gpu or sequence; empty where nothing is said.
    of : str
        The kind of number that it says it is; empty where nothing is said.
    """

    number: Fraction
    half: Fraction
    unit: Unit
    each: str
    of: str

    def scale(self, kind: str) -> Fraction:
        """Return what one of the unit is for a kind of number."""
        return self.unit.scales[kind]


def parse(value: Any, unit: str | None = None) -> Stated:
    """Return a number with its digits, its unit and what it is of each.

    Raises
    ------
    CalculatorError
        If it is no number, has no unit or one that is not known, or ``unit`` says another than it does itself.
    """
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidValueError(
            say(
                "stated.value_must_number_such",
                "value must be a number such as 34.36, or a text such as 34.36 GB, not {asked}",
                asked=shown(value),
            ),
            what="value",
            asked=value,
        )
    written = match[3].strip()
    if written and unit and written != unit:
        raise InvalidValueError(
            say(
                "stated.value_written_unit_says",
                "value is written in {written}, and unit says {unit}",
                written=shown(written),
                unit=shown(unit),
            ),
            what="unit",
        )
    named = written or unit
    if not named:
        raise InvalidValueError(
            say("stated.unit_missing_give_one", "unit is missing: give one of {names}", names=", ".join(UNITS)),
            what="unit",
            allowed=tuple(UNITS),
        )
    found, each, of = unit_of(named)
    digits = Decimal(match[1].replace(",", "") + (match[2] or ""))
    return Stated(Fraction(digits), Fraction(Decimal(1).scaleb(-len((match[2] or ".")[1:]))) / 2, found, each, of)


def unit_of(text: str) -> tuple[Unit, str, str]:
    """Return the unit of a text such as ``GB per token``, what it is of each, and the kind that it names.

    Raises
    ------
    UnknownNameError
        If a word of it is not known.
    """
    plain = _OF_ALL.sub("", _RATE.sub("tokens/s", " ".join(str(text).split()))).strip()
    if found := _known(plain):
        return found, "", ""
    for base in _beginnings(plain):
        if (found := _known(base)) is None:
            continue
        words = [word for word in _SAID.split(plain[len(base) :].casefold()) if word and word not in _FILLING]
        places = {_EACH[one] for word in words if (one := word.removesuffix("s")) in _EACH}
        kinds = {_KINDS[word] for word in words if word in _KINDS}
        kinds = {"active"} if kinds == {"active", "parameters"} else kinds
        known = all(word.removesuffix("s") in _EACH or word in _KINDS for word in words)
        if places == {"token", "layer"}:
            places = {"layer"}
        if places == {"token"} and "step_time" in found.scales:
            places = set()
        if known and len(places) <= 1 and len(kinds) <= 1 and kinds <= set(found.scales):
            return found, next(iter(places), ""), next(iter(kinds), "")
    raise unknown_name("unit", text, UNITS)


def _beginnings(text: str) -> list[str]:
    """Return the longer and shorter beginnings of a text that end at a word."""
    ends = [match.start() for match in _SAID.finditer(text)]
    return [text[:end] for end in reversed(ends)]


def _known(text: str) -> Unit | None:
    """Return the unit of a name in any case; a small b after a capital is a bit to many, and none."""
    if text in UNITS:
        return UNITS[text]
    if len(text) == 2 and text[0].isupper() and text[1] == "b":
        return None
    folded = text.casefold()
    for ending in ("parameters", "params", "parameter"):
        short = folded.removesuffix(ending).strip()
        if short != folded and short in ("b", "bn", "billion", "m", "million", "t", "trillion"):
            names = {"b": "billion", "m": "million", "t": "trillion"}
            return UNITS[f"{names[short[0]]} parameters"]
    by_fold = {name.casefold(): unit for name, unit in UNITS.items()}
    return by_fold.get(_ALIASES.get(folded, folded))
