"""What a process of the page does after a run."""

from __future__ import annotations

import gc
import importlib
from itertools import count

DRAWN_WITH = ("pyarrow", "plotly.graph_objects")
"""What pages import when they first draw a table or a chart."""
RUNS_BETWEEN = 256
"""After so many runs what they left behind in circles is collected: a hundred objects of each run of the page."""
_runs = count()


def freeze() -> None:
    """Take all that there is out of the collector's sight.

    Streamlit collects all garbage after every run of a script, in the script's own time: more than half of a run went
    into walking modules and catalogues that never change, and what fifty sessions hold took a fifth of one.
    """
    for name in DRAWN_WITH:
        importlib.import_module(name)  # waits for a thread that is at it
    if next(_runs) % RUNS_BETWEEN == 0:
        gc.unfreeze()
        gc.collect()
    gc.freeze()
