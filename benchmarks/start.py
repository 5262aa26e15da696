"""How long a start takes: the import, and the command line from nothing."""

from __future__ import annotations

from benchmarks.interpreter import run
from benchmarks.profiling import costly_imports
from benchmarks.timing import Measurement, duration, in_turns, stopwatch

FLOOR = "import pydantic, yaml"
COMMAND = ("-m", "calculator", "kv", "--model", "llama-3-70b", "--seq-len", "8192")
EXPECTED = "2,684,354,560"
ROUNDS = 21

_IMPORT = "from time import perf_counter; start = perf_counter(); {}; print(perf_counter() - start)"


def import_calculator() -> Measurement:
    """Time the import statement itself, inside fresh interpreters."""
    floor, ours = in_turns(lambda: _import_seconds(FLOOR), lambda: _import_seconds("import calculator"), ROUNDS)
    return Measurement(
        name="import",
        measured="import calculator",
        floor=FLOOR,
        seconds=ours,
        floor_seconds=floor,
        aim_ratio=1.5,
        explain=lambda: costly_imports("import calculator", beyond=FLOOR),
        remark="fresh interpreters, byte code cached; the statement alone, without the interpreter's own start",
    )


def _import_seconds(statement: str) -> float:
    return float(run("-c", _IMPORT.format(statement)).stdout)


def command_line() -> Measurement:
    """Time a whole process of ``kv`` against a whole process of the imports."""
    report = run(*COMMAND).stdout
    if EXPECTED not in report:
        raise RuntimeError(f"kv printed no {EXPECTED}: {report}")
    floor, ours = in_turns(stopwatch(lambda: run("-c", FLOOR)), stopwatch(lambda: run(*COMMAND)), ROUNDS)
    return Measurement(
        name="cli",
        measured="python " + " ".join(COMMAND),
        floor=f"python -c '{FLOOR}'",
        seconds=ours,
        floor_seconds=floor,
        aim_ratio=2,
        explain=_why_command_line,
        remark="whole processes, the interpreter's start and cached byte code on both sides",
    )


def _why_command_line() -> str:
    loading = _IMPORT.format("import calculator; start = perf_counter(); calculator.load_model('llama-3-70b')")
    presets = duration(float(run("-c", loading).stdout))
    return f"reading the presets takes {presets}; " + costly_imports("import calculator.cli", beyond=FLOOR)
