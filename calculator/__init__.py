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

from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.decoder import custom_model
    from calculator.architecture.model import ModelArchitecture
    from calculator.catalogue.presets import gpu_ids, load_gpu, load_model, model_ids
    from calculator.configs.hub import model_from_hub
    from calculator.configs.reader import model_from_hf_config
    from calculator.engines import engine_rules
    from calculator.engines.support import Support, supports
    from calculator.errors import (
        CalculatorError,
        FileFormatError,
        InvalidValueError,
        ParallelismError,
        UnknownNameError,
        UnsupportedError,
    )
    from calculator.hardware import Accelerator
    from calculator.logs.reading import StartupLog, read_log
    from calculator.logs.reconciliation import Reconciliation, reconcile
    from calculator.planning.answer import Plan
    from calculator.planning.command import serve_command
    from calculator.planning.comparing.compare import Comparison, compare, upgrade
    from calculator.planning.files.plan_file import read_plan_file, write_plan_file
    from calculator.planning.heads.attention import attention_memory, head_sharing
    from calculator.planning.heads.claims import Claim, circulating_claims
    from calculator.planning.heads.evidence import QualityEvidence, quality_evidence
    from calculator.planning.heads.intensity import ArithmeticIntensity, arithmetic_intensity
    from calculator.planning.heads.seen.answer import NumberCheck
    from calculator.planning.heads.seen.check import explain_number
    from calculator.planning.heads.study import HeadStudy, head_study
    from calculator.planning.heads.uptraining import Uptraining, uptraining
    from calculator.planning.kv_cache import kv_cache_bytes, kv_cache_bytes_per_gpu
    from calculator.planning.plan import plan, vary
    from calculator.planning.search import Lever, levers, next_steps, smallest_fit, what_would_fit
    from calculator.planning.sizing.found import Found
    from calculator.planning.sizing.owned import WhatRuns, what_runs
    from calculator.planning.sizing.served import service
    from calculator.planning.sizing.service import Service
    from calculator.planning.sizing.size import size
    from calculator.planning.stage import Memory
    from calculator.planning.sweep.grid import sweep, sweep_arrays
    from calculator.planning.traffic.arrivals.open_arrivals import OpenArrivals, open_arrivals
    from calculator.planning.traffic.concurrency import Concurrency, concurrency
    from calculator.planning.traffic.reuse.host_tier import HostTier, host_tier
    from calculator.planning.traffic.reuse.prefixes import PrefixReuse, prefix_reuse
    from calculator.planning.traffic.tables import workload, workload_from_trace, workload_ids
    from calculator.planning.traffic.timing.speed import Speed, speed
    from calculator.planning.traffic.workload import Workload
    from calculator.request import Request
    from calculator.views.pages.report.report import report_html

__all__ = [
    "Accelerator",
    "ArithmeticIntensity",
    "CalculatorError",
    "Claim",
    "Comparison",
    "Concurrency",
    "FileFormatError",
    "Found",
    "HeadStudy",
    "HostTier",
    "InvalidValueError",
    "Lever",
    "Memory",
    "ModelArchitecture",
    "NumberCheck",
    "OpenArrivals",
    "ParallelismError",
    "Plan",
    "PrefixReuse",
    "QualityEvidence",
    "Reconciliation",
    "Request",
    "Service",
    "Speed",
    "StartupLog",
    "Support",
    "UnknownNameError",
    "UnsupportedError",
    "Uptraining",
    "WhatRuns",
    "Workload",
    "arithmetic_intensity",
    "attention_memory",
    "circulating_claims",
    "compare",
    "concurrency",
    "custom_model",
    "engine_rules",
    "explain_number",
    "gpu_ids",
    "head_sharing",
    "head_study",
    "host_tier",
    "kv_cache_bytes",
    "kv_cache_bytes_per_gpu",
    "levers",
    "load_gpu",
    "load_model",
    "model_from_hf_config",
    "model_from_hub",
    "model_ids",
    "next_steps",
    "open_arrivals",
    "plan",
    "prefix_reuse",
    "quality_evidence",
    "read_log",
    "read_plan_file",
    "reconcile",
    "report_html",
    "serve_command",
    "service",
    "size",
    "smallest_fit",
    "speed",
    "supports",
    "sweep",
    "sweep_arrays",
    "upgrade",
    "uptraining",
    "vary",
    "what_runs",
    "what_would_fit",
    "workload",
    "workload_from_trace",
    "workload_ids",
    "write_plan_file",
]

