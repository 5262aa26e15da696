"""The drafter that a request names: layers of the checkpoint's own, a head on the model, or a model of its own."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.architecture.draft import Draft, with_draft
from calculator.architecture.groups import LayerGroup
from calculator.architecture.layers import FullAttention
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.configs.blocks.mtp import mtp_draft
from calculator.errors import InvalidValueError, UnknownNameError, UnsupportedError
from calculator.formats.weights import weight_format
from calculator.messages import phrase, say
from calculator.request.speculation import Speculation

AUXILIARY_STATES = 3
"""Hidden states that a head of the third kind reads, where its config names no number."""
DRAFT_VOCABULARY = 32_000
"""Tokens that a head of the third kind drafts from, as its authors' checkpoints have it [-]."""


def draft_of(model: ModelArchitecture, config: Speculation | None) -> Draft | None:
    """Return the drafter of a model, None where nothing is drafted.

    Parameters
    ----------
    model : ModelArchitecture
        The model that is served [-].
    config : Speculation or None
        How tokens are drafted [-].

    Returns
    -------
    Draft or None
        Its layers and weights.

    Raises
    ------
    CalculatorError
        If the drafter is not known, or what it needs is not said.
    """
    return None if config is None else model.remember(_draft_of, config)


def served(model: ModelArchitecture, config: Speculation | None) -> ModelArchitecture:
    """Return a model with the caches of its drafter behind its own; itself where nothing is drafted.

    Parameters
    ----------
    model : ModelArchitecture
        The model that is served [-].
    config : Speculation or None
        How tokens are drafted [-].
    """
    draft = draft_of(model, config)
    return with_draft(model, draft) if draft and draft.layers else model


def _draft_of(model: ModelArchitecture, config: Speculation) -> Draft:
    method, tokens = config.method, config.num_tokens
    if method == "mtp":
        if config.get("model"):
            raise _not_known(
                "model", config["model"], phrase("layers that predict further tokens are the checkpoint's own")
            )
        return replace(mtp_draft(model, tokens), weight_dtype=_format(config))
    if tokens is None:
        raise InvalidValueError(
            say(
                "drafts.speculative_config_num_speculative",
                "speculative_config: num_speculative_tokens is missing: say how many tokens are drafted at a time",
            ),
            what="speculative_config",
        )
    if method in ("ngram", "ngram_gpu", "suffix"):
        return Draft(tokens)
    if not config.get("model"):
        raise InvalidValueError(
            f"speculative_config: model is missing: {method} needs the drafter's preset id or its config.json",
            what="speculative_config",
        )
    name = config["model"]
    made = _model(name, tokens) if method == "draft_model" else _head(model, method, name, tokens)
    return replace(made, weight_dtype=_format(config) or made.weight_dtype)


def _not_known(key: str, asked: object, why: str) -> UnsupportedError:
    return UnsupportedError(
        say("drafts.speculative_config", "speculative_config: {key_} {asked}: {why}", key_=key, asked=asked, why=why),
        what="speculative_config",
        asked=asked,
    )


def _format(config: Speculation) -> str | None:
    """Return the format of the drafter's weights that is stated, None for its own."""
    return weight_format(config["quantization"]).name if config.get("quantization") else None


def _model(name: str, tokens: int) -> Draft:
    """Return a model that drafts by itself, with its own embedding and head."""
    model = load_model(name)
    return Draft(
        num_tokens=tokens,
        layers=model.layers,
        own=(*model.embedding, *model.end),
        heads=model.num_attention_heads,
        weight_dtype=model.resolve_weight_dtype("auto"),
    )


def _head(model: ModelArchitecture, method: str, name: str, tokens: int) -> Draft:
    """Return a head on the model's hidden states: its config's where that is known, else of the model's own shape.

    References
    ----------
    vLLM 0.33.0, ``model_executor/models/llama_eagle.py`` and ``llama_eagle3.py``; ``v1/spec_decode``
    ``llm_base_proposer.py`` (embedding and head are the model's where the checkpoint has none or the same).
    """
    try:
        own = load_model(name)
    except UnknownNameError:
        own = None
    layers, assumed = (own.layers, "") if own else _one_layer(model, name)
    hidden = own.hidden_size if own else model.hidden_size
    heads = own.num_attention_heads if own else model.num_attention_heads
    embedding = tuple(blocks.linear("draft", model.vocab_size, hidden, Sharding.COLUMNS, quantised=False))
    if method == "eagle":
        join = tuple(blocks.linear("draft", hidden, 2 * hidden, Sharding.COPIED, quantised=False))
        shared = (*embedding, *embedding)
        return Draft(tokens, layers, join, shared, heads=heads, weight_dtype="bf16", assumed=assumed)
    fields = (own.fields if own else None) or {}
    drafted = fields.get("draft_vocab_size") or (own.vocab_size if own else min(DRAFT_VOCABULARY, model.vocab_size))
    states = fields.get("num_aux_hidden_states") or AUXILIARY_STATES
    join = (
        *blocks.linear("draft", hidden, states * model.hidden_size, Sharding.COPIED, quantised=False),
        *blocks.norms(hidden, 2),
        *blocks.linear("draft", int(drafted), hidden, Sharding.COLUMNS, quantised=False),
    )
    first, *rest = layers
    doubled = LayerGroup(first.spec, 1, (*first.weights, *_second_input(first, hidden)))
    rest = [replace(first, count=first.count - 1), *rest] if first.count > 1 else rest
    whole = tuple(blocks.linear("draft", model.vocab_size - int(drafted), hidden, Sharding.COLUMNS, quantised=False))
    perhaps = (*embedding, *(whole if not own and model.vocab_size > int(drafted) else ()))
    return Draft(tokens, (doubled, *rest), join, embedding, perhaps, heads, "bf16", assumed)


def _second_input(layer: LayerGroup, hidden: int) -> tuple[WeightMatrix, ...]:
    """Return what queries, keys and values of the first layer read beside the hidden state: the token."""
    split = (Sharding.COLUMNS, Sharding.KV_HEADS)
    return tuple(
        matrix
        for matrix in layer.weights
        if matrix.part == "attention" and matrix.sharding in split and matrix.inputs == hidden
    )


def _one_layer(model: ModelArchitecture, name: str) -> tuple[tuple[LayerGroup, ...], str]:
    """Return one layer of a model's own shape, as its authors make such heads, and that it is assumed."""
    group = model.layers[-1]
    plain = type(group.spec) is FullAttention and any(matrix.part == "dense MLP" for matrix in group.weights)
    if not plain or len(model.groups) > 1:
        raise _not_known(
            "model",
            name,
            f"its config is not known here, and the shape of a head on {model.name} cannot be told from its own "
            "layers; give the path of its config.json",
        )
    assumed = say(
        "drafts.assumed",
        "the drafter {name} is taken for one layer of the model's own shape in 16 bit, as its authors make them",
        name=name,
    )
    return (replace(group, count=1),), assumed
