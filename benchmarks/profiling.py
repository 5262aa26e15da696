"""Where the time goes, in a sentence, for what misses its aim."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable

from benchmarks.interpreter import run
from benchmarks.timing import duration


def costly_functions(call: Callable[[], object], count: int = 6) -> str:
    """Profile a call; name the functions with the most time of their own."""
    profile = cProfile.Profile()
    profile.runcall(call)
    stats = pstats.Stats(profile)
    total = stats.total_tt  # type: ignore[attr-defined]
    rows = sorted(
        ((entry[2], _place(where)) for where, entry in stats.stats.items()),  # type: ignore[attr-defined]
        reverse=True,
    )
    return "own time under the profiler: " + ", ".join(f"{place} {own / total:.0%}" for own, place in rows[:count])


def _place(where: tuple[str, int, str]) -> str:
    path, line, function = where
    return function if path == "~" else f"{'/'.join(path.split('/')[-2:])}:{line} {function}"


def costly_imports(statement: str, beyond: str, count: int = 8) -> str:
    """Import in fresh interpreters; name the costliest modules that ``beyond`` does not load."""
    ours, floor = _self_times(statement), _self_times(beyond)
    extra = {name: own for name, own in ours.items() if name not in floor}
    first = sorted(extra.items(), key=lambda item: -item[1])[:count]
    own = sum(time for name, time in extra.items() if name.split(".")[0] == "calculator")
    return (
        f"{len(extra)} modules beyond the floor's take {duration(sum(extra.values()))} "
        f"({duration(own)} of that the calculator's own): "
        + ", ".join(f"{name} {duration(time)}" for name, time in first)
    )


def _self_times(statement: str) -> dict[str, float]:
    """Return each imported module's own time by name [s]."""
    output = run("-X", "importtime", "-c", statement).stderr
    rows = [line.removeprefix("import time:").split("|") for line in output.splitlines() if "|" in line]
    return {name.strip(): int(own) / 1e6 for own, _, name in rows if own.strip().isdecimal()}
