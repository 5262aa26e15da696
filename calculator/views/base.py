"""A view: one question, its finding, and the rows behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.architecture.sums import INT64_MAX
from calculator.planning.answer import Plan

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class View:
    """One question, its finding in a sentence, and the rows behind it.

    Attributes
    ----------
    name, title, finding : str
        A short name for files, a heading, and the sentence.
    plan : Plan
        The answer that the view starts from.
    rows : list of dict
        One entry a point; names carry the unit. ``refused`` says why a point is not possible. None where
        the question cannot be asked of the model; the finding then says why.
    """

    name: str
    title: str
    finding: str
    plan: Plan
    rows: list[dict[str, Any]]

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame; what exceeds the 64 bits of its integers becomes a float there."""
        import pandas

        rows = [
            {name: float(value) if type(value) is int and value > INT64_MAX else value for name, value in row.items()}
            for row in self.rows
        ]
        return pandas.DataFrame(rows).convert_dtypes()
