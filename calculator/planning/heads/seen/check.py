"""Check a number that one has seen: whether it is right, and every single mistake of a stated list that gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.errors import CalculatorError, InvalidValueError, UnsupportedError, friendly, shown, unknown_name
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.heads.seen.answer import Mistake, NumberCheck
from calculator.planning.heads.seen.cache import cache_candidates, saved_candidates
from calculator.planning.heads.seen.candidates import MISTAKES, Asked, Candidate
from calculator.planning.heads.seen.circulating import claims_of
from calculator.planning.heads.seen.finding import finding_of
from calculator.planning.heads.seen.speeds import impossible, speed_candidates, step_candidates
from calculator.planning.heads.seen.stated import UNITS, Stated, parse
from calculator.planning.heads.seen.weights import (
    active_candidates,
    parameter_candidates,
    saving_candidates,
    total_candidates,
    weight_candidates,
)
from calculator.planning.plan import plan as make_plan
from calculator.reading.schema import Schema
from calculator.request import OPTIONS

KINDS: dict[str, Callable[[Asked], Iterator[Candidate]]] = {
    "kv_cache": cache_candidates,
    "weights": weight_candidates,
    "total": total_candidates,
    "saved_bytes": saved_candidates,
    "parameters": parameter_candidates,
    "active": active_candidates,
    "saving": saving_candidates,
    "speed": speed_candidates,
    "step_time": step_candidates,
}
"""What a number can be said to be of."""
_ONLY_WHERE_SAID = ("active",)
_NAMED_CUT_OFF = ("parameters", "active")
"""Kinds whose numbers are names too, with digits cut off: 70B of 70.6 billion."""
_OF_SPEED = ("speed", "step_time")
_COUNTS = ("seq_len", "batch_size", "tensor_parallel_size")
_SCHEMA = Schema("Check", {name: OPTIONS[name].field for name in _COUNTS})
_MOST_LISTED = 6


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
        The number, or a text such as ``34.36 GB``, ``671B``, ``37 billion``, ``320 KB per token`` or ``800 tokens/s``;
        it counts to the digits that are written [unit].
    model : ModelArchitecture, Plan or str
        What it is said of: a plan, a model, its preset id or its Hugging Face id [-].
    unit : str, optional
        bytes, KB, MB, GB, TB, KiB, MiB, GiB, TiB, %, parameters, million, billion, trillion, B, tokens/s, ms or s; and
        per token, layer, GPU or sequence. B alone is billions of parameters, or bytes [-].
    seq_len : int, optional
        Tokens of a sequence; by default the plan's, or the model's longest context [tokens].
    batch_size : int, optional
        Sequences; by default the plan's, or 1 [-].
    kv_cache_dtype, weight_dtype : str, optional
        Formats of cache and weights; by default the plan's, or the checkpoint's own [-].
    tensor_parallel_size : int, optional
        GPUs that share every layer; by default the plan's, or 1 [-].
    what : str, optional
        ``kv_cache``, ``weights``, ``total`` (both), ``saved_bytes``, ``parameters``, ``active``, ``saving``, ``speed``
        or ``step_time``; by default all that the unit can mean [-].

    Returns
    -------
    NumberCheck
        What it is right for, and the mistakes that give it; it never picks one.

    Raises
    ------
    CalculatorError
        If a text is no number with a unit, a unit or a name is unknown, a number is out of bounds, or it is a speed and
        there is no plan.

    Notes
    -----
    A number matches where it is the other one rounded to the digits written; a number of parameters also where digits
    are cut off (70B), a speed where it lies in the range of the estimate. Each mistake is made alone: two at once are
    not looked for, and a coarse number can match several by chance.
    """
    stated = parse(value, unit)
    kinds = _kinds(what, stated)
    asked = _asked(model, stated, {
        "seq_len": seq_len, "batch_size": batch_size, "kv_cache_dtype": kv_cache_dtype, "weight_dtype": weight_dtype,
        "tensor_parallel_size": tensor_parallel_size,
    })  # fmt: skip
    right: list[Mistake] = []
    wrong: list[Mistake] = []
    expected: list[Mistake] = []
    for kind in kinds:
        candidates = _candidates(kind, asked, alone=len(kinds) == 1)
        scale = stated.scale(kind)
        exact = {found.number for found in candidates if not found.key}
        expected += [_as_mistake(kind, found, scale) for found in candidates if not found.key]
        matching = [found for found in candidates if _matches(kind, found, stated)]
        right += [_as_mistake(kind, found, scale) for found in matching if not found.key]
        wrong += _merged(kind, [found for found in matching if found.key and found.number not in exact], scale)
    if not expected:
        raise InvalidValueError(
            say(
                "check.nothing_counted",
                "nothing of {name} is counted in {unit}",
                name=asked.model.name,
                unit=shown(unit or value),
            ),
            what="unit",
            asked=stated.unit.name,
        )
    speed_kind = next((kind for kind in kinds if kind in _OF_SPEED), None)
    never = impossible(asked, speed_kind, stated.number * stated.scale(speed_kind)) if speed_kind else None
    circulating = claims_of(stated)
    return NumberCheck(
        value=float(stated.number),
        unit=stated.unit.name,
        what=what or stated.of or (kinds[0] if len(kinds) == 1 else ""),
        right=tuple(right),
        mistakes=tuple(wrong),
        expected=tuple(expected),
        looked_for=dict(MISTAKES),
        claims=circulating,
        finding=finding_of(stated, right, wrong, expected, asked.model, never, circulating),
    )


