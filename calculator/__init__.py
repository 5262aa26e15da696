"""KV-cache capacity planning: exact bytes, the engines' own rules, and a refusal where nothing is known.

>>> import calculator
>>> calculator.kv_cache_bytes("llama-3-70b", seq_len=8192, batch_size=16, kv_cache_dtype="fp16")
42949672960
>>> answer = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192)
>>> answer.fits
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from calculator.accelerator import Accelerator
from calculator.answer import Memory, Plan
from calculator.capacity import plan, vary
from calculator.decoder import custom_model
from calculator.engines import engine_rules
from calculator.errors import (
    CalculatorError,
    FileFormatError,
    InvalidValueError,
    ParallelismError,
    UnknownNameError,
    UnsupportedError,
)
from calculator.kv_cache import kv_cache_bytes, kv_cache_bytes_per_gpu
from calculator.model import ModelArchitecture
from calculator.presets import gpu_ids, load_gpu, load_model, model_ids
from calculator.request import Request
from calculator.sweep import sweep, sweep_arrays

if TYPE_CHECKING:
    from calculator import charts, engine_charts, engine_views, views  # noqa: F401
    from calculator.hf_config import model_from_hf_config
    from calculator.hub import model_from_hub
    from calculator.plan_file import read_plan_file, write_plan_file
    from calculator.reconciliation import Reconciliation, reconcile
    from calculator.search import Lever, levers, next_steps, smallest_fit, what_would_fit
    from calculator.serve import serve_command
    from calculator.startup_log import StartupLog, read_log

__all__ = [
    "Accelerator",
    "CalculatorError",
    "FileFormatError",
    "InvalidValueError",
    "Lever",
    "Memory",
    "ModelArchitecture",
    "ParallelismError",
    "Plan",
    "Reconciliation",
    "Request",
    "StartupLog",
    "UnknownNameError",
    "UnsupportedError",
    "custom_model",
    "engine_rules",
    "gpu_ids",
    "kv_cache_bytes",
    "kv_cache_bytes_per_gpu",
    "levers",
    "load_gpu",
    "load_model",
    "model_from_hf_config",
    "model_from_hub",
    "model_ids",
    "next_steps",
    "plan",
    "read_log",
    "read_plan_file",
    "reconcile",
    "serve_command",
    "smallest_fit",
    "sweep",
    "sweep_arrays",
    "vary",
    "what_would_fit",
    "write_plan_file",
]

_IMPORTED_LATER = {
    "calculator.hf_config": ("model_from_hf_config",),
    "calculator.hub": ("model_from_hub",),
    "calculator.reconciliation": ("Reconciliation", "reconcile"),
    "calculator.serve": ("serve_command",),
    "calculator.startup_log": ("StartupLog", "read_log"),
    "calculator.plan_file": ("read_plan_file", "write_plan_file"),
    "calculator.search": ("Lever", "levers", "next_steps", "smallest_fit", "what_would_fit"),
}
_ROOMS = ("charts", "engine_charts", "engine_views", "views")
"""Modules that are used by name; what they need is no part of the package's own requirements."""


def __getattr__(name: str) -> Any:
    """Import what many sessions never use when it is first asked for, so that the package starts fast."""
    for module, names in _IMPORTED_LATER.items():
        if name in names:
            return getattr(import_module(module), name)
    if name in _ROOMS:
        return import_module(f"calculator.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is imported later beside what is there."""
    return sorted({*globals(), *__all__, *_ROOMS})
