"""The engines: a folder each with the same few files, all with the same answers; a version is data.

Nothing outside asks which engine it holds. A file is imported when it is first asked for.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from calculator.engines.base import Engine
from calculator.errors import InvalidValueError, friendly, shown, unknown_name
from calculator.messages import joined, say

if TYPE_CHECKING:
    from calculator.engines.command import Command
    from calculator.engines.log import Log
    from calculator.engines.speeds import Speeds
    from calculator.engines.support import Formats

ENGINES = {
    "vllm": ("vllm", "Vllm"),
    "sglang": ("sglang", "Sglang"),
    "tensorrt-llm": ("tensorrt_llm", "TensorRtLlm"),
    "llama.cpp": ("llama_cpp", "LlamaCpp"),
}
"""The names of the engines, and the folder and class of each."""
DEFAULT_ENGINE = next(iter(ENGINES))


@lru_cache(maxsize=len(ENGINES))
def engine_class(name: str) -> type[Engine]:
    """Return the class of an engine, one of ``ENGINES``."""
    found: type[Engine] = getattr(_file(name, "rules"), ENGINES[name][1])
    return found


def engine_command(name: str) -> Command:
    """Return the words of an engine's command line, one of ``ENGINES``."""
    words: Command = _file(name, "command").COMMAND
    return words


def engine_log(name: str) -> Log:
    """Return what an engine prints at start-up, one of ``ENGINES``."""
    words: Log = _file(name, "log").LOG
    return words


def engine_speed(name: str) -> Speeds:
    """Return what a step of an engine costs besides bytes and FLOPs."""
    figures: Speeds = _file(name, "speed").SPEED
    return figures


def engine_support(name: str) -> Formats:
    """Return what formats an engine runs on which devices, one of ``ENGINES``."""
    formats: Formats = _file(name, "support").SUPPORT
    return formats


@cache
def _file(name: str, topic: str) -> Any:
    return import_module(f"calculator.engines.{ENGINES[name][0]}.{topic}")


def titles() -> str:
    """Return the engines' titles as a list in words."""
    *most, final = (engine_class(name).title for name in ENGINES)
    return joined(" or ", [joined(", ", most), final])


@friendly
def engine_rules(name: str, version: str | None = None) -> Engine:
    """Return an engine's rules at a version, by default the newest known.

    Parameters
    ----------
    name : str
        One of ``ENGINES`` [-].
    version : str, optional
        A version such as ``0.19`` or ``0.19.1``, a build such as ``b4321`` for llama.cpp [-].

    Returns
    -------
    Engine
        The rules; their ``note`` says so where another version's are used.

    Raises
    ------
    UnknownNameError
        If there is no such engine.
    InvalidValueError
        If the version is none.
    """
    if not isinstance(name, str):
        raise InvalidValueError(
            say(
                "engines.engine_name_such_not",
                "an engine is a name such as {default_engine}, not {name}",
                default_engine=DEFAULT_ENGINE,
                name=shown(name),
            ),
            what="engine",
            asked=name,
        )
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if version is not None and not isinstance(version, str):
        raise InvalidValueError(
            say(
                "engines.engine_version_must_text",
                'engine_version must be text such as "0.33", not {version}',
                version=shown(version),
            ),
            what="engine_version",
            asked=version,
        )
    return _rules(name, version)


@lru_cache(maxsize=256)
def _rules(name: str, version: str | None) -> Engine:
    return engine_class(name).at(version)
