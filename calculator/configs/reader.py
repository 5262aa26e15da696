"""A Hugging Face ``config.json``, read into a ``ModelArchitecture`` or refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.configs.encoder_decoder import EncoderDecoder
from calculator.configs.families import ALIASES, FAMILIES, Family
from calculator.configs.keys import Keys
from calculator.configs.layers import Assembler, block_configs, trait
from calculator.configs.quantisation import formats_of
from calculator.configs.towers import tower_of
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
from calculator.reading import strict_yaml

MAX_DEPTH = 12
MAX_ENTRIES = 200_000
TEXT_PARTS = ("text_config", "llm_config", "language_config")
TOWERS = ("vision_config", "audio_config", "vision_tower_config", "speech_config")
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
    _bounded(config)
    outer, text = dict(config), _text_part(config)
    kind = text.get("model_type") or outer.get("model_type")
    family = _family(kind, assume_full_attention)
    keys = Keys(text, family.defaults)
    keys.ignore("model_type", "architectures", "_name_or_path", "torch_dtype", "dtype", *TEXT_PARTS, *TOWERS)
    assembler = EncoderDecoder(keys, family) if family.encoder else Assembler(keys, family)
    listed = family.special == "block_configs"
    if listed and isinstance(assembler, Assembler):
        layers = block_configs(assembler, keys.value("block_configs"))
    else:
        layers = assembler.layers()
    hidden, vocab = assembler.hidden, keys.count("vocab_size")
    tied = keys.flag("tie_word_embeddings") or (family.encoder is not None and family.encoder.always_tied)
    positions = keys.optional_count("max_position_embeddings")
    longest = keys.optional_count("model_max_length") or positions
    if longest is None:
        raise InvalidValueError("max_position_embeddings is missing")
    weight_dtype, kv_cache_dtype = formats_of(keys.value("quantization_config"))
    guess = f"model_type {shown(kind)} is not known: full attention, a gated MLP and two norms a layer are assumed"
    keys.assumed += [guess] if family is ASSUMED else []
    towers = {name: _tower(outer[name], outer, hidden) for name in TOWERS if outer.get(name)}
    keys.assumed += [f"{name}: its weights are not counted" for name, matrices in towers.items() if not matrices]
    experts = family.experts
    experts_per_token = keys.optional_count("num_experts_per_tok", minimum=0) if experts else None
    return ModelArchitecture(
        id="custom",
        name=name or _name(outer, str(outer.get("model_type") or kind)),
        layers=layers,
        embedding=tuple(_embedding(keys, family, assembler, vocab, positions or longest, tied)),
        end=tuple(_end(keys, family, assembler, vocab, tied)),
        needs_encoder=family.encoder is not None,
        copies_kv_heads=family.copies_kv_heads,
        num_attention_heads=assembler.heads,
        hidden_size=hidden,
        intermediate_size=0 if listed else _widest(assembler, family),
        vocab_size=vocab,
        mlp_projections=3 if assembler.gated else 2,
        num_experts_per_tok=experts_per_token or 0,
        moe_intermediate_size=(keys.optional_count(experts.width) or 0) if experts and experts_per_token else 0,
        max_position_embeddings=longest,
        torch_dtype=_torch_dtype(text, outer),
        tie_word_embeddings=tied,
        weight_dtype=weight_dtype,
        kv_cache_dtype=kv_cache_dtype,
        source=f"config.json of model_type {kind}",
        fields=config,
        model_type=ALIASES.get(kind, kind) if isinstance(kind, str) else "",
        towers=towers,
        assumed=tuple(keys.assumed),
        unverified=guess if family is ASSUMED else "",
        ignored_keys=keys.ignored(),
    )


def _widest(assembler: Assembler | EncoderDecoder, family: Family) -> int:
    return 0 if family.experts and not assembler.keys.has("intermediate_size") else assembler.dense_width()


def _family(kind: Any, assume_full_attention: bool) -> Family:
    if not isinstance(kind, str) or not kind:
        raise InvalidValueError(f"model_type is missing or not a name: {shown(kind)}")
    found = FAMILIES.get(ALIASES.get(kind, kind))
    if found is None and assume_full_attention:
        return ASSUMED
    if found is None:
        raise UnsupportedError(
            f"{unknown_name('model_type', kind, FAMILIES)}; "
            "if it is plain grouped-query attention, say assume_full_attention"
        )
    return found


def _embedding(
    keys: Keys, family: Family, assembler: Assembler | EncoderDecoder, vocab: int, longest: int, tied: bool
) -> blocks.Weights:
    if isinstance(assembler, EncoderDecoder):
        yield from assembler.embedding(vocab, tied)
        return
    hidden = assembler.hidden
    yield from blocks.linear("embedding", vocab, hidden, Sharding.COLUMNS, quantised=False)
    if family.learned_positions is not None:
        yield from blocks.vector("embedding", (longest + family.learned_positions) * hidden)
    yield from assembler.extra_embedding()
    if family.embedding_norm:
        yield from blocks.norms(hidden, 1, bias=True)
    if family.special == "norms_before":
        projected = keys.optional_count("word_embed_proj_dim")
        if projected not in (None, hidden) or not keys.flag("do_layer_norm_before"):
            raise UnsupportedError(
                "word_embed_proj_dim other than hidden_size, or norms after the layers, are not understood"
            )


def _end(keys: Keys, family: Family, assembler: Assembler | EncoderDecoder, vocab: int, tied: bool) -> blocks.Weights:
    if isinstance(assembler, EncoderDecoder):
        yield from assembler.end(vocab, tied)
        return
    hidden = assembler.hidden
    yield from blocks.norms(hidden, 1 if family.has_norm_gain else 0, assembler.norm_bias)
    head_bias = trait(keys, family.head_bias)
    if not tied:
        yield from blocks.linear("head", vocab, hidden, Sharding.COLUMNS, quantised=False)
    if head_bias:
        yield from blocks.vector("head", vocab, sharding=Sharding.COLUMNS)


def _tower(config: Any, outer: Mapping[str, Any], hidden: int) -> tuple[WeightMatrix, ...]:
    """Return the matrices of an encoder, none for one that is not understood."""
    if not isinstance(config, Mapping):
        return ()
    try:
        return tower_of(config, outer, hidden) or ()
    except CalculatorError:
        return ()


def _text_part(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part that describes the text decoder, with what only the outer part says."""
    for name in TEXT_PARTS:
        part = config.get(name)
        if isinstance(part, Mapping):
            shared = {key: config[key] for key in ("tie_word_embeddings", "quantization_config") if key in config}
            return {**shared, **part}
    return dict(config)


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


