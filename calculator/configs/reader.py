"""A Hugging Face ``config.json``, read into a ``ModelArchitecture`` or refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.configs import families
from calculator.configs.blocks.ends import end_of
from calculator.configs.blocks.layers import Assembler
from calculator.configs.families.refused import REASONS
from calculator.configs.family import Family
from calculator.configs.hooks.encoders.with_decoder import EncoderDecoder
from calculator.configs.quantisation import schemes
from calculator.configs.quantisation.stored import as_stored
from calculator.configs.reference import wrapper_of
from calculator.configs.text_part import TEXT_PARTS, TOWERS, TextPart, text_part, towers_of
from calculator.configs.towers.matrices import tower_of
from calculator.errors import (
    CalculatorError,
    FileFormatError,
    InvalidValueError,
    UnsupportedError,
    friendly,
    shown,
    unknown_name,
)
from calculator.formats.names import TORCH
from calculator.messages import say
from calculator.reading import strict_json, strict_yaml

CONFIG, QUANTISATION = "config.json", "hf_quant_config.json"
"""The files of a checkpoint that say what the model is, and how its weights are stored where the first does not."""
ENCODERS = ("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
"""Ends of the names of classes that keep no cache; full attention is not assumed of them."""
ASSUMED = Family({"tie_word_embeddings": False})


@friendly
def model_from_hf_config(
    config: Mapping[str, Any], name: str = "", assume_full_attention: bool = False
) -> ModelArchitecture:
    """Build a model from the content of a ``config.json``.

    Parameters
    ----------
    config : mapping
        The parsed file [-].
    name : str
        What to call the model; by default its ``_name_or_path`` or its type [-].
    assume_full_attention : bool
        Whether a type that is not known, but states plain grouped-query attention and nothing else that
        bears on the cache, may be computed as such; the result says so [-].

    Returns
    -------
    ModelArchitecture
        The layers as the engines allocate them, the weights as the reference instantiates them.

    Raises
    ------
    UnsupportedError
        If the model type is not known, or a key that bears on the cache is not understood.
    InvalidValueError
        If a key is missing, of the wrong kind, out of bounds or contradictory.
    """
    config = strict_json.bounded(config)
    part = text_part(config)
    outer, text, asked = dict(part.holder), part.config, part.kind
    classes = text.get("architectures")
    for named in (config.get("model_type"), asked):
        _refuse_known(named)
    kind, family = _family(families.of_classes(classes) or asked, assume_full_attention, _encodes(text), classes)
    keys = family.keys(part, kind)
    keys.ignore("model_type", "architectures", "_name_or_path", "torch_dtype", "dtype", *TEXT_PARTS, *TOWERS)
    build = family.builder or (EncoderDecoder if family.encoder else Assembler)
    builder = build(keys, family)
    layers, hidden, vocab = builder.layers(), builder.hidden, keys.count("vocab_size")
    tied = keys.flag("tie_word_embeddings") or (family.encoder is not None and family.encoder.always_tied)
    positions = keys.optional_count("max_position_embeddings")
    longest = keys.optional_count("model_max_length") or positions
    if longest is None:
        raise InvalidValueError(
            say("reader.max_position_embeddings_missing", "max_position_embeddings is missing"),
            what="max_position_embeddings",
        )
    section = keys.value("quantization_config") or keys.value("compression_config")
    section = schemes.with_experts(section, keys.value("expert_dtype"))
    guess = _guess(asked) if family is ASSUMED else ""
    if guess:
        keys.assume("model_type", guess)
    if kind == families.of_class_named_as_a_type(classes) and not families.find(asked) and not wrapper_of(asked):
        keys.assume("model_type", _by_class(asked, classes))
    if said := _unknown_wrapper(part):
        keys.assume("wrapper", said)
    towers = {name: _tower(outer[name], outer, hidden) for name in towers_of(outer)}
    for tower in (name for name, matrices in towers.items() if not matrices):
        keys.assume(tower, say("configs.uncounted", "{name}: its weights are not counted", name=tower))
    end = tuple(builder.end(vocab, tied))
    if part.wrapper is None and not family.encoder and any(group.spec.kv_heads for group in layers):
        end = end_of(end, text, hidden)
    experts = family.experts
    experts_per_token = keys.optional_count("num_experts_per_tok", minimum=0) if experts else None
    model = ModelArchitecture(
        id="custom",
        name=name or _name(config, str(config.get("model_type") or asked)),
        layers=layers,
        embedding=tuple(builder.embedding(vocab, positions or longest, tied)),
        end=end,
        needs_encoder=family.encoder is not None,
        copies_kv_heads=family.copies_kv_heads,
        num_attention_heads=builder.heads,
        hidden_size=hidden,
        intermediate_size=builder.widest_mlp(),
        vocab_size=vocab,
        mlp_projections=3 if builder.gated else 2,
        num_experts_per_tok=experts_per_token or 0,
        moe_intermediate_size=(keys.optional_count(experts.width) or 0) if experts and experts_per_token else 0,
        max_position_embeddings=longest,
        torch_dtype=_torch_dtype(text, outer),
        tie_word_embeddings=tied,
        source=say("configs.source", "config.json of model_type {kind}", kind=asked),
        fields=config,
        model_type=kind,
        towers=towers,
        assumed=keys.assumed,
        unverified=guess,
        ignored_keys=keys.ignored(),
    )
    model, taken = as_stored(model, section)
    return replace(model, assumed=(*model.assumed, *taken)) if taken else model


def _refuse_known(kind: Any) -> None:
    """Refuse a type that is known and not read, also where what it wraps is read by itself."""
    if isinstance(kind, str) and kind in REASONS:
        raise UnsupportedError(
            say(
                "reader.model_type_known_not",
                "model_type {kind} is known and not read: it has {reasons}",
                kind=shown(kind),
                reasons=REASONS[kind],
            ),
            what="model_type",
            asked=kind,
        )


def _family(kind: Any, assume_full_attention: bool, encodes: bool, classes: object) -> tuple[str, Family]:
    """Return the type's own name and its row; those that its class is called after where the type has none."""
    if not isinstance(kind, str) or not kind:
        raise InvalidValueError(
            say("reader.model_type_missing_not", "model_type is missing or not a name: {kind}", kind=shown(kind)),
            what="model_type",
            asked=kind,
        )
    text = wrapper_of(kind).get("type")
    found = families.find(kind) or (families.find(text) if text else None)
    if found is not None:
        return found
    named = families.of_class_named_as_a_type(classes)
    if named is not None and (found := families.find(named)) is not None:
        return found
    if assume_full_attention and not encodes:
        return kind, ASSUMED
    raise UnsupportedError(
        say(
            "reader.if_plain_grouped_query",
            "{unknown_name}; if it is plain grouped-query attention, say assume_full_attention",
            unknown_name=unknown_name("model_type", kind, families.names()),
        ),
        what="model_type",
        asked=kind,
    )


