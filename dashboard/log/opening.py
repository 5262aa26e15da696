"""From a log to its plan: the link that opens what the log states under "Does it fit?", by what its machine holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import calculator
from calculator.catalogue.presets import all_gpu_ids
from calculator.logs.reconciliation import Reconciliation
from calculator.request import OPTIONS
from calculator.request.calibration import Calibration
from calculator.units import GIB
from dashboard import state
from dashboard.link.compare_parameters import COMPARE
from dashboard.link.heads_parameters import HEADS
from dashboard.link.need_parameters import NEED
from dashboard.link.traffic_parameters import TRAFFIC
from dashboard.log import calibrating

NAMES = {keyword: name for name, keyword in state.GIB_FIELDS.items()}
"""What the page calls a size."""
CALIBRATED = ("gpu_memory_bytes", "non_torch_bytes")
"""What a calibration says itself."""


def link_of_result(result: Reconciliation) -> dict[str, str] | None:
    """Return the link of the plan that a log states; None where a link cannot say its model."""
    plan, calibration = result.plan, result.calibration
    if plan.model.id not in calculator.model_ids():
        return None
    held = {name: parameter.default for name, parameter in state.PARAMETERS.items()}
    held |= state.held(*TRAFFIC, *NEED, *HEADS, *COMPARE)
    held |= {name: OPTIONS[name].default for name in state.PARAMETERS if name in OPTIONS}
    held |= {"model": plan.model.id, "engine_version": plan.rules.version, **_device(plan.asked)}
    for name, value in plan.asked.items():
        shown = NAMES.get(name, name) if name in OPTIONS else None
        if (
            shown not in held
            or name == "engine_version"
            or (calibration and name in CALIBRATED and "gpu" in plan.asked)
        ):
            continue
        held[shown] = _as_held(name, value, calibration)
    held[calibrating.NAME] = calibrating.written(calibration) if calibration else None
    return state.link_of(held)


def _device(asked: Mapping[str, Any]) -> dict[str, str]:
    gpu = asked.get("gpu")
    known = getattr(gpu, "id", gpu)
    return {"gpu": known if known in all_gpu_ids() else state.CUSTOM}


def _as_held(name: str, value: Any, calibration: Calibration | None) -> Any:
    """Return a keyword's value as the page holds it: bytes in GiB, mappings as text."""
    if OPTIONS[name].is_bytes:
        return None if calibration and name == "non_torch_bytes" else value / GIB
    return json.dumps(dict(value)) if isinstance(value, Mapping) else value
