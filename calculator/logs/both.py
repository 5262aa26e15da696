"""Which model on which GPU a log may be of, where it names neither: one question, by what its figures allow."""

from __future__ import annotations

from collections.abc import Iterator

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import gpu_ids, load_gpu, load_model
from calculator.engines import engine_log
from calculator.errors import CalculatorError
from calculator.logs.compared import compare
from calculator.logs.implied import likely, sized
from calculator.logs.names import gpu_of
from calculator.logs.questions import Question, nearest
from calculator.logs.reading import StartupLog
from calculator.messages import say
from calculator.units import GIB

MOST_MODELS, MOST_PAIRS = 12, 40
LEAST_BESIDE_GIB, MOST_BESIDE_GIB = 0.3, 16.0
"""Activations, graphs and what is outside the allocator take so much at least and at most [GiB]."""
LEAST_FRACTION = 0.8
"""No engine takes less of a device by default [-]."""


def ask_for_both(log: StartupLog) -> Question | None:
    """Return the question for model and GPU together, by the pairs whose plan has what the log prints.

    Parameters
    ----------
    log : StartupLog
        A log that names no model that is known [-].

    Returns
    -------
    Question or None
        Its ``pairs`` are what the log allows, the nearest first; None where the log names its device, where the
        engine sizes no pool, or where its figures allow too many models or none.
    """
    if not engine_log(log.engine).sizes_pool or _names_a_device(log):
        return None
    models = likely(log.flags, log.figures) or sized(log.flags, log.figures)
    if not 0 < len(models) <= MOST_MODELS:
        return None
    off = {(model, gpu): error for model in models for gpu, error in _on(log, load_model(model))}
    pairs = tuple(sorted(nearest(off), key=lambda pair: off[pair]))[:MOST_PAIRS]
    if not pairs:
        return None
    text = say("logs.missing.both", "which model was it, and on which GPU? The log says neither")
    return Question("model", text, tuple(dict.fromkeys(model for model, _ in pairs)), pairs)


def _names_a_device(log: StartupLog) -> bool:
    named, memory = str(log.flags.get("device", "")), log.figures.get("memory_gib")
    return memory is not None or len(log.flags.get("devices_beside", ())) == 1 or gpu_of(named, memory) is not None


def _on(log: StartupLog, model: ModelArchitecture) -> Iterator[tuple[str, float]]:
    """Yield the GPUs on which a model has the capacity that a log prints, and how far off it is [-]."""
    try:
        without = compare(log, model, None, {})
    except CalculatorError:
        return
    reported = without.reported_gib
    if not reported:
        return
    taken = log.figures.get("weights_gib", without.plan.per_gpu.weights_bytes / GIB) + reported
    fraction = log.flags.get("gpu_memory_utilization")
    low = (taken + LEAST_BESIDE_GIB) / (fraction or 1.0)
    high = (taken + MOST_BESIDE_GIB) / (fraction or LEAST_FRACTION)
    choices = {key for ids in log.flags.get("devices_beside", ()) for key in ids} or gpu_ids()
    for gpu in choices:
        if not low <= load_gpu(gpu).memory_bytes / GIB <= high:
            continue
        try:
            found = compare(log, model, gpu, {})
        except CalculatorError:
            continue
        if found.off_by is not None and found.holds_what_is_printed and found.runs_on(gpu):
            yield gpu, found.off_by
