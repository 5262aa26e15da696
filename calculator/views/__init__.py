"""Questions asked of a plan, answered as rows and a sentence, and the answer itself in words."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from calculator.messages import say

if TYPE_CHECKING:
    from calculator.views.base import Row, View
    from calculator.views.comparing.same_request import on_engine
    from calculator.views.comparing.side_by_side import side_by_side
    from calculator.views.comparing.versions import versions_view
    from calculator.views.engines import engines_view
    from calculator.views.growth import kv_bytes_per_gpu
    from calculator.views.kv_heads import kv_head_view
    from calculator.views.kv_in_use import kv_in_use_view
    from calculator.views.load.answer import load_answer
    from calculator.views.load.circulating import circulating_speeds
    from calculator.views.load.preemptions import preemption_view
    from calculator.views.load.resident_tokens import resident_tokens_view
    from calculator.views.load.risk import risk_view
    from calculator.views.load.speed import speed_view, step_view
    from calculator.views.parallelism import parallelism_view
    from calculator.views.registry import VIEWS
    from calculator.views.sequence_length import sequence_length_view
    from calculator.views.sizing.options import options_view
    from calculator.views.tensor_parallel import tensor_parallel_view

__all__ = [
    "VIEWS",
    "Row",
    "View",
    "circulating_speeds",
    "engines_view",
    "kv_bytes_per_gpu",
    "kv_head_view",
    "kv_in_use_view",
    "load_answer",
    "on_engine",
    "options_view",
    "parallelism_view",
    "preemption_view",
    "resident_tokens_view",
    "risk_view",
    "sequence_length_view",
    "side_by_side",
    "speed_view",
    "step_view",
    "tensor_parallel_view",
    "versions_view",
]

_AT_HOME = {
    "base": ("Row", "View"),
    "engines": ("engines_view",),
    "growth": ("kv_bytes_per_gpu",),
    "kv_heads": ("kv_head_view",),
    "kv_in_use": ("kv_in_use_view",),
    "load.answer": ("load_answer",),
    "load.circulating": ("circulating_speeds",),
    "load.preemptions": ("preemption_view",),
    "load.resident_tokens": ("resident_tokens_view",),
    "load.risk": ("risk_view",),
    "load.speed": ("speed_view", "step_view"),
    "parallelism": ("parallelism_view",),
    "registry": ("VIEWS",),
    "comparing.same_request": ("on_engine",),
    "comparing.side_by_side": ("side_by_side",),
    "sequence_length": ("sequence_length_view",),
    "sizing.options": ("options_view",),
    "tensor_parallel": ("tensor_parallel_view",),
    "comparing.versions": ("versions_view",),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: the answer in words needs none of the views."""
    for module, names in _AT_HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(
        say("views.module_has_no_attribute", "module {name!r} has no attribute {name_2!r}", name=__name__, name_2=name)
    )


def __dir__() -> list[str]:
    """Show every name, whether it has been asked for yet or not."""
    return sorted({*globals(), *__all__})
