"""A log of a machine in a search: the hardware that it is of is planned by it, all other by the rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from calculator.catalogue.presets import load_gpu
from calculator.engines import engine_class
from calculator.errors import InvalidValueError
from calculator.hardware import Accelerator
from calculator.messages import Message, phrase, say
from calculator.request.calibration import Calibration, calibration_of

NAME = "calibration"


def taken_out(keywords: dict[str, Any]) -> tuple[Calibration | None, dict[str, Any]]:
    """Return the calibration among keywords of ``plan``, None for none, and the other keywords.

    Parameters
    ----------
    keywords : dict
        Keywords of ``plan`` [-].

    Returns
    -------
    tuple of Calibration or None, dict
        Both.

    Raises
    ------
    CalculatorError
        If it is no calibration.
    """
    given = keywords.get(NAME)
    return None if given is None else calibration_of(given), {
        name: value for name, value in keywords.items() if name != NAME
    }


def keywords_for(calibration: Calibration | None, engine: str, gpu: Accelerator) -> dict[str, Any]:
    """Return the keyword of ``plan`` on hardware that a log is of, none on any other.

    Parameters
    ----------
    calibration : Calibration or None
        The log of a machine [-].
    engine : str
        The engine that is planned [-].
    gpu : Accelerator
        The device that is planned [-].
    """
    return {NAME: calibration} if calibration is not None and calibration.is_of(engine, gpu) else {}


def check(calibration: Calibration | None, searched: Iterable[tuple[str, Accelerator]]) -> tuple[Message, ...]:
    """Say which of the hardware that is searched a log is of; nothing without one.

    Parameters
    ----------
    calibration : Calibration or None
        The log of a machine [-].
    searched : iterable of (str, Accelerator)
        Engines and the devices that are planned with them [-].

    Returns
    -------
    tuple of Message
        A sentence.

    Raises
    ------
    InvalidValueError
        If it is of none of them, with what it is of.
    """
    if calibration is None:
        return ()
    pairs = list(dict.fromkeys(searched))
    own = [gpu for engine, gpu in pairs if calibration.is_of(engine, gpu)]
    title = engine_class(calibration.engine).title
    if not own:
        device = load_gpu(calibration.gpu).name if calibration.gpu else "a GPU of other memory"
        raise InvalidValueError(
            say(
                "logged.calibration_which_not_searched",
                "calibration: it is of {title} on {device}, which is not searched: search that engine "
                "and device, or leave it out",
                title=title,
                device=device,
            ),
            what=NAME,
            asked=calibration.gpu,
            allowed=tuple(gpu.id for _, gpu in pairs),
        )
    rest = len(pairs) > len(own)
    return (
        say(
            "size.calibrated",
            "{gpus} with {engine} {go} by a log of such a machine{rest}",
            gpus=", ".join(dict.fromkeys(gpu.name for gpu in own)),
            engine=title,
            go=phrase("goes") if len(own) == 1 else phrase("go"),
            rest=say("size.not_calibrated", "; all else by the rules alone") if rest else "",
        ),
    )
