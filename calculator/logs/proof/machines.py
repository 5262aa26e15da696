"""Rows of start-up figures by the machine that printed them: all starts of one are judged together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.logs.proof.tables import quantile

if TYPE_CHECKING:
    from calculator.logs.proof.accuracy import Row

_PLACES = (" @", " docs/", " file ", " accuracy/")
"""What ends the name of a source's repository."""


@dataclass(frozen=True)
class Machine:
    """All compared starts of one machine.

    Attributes
    ----------
    name, engine : str
        Whose logs they are and on which device, and the engine.
    rows : tuple of Row
        Its starts.
    """

    name: str
    engine: str
    rows: tuple[Row, ...]

    @property
    def error(self) -> float:
        """The median of its errors without their sign [-]."""
        return quantile([abs(one.capacity_error or 0.0) for one in self.rows], 0.5)

    @property
    def is_close(self) -> bool:
        """Whether every start is within 5 % of the pool or 0.5 % of the device."""
        return all(one.is_close for one in self.rows)

    @property
    def held(self) -> bool:
        """Whether every range held."""
        return all(one.in_range for one in self.rows)

    @property
    def calibrates(self) -> bool:
        """Whether ranges may be calibrated on any of its starts."""
        return any(one.calibrates for one in self.rows)


def machine_of(one: Row) -> str:
    """Return what tells the machines of a table apart: whose log it is, and on which device."""
    source = str(one.row.get("machine") or one.row.get("source", ""))
    for place in _PLACES:
        source = source.split(place)[0]
    if "not known" in source or not source:
        source = one.id
    return f"{source.removeprefix('https://github.com/')} {one.row.get('gpu') or one.row.get('memory_gib', '')}".strip()


def machines(some: Iterable[Row]) -> list[Machine]:
    """Return the machines of rows whose capacity is compared, in the order of their first start."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for one in some:
        if one.capacity_error is not None:
            found[one.engine, machine_of(one)].append(one)
    return [Machine(name, engine, tuple(rows)) for (engine, name), rows in found.items()]


@dataclass(frozen=True)
class Group:
    """Machines of one engine, or of all, with a name."""

    name: str
    machines: Sequence[Machine]


def groups(some: Sequence[Row]) -> list[Group]:
    """Return the machines of each engine, and of all those whose starts were all held out."""
    every = machines(some)
    by_engine = dict.fromkeys(one.engine for one in every)
    found = [Group(f"{engine}, by machine", [one for one in every if one.engine == engine]) for engine in by_engine]
    found.append(Group("held out, by machine", [one for one in every if not one.calibrates]))
    return [group for group in found if group.machines]


MACHINES: Mapping[str, Callable[[Any], str]] = {
    "machines": lambda group: group.name,
    "compared": lambda group: f"{len(group.machines)}",
    "median": lambda group: f"{quantile([one.error for one in group.machines], 0.5):.1%}",
    "nine of ten within": lambda group: f"{quantile([one.error for one in group.machines], 0.9):.1%}",
    "every start within 5 % or 0.5 % of the device": lambda group: f"{sum(one.is_close for one in group.machines)}",
    "every range held": lambda group: f"{sum(one.held for one in group.machines)}",
}
EACH: Mapping[str, Callable[[Any], str]] = {
    "machine": lambda one: one.name,
    "engine": lambda one: one.engine,
    "starts": lambda one: f"{len(one.rows)}",
    "median error": lambda one: f"{one.error:.1%}",
    "close": lambda one: "yes" if one.is_close else "no",
    "range held": lambda one: "yes" if one.held else "no",
    "used for": lambda one: "calibration" if one.calibrates else "held out",
}
