"""What one start of a box logged, to plan its next one by: what it holds outside weights and estimates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, shown
from calculator.hardware import CUSTOM, MAX_BYTES, Accelerator
from calculator.messages import say, template
from calculator.reading.fields import Count, Field, Listed, Nested, text
from calculator.reading.schema import Schema
from calculator.units import GIB

MOST_BYTES = 65_536
SAME_MEMORY = 0.1
"""A device's memory as programs report it differs by less than this share from one machine to another [-]."""
MAX_RANKS, MAX_LINES = 4_096, 32
OUTSIDE, WEIGHTS = "non_torch", "weights"
"""What is held outside weights and estimates, which is of the machine, and the weights; other lines are a model's."""
_OF_LINE: dict[str, Field] = {
    "key": replace(text(40), help="the key of a line in per_gpu.lines, or weights"),
    "bytes": Count(least=0, most=MAX_BYTES, unit="bytes", help="what it took, by the log"),
    "usual_bytes": Count(least=0, most=MAX_BYTES, unit="bytes", help="what the rules expected of that start"),
    "unsure_bytes": Count(least=0, most=MAX_BYTES, unit="bytes", help="how much of it the log leaves open"),
}
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
    "gpu": replace(text(80, required=False), help="the device that it was logged on"),
    "model": replace(text(200, required=False), help="the model that was started"),
    "weight_dtype": replace(text(40, required=False), help="the format of its weights"),
    "in_use_bytes": Count(
        least=0, most=MAX_BYTES, unit="bytes", required=False, help="what of non_torch_bytes was held before loading"
    ),
    "lines": Listed(
        item=Nested(name="CalibrationLine", fields=_OF_LINE),
        least=0,
        most=MAX_LINES,
        required=False,
        help="each line of memory as logged, beside what was expected of it",
    ),
}
CALIBRATION = Schema("Calibration", CALIBRATION_FIELDS)


