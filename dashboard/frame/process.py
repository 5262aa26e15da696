"""What a process of the page does once."""

from __future__ import annotations

import gc
import importlib
import sys
from functools import cache

DRAWN_WITH = ("pyarrow", "plotly.graph_objects")
"""What pages import when they first draw a table or a chart."""


def freeze() -> None:
    """Take what is imported out of the collector's sight, once a process and again after what is imported later.

    Streamlit collects all garbage after every run of a script, in the script's own time: more than half of a run went
    into walking modules and catalogues that never change.
    """
    for name in DRAWN_WITH:
        importlib.import_module(name)  # waits for a thread that is at it
    _taken_out(len(sys.modules))


@cache
def _taken_out(modules: int) -> None:  # noqa: ARG001
    """Take all that there is out of the collector's sight; once for as many modules."""
    gc.collect()
    gc.freeze()
