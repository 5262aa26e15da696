"""A small table as it is sent, without pandas, which takes as much memory as the rest of a page.

Streamlit makes a DataFrame of what is no Arrow table, ``pyarrow.array`` imports pandas to see whether it was given one,
and a cast imports all that Arrow computes; a builder of text and numbers laid out as Arrow has them need neither.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow
from pyarrow.lib import StringBuilder


def table(columns: Mapping[str, Sequence[Any]]) -> pyarrow.Table:
    """Return columns of text, of whole numbers or of floats as a table; None is a cell that is not known."""
    return pyarrow.Table.from_arrays([_column(values) for values in columns.values()], names=list(columns))


def _column(values: Sequence[Any]) -> pyarrow.Array:
    kinds = {type(value) for value in values if value is not None}
    if not kinds or not kinds <= {int, float}:
        builder = StringBuilder()
        builder.append_values([None if value is None else str(value) for value in values])
        return builder.finish()
    known = sum((value is not None) << place for place, value in enumerate(values))  # a bit a cell, the lowest first
    bits = pyarrow.py_buffer(known.to_bytes(len(values) // 8 + 1, "little"))
    numbers = array("d" if float in kinds else "q", (value or 0 for value in values))
    kind = pyarrow.float64() if float in kinds else pyarrow.int64()
    return pyarrow.Array.from_buffers(kind, len(values), [bits, pyarrow.py_buffer(numbers.tobytes())])