def _bounded(config: Any) -> None:
    """Refuse what is no mapping, too deep or too large, before anything is read."""
    if not isinstance(config, Mapping):
        raise InvalidValueError(f"a config.json holds a mapping of names to values, not {shown(config)}")
    stack: list[tuple[Any, int]] = [(config, 1)]
    entries = 0
    while stack:
        part, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidValueError(f"the config is nested more than {MAX_DEPTH} levels deep")
        children = part.values() if isinstance(part, Mapping) else part
        entries += len(part)
        if entries > MAX_ENTRIES:
            raise InvalidValueError(f"the config has more than {MAX_ENTRIES:,} entries")
        stack += [(child, depth + 1) for child in children if isinstance(child, Mapping | list)]


def read_config(path: Path, assume_full_attention: bool = False) -> ModelArchitecture:
    """Read a ``config.json`` from a file.

    Raises
    ------
    FileFormatError
        If the file cannot be read, is too large, or is not strict JSON.
    CalculatorError
        As ``model_from_hf_config``.
    """
    content = strict_yaml.read_text(path)
    config = parse_config(content, str(path))
    return model_from_hf_config(config, path.parent.name or path.stem, assume_full_attention)


def parse_config(content: str, name: str) -> Any:
    """Parse the text of a ``config.json``; duplicate keys, NaN and endless nesting are refused."""
    try:
        parsed = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
        return parsed
    except InvalidValueError as error:
        raise FileFormatError(f"{name}: {error}") from None
    except UnicodeEncodeError:
        raise FileFormatError(f"{name}: holds half a character, which is no text") from None
    except json.JSONDecodeError as error:
        raise FileFormatError(f"{name}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise FileFormatError(f"{name}: nested too deeply, or a number of thousands of digits") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise InvalidValueError(f"duplicate key {shown(twice)}")
    return mapping


def _no_constant(text: str) -> Any:
    raise InvalidValueError(f"{text} is not a number that JSON has")
