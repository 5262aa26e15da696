"""Models and GPUs from the project's own strict YAML files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, lru_cache
from operator import eq
from pathlib import Path
from typing import Any

from calculator.architecture.decoder import ARCHITECTURE_FIELDS, build_decoder
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.gpu_names import candidates
from calculator.catalogue.model_names import Alias, meaning, read_names
from calculator.catalogue.parts.table import parts
from calculator.catalogue.preset_file import PresetFile
from calculator.errors import FileFormatError, InvalidValueError, UnknownNameError, friendly, shown, unknown_name
from calculator.hardware import CUSTOM, Accelerator, program_memory
from calculator.messages import phrase, say
from calculator.reading.fields import Field, count, flag, mapping, names, number, text
from calculator.reading.schema import Schema

_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE / "data", _PACKAGE.parents[1])
_FILES = {
    "MODEL_FILE": "model_presets.yaml",
    "GPU_FILE": "gpu_presets.yaml",
    "MORE_GPUS_FILE": "gpu_presets_more.yaml",
    "MODEL_NAMES_FILE": "model_names.csv",
    "STARTUP_FIGURES": "startup_figures.csv",
}


def data_file(name: str) -> Path:
    """Return the path of one of the project's own tables, in the package or beside it.

    Raises
    ------
    FileFormatError
        If it is in neither; both places are named.
    """
    for place in _PLACES:
        if (place / name).is_file():
            return place / name
    looked = " nor ".join(str(place) for place in _PLACES)
    raise FileFormatError(
        say(
            "presets.missing_neither_install_package",
            "{name} is missing: it is in neither {looked}; install the package whole",
            name=name,
            looked=looked,
        )
    )


def __getattr__(name: str) -> Path:
    """Find a table when it is first asked for."""
    if name in _FILES:
        return data_file(_FILES[name])
    raise AttributeError(
        say(
            "presets.module_has_no_attribute", "module {name!r} has no attribute {name_2!r}", name=__name__, name_2=name
        )
    )


MOST_CHOICES = 8
"""Choices that a message names."""
BY_MEMORY = phrase(
    "any other is described by its memory alone: gpu_memory_bytes, or --gpu-memory-gib on the command line"
)
EXPECTATION_FIELDS = ("num_parameters", "num_active_parameters", "kv_bytes_per_token_fp16")

_DESCRIPTION: dict[str, Field] = {
    "name": text(80),
    "huggingface_id": text(120, required=False),
    "family": text(40),
    "num_parameters": count(10**15),
    "num_active_parameters": count(10**15),
    "kv_bytes_per_token_fp16": count(10**12),
    "source": text(400),
    "unverified": text(200, required=False),
    "checked": text(10),
}
MODEL_FIELDS = {**_DESCRIPTION, "model_type": text(40, required=False), **ARCHITECTURE_FIELDS}
CONFIG_FIELDS = {**_DESCRIPTION, "config": mapping()}
"""A preset states the fields of a uniform decoder, or the keys of its config.json that decide."""

GPU_FIELDS: dict[str, Field] = {
    "name": text(80),
    "vendor": text(40),
    "generation": text(20, required=False),
    "label_gb": count(100_000, required=False),
    "reported_mib": count(100_000_000, required=False),
    "program_gib_low": number(100_000, required=False),
    "program_gib_high": number(100_000, required=False),
    "program_gib_estimated": flag(required=False),
    "bandwidth_gb_per_s": number(10**6, required=False),
    "bf16_tflops": number(10**6, required=False),
    "fp8_tflops": number(10**6, required=False),
    "fp4_tflops": number(10**6, required=False),
    "link_gb_per_s": number(10**6, required=False),
    "gpus_per_node": count(1024),
    "price_usd_per_hour_low": number(10**5, required=False),
    "price_usd_per_hour_high": number(10**5, required=False),
    "price_date": text(80, required=False),
    "price_quotes": count(1_000, required=False),
    "unverified": names(
        ["memory", "reported_mib", "bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops", "fp4_tflops", "link_gb_per_s"],
        required=False,
    ),
    "sources": text(2_000),
}


def _build_model(key: str, fields: dict[str, Any]) -> ModelArchitecture:
    described = ("name", "huggingface_id", "family", "model_type", "source", "checked", "unverified")
    description = {name: fields[name] for name in described if name in fields}
    if "config" not in fields:
        return build_decoder(fields, id=key, **description)
    from calculator.configs.reader import model_from_hf_config

    return replace(model_from_hf_config(fields["config"]), id=key, **description)


def _build_gpu(key: str, fields: dict[str, Any]) -> Accelerator:
    low, high = fields.get("program_gib_low"), fields.get("program_gib_high")
    if (low is None) != (high is None):
        raise InvalidValueError(
            say(
                "presets.program_gib_low_program",
                "program_gib_low and program_gib_high are given together or not at all",
            )
        )
    if low is None and "reported_mib" not in fields:
        raise InvalidValueError(
            say(
                "presets.program_gib_low_reported",
                "program_gib_low or reported_mib is needed: a plan uses what a program sees, never the label",
            )
        )
    program_gib = (str(low), str(high)) if low is not None else None
    estimated = fields.get("program_gib_estimated", False)
    memory_bytes, memory_source, verified = program_memory(program_gib, fields.get("reported_mib"), estimated)
    prices = [fields[name] for name in ("price_usd_per_hour_low", "price_usd_per_hour_high") if name in fields]
    if prices and prices[0] > prices[-1]:
        raise InvalidValueError(
            say(
                "presets.price_usd_per_hour",
                "price_usd_per_hour_low {prices:g} is more than the high {prices_2:g}",
                prices=prices[0],
                prices_2=prices[-1],
            )
        )
    plain = (
        "name", "vendor", "generation", "label_gb", "reported_mib", "bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops",
        "fp4_tflops",
        "link_gb_per_s", "gpus_per_node", "price_date", "price_quotes", "sources",
    )  # fmt: skip
    return Accelerator(
        id=key,
        memory_bytes=memory_bytes,
        memory_source=memory_source,
        memory_verified=verified,
        program_gib=program_gib,
        price_usd_per_hour=(prices[0], prices[-1]) if prices else None,
        unverified=tuple(fields.get("unverified", ())),
        **{name: fields[name] for name in plain if name in fields},
    )


_PLAIN_SCHEMA, _CONFIG_SCHEMA = Schema("ModelPreset", MODEL_FIELDS), Schema("ConfigPreset", CONFIG_FIELDS)
_GPU_SCHEMA = Schema("GpuPreset", GPU_FIELDS)


def _model_schema(raw: dict[str, Any]) -> Schema:
    return _CONFIG_SCHEMA if "config" in raw else _PLAIN_SCHEMA


def _gpu_schema(_: dict[str, Any]) -> Schema:
    return _GPU_SCHEMA


@lru_cache(maxsize=8)
def model_file(path: Path | None = None) -> PresetFile[ModelArchitecture]:
    """Read a file of models, by default the project's own."""
    return PresetFile(
        path or data_file(_FILES["MODEL_FILE"]), "models", _model_schema, _build_model, ModelArchitecture.is_the_same
    )


