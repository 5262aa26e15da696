"""Results as Plotly figures, the same in the browser and in a notebook.

The figures carry their own template and colours, so they look alike wherever they are shown. Each chart is a function
that returns a Figure; its ``ready`` takes the same and returns the same as plain dictionaries, which is all that a page
needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from calculator.messages import say

if TYPE_CHECKING:
    from calculator.charts.comparing import engine_points, memory_bars
    from calculator.charts.engines import engines_chart
    from calculator.charts.ground import dimmed, on_ground
    from calculator.charts.kv_heads import kv_head_chart
    from calculator.charts.kv_in_use import kv_in_use_chart
    from calculator.charts.load.preemptions import preemption_chart
    from calculator.charts.load.resident_tokens import resident_tokens_chart
    from calculator.charts.load.risk import risk_chart
    from calculator.charts.load.speed import speed_chart, step_chart
    from calculator.charts.memory import memory_bar
    from calculator.charts.pages.accuracy import accuracy_chart
    from calculator.charts.pages.reconciled import reconciled_chart
    from calculator.charts.parallelism import parallelism_chart
    from calculator.charts.price import price_chart
    from calculator.charts.registry import DRAWN, draw
    from calculator.charts.sequence_length import sequence_length_chart
    from calculator.charts.tensor_parallel import tensor_parallel_chart
    from calculator.charts.versions import versions_chart

__all__ = [
    "DRAWN",
    "accuracy_chart",
    "dimmed",
    "draw",
    "engine_points",
    "engines_chart",
    "kv_head_chart",
    "kv_in_use_chart",
    "memory_bar",
    "memory_bars",
    "on_ground",
    "parallelism_chart",
    "preemption_chart",
    "price_chart",
    "reconciled_chart",
    "resident_tokens_chart",
    "risk_chart",
    "sequence_length_chart",
    "speed_chart",
    "step_chart",
    "tensor_parallel_chart",
    "versions_chart",
]

_AT_HOME = {
    "comparing": ("engine_points", "memory_bars"),
    "engines": ("engines_chart",),
    "ground": ("dimmed", "on_ground"),
    "kv_heads": ("kv_head_chart",),
    "kv_in_use": ("kv_in_use_chart",),
    "load.preemptions": ("preemption_chart",),
    "load.resident_tokens": ("resident_tokens_chart",),
    "load.risk": ("risk_chart",),
    "load.speed": ("speed_chart", "step_chart"),
    "memory": ("memory_bar",),
    "pages.accuracy": ("accuracy_chart",),
    "pages.reconciled": ("reconciled_chart",),
    "parallelism": ("parallelism_chart",),
    "price": ("price_chart",),
    "registry": ("DRAWN", "draw"),
    "sequence_length": ("sequence_length_chart",),
    "tensor_parallel": ("tensor_parallel_chart",),
    "versions": ("versions_chart",),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    for module, names in _AT_HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(
        say("charts.module_has_no_attribute", "module {name!r} has no attribute {name_2!r}", name=__name__, name_2=name)
    )


def __dir__() -> list[str]:
    """Show every name, whether it has been asked for yet or not."""
    return sorted({*globals(), *__all__})
