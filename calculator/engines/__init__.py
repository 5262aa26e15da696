"""The engines: one module each, all with the same answers; a version is data.

Nothing outside asks which engine it holds. A module is imported when its engine is first asked for.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from calculator.engines.base import Engine
from calculator.errors import InvalidValueError, shown, unknown_name

ENGINES = {
    "vllm": ("vllm", "Vllm"),
    "sglang": ("sglang", "Sglang"),
    "tensorrt-llm": ("tensorrt_llm", "TensorRtLlm"),
    "llama.cpp": ("llama_cpp", "LlamaCpp"),
}
"""The names of the engines, and the module and class of each."""


@lru_cache(maxsize=len(ENGINES))
def engine_class(name: str) -> type[Engine]:
    """Return the class of an engine, one of ``ENGINES``."""
    module, kind = ENGINES[name]
    found: type[Engine] = getattr(import_module(f"calculator.engines.{module}.rules"), kind)
    return found


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
        raise InvalidValueError(f"an engine is a name such as vllm, not {shown(name)}")
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if version is not None and not isinstance(version, str):
        raise InvalidValueError(f'engine_version must be text such as "0.33", not {shown(version)}')
    return _rules(name, version)


@lru_cache(maxsize=256)
def _rules(name: str, version: str | None) -> Engine:
    return engine_class(name).at(version)
