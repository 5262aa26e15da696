"""How far off the answers have been, as pages need it at once: the proof's own figures, written to a table.

``python -m calculator.logs.proof.accuracy --write FILE`` computes and writes them beside its report; a test holds the
table to what is computed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from calculator.catalogue.presets import data_file
from calculator.logs.proof.tables import quantile

TABLE = "accuracy.json"
DIGITS = 6
FEWEST = 3
"""Of fewer machines than these nothing is said [-]."""


@dataclass(frozen=True)
class JudgedLog:
    """One public start-up beside its plan.

    Attributes
    ----------
    id, engine, engine_version, model, device : str
        The row, the engine and its version, the model, and the device by its id or memory.
    tensor_parallel_size : int
        Its degree [-].
    held_out : bool
        Whether no range was calibrated on it.
    reported_gib, predicted_gib, low_gib, high_gib : float or None
        The KV pool of one GPU, or of an engine that sizes none all that it takes, and the range; None where capacity is
        not compared [GiB].
    error : float or None
        Predicted over reported, less 1 [-].
    in_range, tokens_exact : bool or None
        Whether the range held, and whether the printed pool holds the printed tokens; None where not compared.
    """

    id: str
    engine: str
    engine_version: str
    model: str
    device: str
    tensor_parallel_size: int
    held_out: bool
    reported_gib: float | None = None
    predicted_gib: float | None = None
    low_gib: float | None = None
    high_gib: float | None = None
    error: float | None = None
    in_range: bool | None = None
    tokens_exact: bool | None = None


@dataclass(frozen=True)
class JudgedSpeeds:
    """How far off the computed time of a step is, of a set of public measurements.

    Attributes
    ----------
    name : str
        What the rows have in common, and which half they are.
    rows : int
        How many there are [-].
    median, nine_of_ten : float
        Errors without their sign that half and nine of ten do not exceed [-].
    held, ranged : int
        Those within their range, and those that have one [-].
    """

    name: str
    rows: int
    median: float
    nine_of_ten: float
    held: int
    ranged: int


@dataclass(frozen=True)
class JudgedCalibration:
    """How far off starts of a machine are that were predicted from another start of it.

    Attributes
    ----------
    name : str
        What the two starts share.
    pairs : int
        How many there are [-].
    plain_median, median : float
        Errors without their sign that half do not exceed, without the calibration and with it [-].
    plain_held, held : int
        Those within their range, of either [-].
    """

    name: str
    pairs: int
    plain_median: float
    median: float
    plain_held: int
    held: int


@dataclass(frozen=True)
class Proof:
    """Everything that is judged.

    Attributes
    ----------
    logs : tuple of JudgedLog
        Public start-ups that can be planned.
    machines : dict
        By engine, for each machine the median error of its starts and whether every range held.
    speeds : tuple of JudgedSpeeds
        Measured speeds of running servers.
    calibrated : tuple of JudgedCalibration
        Starts predicted from another of their machine, by what the two share; all of them last.
    """

    logs: tuple[JudgedLog, ...]
    machines: dict[str, tuple[tuple[float, bool], ...]]
    speeds: tuple[JudgedSpeeds, ...]
    calibrated: tuple[JudgedCalibration, ...]

    @property
    def compared(self) -> tuple[JudgedLog, ...]:
        """Those whose capacity is compared."""
        return tuple(one for one in self.logs if one.error is not None)

    @property
    def misses(self) -> tuple[JudgedLog, ...]:
        """Those that fell outside their range, the furthest off first."""
        return tuple(sorted((one for one in self.compared if not one.in_range), key=lambda one: -abs(one.error or 0)))


@cache
def proof() -> Proof:
    """Return the table as it was written.

    Returns
    -------
    Proof
        What was compared, and how far off it was.
    """
    held = json.loads(data_file(TABLE).read_text(encoding="utf-8"))
    machines = {engine: tuple((error, kept) for error, kept in rows) for engine, rows in held["machines"].items()}
    logs = tuple(JudgedLog(**row) for row in held["logs"])
    calibrated = tuple(JudgedCalibration(**row) for row in held["calibrated"])
    return Proof(logs, machines, tuple(JudgedSpeeds(**row) for row in held["speeds"]), calibrated)


def computed() -> Proof:
    """Return the same, compared anew.

    Returns
    -------
    Proof
        What is compared, and how far off it is.
    """
    from calculator.engines import ENGINES
    from calculator.logs.proof.foretold import by_what_is_shared
    from calculator.logs.proof.held import by_machine
    from calculator.logs.proof.speed_accuracy import served

    speeds = tuple(
        JudgedSpeeds(one.name, one.rows, _of(one.step, 0.5), _of(one.step, 0.9), *one.held)
        for one in served()
        if one.step
    )
    calibrated = tuple(
        JudgedCalibration(
            one.name,
            len(one.pairs),
            one.plain_median,
            one.median,
            sum(pair.plain_held for pair in one.pairs),
            sum(pair.held for pair in one.pairs),
        )
        for one in by_what_is_shared()
    )
    return Proof(tuple(_logs()), {engine: by_machine(engine) for engine in ENGINES}, speeds, calibrated)


def _of(errors: tuple[float, ...], share: float) -> float:
    return quantile(map(abs, errors), share)


def _logs() -> Iterator[JudgedLog]:
    from calculator.logs.proof.accuracy import comparisons

    for one in comparisons():
        if one.plan is None:
            continue
        row = one.row
        made = JudgedLog(
            one.id,
            one.engine,
            str(row.get("version", "")),
            row["model"],
            str(row.get("gpu") or (f"{row['memory_gib']} GiB" if "memory_gib" in row else "")),
            one.plan.request.tensor_parallel_size,
            not one.calibrates,
            tokens_exact=one.tokens_exact,
        )
        if one.capacity is None or not one.is_stated:
            yield made
            continue
        yield replace(
            made,
            reported_gib=one.capacity.reported_gib,
            predicted_gib=one.capacity.predicted_gib,
            low_gib=max(0.0, one.capacity.low_gib),
            high_gib=one.capacity.high_gib,
            error=one.capacity_error,
            in_range=one.in_range,
        )


def written(what: Proof) -> str:
    """Return the content of the table, a row a line.

    Parameters
    ----------
    what : Proof
        What was compared [-].

    Returns
    -------
    str
        JSON.
    """

    def lines(rows: Iterator[Any]) -> str:
        return ",\n".join(json.dumps(_rounded(row)) for row in rows)

    machines = json.dumps(_rounded(what.machines))
    logs, speeds = lines(map(asdict, what.logs)), lines(map(asdict, what.speeds))
    calibrated = lines(map(asdict, what.calibrated))
    return (
        f'{{"logs": [\n{logs}\n],\n"machines": {machines},\n"speeds": [\n{speeds}\n],\n'
        f'"calibrated": [\n{calibrated}\n]}}\n'
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items() if part is not None}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value


def write() -> None:
    """Compute and write the table into the package."""
    place = Path(__file__).parents[2] / "catalogue" / "data" / TABLE
    place.write_text(written(computed()), encoding="utf-8")
