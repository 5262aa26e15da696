"""Questions asked of a plan, answered as rows and a sentence, and the answer itself in words."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calculator.views.base import View
    from calculator.views.engines import engines_view, kv_in_use_view, on_engine, parallelism_view
    from calculator.views.growth import kv_bytes_per_gpu, kv_head_view, sequence_length_view, tensor_parallel_view
    from calculator.views.registry import VIEWS

__all__ = [
    "VIEWS",
    "View",
    "engines_view",
    "kv_bytes_per_gpu",
    "kv_head_view",
    "kv_in_use_view",
    "on_engine",
    "parallelism_view",
    "sequence_length_view",
    "tensor_parallel_view",
]

_AT_HOME = {
    "base": ("View",),
    "engines": ("engines_view", "kv_in_use_view", "on_engine", "parallelism_view"),
    "growth": ("kv_bytes_per_gpu", "kv_head_view", "sequence_length_view", "tensor_parallel_view"),
    "registry": ("VIEWS",),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: the answer in words needs none of the views."""
    for module, names in _AT_HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
