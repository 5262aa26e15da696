"""What a process of the page does once."""

from __future__ import annotations

import gc
import importlib
import sys
from functools import cache

DRAWN_WITH = ("pyarrow", "plotly.graph_objects")
"""What pages import when they first draw a table or a chart."""
DRAWN_LATER = ("pandas",)
"""What tables that are opened, downloads and some pages import when they are first wanted: as much memory as a page."""


def freeze() -> None:
    """Take what is imported out of the collector's sight, once a process and again after what is imported later.

    Streamlit collects all garbage after every run of a script, in the script's own time: more than half of a run went
    into walking modules and catalogues that never change.
    """
    taken_out((*DRAWN_WITH, *(name for name in DRAWN_LATER if name in sys.modules)))


@cache
def taken_out(names: tuple[str, ...]) -> None:
    """Import modules, and take all that there is by then out of the collector's sight; once for the same modules."""
    for name in names:
        importlib.import_module(name)  # waits for a thread that is at it
    gc.collect()
    gc.freeze()
