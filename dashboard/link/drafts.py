"""How tokens are drafted, as a page and a link have it: JSON in vLLM's own keys."""

from __future__ import annotations

from typing import Any

import calculator
from calculator.reading.strict_json import bounded, parse_config
from calculator.request.speculation import checked

MODELS_OF_THEIR_OWN = ("draft_model", "eagle", "eagle3")


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
    if name is not None and (not isinstance(name, str) or name.endswith(".json")):
        raise calculator.InvalidValueError("speculative_config: name a model by its preset id, not by a file")
    return asked


def parameter(text: str) -> str:
    """Return the same text, checked."""
    read(text)
    return text
