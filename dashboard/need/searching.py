"""The search: answers are shared by all sessions and bounded in number; one that takes long says how far it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

from streamlit.delta_generator import DeltaGenerator

import calculator
from calculator.planning.sizing.found import Found
from calculator.planning.sizing.owned import WhatRuns
from calculator.planning.sizing.reachable import reachable_goals
from dashboard.need.asking import GOALS, Asked
from dashboard.text import tell

MOST_KEPT = 96
MAX_SECONDS = 30.0
"""Where a search ends, whatever is left; what it has is shown, and it is not kept."""


class Kept:
    """The last answers by what was asked, for all sessions.

    Parameters
    ----------
    most : int
        How many are kept [-].
    """

    def __init__(self, most: int) -> None:
        self._most, self._held, self._lock = most, OrderedDict[Hashable, Any](), Lock()

    def get(self, key: Hashable, make: Callable[[], Any], keep: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the answer to a question, made where it is not held."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make()
        if keep(made):
            with self._lock:
                self._held[key] = made
                while len(self._held) > self._most:
                    self._held.popitem(last=False)
        return made


_KEPT = Kept(MOST_KEPT)


def search(asked: Asked, slot: DeltaGenerator) -> Found:
    """Return what is found; a bar in a slot says how far it is.

    Raises
    ------
    CalculatorError
        If what is asked is not possible.
    """

    def progress(tried: int, to_try: int) -> None:
        slot.progress(
            min(1.0, tried / max(1, to_try)),
            tell("Searching: {tried:,} of {to_try:,} layouts", tried=tried, to_try=to_try),
        )

    def make() -> Found:
        return calculator.size(asked.model, **asked.keywords, progress=progress, max_seconds=MAX_SECONDS)

    found: Found = _KEPT.get(asked.key, make, keep=lambda found: found.complete)
    return found


def following(found: Found, key: Hashable, make: Callable[[], Any]) -> Any:
    """Return what follows from an answer, made where it is not held."""
    return _KEPT.get(key, make, keep=lambda _: found.complete)


def goals_that_would_do(asked: Asked, found: Found) -> dict[str, float]:
    """Return goals that something would meet, by the page's names of them [ms]."""
    without = {name: value for name, value in asked.keywords.items() if name not in GOALS.values()}

    def again(gpus: list[str] | None, **goals: float) -> Found:
        return calculator.size(asked.model, **{**without, **goals, "gpus": gpus or without["gpus"]})

    goals = _KEPT.get((*asked.key, "goals"), lambda: reachable_goals(found, again))
    return {name: 1e3 * goals[keyword] for name, keyword in GOALS.items() if keyword in goals}


def what_runs(gpu: calculator.Accelerator, num_gpus: int, engine: str, min_context: int) -> WhatRuns:
    """Return what runs on GPUs that are there.

    Raises
    ------
    CalculatorError
        If what is asked is not possible.
    """
    key = ("what runs", gpu.id, gpu.memory_bytes, num_gpus, engine, min_context)
    found: WhatRuns = _KEPT.get(key, lambda: calculator.what_runs(gpu, num_gpus, engine, min_context))
    return found
