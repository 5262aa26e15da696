"""From one start to a calibration: by how much each line of memory was otherwise than the rules expect.

What the log prints of a line is that line's. The rest of the difference is shared out over the lines that it does not
print, by the squares of how far each may be off to that side, as ranges add up; one that may be off twice as far as any
other has all of it. Where no line is left, it is held outside, or, where that is printed too, it is that start's own
and goes with its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

from calculator.catalogue.presets import gpu_ids
from calculator.engines import engine_log
from calculator.engines.beside.left_out import LEFT_OUT
from calculator.engines.beside.logged import started_name
from calculator.engines.overheads import ACTIVATION, LEAST_SPREAD, NON_TORCH, Overhead
from calculator.logs.reading import StartupLog
from calculator.logs.setup import kept_bytes
from calculator.planning.answer import Plan
from calculator.planning.plan import vary
from calculator.request.calibration import OUTSIDE, WEIGHTS, Calibration, LoggedLine
from calculator.units import GIB, gib_to_bytes

FAR_WIDER = 4
"""A line whose square is so many times any other's is taken for the cause alone [-]."""


def of_start(plan: Plan, log: StartupLog, more: int, asked: Mapping[str, Any]) -> Calibration:
    """Return what a start held beside what the rules expect of it.

    Parameters
    ----------
    plan : Plan
        The plan of what the log states [-].
    log : StartupLog
        What was read [-].
    more : int
        What was held more than planned, less where it is negative [bytes].
    asked : dict
        Keywords of ``plan`` that the log states [-].

    Returns
    -------
    Calibration
        The machine as that start has it.
    """
    lines = {line.line.key: line for line in plan.stage.overheads if not line.in_slack}
    found = _shared(lines, _printed(plan, log, lines), more)
    in_use = plan.request.non_torch_bytes
    usual = vary(plan, non_torch_bytes=None, calibration=None).stage.memory
    planned = {key: line.bytes for key, line in lines.items()} | {WEIGHTS: plan.stage.memory.weights_bytes}
    expected = {**planned, **{key: line.bytes for key, line in usual.lines.items()}}
    logged = [
        LoggedLine(key, max(0, planned[key] + change), expected[key], unsure) for key, (change, unsure) in found.items()
    ]
    memory, request = log.figures.get("memory_gib"), plan.request
    return Calibration(
        engine=request.engine,
        engine_version=request.engine_version,
        non_torch_bytes=next(line.bytes for line in logged if line.key == NON_TORCH.key) + _beside(lines),
        gpu_memory_bytes=gib_to_bytes(f"{memory:.4f}") if memory else asked.get("gpu_memory_bytes"),
        tensor_parallel_size=request.tensor_parallel_size,
        gpu=request.gpu if request.gpu in gpu_ids() else None,
        model=started_name(plan.model, request),
        weight_dtype=request.weight_dtype,
        in_use_bytes=in_use,
        lines=tuple(logged),
    )


def _beside(lines: Mapping[str, Overhead]) -> int:
    """Return what a value of one's own for what is held outside stands for besides [bytes]."""
    return sum(line.bytes for key, line in lines.items() if line.line.keyword == NON_TORCH.keyword and key != OUTSIDE)


def _printed(plan: Plan, log: StartupLog, lines: Mapping[str, Overhead]) -> dict[str, int]:
    """Return by how much what the log prints is otherwise than planned, by the key of its line [bytes]."""
    figures, memory = log.figures, plan.stage.memory
    found: dict[str, int] = {}
    if "activation_gib" in figures and ACTIVATION.key in lines:
        found[ACTIVATION.key] = round(figures["activation_gib"] * GIB) - lines[ACTIVATION.key].bytes
    loaded = memory.weights_bytes + memory.draft_bytes
    weighed = "weights_gib" in figures and engine_log(log.engine).weighs_tensors
    if weighed:
        more = round(figures["weights_gib"] * GIB) - loaded
        found |= {LEFT_OUT.key: more} if more > 0 and LEFT_OUT.key in lines else {WEIGHTS: more}
    outside = figures.get("non_torch_gib")
    if outside is None and "consumed_gib" in figures and (weighed or LEFT_OUT.key not in lines):
        beside = kept_bytes(memory) - memory.draft_bytes
        outside = figures["consumed_gib"] - (figures["weights_gib"] if weighed else loaded / GIB) - beside / GIB
    if outside is not None and not lines[NON_TORCH.key].given:
        found[NON_TORCH.key] = round(outside * GIB) - lines[NON_TORCH.key].bytes
    return found


def _shared(lines: Mapping[str, Overhead], printed: Mapping[str, int], more: int) -> dict[str, tuple[int, int]]:
    """Return of each line by how much it is otherwise, and how much of that stays open [bytes]."""
    rest = more - sum(printed.values())
    may_be = {
        key: (line.high - line.bytes if rest > 0 else line.bytes - line.low) ** 2
        for key, line in lines.items()
        if key not in printed and line.low < line.high
    }
    found = {NON_TORCH.key: (0, LEAST_SPREAD)} | {key: (change, LEAST_SPREAD) for key, change in printed.items()}
    total = sum(may_be.values())
    widest = max(may_be, key=lambda key: may_be[key], default="")
    alone = all(may_be[widest] >= FAR_WIDER * square for key, square in may_be.items() if key != widest)
    for key, square in may_be.items() if total else ():
        share = square / total
        part = float(key == widest) if alone else share
        found[key] = round(part * rest), round(sqrt(square * (1 - share)))
    if not total:
        last = WEIGHTS if NON_TORCH.key in printed else NON_TORCH.key
        change, unsure = found.get(last, (0, LEAST_SPREAD))
        found[last] = change + rest, unsure
    return found
