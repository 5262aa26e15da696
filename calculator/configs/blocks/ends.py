"""What stands behind the layers where a checkpoint is no language model: a vector of a text, or its scores.

References
----------
transformers 5.23.0, ``modeling_layers.py`` ``GenericForSequenceClassification`` and ``GenericForTokenClassification``;
vLLM 0.33.0, ``model_executor/models/adapters.py``, which leaves the head unloaded. What decoders keep of a text is kept
all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculator.architecture import blocks
from calculator.architecture.limits import MAX_WIDTH
from calculator.architecture.matrices import Sharding, WeightMatrix

SCORES = {"ForSequenceClassification": False, "ForTokenClassification": True}
"""Ends of the names of classes that score a text or its tokens, and whether scores have a bias."""
GENERATES = ("LMHeadModel", "DoubleHeadsModel", "ChatModel", "ChatGLMModel")
"""Ends of the names of classes that generate, though they are called models alone."""
LABELS = 2


def end_of(end: tuple[WeightMatrix, ...], text: Mapping[str, Any], hidden: int) -> tuple[WeightMatrix, ...]:
    """Return what stands behind the layers of a decoder, by the class that its config names.

    Parameters
    ----------
    end : tuple of WeightMatrix
        What a language model has there [-].
    text : mapping
        The config [-].
    hidden : int
        Hidden size [elements].
    """
    named = text.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    scores = next((ending for ending in SCORES if name.endswith(ending)), "")
    if not scores and (not name.endswith("Model") or name.endswith(GENERATES)):
        return end
    kept = tuple(matrix for matrix in end if matrix.part != "head")
    if not scores:
        return kept
    return *kept, *blocks.linear("head", _labels(text), hidden, Sharding.COPIED, SCORES[scores], quantised=False)


def _labels(text: Mapping[str, Any]) -> int:
    names, count = text.get("id2label"), text.get("num_labels")
    stated = len(names) if isinstance(names, Mapping) else count
    return stated if type(stated) is int and 0 < stated < MAX_WIDTH else LABELS
