"""What one start of a box logged, to plan its next one by: what it holds outside weights and estimates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, shown
from calculator.hardware import MAX_BYTES, Accelerator
from calculator.reading.fields import Count, Field, text
from calculator.reading.schema import Schema
from calculator.units import GIB

MOST_BYTES = 65_536
SAME_MEMORY = 0.1
"""A device's memory as programs report it differs by less than this share from one machine to another [-]."""
MAX_RANKS = 4_096
CALIBRATION_FIELDS: dict[str, Field] = {
    "engine": replace(text(80), help="the engine that logged"),
    "engine_version": replace(text(40), help="the version whose rules the log was set beside"),
    "non_torch_bytes": Count(
        least=0, most=MAX_BYTES, unit="bytes", help="what one GPU holds besides weights, activations and graphs"
    ),
    "gpu_memory_bytes": Count(
        least=1, most=MAX_BYTES, unit="bytes", required=False, help="the memory of one GPU as the log prints it"
    ),
    "tensor_parallel_size": Count(
        least=1, most=MAX_RANKS, unit="-", required=False, help="ranks that shared a layer where it was logged"
    ),
}
CALIBRATION = Schema("Calibration", CALIBRATION_FIELDS)


@dataclass(frozen=True)
class Calibration:
    """What a machine and an engine hold, as a start-up log of theirs says.

    Attributes
    ----------
    engine : str
        The engine.
    engine_version : str
        The version whose rules the log was set beside.
    non_torch_bytes : int
        What the pool leaves besides weights and the estimates of activations and graphs, of one GPU [bytes].
    gpu_memory_bytes : int or None
        The memory that the log prints, None where it prints none [bytes].
    tensor_parallel_size : int or None
        Ranks that shared a layer, None where that is not known [-].
    """

    engine: str
    engine_version: str
    non_torch_bytes: int
    gpu_memory_bytes: int | None = None
    tensor_parallel_size: int | None = None

    def keywords(self, engine: str, device: Accelerator | None = None) -> dict[str, int]:
        """Return it as keywords of ``plan``.

        Parameters
        ----------
        engine : str
            The engine that is planned [-].
        device : Accelerator, optional
            The device that is planned, where its memory is not given besides [-].

        Returns
        -------
        dict
            Memory of the device where it is known, and what is held [bytes].

        Raises
        ------
        InvalidValueError
            If it is of another engine, or of a device with other memory.
        """
        if engine != self.engine:
            raise InvalidValueError(
                f"calibration: it is of {self.engine}, and {engine} is planned",
                what="calibration",
                asked=self.engine,
                allowed=(engine,),
                nearest=engine,
            )
        if device is not None and self.gpu_memory_bytes:
            own, other = self.gpu_memory_bytes, device.memory_bytes
            if abs(own - other) > SAME_MEMORY * other:
                raise InvalidValueError(
                    f"calibration: it is of a GPU of {own / GIB:.2f} GiB, and {device.name} with {other / GIB:.2f} GiB "
                    "is planned: take a log of that device, or give gpu_memory_bytes",
                    what="calibration",
                    asked=own,
                    nearest=other,
                )
        known = {"non_torch_bytes": self.non_torch_bytes}
        return known | ({"gpu_memory_bytes": self.gpu_memory_bytes} if self.gpu_memory_bytes else {})

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Write it to a file, as JSON."""
        Path(path).write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")


def calibration_of(given: Calibration | Mapping[str, Any] | str | Path) -> Calibration:
    """Return a calibration, from its values or from its file.

    Parameters
    ----------
    given : Calibration, mapping, str or Path
        It, its values or the path of its file [-].

    Returns
    -------
    Calibration
        It.

    Raises
    ------
    CalculatorError
        If it is none, or the file cannot be read.
    """
    if isinstance(given, Calibration):
        return given
    if isinstance(given, str | Path):
        try:
            with Path(given).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{given}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if len(content) > MOST_BYTES:
            raise FileFormatError(f"{given}: longer than {MOST_BYTES:,} bytes, and so no calibration")
        try:
            given = json.loads(content)
        except (ValueError, RecursionError):
            raise FileFormatError(f"{given}: no JSON, and so no calibration") from None
    if not isinstance(given, Mapping):
        raise InvalidValueError(f"calibration: values or a file of them, not {shown(given)}", what="calibration")
    try:
        return Calibration(**CALIBRATION.validate({name: value for name, value in given.items() if value is not None}))
    except CalculatorError as error:
        raise InvalidValueError(f"calibration: {error}", what=error.what or "calibration", asked=error.asked) from None
