"""``compare()`` and ``upgrade()``: what differs between two plans, why, and which flag brings the old answer back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import Message, joined, say
from calculator.planning import SCHEMA_VERSION
from calculator.planning.answer import Plan
from calculator.planning.comparing.causes import Step, causes_of, steps
from calculator.planning.comparing.restoring import Restoring, restorings
from calculator.planning.comparing.terms import HELD, PRICE_UNIT, Term, terms_of
from calculator.planning.plan import vary
from calculator.reading.html import table
from calculator.units import format_size

if TYPE_CHECKING:
    import pandas

NOT_EXPLAINED, ASKED = say("compare.together", "several changes together"), say("compare.asked", "as asked")
CENTS, DIGITS, NAMED = 2, 9, 3


@dataclass(frozen=True)
class Difference:
    """One number of two plans.

    Attributes
    ----------
    term, name, unit : str
        Its stable key, what it is, and its unit.
    before, after : object
        The number in either plan; None where a plan has none.
    change : int or float or None
        What is added to it, None where it is no number.
    cause : str
        What moves it, empty where nothing does.
    """

    term: str
    name: str
    unit: str
    before: Any
    after: Any
    change: float | None
    cause: str

    @property
    def differs(self) -> bool:
        """Whether it is not the same in both."""
        return bool(self.before != self.after)


@dataclass(frozen=True)
class Comparison:
    """Two plans side by side.

    Attributes
    ----------
    before, after : Plan
        What is compared.
    """

    before: Plan
    after: Plan

    @cached_property
    def rows(self) -> tuple[Difference, ...]:
        """Every number of either plan, those that differ first."""
        made = steps(self.before, self.after)
        rows = []
        for term in terms_of(self.before, self.after):
            old, new = term.of(self.before), term.of(self.after)
            cause = "" if old == new else self._cause(term, made)
            rows.append(Difference(term.key, term.name, term.unit, old, new, _added(old, new, term.unit), cause))
        return tuple(sorted(rows, key=lambda row: not row.differs))

    def _cause(self, term: Term, made: tuple[Step, ...]) -> str:
        if self.before.asked.get(term.key) != self.after.asked.get(term.key):
            return ASKED
        found = causes_of(term, made)
        if not found:
            return NOT_EXPLAINED
        cause = joined("; ", [one.text for one in found])
        flag = next((one.flag for one in self.restoring if term.key in one.restores), None)
        return say("compare.flag_back", "{cause}; back with {flag}", cause=cause, flag=flag) if flag else cause

    @property
    def changed(self) -> tuple[Difference, ...]:
        """What differs."""
        return tuple(row for row in self.rows if row.differs)

    @cached_property
    def restoring(self) -> tuple[Restoring, ...]:
        """Flags that bring numbers of the plan before back at the version after, those that bring back most first."""
        old, new = self.before.rules, self.after.rules
        if old.name != new.name or old.version == new.version:
            return ()
        return restorings(self.before, self.after)

    @cached_property
    def finding(self) -> Message:
        """What differs in a sentence."""
        values: dict[str, Any] = {"before": _called(self.before, self.after), "after": _called(self.after, self.before)}
        values |= {"old": self.before.max_batch_size, "new": self.after.max_batch_size}
        moved = [row for row in self.changed if row.cause != ASKED]
        if not moved:
            return say("compare.nothing", "{before} and {after}: no number of the answer changes.", **values)
        if self.before.request.seq_len != self.after.request.seq_len:
            return say(
                "compare.lengths",
                "{before} holds {old:,} sequences of {old_tokens:,} tokens on a replica, {after} {new:,} of "
                "{new_tokens:,}.",
                old_tokens=self.before.request.seq_len, new_tokens=self.after.request.seq_len, **values,
            )  # fmt: skip
        values["tokens"] = self.after.request.seq_len
        if values["old"] == values["new"]:
            said = say(
                "compare.held_same",
                "{before} and {after} hold the same {new:,} sequences of {tokens:,} tokens on a replica, but other "
                "numbers change: {names}.",
                names=", ".join(row.name for row in moved[:NAMED]), **values,
            )  # fmt: skip
        else:
            said = say(
                "compare.held_finding",
                "{before} holds {old:,} sequences of {tokens:,} tokens on a replica, {after} {new:,}.",
                **values,
            )
        best = next(iter(self.restoring), None)
        if best is None or (values["old"] != values["new"] and HELD not in best.restores):
            return said
        names = [row.name for row in self.changed if row.term in best.restores]
        return say(
            "compare.brought_back", "{said} {flag} brings back: {names}.",
            said=said, flag=best.flag, names=", ".join(names[:NAMED]),
        )  # fmt: skip

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame: term, name, unit, before, after, change, cause."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.rows])

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values under the documented JSON keys."""
        return {
            "schema_version": SCHEMA_VERSION,
            "finding": self.finding,
            "rows": [asdict(row) for row in self.rows],
            "restoring": [one._asdict() for one in self.restoring],
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
        }

    def _repr_html_(self) -> str:
        rows = [(row.name, f"{written(row.before, row.unit)} → {written(row.after, row.unit)}") for row in self.changed]
        return table(self.finding, rows)


@friendly
def compare(before: Plan, after: Plan) -> Comparison:
    """Compare two plans.

    Parameters
    ----------
    before, after : Plan
        What ``plan`` answered [-].

    Returns
    -------
    Comparison
        Every number of either with what moves it: each change of what was asked made alone.

    Raises
    ------
    InvalidValueError
        If one of them is no plan.
    """
    for name, given in (("before", before), ("after", after)):
        if not isinstance(given, Plan):
            raise InvalidValueError(
                say("compare.plan_not", "{name} is a Plan, not {given}", name=name, given=shown(given)),
                what=name,
                asked=given,
            )
    return Comparison(before, after)


@friendly
def upgrade(answer: Plan, engine_version: str) -> Comparison:
    """Compare a plan with the same request at another version of its engine.

    Parameters
    ----------
    answer : Plan
        What runs today [-].
    engine_version : str
        The version to go to, newer or older [-].

    Returns
    -------
    Comparison
        What changes, at which version, and in ``restoring`` the flags that bring the old numbers back.

    Raises
    ------
    CalculatorError
        If the version is none, or the engine at that version refuses the request.
    """
    compare(answer, answer)
    return compare(answer, vary(answer, engine_version=engine_version))


def _added(old: Any, new: Any, unit: str) -> float | None:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (old, new)):
        return None
    added: float = new - old
    return added if isinstance(added, int) else round(added, CENTS if unit == PRICE_UNIT else DIGITS)


def _called(one: Plan, other: Plan) -> str:
    """Return what tells a plan from another in a few words."""
    told = [one.model.name] if one.model.name != other.model.name else []
    gpus = (one.num_gpus, one.accelerator.name)
    told += [f"{gpus[0]} × {gpus[1]}"] if gpus != (other.num_gpus, other.accelerator.name) else []
    engine = (one.rules.title, one.rules.version)
    told += [" ".join(engine)] if engine != (other.rules.title, other.rules.version) or not told else []
    return ", ".join(told)


def written(value: Any, unit: str) -> str:
    """Return a number of a comparison with its unit, a dash where a plan has none."""
    if value is None:
        return "-"
    if unit == "bytes":
        return format_size(value)
    if unit == PRICE_UNIT:
        return f"{'-' if value < 0 else ''}${abs(value):,.2f}"
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