_AT_HOME = {
    "architecture.decoder": ("custom_model",),
    "architecture.model": ("ModelArchitecture",),
    "catalogue.presets": ("gpu_ids", "load_gpu", "load_model", "model_ids"),
    "configs.hub": ("model_from_hub",),
    "configs.reader": ("model_from_hf_config",),
    "engines": ("engine_rules",),
    "engines.support": ("Support", "supports"),
    "errors": (
        "CalculatorError", "FileFormatError", "InvalidValueError", "ParallelismError", "UnknownNameError",
        "UnsupportedError",
    ),
    "hardware": ("Accelerator",),
    "logs.reading": ("StartupLog", "read_log"),
    "logs.reconciliation": ("Reconciliation", "reconcile"),
    "planning.answer": ("Plan",),
    "planning.stage": ("Memory",),
    "planning.command": ("serve_command",),
    "planning.comparing.compare": ("Comparison", "compare", "upgrade"),
    "planning.traffic.arrivals.open_arrivals": ("OpenArrivals", "open_arrivals"),
    "planning.traffic.concurrency": ("Concurrency", "concurrency"),
    "planning.traffic.reuse.host_tier": ("HostTier", "host_tier"),
    "planning.traffic.reuse.prefixes": ("PrefixReuse", "prefix_reuse"),
    "planning.heads.attention": ("attention_memory", "head_sharing"),
    "planning.heads.claims": ("Claim", "circulating_claims"),
    "planning.heads.evidence": ("QualityEvidence", "quality_evidence"),
    "planning.heads.intensity": ("ArithmeticIntensity", "arithmetic_intensity"),
    "planning.heads.seen.answer": ("NumberCheck",),
    "planning.heads.seen.check": ("explain_number",),
    "planning.heads.study": ("HeadStudy", "head_study"),
    "planning.heads.uptraining": ("Uptraining", "uptraining"),
    "planning.kv_cache": ("kv_cache_bytes", "kv_cache_bytes_per_gpu"),
    "planning.plan": ("plan", "vary"),
    "planning.files.plan_file": ("read_plan_file", "write_plan_file"),
    "planning.search": ("Lever", "levers", "next_steps", "smallest_fit", "what_would_fit"),
    "planning.traffic.timing.speed": ("Speed", "speed"),
    "planning.sizing.found": ("Found",),
    "planning.sizing.owned": ("WhatRuns", "what_runs"),
    "planning.sizing.served": ("service",),
    "planning.sizing.service": ("Service",),
    "planning.sizing.size": ("size",),
    "planning.sweep.grid": ("sweep", "sweep_arrays"),
    "planning.traffic.tables": ("workload", "workload_from_trace", "workload_ids"),
    "planning.traffic.workload": ("Workload",),
    "request": ("Request",),
    "views.pages.report.report": ("report_html",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _AT_HOME.items() for name in names}
_ROOMS = (
    "architecture", "catalogue", "charts", "cli", "configs", "engines", "errors", "formats", "hardware", "logs",
    "messages", "planning", "reading", "request", "units", "views",
)  # fmt: skip
"""Rooms are used by name; what charts and views need is no part of the package's own requirements."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for, so that the package starts fast."""
    if name in _MODULE_OF:
        found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    elif name in _ROOMS:
        found = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(
            say(
                "root.module_has_no_attribute",
                "module {name!r} has no attribute {name_2!r}",
                name=__name__,
                name_2=name,
            )
        )
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List what the package offers, whether it is imported yet or not, and nothing that it is made with."""
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, *_ROOMS})