@lru_cache(maxsize=8)
def gpu_file(path: Path | None = None) -> PresetFile[Accelerator]:
    """Read a file of GPUs, by default the project's own."""
    return PresetFile(path or data_file(_FILES["GPU_FILE"]), "gpus", _gpu_schema, _build_gpu, eq)


def model_ids() -> tuple[str, ...]:
    """Return the ids of all model presets, in the order of the file."""
    return tuple(model_file().entries)


def gpu_ids() -> tuple[str, ...]:
    """Return the ids of all whole GPUs: those that a search proposes, and those known by name alone."""
    return (*proposed_gpu_ids(), *more_gpus().entries)


def all_gpu_ids() -> tuple[str, ...]:
    """Return the ids of all GPUs and of what is known by name beside: slices, profiles, shares of unified memory."""
    return (*gpu_ids(), *parts())


def proposed_gpu_ids() -> tuple[str, ...]:
    """Return the ids of the GPUs that a search proposes where none is named, in the order of the file."""
    return tuple(gpu_file().entries)


def more_gpus() -> PresetFile[Accelerator]:
    """Read the file of GPUs that are known by name and never proposed."""
    return gpu_file(data_file(_FILES["MORE_GPUS_FILE"]))


@lru_cache(maxsize=1024)
def _gpu_of(key: str) -> Accelerator | None:
    """Return the GPU of an id, None where there is none."""
    for file in (gpu_file(), more_gpus()):
        if key in file.entries:
            return file.get(key)
    make = parts().get(key)
    return make(load_gpu) if make else None


