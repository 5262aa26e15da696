"""What a process of the page does once."""

from __future__ import annotations

import gc
import importlib
from functools import cache

DRAWN_WITH = ("pandas", "pyarrow", "plotly.graph_objects")
"""What pages import when they first draw a table or a chart."""


@cache
def freeze() -> None:
    """Take what is imported out of the collector's sight, once a process.

    Streamlit collects all garbage after every run of a script, in the script's own time: more than half of a run went
    into walking modules and catalogues that never change.
    """
    for name in DRAWN_WITH:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
