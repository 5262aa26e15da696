"""A small table as it is sent, without pandas, which takes as much memory as the rest of a page.

Streamlit makes a DataFrame of what is no Arrow table, and ``pyarrow.array`` imports pandas to see whether it was given
one; a builder of text does not, and Arrow reads numbers from their text exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow
from pyarrow.lib import StringBuilder


def table(columns: Mapping[str, Sequence[Any]]) -> pyarrow.Table:
    """Return columns of text, of whole numbers or of floats as a table; None is a cell that is not known."""
    return pyarrow.Table.from_arrays([_column(values) for values in columns.values()], names=list(columns))


def _column(values: Sequence[Any]) -> pyarrow.Array:
    builder = StringBuilder()
    builder.append_values([None if value is None else str(value) for value in values])
    kinds = {type(value) for value in values if value is not None}
    if not kinds or not kinds <= {int, float}:
        return builder.finish()
    return builder.finish().cast(pyarrow.float64() if float in kinds else pyarrow.int64())