@friendly
def load_model(name: str | ModelArchitecture) -> ModelArchitecture:
    """Load a model by its preset id, by a repository of the same layers, or from a ``config.json``.

    Parameters
    ----------
    name : str or ModelArchitecture
        Such as ``llama-3-70b``, ``meta-llama/Llama-3.1-8B-Instruct``, ``RedHatAI/Qwen3-8B-FP8-dynamic`` or
        ``models/own/config.json``; a folder with a config.json, whose headers of weights are read too; a ``.gguf``
        file, of which the header is [-].

    Returns
    -------
    ModelArchitecture
        The model.

    Raises
    ------
    UnknownNameError
        If no preset has the layers of what is named; the near matches are named.
    CalculatorError
        If a ``config.json`` cannot be read or is refused, with the reason.
    """
    if isinstance(name, ModelArchitecture):
        return name
    if not isinstance(name, str):
        raise InvalidValueError(
            say(
                "presets.model_preset_id_such",
                "a model is a preset id such as llama-3-70b, not {name}",
                name=shown(name),
            ),
            what="model",
            asked=name,
        )
    file = model_file()
    if name in file.entries:
        return file.get(name)
    found = None if _is_there(name) else model_by_name(name)
    if found is not None:
        return found
    if name.endswith(".json"):
        from calculator.configs.reader import read_config

        return read_config(Path(name))
    read = model_of_files(name)
    if read is not None:
        return read
    raise _unknown_model(name, file.entries)


def _is_there(name: str) -> bool:
    """Whether a name is that of a folder or of a file: what is there is read, whatever its name could mean."""
    try:
        return bool(name) and ("/" in name or name.lower().endswith((".gguf", ".json"))) and Path(name).exists()
    except (OSError, ValueError):
        return False


def model_by_name(name: str) -> ModelArchitecture | None:
    """Return the preset that a name means, with what the name says beside; None for none. No file is read for it."""
    found = meaning(name[:400], model_names()) if name else None
    return _taken(name, found) if found else None


@cache
def model_names() -> dict[str, Alias]:
    """Return what every repository means that is known, by its name in lower case; ids of presets among them."""
    file = model_file()
    own = {key.lower(): Alias(key) for key in file.entries}
    own |= {repository.lower(): Alias(key) for key, repository in file.entries.stated("huggingface_id")}
    return {**own, **read_names(data_file(_FILES["MODEL_NAMES_FILE"]))}


def _taken(name: str, found: Alias) -> ModelArchitecture:
    """Return the preset that a name means, with what the name says beside."""
    preset = model_file().get(found.preset)
    if name.lower() in (preset.id, preset.huggingface_id.lower()):
        return preset
    context = found.max_position_embeddings or preset.max_position_embeddings
    form = found.weight_dtype or preset.weight_dtype
    taken = replace(preset, repository=name, max_position_embeddings=context, weight_dtype=form)
    if form == preset.weight_dtype:
        return taken
    # how the preset's own checkpoint stores each matrix says nothing of one in another format
    return replace(taken, weights_from="", stored_as="", checkpoint_bytes=0)