@dataclass(frozen=True)
class LoggedLine:
    """One line of memory of one GPU: what a start took of it, and what was expected of that start.

    Attributes
    ----------
    key : str
        Its key in ``plan.per_gpu.lines``, or ``weights``.
    bytes, usual_bytes, unsure_bytes : int
        What it took by the log, what the rules expected, and how much of the first the log leaves open [bytes].
    """

    key: str
    bytes: int
    usual_bytes: int
    unsure_bytes: int


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
    gpu, model, weight_dtype : str or None
        The device, the model and the format of its weights, None where that is not known.
    in_use_bytes : int or None
        What of ``non_torch_bytes`` was held before loading, None where the log does not say [bytes].
    lines : tuple of LoggedLine
        Each line as logged beside what was expected: a start of another set-up is planned by the difference. Without
        them ``non_torch_bytes`` stands in place of the estimate, whatever is planned.
    """

    engine: str
    engine_version: str
    non_torch_bytes: int
    gpu_memory_bytes: int | None = None
    tensor_parallel_size: int | None = None
    gpu: str | None = None
    model: str | None = None
    weight_dtype: str | None = None
    in_use_bytes: int | None = None
    lines: tuple[LoggedLine, ...] = ()

    def __str__(self) -> str:
        """Return whose log it is."""
        return f"by a log of {self.engine} {self.engine_version}"

    @property
    def grown_bytes(self) -> int:
        """What was held beyond what was in use before loading; 0 where that is not known [bytes]."""
        return 0 if self.in_use_bytes is None else self.non_torch_bytes - self.in_use_bytes

    def check(self, engine: str, device: Accelerator | None = None) -> None:
        """Refuse what it is not of.

        Parameters
        ----------
        engine : str
            The engine that is planned [-].
        device : Accelerator, optional
            The device that is planned, where its memory is not given besides [-].

        Raises
        ------
        InvalidValueError
            If it is of another engine, of another device, or of one with other memory.
        """
        if engine != self.engine:
            raise InvalidValueError(
                say(
                    "calibration.of_engine",
                    "calibration: it is of {own}, and {engine} is planned",
                    own=self.engine,
                    engine=engine,
                ),
                what="calibration",
                asked=self.engine,
                allowed=(engine,),
                nearest=engine,
            )
        if device is None:
            return
        self.check_sizes(self.gpu_memory_bytes or device.memory_bytes)
        own, other = self.gpu_memory_bytes, device.memory_bytes
        if own and abs(own - other) > SAME_MEMORY * other:
            raise InvalidValueError(
                say(
                    "calibration.of_memory",
                    "calibration: it is of a GPU of {own:.2f} GiB, and {device} with {other:.2f} GiB is planned: take "
                    "a log of that device, or give gpu_memory_bytes",
                    own=own / GIB,
                    device=device.name,
                    other=other / GIB,
                ),
                what="calibration",
                asked=own,
                nearest=other,
            )
        if self.gpu and CUSTOM not in (self.gpu, device.id) and self.gpu != device.id:
            raise InvalidValueError(
                say(
                    "calibration.of_device",
                    "calibration: it is of {gpu}, and {device} is planned: take a log of that device, or give "
                    "gpu_memory_bytes",
                    gpu=self.gpu,
                    device=device.id,
                ),
                what="calibration",
                asked=self.gpu,
                nearest=device.id,
            )

    def check_sizes(self, memory_bytes: int) -> None:
        """Refuse what no GPU of that memory can hold, as a value that was edited by hand may be.

        Parameters
        ----------
        memory_bytes : int
            The memory of one GPU [bytes].

        Raises
        ------
        InvalidValueError
            If a size, or all lines together, are more than the memory.
        """
        most = round((1 + SAME_MEMORY) * memory_bytes)
        sizes = {name: getattr(self, name) for name in ("non_torch_bytes", "in_use_bytes")}
        for line in self.lines:
            for name in ("bytes", "usual_bytes", "unsure_bytes"):
                sizes[f"lines.{line.key}.{name}"] = getattr(line, name)
        sizes["the sum of the lines"] = sum(line.bytes for line in self.lines)
        for name, size in sizes.items():
            if size is not None and size > most:
                text = template("calibration: {name} is {size:.2f} GiB, more than the {memory:.2f} GiB of the GPU")
                raise InvalidValueError(
                    say("calibration.too_large", text, name=name, size=size / GIB, memory=memory_bytes / GIB),
                    what="calibration",
                    asked=size,
                    nearest=memory_bytes,
                )

    def is_of(self, engine: str, device: Accelerator | None = None) -> bool:
        """Whether it is of an engine and a device, as ``check`` judges them."""
        try:
            self.check(engine, device)
        except InvalidValueError:
            return False
        return True

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "lines": [asdict(line) for line in self.lines]}

    def stated(self) -> dict[str, Any]:
        """Return of its values those that say something, as links and plan files have them."""
        return {name: value for name, value in self.as_dict().items() if value not in (None, [])}

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
            raise FileFormatError(
                say(
                    "calibration.cannot_read",
                    "{given}: cannot be read: {getattr}",
                    given=given,
                    getattr=getattr(error, "strerror", None) or error,
                )
            ) from None
        if len(content) > MOST_BYTES:
            raise FileFormatError(
                say(
                    "calibration.longer_than_bytes_so",
                    "{given}: longer than {most_bytes:,} bytes, and so no calibration",
                    given=given,
                    most_bytes=MOST_BYTES,
                )
            )
        try:
            given = json.loads(content)
        except (ValueError, RecursionError):
            raise FileFormatError(
                say("calibration.no_json_so_no", "{given}: no JSON, and so no calibration", given=given)
            ) from None
    if not isinstance(given, Mapping):
        raise InvalidValueError(
            say(
                "calibration.calibration_values_file_them",
                "calibration: values or a file of them, not {given}",
                given=shown(given),
            ),
            what="calibration",
        )
    try:
        read = CALIBRATION.validate({name: value for name, value in given.items() if value is not None})
        found = Calibration(**{**read, "lines": tuple(LoggedLine(**line) for line in read.get("lines", ()))})
        keys = [line.key for line in found.lines]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InvalidValueError(say("calibration.twice", "the line {key} stands there twice", key=twice))
    except CalculatorError as error:
        raise InvalidValueError(
            say("calibration.calibration", "calibration: {error}", error=error),
            what="calibration",
            asked=error.asked,
        ) from None
    if found.gpu_memory_bytes:
        found.check_sizes(found.gpu_memory_bytes)
    return found
