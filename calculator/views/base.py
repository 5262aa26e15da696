"""A view: one question, its finding, and the typed rows behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from calculator.architecture.sums import INT64_MAX
from calculator.planning.answer import Plan
from calculator.reading.frozen import FrozenDict

if TYPE_CHECKING:
    import pandas

ABSENT: Any = None
"""What a measure is in a row that is refused."""


@dataclass(frozen=True, eq=False)
class Row(FrozenDict):
    """One point of a view: typed fields, which are read by key as well.

    What a refused row lacks is None, and not among its keys: it is missing in a table, not zero.
    """

    def __post_init__(self) -> None:
        """Fill the keys in."""
        values = vars(self)  # the fields, in their order
        if values.get("refused"):
            values = {name: value for name, value in values.items() if value is not None}
        dict.update(self, values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the type when it is copied or pickled."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return ""


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class View(Generic[R]):
    """One question, its finding in a sentence, and the rows behind it.

    Attributes
    ----------
    name, title, finding : str
        A short name for files, a heading, and the sentence.
    plan : Plan
        The answer that the view starts from.
    rows : sequence of Row
        One entry a point; names carry the unit. ``refused`` says why a point is not possible. None where
        the question cannot be asked of the model; the finding then says why.
    """

    name: str
    title: str
    finding: str
    plan: Plan
    rows: Sequence[R]

    @property
    def possible(self) -> list[R]:
        """The rows that are answered."""
        return possible(self.rows)

    @property
    def refused(self) -> list[R]:
        """The rows that are refused."""
        return [row for row in self.rows if row.get("refused")]

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame; what exceeds the 64 bits of its integers becomes a float there."""
        import pandas

        rows = [{name: _cell(value) for name, value in row.items()} for row in self.rows]
        return pandas.DataFrame(rows).convert_dtypes()


def possible(rows: Sequence[R]) -> list[R]:
    """Return the rows that are not refused."""
    return [row for row in rows if not row.get("refused")]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    return float(value) if type(value) is int and value > INT64_MAX else value
