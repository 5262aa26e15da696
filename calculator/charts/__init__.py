"""Results as Plotly figures, the same in the browser and in a notebook.

The figures carry their own template and colours, so they look alike wherever they are shown.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calculator.charts.base import on_ground
    from calculator.charts.engines import accuracy_chart, engines_chart, kv_in_use_chart, parallelism_chart
    from calculator.charts.growth import kv_head_chart, sequence_length_chart, tensor_parallel_chart
    from calculator.charts.memory import memory_bar
    from calculator.charts.registry import DRAWN, draw

__all__ = [
    "DRAWN",
    "accuracy_chart",
    "draw",
    "engines_chart",
    "kv_head_chart",
    "kv_in_use_chart",
    "memory_bar",
    "on_ground",
    "parallelism_chart",
    "sequence_length_chart",
    "tensor_parallel_chart",
]

_AT_HOME = {
    "base": ("on_ground",),
    "engines": ("accuracy_chart", "engines_chart", "kv_in_use_chart", "parallelism_chart"),
    "growth": ("kv_head_chart", "sequence_length_chart", "tensor_parallel_chart"),
    "memory": ("memory_bar",),
    "registry": ("DRAWN", "draw"),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    for module, names in _AT_HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
