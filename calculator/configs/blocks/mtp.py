"""Layers that predict further tokens (MTP), by model type: how many a checkpoint has, and what one is made of.

An engine loads them for speculation alone; they are not among a model's own layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from calculator.architecture import blocks
from calculator.architecture.draft import Draft
from calculator.architecture.groups import LayerGroup
from calculator.architecture.latent import LatentAttention
from calculator.architecture.matrices import Sharding
from calculator.architecture.model import ModelArchitecture
from calculator.errors import UnsupportedError
from calculator.messages import say


@dataclass(frozen=True, slots=True)
class Mtp:
    """What one layer that predicts further tokens is made of.

    Attributes
    ----------
    key : str
        The key that counts the layers; one where a config leaves it out.
    parts : tuple of str
        Which layers of the model it is like: its ``last``, its last of ``full`` attention, its ``first``, or its last
        of ``experts``.
    norms : int
        Norms of the hidden size beside those of such layers [-].
    splits_join : bool
        Whether what joins the token and the hidden state is split over ranks, and quantised.
    """

    key: str = "num_nextn_predict_layers"
    parts: tuple[str, ...] = ("last",)
    norms: int = 3
    splits_join: bool = False


_HYBRID = Mtp(parts=("full",), splits_join=True)
# vLLM 0.33.0 config/speculative.py hf_config_override, model_executor/models/deepseek_mtp.py, glm4_moe_mtp.py,
# mimo_mtp.py, ernie_mtp.py, qwen3_next_mtp.py, qwen3_5_mtp.py, nemotron_h_mtp.py
_ROWS = (
    (("deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe", "glm4_moe_lite", "mimo"), Mtp()),
    (("ernie4_5_moe",), Mtp(parts=("first",), norms=2)),
    (("qwen3_next",), _HYBRID),
    (
        ("qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"),
        replace(_HYBRID, key="mtp_num_hidden_layers"),
    ),
    (("nemotron_h",), Mtp(parts=("full", "experts"))),
)
MTP: Mapping[str, Mtp] = {name: row for names, row in _ROWS for name in names}
"""Model types whose layers that predict further tokens are known."""


def mtp_draft(model: ModelArchitecture, num_tokens: int | None) -> Draft:
    """Return the drafter that a checkpoint's own layers make.

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    num_tokens : int or None
        Tokens that are drafted at a time; one a layer by default [-].

    Raises
    ------
    UnsupportedError
        If such layers of the model type are not known, or the checkpoint has none.
    """
    stated = _stated(model)
    model_type = str(stated.get("model_type") or model.model_type)
    row = MTP.get(model_type) or MTP.get(model.model_type)
    if row is None:
        raise UnsupportedError(
            say(
                "mtp.speculative_config_layers_predict",
                "speculative_config: layers that predict further tokens (mtp) are not known for {name}, "
                "of the type {model_type}; they are for {names}",
                name=model.name,
                model_type=model_type or say("mtp.typed_by_hand", "typed by hand"),
                names=", ".join(MTP),
            ),
            what="speculative_config",
            asked="mtp",
            allowed=tuple(MTP),
        )
    count = stated.get(row.key, 1)
    if type(count) is not int or count < 1:
        raise UnsupportedError(
            say(
                "mtp.speculative_config_has_no",
                "speculative_config: {name} has no layers that predict further tokens ({key_} {count})",
                name=model.name,
                key_=row.key,
                count=count,
            ),
            what="speculative_config",
            asked="mtp",
        )
    hidden = model.hidden_size
    join = Sharding.COLUMNS if row.splits_join else Sharding.COPIED
    joined = blocks.linear("draft", hidden, 2 * hidden, join, quantised=row.splits_join)
    own = (*joined, *blocks.norms(hidden, row.norms))
    return Draft(
        num_tokens=num_tokens or count,
        layers=tuple(replace(_like(model, part), count=count) for part in row.parts),
        own=own * count if not row.splits_join else own,
        shared=(*model.embedding[:1], *(model.embedding[:1] if model.tie_word_embeddings else model.end[-1:])),
        heads=model.num_attention_heads,
    )


def _stated(model: ModelArchitecture) -> Mapping[str, Any]:
    """Return the keys of the config that a model was built from, those of its text part above the rest."""
    fields = model.fields or {}
    inner = fields.get("text_config")
    return {**fields, **(inner if isinstance(inner, Mapping) else {})}


def _like(model: ModelArchitecture, part: str) -> LayerGroup:
    """Return the layer of a model that a predicting layer is like."""
    return next(_candidates(model, part), model.layers[-1])


def _candidates(model: ModelArchitecture, part: str) -> Iterator[LayerGroup]:
    if part == "first":
        yield model.layers[0]
    for group in reversed(model.layers):
        spec = group.spec
        if isinstance(spec, LatentAttention) and spec.shares_index:
            continue
        experts = any(matrix.part == "experts" for matrix in group.weights)
        attends = spec.kv_heads > 0
        if part == "last" or (part == "full" and attends) or (part == "experts" and experts and not attends):
            yield group