def _encodes(text: Mapping[str, Any]) -> bool:
    """Whether a config is of a class that reads a text as a whole and generates none."""
    named = text.get("architectures")
    return isinstance(named, list) and any(str(name).endswith(ENCODERS) for name in named)


def _by_class(kind: object, classes: object) -> str:
    named = classes[0] if isinstance(classes, list) else classes
    return say(
        "configs.by_class",
        "model_type {kind} is not known: its class {named} is, and engines take a model by its class",
        kind=shown(kind),
        named=shown(named),
    )


def _guess(kind: object) -> str:
    return say(
        "configs.guess",
        "model_type {kind} is not known: full attention, a gated MLP and two norms a layer are assumed",
        kind=shown(kind),
    )


def _tower(config: Any, outer: Mapping[str, Any], hidden: int) -> tuple[WeightMatrix, ...]:
    """Return the matrices of an encoder, none for one that is not understood."""
    if not isinstance(config, Mapping):
        return ()
    try:
        return tower_of(config, outer, hidden) or ()
    except CalculatorError:
        return ()


def _unknown_wrapper(part: TextPart) -> str:
    """Say that what wraps a text part is not known, or that what stands beside it is not; empty where both are."""
    if part.wrapper is None or part.wrapper == part.kind:
        return _beside(part.kind) if wrapper_of(part.kind) and not towers_of(part.holder) else ""
    if wrapper_of(part.wrapper) or families.find(part.wrapper):
        return "" if towers_of(part.holder) else _beside(part.wrapper)
    return say(
        "configs.unknown_wrapper",
        "model_type {wrapper} is not known: its text part is read as {kind}, and what stands beside it is not counted",
        wrapper=shown(part.wrapper),
        kind=part.kind,
    )


def _beside(wrapper: object) -> str:
    return say("configs.beside", "what {wrapper} holds beside its text part is not counted", wrapper=shown(wrapper))


def _torch_dtype(text: Mapping[str, Any], outer: Mapping[str, Any]) -> str | None:
    for part in (text, outer):
        for key in ("torch_dtype", "dtype"):
            value = part.get(key)
            if isinstance(value, str) and value.removeprefix("torch.") in TORCH:
                return value.removeprefix("torch.")
    return None


def _name(outer: Mapping[str, Any], kind: str) -> str:
    given = outer.get("_name_or_path")
    return given[:80] if isinstance(given, str) and given else kind


def read_config(path: Path, assume_full_attention: bool = False) -> ModelArchitecture:
    """Read a ``config.json`` from a file.

    Raises
    ------
    FileFormatError
        If the file cannot be read, is too large, or is not strict JSON.
    CalculatorError
        As ``model_from_hf_config``.
    """
    config = with_quantisation(parsed(path), path.with_name(QUANTISATION) if path.name == CONFIG else None)
    return model_from_hf_config(config, path.parent.name or path.stem, assume_full_attention)


def parsed(path: Path) -> Any:
    """Return what a file of JSON holds."""
    return strict_json.parse_config(strict_yaml.read_text(path), str(path))


def with_quantisation(config: Any, beside: Path | Mapping[str, Any] | None) -> Any:
    """Return a config with the quantisation that the file beside it states, where it has none of its own.

    vLLM reads them so (``transformers_utils/config.py`` of 0.33.0).
    """
    if beside is None or not isinstance(config, Mapping) or config.get("quantization_config") is not None:
        return config
    if isinstance(beside, Path):
        beside = parsed(beside) if beside.is_file() else {}
    if not isinstance(beside, Mapping):
        raise FileFormatError(
            say(
                "reader.holds_no_mapping_names",
                "{quantisation}: holds no mapping of names to values",
                quantisation=QUANTISATION,
            )
        )
    return {**config, "quantization_config": dict(beside)} if beside else config
