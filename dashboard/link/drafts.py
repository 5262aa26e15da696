"""How tokens are drafted, as a page and a link have it: JSON in vLLM's own keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import calculator
from calculator.messages import say
from calculator.reading.strict_json import bounded, parse_config
from calculator.request.speculation import checked

_REPOSITORY = re.compile(r"[A-Za-z0-9_-][\w.-]{0,95}/[A-Za-z0-9_-][\w.-]{0,95}")


def read(text: str) -> dict[str, Any]:
    """Return the mapping that a text holds.

    Raises
    ------
    CalculatorError
        If it is none, its way to draft is not known, or it would make the server read a file.
    """
    asked = dict(bounded(parse_config(text, "speculative_config")))
    config = checked(asked)
    name = config.get("model")
    if name is not None and not _names_a_model(name):
        raise calculator.InvalidValueError(
            say(
                "drafts.speculative_config_name_model",
                "speculative_config: name a model by its preset id, not by a file",
            )
        )
    return asked


def _names_a_model(name: object) -> bool:
    """Whether it is a preset's id or what a repository may be called, and no file here."""
    if not isinstance(name, str) or name in calculator.model_ids():
        return isinstance(name, str)
    is_file = name.endswith((".json", ".gguf", ".safetensors")) or Path(name).exists()
    return bool(_REPOSITORY.fullmatch(name)) and not is_file


def parameter(text: str) -> str:
    """Return the same text, checked."""
    read(text)
    return text
