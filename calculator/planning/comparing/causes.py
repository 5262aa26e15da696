"""Which change of what was asked moves a number: each is made alone, and what moves is its doing.

A version is a row of rules after the other: the plan is answered at each version between the two, and a number's
causes are those at which it moves. Of such a row those values are named that move it, each taken over alone; where
none does alone, those without which it does not move.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

from calculator.engines import engine_class
from calculator.engines.base import Change, Engine
from calculator.engines.versions import in_words, nearest
from calculator.errors import CalculatorError
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.comparing.terms import Term
from calculator.planning.plan import plan, under_rules, vary

ENGINE = ("engine", "engine_version")
NOT_RULES = ("asked_version", "version", "note", "source", "is_mixed")
"""What rules say of themselves."""


class Cause(NamedTuple):
    """A change that moves a number: the keyword of ``plan`` or the version, and what it is in words."""

    key: str
    text: Message


@dataclass(frozen=True)
class Step:
    """A change made alone: the plans on either side of it, and the row of rules that it is, None for a keyword."""

    cause: Cause
    before: Plan
    after: Plan
    change: Change | None = None

    def of(self, term: Term) -> Cause | None:
        """Return what of the change moves a number, None where it does not."""
        if term.of(self.before) == term.of(self.after):
            return None
        if self.change is None:
            return self.cause
        first = [name for name, alone in self._added if term.of(alone) != term.of(self.before)]
        moving = first or [name for name, without in self._left_out if term.of(without) != term.of(self.after)]
        return _cause(self.after.rules.title, self.change, moving or self.change.values)

    @cached_property
    def _added(self) -> tuple[tuple[str, Plan], ...]:
        """What each value of the row does by itself, under the rules before."""
        return tuple(_one_by_one(self.before, self.after.rules))

    @cached_property
    def _left_out(self) -> tuple[tuple[str, Plan], ...]:
        """What is missing without each value of the row, under the rules after."""
        return tuple(_one_by_one(self.after, self.before.rules))


def _one_by_one(start: Plan, other: Engine) -> Iterator[tuple[str, Plan]]:
    """Yield the plan under its rules with one value of others, for each in which they differ."""
    for field in fields(other):
        value = getattr(other, field.name)
        if field.name in NOT_RULES or value == getattr(start.rules, field.name):
            continue
        with suppress(CalculatorError):
            yield field.name, under_rules(start, replace(start.rules, is_mixed=True, **{field.name: value}))


def steps(before: Plan, after: Plan) -> tuple[Step, ...]:
    """Return every single change that leads from one plan to another, keywords first, then version by version.

    A change that cannot be made alone is left out.
    """
    return (*_keywords(before, after), *_versions(before, after))


def causes_of(term: Term, made: Sequence[Step]) -> tuple[Cause, ...]:
    """Return the changes that move a number."""
    return tuple(cause for step in made if (cause := step.of(term)))


def _keywords(before: Plan, after: Plan) -> Iterator[Step]:
    changes_engine = before.request.engine != after.request.engine
    for name in dict.fromkeys((*before.asked, *after.asked)):
        old, new = before.asked.get(name), after.asked.get(name)
        if _same(old, new) or name == "engine_version":
            continue
        together: dict[str, Any] = {name: new}
        if name == "engine" and changes_engine:
            together = {key: after.asked.get(key) for key in ENGINE}
        try:
            changed = plan(**{**before.asked, **together})
        except CalculatorError:
            continue
        values = {"keyword": name, "old": _shown(before, name), "new": _shown(after, name)}
        yield Step(Cause(name, say("compare.keyword", "{keyword} {old} → {new}", **values)), before, changed)


def _same(old: Any, new: Any) -> bool:
    if hasattr(old, "is_the_same") and hasattr(new, "is_the_same"):
        return bool(old.is_the_same(new))
    return bool(old == new)


def _shown(answer: Plan, name: str) -> str:
    """What a keyword comes to in a plan."""
    if name in ("model", "gpu"):
        return answer.model.name if name == "model" else answer.accelerator.name
    return str(answer.calibration if name == "calibration" else getattr(answer.request, name))


def _versions(before: Plan, after: Plan) -> Iterator[Step]:
    """Yield a step for each version between two whose rules differ, the older first in time whichever way it goes."""
    if before.request.engine != after.request.engine:
        return
    engine = engine_class(before.request.engine)
    known = [
        nearest(engine.title, plan.rules.version, engine.oldest, engine.newest, engine.not_read)[0]
        for plan in (before, after)
        if engine.changes and plan.rules.version.count(".")
    ]
    if len(known) < 2 or known[0] == known[1]:
        return
    low, high = sorted(known)
    between = [change for change in engine.changes if low < change.since <= high]
    last = vary(before, engine_version=in_words(low))
    pairs: list[Step] = []
    for change in between:
        try:
            following = vary(before, engine_version=in_words(change.since))
        except CalculatorError:
            continue
        pairs.append(Step(_cause(engine.title, change, change.values), last, following, change))
        last = following
    yield from pairs


def _cause(title: str, change: Change, moving: Iterable[str]) -> Cause:
    version = in_words(change.since)
    moving = tuple(moving)
    names = ", ".join(moving)
    return Cause(
        version,
        say(
            "compare.version",
            "{engine} {version} ({names}: {source})",
            engine=title, version=version, names=names, source=change.source_of(moving),
        ),
    )  # fmt: skip
