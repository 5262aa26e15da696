"""Lines of memory as a log of the machine has them: what carries over to the start that is planned, and how surely.

    outside = usual + (logged − usual where it was logged)          any model on that engine, device and as many ranks
                                                                    or more
    line    = usual × logged / usual where it was logged            the same model, while the two are alike
              usual + (logged − usual where it was logged)          the same model, where they are far apart

What is usual is the estimate of the rules. Of another version or number of ranks the differences carry over and the
ranges stay as wide as they are without a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.catalogue.presets import load_gpu
from calculator.engines import engine_rules
from calculator.engines.beside.left_out import LEFT_OUT
from calculator.engines.overheads import LEAST_SPREAD, LINE_KEYS, NON_TORCH, Overhead
from calculator.errors import CalculatorError, InvalidValueError, unknown_name
from calculator.formats.weights import weight_format
from calculator.hardware import CUSTOM
from calculator.messages import Message, Unsaid, say
from calculator.request.calibration import OUTSIDE, WEIGHTS, Calibration, LoggedLine
from calculator.units import GIB

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.request import Request

KEYWORD = NON_TORCH.keyword
ALIKE = 0.5, 1.5
"""An estimate so many times off is off by a factor; one further off lacks what does not grow with it [-]."""
FROM_START_TO_START = 0.25
"""The share of a range that one start of a machine does not tell of its next [-]."""
VARIES_BYTES = GIB
"""What is known no better than this is of what else runs: the next start may hold any of it [bytes]."""


def check_names(calibration: Calibration) -> None:
    """Refuse a calibration whose version, device, format or lines have a name that nothing has.

    Parameters
    ----------
    calibration : Calibration
        It [-].

    Raises
    ------
    InvalidValueError
        If there is such a name.
    """
    form = calibration.weight_dtype
    try:
        engine_rules(calibration.engine, calibration.engine_version)
        if calibration.gpu:
            load_gpu(calibration.gpu)
        if form and " " not in form:  # a format that is not known is said in words
            weight_format(form)
        for line in calibration.lines:
            if line.key not in (*LINE_KEYS, WEIGHTS):
                raise unknown_name("line", line.key, (*LINE_KEYS, WEIGHTS))
    except CalculatorError as error:
        raise InvalidValueError(
            say("calibration.calibration", "calibration: {error}", error=error),
            what="calibration",
            asked=error.asked,
            nearest=error.nearest,
        ) from None


def as_logged(
    lines: tuple[Overhead, ...], model: ModelArchitecture, request: Request, calibration: Calibration | None
) -> tuple[Overhead, ...]:
    """Return the lines of one GPU by a log of its machine, where there is one; what the user gives stays.

    Parameters
    ----------
    lines : tuple of Overhead
        The lines as they are without a log [bytes].
    model : ModelArchitecture
        The model that is planned [-].
    request : Request
        What is asked [-].
    calibration : Calibration or None
        The machine as a log of it has it [-].

    Returns
    -------
    tuple of Overhead
        The same lines, each with what carries over.
    """
    if calibration is None:
        return lines
    if not calibration.lines:
        return tuple(_outright(line, calibration) for line in lines)
    known = {line.key: line for line in calibration.lines}
    is_own = is_of_model(calibration, model, request)
    weights = known.get(WEIGHTS) if _carries(WEIGHTS, calibration, request, is_own) else None
    return tuple(
        _as_logged(line, known[line.line.key], calibration, request, weights, is_own)
        if line.line.key in known and not line.given and _carries(line.line.key, calibration, request, is_own)
        else line
        for line in lines
    )


def started_name(model: ModelArchitecture, request: Request) -> str:
    """Return what tells a model from others: its id, or its size where it is none that an id stands for."""
    if request.model != CUSTOM:
        return request.model
    return f"{CUSTOM}: {model.num_parameters} parameters in {model.num_layers} layers"


def is_of_model(calibration: Calibration, model: ModelArchitecture, request: Request) -> bool:
    """Whether it is a start of the model that is planned."""
    return calibration.model is not None and calibration.model == started_name(model, request)


def is_of_setup(calibration: Calibration, request: Request) -> bool:
    """Whether it is of the version and the ranks that are planned."""
    ranks = calibration.tensor_parallel_size or request.tensor_parallel_size
    return (calibration.engine_version, ranks) == (request.engine_version, request.tensor_parallel_size)


def _outright(line: Overhead, calibration: Calibration) -> Overhead:
    """Return a line by a calibration that says one figure alone."""
    if line.line.keyword != KEYWORD or line.given:
        return line
    held = calibration.non_torch_bytes if line.line.key == OUTSIDE else 0  # it stands for all lines of its keyword
    return line._replace(bytes=held, low=held, high=held, words=Unsaid(_source, (held - line.bytes,)))


def _carries(key: str, calibration: Calibration, request: Request, is_own: bool) -> bool:
    if key == OUTSIDE:  # ranks hold buffers for each other: what many have more, few need not have
        return (calibration.tensor_parallel_size or 1) <= request.tensor_parallel_size
    if key in (LEFT_OUT.key, WEIGHTS) and calibration.weight_dtype != request.weight_dtype:
        return False
    return is_own


def _as_logged(
    line: Overhead,
    logged: LoggedLine,
    calibration: Calibration,
    request: Request,
    weights: LoggedLine | None,
    is_own: bool,
) -> Overhead:
    """Return a line that carries over; what the weights were more is held beside what is outside."""
    usual, low, high = line.bytes, line.bytes - line.low, line.high - line.bytes
    more = logged.bytes - logged.usual_bytes
    is_outside = line.line.key == OUTSIDE
    if not is_outside and logged.usual_bytes and ALIKE[0] <= logged.bytes / logged.usual_bytes <= ALIKE[1]:
        more = round(usual * more / logged.usual_bytes)
    held = max(0, usual + more)
    if is_outside and weights is not None:
        shared = (calibration.tensor_parallel_size or 1) / request.tensor_parallel_size
        held = max(0, held + round(shared * (weights.bytes - weights.usual_bytes)))
    if is_of_setup(calibration, request):
        if is_outside:
            wide = max(low, high)
            left = wide if wide > VARIES_BYTES else FROM_START_TO_START * wide
            if not is_own:
                left = max(left, logged.unsure_bytes)
            low = high = max(LEAST_SPREAD, round(left))
        else:  # what is sure is what the start that was logged had of it
            larger = max(usual, logged.usual_bytes)
            changed = abs(usual - logged.usual_bytes) / larger if larger else 0.0
            low, high = round(changed * low), round(changed * high)
    words = Unsaid(_source, (held - usual,))
    return line._replace(bytes=held, low=max(0, held - low), high=held + high, words=words)


def _source(more: int) -> Message:
    return say("overheads.logged", "{more:+.2f} GiB by a log of this machine", more=more / GIB)
