"""What a plan file says of a model: a name, a preset, a config, an architecture by hand, or a checkpoint's files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from calculator.architecture.decoder import custom_model
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model, model_ids, model_of_files
from calculator.errors import (
    CalculatorError,
    FileFormatError,
    InvalidValueError,
    UnsupportedError,
    shown,
    unknown_name,
)
from calculator.planning.files.plan_schema import DESCRIPTION, MODEL, MODEL_FIELDS


def stated_model(stated: Any, folder: Path) -> ModelArchitecture:
    """Build a model from what a plan file in a folder states of it.

    The id of a preset, or a mapping: the keys of a config.json; or an architecture typed by hand, a ``preset``, a
    ``config`` or a ``checkpoint``, with what is said of it beside and ``variations`` of it.
    """
    if not isinstance(stated, Mapping):
        return load_model(stated)
    if _is_config(stated):
        return _from_config(stated)
    known = MODEL.validate({name: value for name, value in stated.items() if name in MODEL_FIELDS})
    rest = {name: value for name, value in stated.items() if name not in MODEL_FIELDS}
    said = {name: known.pop(name) for name in DESCRIPTION if name in known}
    variations, guessed = known.pop("variations", {}), known.pop("assume_full_attention", False)
    if known and (rest or len(known) > 1):
        both = " beside ".join([*known, *rest][:2])
        raise InvalidValueError(f"model states {both}: a model is one of them", what="model")
    if guessed and not {"config", "checkpoint"} & {*known}:
        raise InvalidValueError("model: assume_full_attention is said of a config or a checkpoint alone", what="model")
    if "preset" in known:
        if known["preset"] not in model_ids():
            raise unknown_name("model", known["preset"], model_ids())
        model = load_model(known["preset"])
    elif "checkpoint" in known:
        model = _of_checkpoint(folder, known["checkpoint"], guessed)
    else:
        model = _from_config(known["config"], guessed) if known else custom_model(**rest)
    return replace(model, **said).varied(**variations) if said else model.varied(**variations)


def _of_checkpoint(folder: Path, named: str, assume_full_attention: bool = False) -> ModelArchitecture:
    """Read a model from the headers of a checkpoint's files, found from a folder."""
    path = folder / named
    try:
        read = model_of_files(str(path), assume_full_attention)
        if read is None and path.name.endswith(".json"):
            from calculator.configs.reader import read_config

            read = read_config(path, assume_full_attention)
    except CalculatorError as error:
        raise FileFormatError(f"model of checkpoint {shown(named)}: {error}", what="model") from None
    if read is None:
        text = f"model of checkpoint {shown(named)}: it is no folder, config.json or .gguf file"
        raise FileFormatError(text, what="model")
    return read


def _is_config(stated: Mapping[str, Any]) -> bool:
    """Whether a mapping is the content of a config.json itself."""
    nested = any(isinstance(value, Mapping) for value in stated.values())
    return "model_type" in stated or (nested and "config" not in stated and "variations" not in stated)


def _from_config(config: Mapping[str, Any], assume_full_attention: bool = False) -> ModelArchitecture:
    from calculator.configs.reader import model_from_hf_config

    return model_from_hf_config(config, assume_full_attention=assume_full_attention)


def model_entry(model: ModelArchitecture, asked: Any, folder: Path) -> Any:
    """Return what a plan file says of a model: the shortest of what gives the same model again."""
    for entry in _ways_to_say(model, asked, folder):
        try:
            if stated_model(entry, folder).is_the_same(model):
                return entry
        except CalculatorError:
            continue
    raise UnsupportedError(
        f"{model.name} cannot be written in a plan file: it is not what its preset, its config or its fields give, "
        "even with num_key_value_heads or windows varied; build it with custom_model or model_from_hf_config, or vary "
        "it with with_kv_heads, with_windows or without_windows alone; a checkpoint's files are named where the "
        "plan was made by their path"
    )


def _ways_to_say(model: ModelArchitecture, asked: Any, folder: Path) -> Iterator[Any]:
    if model.weights_from in ("headers", "index") and isinstance(asked, str):
        path = Path(os.path.relpath(asked, folder)).as_posix()
        kept = {name: what for name, what in model.variations.items() if name not in ("weights", "checkpoint_bytes")}
        yield {"checkpoint": path, **({"variations": kept} if kept else {})}
        yield {"checkpoint": path, "assume_full_attention": True}
    varied = {"variations": dict(model.variations)} if model.variations else {}
    if model.repository:
        yield model.repository
    if model.id in model_ids():
        yield model.id
        yield {"preset": model.id, **varied}
    if model.fields is None:
        return
    described = {name: value for name in DESCRIPTION if (value := getattr(model, name))}
    if not _is_config(model.fields):
        for said in ({}, {"name": model.name}, described):
            yield {**said, **model.fields, **varied}
        return
    yield dict(model.fields)
    for guessed in ({}, {"assume_full_attention": True}):
        for said in ({"name": model.name}, described):
            yield {**said, "config": model.fields, **guessed, **varied}
