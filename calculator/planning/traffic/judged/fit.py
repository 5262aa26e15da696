"""The speed figures that follow from the given rows of the table: launches by version, and ranges.

A step of a row less all its terms but the launches leaves what its launches took, a layer:
``c = (t_measured − (t − c_L L)) / L``. The figure of a version is the median of its rows, drawn towards that of its
kind as if ``PRIOR_ROWS`` more rows said so. The range of a group holds all but ``BEYOND`` of its rows at either end.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from calculator.engines.measured import architecture_kind
from calculator.engines.speeds import OTHER_LAUNCH_US
from calculator.planning.traffic.judged.accuracy import Judged, planned
from calculator.planning.traffic.timing.step import Lengths, launched_layers, step_of

PRIOR_ROWS, FEWEST_ROWS = 3, 3
BEYOND = 0.02
FITTED = ("serve",)
"""Kinds of rows that launches are fitted to: those of a running server."""


def launches() -> dict[tuple[str, str, str], float]:
    """Return microseconds a layer and step by engine, kind of architecture and version, of the given rows."""
    found = defaultdict(list)
    known = {}
    for row, plan in planned():
        version = plan.rules.speed.told_apart_by(plan.rules.asked_version)
        if row.kind not in FITTED or not row.given or not version or not plan.fits:
            continue
        count, step_s = row.decoding, row.step_s
        if count is None or step_s is None:
            continue
        kind = architecture_kind(plan.model)
        step = step_of(plan, count / plan.request.data_parallel_size, Lengths(row.prompt_tokens, row.output_tokens))
        key = plan.rules.name, kind, version
        found[key].append(1e6 * (step_s - step.seconds + step.launch_s) / launched_layers(plan.model))
        known[key] = plan.rules.speed.launch_us.get(kind, OTHER_LAUNCH_US)
    return {
        key: (len(some) * median(some) + PRIOR_ROWS * known[key]) / (len(some) + PRIOR_ROWS)
        for key, some in sorted(found.items())
        if len(some) >= FEWEST_ROWS
    }


def bands(rows: list[Judged]) -> dict[str, tuple[float, float]]:
    """Return measured over computed by group: all but a few of the rows at either end [-]."""
    ratios = defaultdict(list)
    for one in rows:
        if one.step_error is not None:
            ratios[one.group].append(1 / (1 + one.step_error))
    return {group: _inner(sorted(some)) for group, some in ratios.items()}


def _inner(ordered: list[float]) -> tuple[float, float]:
    outside = int(BEYOND * len(ordered))
    return ordered[outside], ordered[-1 - outside]
