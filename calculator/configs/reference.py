"""What the reference's config classes have for keys that a config leaves out, and how its wrappers hold a text part.

The table is made by ``tests/data/make_defaults.py`` from the classes themselves; a row of ``families`` stands beside
it with keys that no class has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "reference.json"
SIZES = ("hidden_size", "intermediate_size", "vocab_size", "num_attention_heads")
"""What a config says itself; only the text part of a wrapper, saved as its difference from the class, leaves it out."""
LAYERS, EXPERTS = "num_hidden_layers", "num_experts"
"""What decides the size of a model, and is never assumed of a whole config; experts of none."""

OF_AN_ENGINE: Mapping[str, Mapping[str, Any]] = {
    "deepseek_vl_v2": {"type": "deepseek_v2"}, "deepseek_ocr": {"type": "deepseek_v2"},
    "step3_vl": {"type": "step3_text"}, "isaac": {"type": "qwen3"}, "openvla": {"type": "llama"},
}  # fmt: skip
"""Wrappers that the reference does not have, and the type of a text part that names none.

Read in vLLM 0.33.0 ``transformers_utils/configs``.
"""


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def defaults_of(kind: object) -> Mapping[str, Any]:
    """Return the defaults of a model type's own class, empty for a type that it does not have."""
    found: Mapping[str, Any] = _table()["types"].get(kind, {}) if isinstance(kind, str) else {}
    return found


def wrapper_of(kind: object) -> Mapping[str, Any]:
    """Return how a wrapper holds its text part, empty for a type that is none."""
    if not isinstance(kind, str):
        return {}
    found: Mapping[str, Any] = _table()["wrappers"].get(kind) or OF_AN_ENGINE.get(kind, {})
    return found