def _same_beginning(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _unknown_model(name: str, ids: Iterable[str]) -> UnknownNameError:
    """Build the error for a model that no preset has, with the nearest of ids and repositories."""
    bare = {each.rpartition("/")[2]: alias.preset for each, alias in reversed(list(model_names().items()))}
    text = name.lower().rpartition("/")[2].replace(" ", "")[:200]
    near = difflib.get_close_matches(text, bare, n=60, cutoff=0.5)
    near.sort(key=lambda each: -_same_beginning(text, each))
    nearest = list(dict.fromkeys(bare[each] for each in near))[:3]
    if not nearest or name.lower() == nearest[0]:
        return unknown_name("model", name, ids)
    message = f"unknown model {shown(name)}: did you mean {' or '.join(nearest)}?"
    return UnknownNameError(message, what="model", asked=name, allowed=tuple(sorted(ids)), nearest=nearest[0])


def model_of_files(name: str, assume_full_attention: bool = False) -> ModelArchitecture | None:
    """Return the model of a checkpoint's folder or of a GGUF file, None where the name is neither."""
    try:
        path = Path(name)
        is_folder = bool(name) and path.is_dir()
    except (OSError, ValueError):
        return None
    if is_folder:
        from calculator.configs.checkpoints.folder import read_folder

        return read_folder(path, assume_full_attention)
    if name.lower().endswith(".gguf"):
        from calculator.configs.checkpoints.gguf.reader import read_model

        return read_model(path)
    return None


@friendly
def load_gpu(name: str | Accelerator) -> Accelerator:
    """Load a GPU by its preset id, or by what people, drivers and logs call it.

    Parameters
    ----------
    name : str or Accelerator
        Such as ``a100-80gb-sxm``, ``NVIDIA H100 80GB HBM3``, ``RTX 4090`` or ``A100-SXM4-80GB MIG 1g.10gb`` [-].

    Returns
    -------
    Accelerator
        The device.

    Raises
    ------
    UnknownNameError
        If there is no such device, with the near matches; or if the name can mean several, with the choices.
    """
    if isinstance(name, Accelerator):
        return name
    if not isinstance(name, str):
        raise InvalidValueError(
            say(
                "presets.gpu_preset_id_such", "a GPU is a preset id such as a100-80gb-sxm, not {name}", name=shown(name)
            ),
            what="gpu",
            asked=name,
        )
    found = _gpu_of(name)
    if found is None:
        found = _gpu_of(gpu_id(name))
    assert found is not None, "an id that is named has a device"
    return found


def _label_of(key: str) -> int | None:
    return load_gpu(key).label_gb


def gpu_id(name: str) -> str:
    """Return the id of the GPU that a name means.

    Raises
    ------
    UnknownNameError
        If there is no such device, with the near matches; or if the name can mean several, with the choices.
    """
    means = candidates(name[:200], all_gpu_ids(), _label_of)
    if len(means) == 1:
        return means[0]
    if means:
        more = f" or {len(means) - MOST_CHOICES} more" if len(means) > MOST_CHOICES else ""
        raise UnknownNameError(
            say(
                "presets.unknown_gpu_can_name",
                "unknown GPU {name}: it can be {names}{more}: name one of them",
                name=shown(name),
                names=" or ".join(sorted(means)[:MOST_CHOICES]),
                more=more,
            ),
            what="gpu",
            asked=name,
            allowed=tuple(sorted(means)),
        )
    raise unknown_name("GPU", name, gpu_ids(), "gpu", BY_MEMORY)


def named(thing: ModelArchitecture | Accelerator) -> str:
    """Return the id of a model or GPU; ``custom`` where that is the id of a preset and it is another."""
    if thing.id == CUSTOM:
        return CUSTOM
    if isinstance(thing, ModelArchitecture):
        if model_file().is_not_another(thing.id, thing):
            return thing.id
        return thing.repository if thing.repository and load_model(thing.repository).is_the_same(thing) else CUSTOM
    known = _gpu_of(thing.id)
    return thing.id if known is None or known is thing or known == thing else CUSTOM
