"""Check a number that one has seen: whether it is right, and every single mistake of a stated list that gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import inf, log
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.errors import InvalidValueError, UnsupportedError, friendly, shown, unknown_name
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.messages import Message, joined, say
from calculator.planning.answer import Plan
from calculator.planning.heads.mistakes import (
    BINARY,
    DECIMAL,
    MISTAKES,
    Asked,
    Candidate,
    cache_candidates,
    parameter_candidates,
    saving_candidates,
    weight_candidates,
)
from calculator.reading.schema import Schema
from calculator.request import OPTIONS

UNITS: dict[str, Fraction] = {
    "bytes": Fraction(1),
    **{name: Fraction(size) for name, size in (DECIMAL | BINARY).items()},
    "parameters": Fraction(1),
    "billion parameters": Fraction(10**9),
    "%": Fraction(1, 100),
}
_KINDS: dict[str, Callable[[Asked], Iterator[Candidate]]] = {
    "kv_cache": cache_candidates,
    "weights": weight_candidates,
    "parameters": parameter_candidates,
    "saving": saving_candidates,
}
_BY_UNIT = {"%": "saving", "parameters": "parameters", "billion parameters": "parameters"}
_NUMBER = re.compile(r"\s{0,9}+(\d{1,3}+(?:,\d{3}){1,6}+|\d{1,30}+)(\.\d{1,12}+)?+\s{0,9}+(\D{0,30}+)", re.ASCII)
_COUNTS = ("seq_len", "batch_size", "tensor_parallel_size")
_SCHEMA = Schema("Check", {name: OPTIONS[name].field for name in _COUNTS})
_MOST_LISTED = 6


@dataclass(frozen=True, slots=True)
class Mistake:
    """One way to a number.

    Attributes
    ----------
    key : str
        Which mistake of the stated list; empty for a right number.
    reading : str
        What the number is of: all sequences, one, a token, and so on.
    words : str
        The mistake in words.
    value : float
        What it gives, in the unit of the number.
    """

    key: str
    reading: str
    words: str
    value: float


@dataclass(frozen=True)
class NumberCheck:
    """What a number can be.

    Attributes
    ----------
    value : float
        The number.
    unit, what : str
        Its unit, and what it is said to be: kv_cache, weights, parameters or saving.
    right : tuple of Mistake
        What it is right for, to the digits that were written; without a mistake.
    mistakes : tuple of Mistake
        Every single mistake of the list that gives it; none is picked.
    expected : tuple of Mistake
        The right numbers, in the same unit.
    looked_for : dict of str to str
        The stated list, by key.
    finding : str
        The same in words.
    """

    value: float
    unit: str
    what: str
    right: tuple[Mistake, ...]
    mistakes: tuple[Mistake, ...]
    expected: tuple[Mistake, ...]
    looked_for: dict[str, str]
    finding: str


@friendly
def explain_number(
    value: float | str,
    model: ModelArchitecture | Plan | str,
    unit: str | None = None,
    seq_len: int | None = None,
    batch_size: int | None = None,
    kv_cache_dtype: str | None = None,
    weight_dtype: str | None = None,
    tensor_parallel_size: int | None = None,
    what: str | None = None,
) -> NumberCheck:
    """Say whether a number is right, and list every single mistake of a stated list that gives it.

    Parameters
    ----------
    value : float or str
        The number, or a text such as ``34.36 GB``; it counts to the digits that are written [unit].
    model : ModelArchitecture, Plan or str
        What it is said of: a plan, a model, its preset id or its Hugging Face id [-].
    unit : str, optional
        bytes, KB, MB, GB, TB, KiB, MiB, GiB, TiB, %, parameters or billion parameters [-].
    seq_len : int, optional
        Tokens of a sequence; by default the plan's, or the model's longest context [tokens].
    batch_size : int, optional
        Sequences; by default the plan's, or 1 [-].
    kv_cache_dtype, weight_dtype : str, optional
        Formats of cache and weights; by default the plan's, or the checkpoint's own [-].
    tensor_parallel_size : int, optional
        GPUs that share every layer; by default the plan's, or 1 [-].
    what : str, optional
        ``kv_cache``, ``weights``, ``parameters`` or ``saving``; by default what the unit says, ``kv_cache`` for bytes
        [-].

    Returns
    -------
    NumberCheck
        What it is right for, and the mistakes that give it; it never picks one.

    Raises
    ------
    CalculatorError
        If a text is no number with a unit, a unit or a name is unknown, or a number is out of bounds.

    Notes
    -----
    A number matches where it is the other one rounded to the digits written. Each mistake is made alone: two at once
    are not looked for, and a coarse number can match several by chance.
    """
    number, half, named = _parsed(value, unit)
    kind = what or {"%": "saving", "parameters": "parameters", "billion parameters": "parameters"}.get(
        named, "kv_cache"
    )
    if kind not in _KINDS:
        raise unknown_name("kind of number", kind, _KINDS)
    _check_unit(kind, named)
    asked = _asked(model, named, {
        "seq_len": seq_len, "batch_size": batch_size, "kv_cache_dtype": kv_cache_dtype, "weight_dtype": weight_dtype,
        "tensor_parallel_size": tensor_parallel_size,
    })  # fmt: skip
    candidates = list(_KINDS[kind](asked))
    scale = UNITS[named]
    rights = [found for found in candidates if not found.key]
    matching = [found for found in candidates if abs(found.number / scale - number) <= half]
    right = tuple(_as_mistake(found, scale) for found in matching if not found.key)
    exact = {found.number for found in rights}
    wrong = _merged([found for found in matching if found.key and found.number not in exact], scale)
    expected = tuple(_as_mistake(found, scale) for found in rights)
    return NumberCheck(
        value=float(number),
        unit=named,
        what=kind,
        right=right,
        mistakes=wrong,
        expected=expected,
        looked_for=dict(MISTAKES),
        finding=_finding(number, named, right, wrong, expected, asked.model),
    )


def _parsed(value: Any, unit: str | None) -> tuple[Fraction, Fraction, str]:
    """Return a number, half of its last digit, and its unit."""
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidValueError(
            f"value must be a number such as 34.36, or a text such as 34.36 GB, not {shown(value)}",
            what="value", asked=value,
        )  # fmt: skip
    written = match[3].strip()
    if written and unit and written != unit:
        raise InvalidValueError(f"value is written in {shown(written)}, and unit says {shown(unit)}", what="unit")
    named = written or unit
    if named is None:
        raise InvalidValueError(f"unit is missing: give one of {', '.join(UNITS)}", what="unit", allowed=tuple(UNITS))
    if named not in UNITS:
        raise unknown_name("unit", named, UNITS)
    digits = Decimal(match[1].replace(",", "") + (match[2] or ""))
    return Fraction(digits), Fraction(Decimal(1).scaleb(-len((match[2] or ".")[1:]))) / 2, named


def _check_unit(kind: str, unit: str) -> None:
    fitting = {"saving": ("%",), "parameters": ("parameters", "billion parameters")}
    allowed = fitting.get(kind, ("bytes", *DECIMAL, *BINARY))
    if unit not in allowed:
        raise InvalidValueError(
            f"unit {shown(unit)} does not go with {kind}: give one of {', '.join(allowed)}",
            what="unit", asked=unit, allowed=allowed,
        )  # fmt: skip


def _asked(model: Any, unit: str, given: dict[str, Any]) -> Asked:
    of_plan: dict[str, Any] = {}
    if isinstance(model, Plan):
        request = model.request
        of_plan = {name: getattr(request, name) for name in given}
        model = model.model
    loaded = load_model(model)
    if loaded.needs_encoder:
        raise UnsupportedError(
            f"{loaded.name} keeps its encoder's tokens beside: its numbers are not explained", what="model"
        )
    values = {**of_plan, **{name: value for name, value in given.items() if value is not None}}
    counts = _SCHEMA.validate(
        {
            "seq_len": values.get("seq_len", loaded.max_position_embeddings),
            "batch_size": values.get("batch_size", 1),
            "tensor_parallel_size": values.get("tensor_parallel_size", 1),
        }
    )
    loaded.check_tensor_parallel(counts["tensor_parallel_size"])
    storage = storage_format(loaded.resolve_kv_dtype(values.get("kv_cache_dtype", "auto")))
    weights = weight_format(loaded.resolve_weight_dtype(values.get("weight_dtype", "auto")))
    return Asked(loaded, storage=storage, weight_dtype=weights.name, unit=unit, **counts)


def _as_mistake(found: Candidate, scale: Fraction) -> Mistake:
    return Mistake(found.key, found.reading, found.words, float(found.number / scale))


def _merged(found: list[Candidate], scale: Fraction) -> tuple[Mistake, ...]:
    """Return what matches; many layer counts that a coarse number allows are one entry."""
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for each in found:
        groups.setdefault((each.reading, each.key), []).append(each)
    listed: list[Mistake] = []
    for group in groups.values():
        if len(group) <= _MOST_LISTED:
            listed += [_as_mistake(each, scale) for each in group]
            continue
        words = say("check.between", "from {first} to {last}", first=group[0].words, last=group[-1].words)
        listed.append(_as_mistake(group[0]._replace(words=words), scale))
    return tuple(listed)


def _finding(
    number: Fraction,
    unit: str,
    right: tuple[Mistake, ...],
    wrong: tuple[Mistake, ...],
    expected: tuple[Mistake, ...],
    model: ModelArchitecture,
) -> Message:
    parts: list[str] = []
    if right:
        parts.append(say(
            "check.right", "{value:g} {unit} is right for {model}: {reading}.",
            value=float(number), unit=unit, model=model.name, reading=right[0].reading,
        ))  # fmt: skip
    else:
        near = min(expected, key=lambda each: abs(log(each.value / float(number))) if number and each.value else inf)
        parts.append(say(
            "check.wrong", "{value:g} {unit} is not right for {model}: {expected:,.6g} {unit} is, for {reading}.",
            value=float(number), unit=unit, model=model.name, reading=near.reading, expected=near.value,
        ))  # fmt: skip
    if wrong:
        ways = joined("; ", [say("check.way", "{words} ({reading})", words=each.words, reading=each.reading)
                             for each in wrong])  # fmt: skip
        one = "One mistake gives it" if len(wrong) == 1 else "Any one of these mistakes gives it"
        parts.append(say("check.ways", one + ": {ways}.", ways=ways))
    elif not right:
        parts.append(say("check.none", "No single mistake of the list gives it."))
    return joined(" ", parts)