def _kinds(what: str | None, stated: Stated) -> list[str]:
    """Return the kinds of number that are looked at: the one that is said, or all that the unit can mean."""
    if what is not None and what not in KINDS:
        raise unknown_name("kind of number", what, KINDS)
    said = what or stated.of
    fitting = stated.unit.scales
    if said and said not in fitting:
        allowed = tuple(name for name, unit in UNITS.items() if said in unit.scales)
        raise InvalidValueError(
            say(
                "check.unit_does_not_go",
                "unit {name} does not go with {said}: give one of {names}",
                name=shown(stated.unit.name),
                said=said,
                names=", ".join(allowed),
            ),
            what="unit",
            asked=stated.unit.name,
            allowed=allowed,
        )
    if what and stated.of and what != stated.of:
        raise InvalidValueError(
            say("check.value_says_what_says", "value says {of}, and what says {what}", of=stated.of, what=what),
            what="what",
            asked=what,
        )
    if said:
        return [said]
    of_cache = ("kv_cache",) if stated.each in ("token", "layer", "sequence") and "kv_cache" in fitting else fitting
    return [kind for kind in of_cache if kind not in _ONLY_WHERE_SAID]


def _candidates(kind: str, asked: Asked, alone: bool) -> list[Candidate]:
    """Return what a kind of number can be; nothing where it is one of several kinds and is not known of the model."""
    try:
        return list(KINDS[kind](asked))
    except CalculatorError:
        if alone:
            raise
        return []


def _matches(kind: str, found: Candidate, stated: Stated) -> bool:
    scale = stated.scale(kind)
    if found.low is not None and found.high is not None and found.low <= stated.number * scale <= found.high:
        return True
    over = found.number / scale - stated.number
    is_named = kind in _NAMED_CUT_OFF or found.key == "parameters_for_bytes"
    return abs(over) <= stated.half or (is_named and 0 <= over < 2 * stated.half)


def _asked(model: Any, stated: Stated, given: dict[str, Any]) -> Asked:
    of_plan: dict[str, Any] = {}
    plan = model if isinstance(model, Plan) else None
    if isinstance(model, Plan):
        request = model.request
        of_plan = {name: getattr(request, name) for name in given}
        model = model.model
    loaded = load_model(model)
    if loaded.needs_encoder:
        raise UnsupportedError(
            say(
                "check.keeps_its_encoder_s",
                "{name} keeps its encoder's tokens beside: its numbers are not explained",
                name=loaded.name,
            ),
            what="model",
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
    changed = {name: value for name, value in given.items() if value is not None and value != of_plan.get(name)}
    if plan and changed:
        plan = make_plan(**{**plan.asked, "model": loaded, **changed})
    return Asked(
        loaded, storage=storage, weight_dtype=weights.name, unit=stated.unit.name, each=stated.each, plan=plan, **counts
    )


def _as_mistake(kind: str, found: Candidate, scale: Fraction) -> Mistake:
    ends = (None if end is None else float(end / scale) for end in (found.low, found.high))
    return Mistake(found.key, kind, found.reading, found.words, float(found.number / scale), *ends)


def _merged(kind: str, found: Sequence[Candidate], scale: Fraction) -> list[Mistake]:
    """Return what matches, a cause that gives one number once; many of a kind that a coarse number allows as one."""
    once = {(each.key, each.words, each.number): each for each in reversed(found)}
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for each in reversed(once.values()):
        groups.setdefault((each.reading, each.key), []).append(each)
    listed: list[Mistake] = []
    for group in groups.values():
        if len(group) <= _MOST_LISTED:
            listed += [_as_mistake(kind, each, scale) for each in group]
            continue
        words = say("check.between", "from {first} to {last}", first=group[0].words, last=group[-1].words)
        listed.append(_as_mistake(kind, group[0]._replace(words=words), scale))
    return listed
