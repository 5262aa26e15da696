"""Models by their ids, by repositories of the same layers, and from files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.model_names import Alias, meaning, read_names
from calculator.catalogue.presets.files import FILES, data_file, model_file
from calculator.errors import InvalidValueError, UnknownNameError, friendly, shown, unknown_name
from calculator.messages import say


def model_ids() -> tuple[str, ...]:
    """Return the ids of all model presets, in the order of the file."""
    return tuple(model_file().entries)


def stated_name(key: str) -> tuple[str, str]:
    """Return the name and the repository of a preset as the file states them; the model is not built for it."""
    return _stated("name")[key], _stated("huggingface_id").get(key, "")


@cache
def _stated(field: str) -> dict[str, str]:
    return dict(model_file().entries.stated(field))


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
    return {**own, **read_names(data_file(FILES["MODEL_NAMES_FILE"]))}


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
