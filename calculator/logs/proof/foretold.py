"""One start of a machine left out and predicted from another of it: how far off with the calibration and without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING, Any

from calculator.engines.beside.logged import is_of_model, is_of_setup
from calculator.logs.proof.machines import machines
from calculator.logs.proof.tables import quantile, table

if TYPE_CHECKING:
    from calculator.logs.proof.accuracy import Row

OF_SETUP, OF_VERSION, OF_MODEL, OTHER = (
    "the same model, version and ranks", "another model, the same version and ranks",
    "the same model, another version or other ranks", "another model, another version or other ranks",
)  # fmt: skip
ALL = "all pairs"


@dataclass(frozen=True)
class Pair:
    """A start that is predicted twice: as it is, and by the calibration of another start of its machine.

    Attributes
    ----------
    machine : str
        Whose starts they are.
    of, by : str
        The start that is left out, and the one that is calibrated on.
    shares : str
        What the two have in common besides engine and device.
    plain, calibrated : float
        Error of the KV pool without the calibration and with it [-].
    plain_held, held : bool
        Whether the range held, of either.
    plain_gib, width_gib : float
        How wide the range is, of either [GiB].
    """

    machine: str
    of: str
    by: str
    shares: str
    plain: float
    calibrated: float
    plain_held: bool
    held: bool
    plain_gib: float
    width_gib: float


@cache
def pairs() -> tuple[Pair, ...]:
    """Return every ordered pair of starts of one machine and engine of which either tells what the machine holds."""
    from calculator.logs.proof.accuracy import comparisons

    return tuple(pair for one in machines(comparisons()) for pair in _of_machine(one.name, one.rows))


def _of_machine(name: str, rows: Sequence[Row]) -> Iterable[Pair]:
    from calculator.logs.proof.accuracy import compared_of

    if len(rows) < 2:
        return
    plain = {one.id: compared_of(one.row) for one in rows}
    known = {one.id: plain[one.id].calibration for one in rows}
    for of, by in permutations(rows, 2):
        calibration = known[by.id]
        if calibration is None:
            continue
        before, after = plain[of.id], compared_of(of.row, calibration=calibration)
        if before.capacity_error is None or after.capacity_error is None:
            continue
        request = after.plan.request
        shares = {
            (True, True): OF_SETUP, (False, True): OF_VERSION, (True, False): OF_MODEL, (False, False): OTHER,
        }[is_of_model(calibration, after.plan.model, request), is_of_setup(calibration, request)]  # fmt: skip
        widths = [high - max(0.0, low) for low, high in (before.range_gib, after.range_gib)]
        errors = before.capacity_error, after.capacity_error
        yield Pair(name, of.id, by.id, shares, *errors, bool(before.in_range), bool(after.in_range), *widths)


@dataclass(frozen=True)
class Foretold:
    """Some pairs, with a name."""

    name: str
    pairs: Sequence[Pair]

    @property
    def median(self) -> float:
        """The error that half of them do not exceed, without its sign [-]."""
        return quantile([abs(one.calibrated) for one in self.pairs], 0.5)

    @property
    def plain_median(self) -> float:
        """The same without the calibration [-]."""
        return quantile([abs(one.plain) for one in self.pairs], 0.5)


def by_what_is_shared() -> list[Foretold]:
    """Return the pairs by what their starts share, those of all together last."""
    found = [Foretold(name, [one for one in pairs() if one.shares == name]) for name in _ORDER]
    return [*(group for group in found if group.pairs), Foretold(ALL, pairs())]


_ORDER = OF_SETUP, OF_VERSION, OF_MODEL, OTHER


def by_machine() -> list[Foretold]:
    """Return the pairs of each machine."""
    found: dict[str, list[Pair]] = defaultdict(list)
    for one in pairs():
        found[one.machine].append(one)
    return [Foretold(name, some) for name, some in found.items()]


def foretold_markdown() -> str:
    """Return the section of the report."""
    each = by_machine()
    before = quantile([one.plain_median for one in each], 0.5)
    after = quantile([one.median for one in each], 0.5)
    of_machines = f"\nOne machine as one row: {before:.1%} without, {after:.1%} with, in the median.\n"
    shared = table(_columns("what they share"), by_what_is_shared())
    return "\n".join([_HEAD, shared, of_machines, table(_columns("machine"), each)])


def _columns(first: str) -> Mapping[str, Callable[[Any], str]]:
    return {
        first: lambda group: group.name,
        "pairs": lambda group: f"{len(group.pairs)}",
        "median without": lambda group: f"{group.plain_median:.1%}",
        "with": lambda group: f"{group.median:.1%}",
        "worst without": lambda group: f"{max((one.plain for one in group.pairs), key=abs):+.1%}",
        "with ": lambda group: f"{max((one.calibrated for one in group.pairs), key=abs):+.1%}",
        "range held without": lambda group: f"{sum(one.plain_held for one in group.pairs)}",
        "with  ": lambda group: f"{sum(one.held for one in group.pairs)}",
        "width of the range without, GiB": lambda group: f"{quantile([p.plain_gib for p in group.pairs], 0.5):.1f}",
        "with   ": lambda group: f"{quantile([p.width_gib for p in group.pairs], 0.5):.1f}",
    }


_HEAD = """
## One start of a machine predicted from another

Every start of a machine and engine of which two or more are in the table is left out once and predicted by the
`calibration` of each other start of it, all rows whose capacity is compared, those stated in part among them. A
calibration holds, line by line, what a start took and what the rules expect of it: what a log prints of a line is that
line's, the rest is shared out over the others by the squares of their ranges.

To another start of that engine and device carries over what was held outside more or less than expected, to as many
ranks or more; to the same model also what activations, graphs and, of the same format, weights took more or less: in
proportion while an estimate is less than half off, as an amount beyond that. What the weights of one checkpoint take
more says nothing of another, what one model's activations take nothing of another's, and a setting that neither log
prints stays what it is: `llmd-mistral-small-32-24b-h100` is 10 % off with any calibration. Of the same version and
ranks the range is narrowed; one start of a machine leaves a quarter of the range of what is held outside open for its
next, and all of it where that is known no better than to 1 GiB: it is of what else runs.
"""
