"""A folder of a checkpoint → a model: config.json, and whichever headers lie beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calculator.architecture.model import ModelArchitecture
from calculator.configs.checkpoints.index import NAME as INDEX
from calculator.configs.checkpoints.index import Index, read_index
from calculator.configs.checkpoints.measured import measured
from calculator.configs.checkpoints.safetensors import read_header
from calculator.configs.checkpoints.tensors import Tensors, place_of
from calculator.configs.reader import CONFIG, QUANTISATION, model_from_hf_config, parsed, with_quantisation
from calculator.errors import FileFormatError, UnsupportedError, shown
from calculator.formats.names import SIXTEEN_BIT, TORCH
from calculator.messages import say

MAX_FILES, MAX_TENSORS = 4_096, 2_000_000


def read_folder(folder: Path, assume_full_attention: bool = False) -> ModelArchitecture:
    """Read a model from the folder of its checkpoint.

    Parameters
    ----------
    folder : Path
        Where config.json is [-].
    assume_full_attention : bool
        As for ``model_from_hf_config`` [-].

    Returns
    -------
    ModelArchitecture
        The model; its weights tensor by tensor where all headers are there, else as its quantisation states them.

    Raises
    ------
    FileFormatError
        If a file cannot be read, is too large, is cut short, or contradicts another.
    CalculatorError
        As ``model_from_hf_config``.
    """
    if not (folder / CONFIG).is_file():
        raise FileFormatError(say("folder.holds_no", "{folder}: holds no {config}", folder=folder, config=CONFIG))
    name = folder.resolve().name
    config = with_quantisation(parsed(folder / CONFIG), folder / QUANTISATION)
    model = model_from_hf_config(config, name, assume_full_attention)
    index = read_index(folder / INDEX) if (folder / INDEX).is_file() else None
    files = _files(folder, index)
    if files and not model.needs_encoder:
        return from_headers(model, files, name)
    return from_index(model, index) if index else model


def _files(folder: Path, index: Index | None) -> list[Path]:
    """Return the files of weights, none where one that the index names is not there."""
    if index is not None:
        files = [folder / name for name in index.files]
        return files if all(file.is_file() for file in files) else []
    found = sorted(folder.glob("*.safetensors"))
    if len(found) > MAX_FILES:
        raise FileFormatError(
            say(
                "folder.more_than_safetensors_files",
                "{folder}: more than {max_files:,} safetensors files",
                folder=folder,
                max_files=MAX_FILES,
            )
        )
    found = [file for file in found if not file.name.startswith("adapter_")]
    return [file for file in found if not file.name.startswith("consolidated")] or found


def from_headers(model: ModelArchitecture, files: list[Path], name: str) -> ModelArchitecture:
    """Return a model that takes what the headers of all its files say."""
    tensors = Tensors()
    names: dict[str, Path] = {}
    for file in files:
        read = read_header(file)
        twice = next((tensor.name for tensor in read if names.setdefault(tensor.name, file) != file), None)
        if twice is not None:
            raise FileFormatError(
                say(
                    "folder.holds_which_holds_already",
                    "{file}: holds {twice}, which {name} holds already",
                    file=file,
                    twice=shown(twice),
                    name=names[twice].name,
                )
            )
        tensors.add(read, model.num_layers)
        if tensors.count > MAX_TENSORS:
            raise FileFormatError(
                say(
                    "folder.checkpoint_has_more_than",
                    "{file}: the checkpoint has more than {max_tensors:,} tensors",
                    file=file,
                    max_tensors=MAX_TENSORS,
                )
            )
    return with_tensors(model, tensors, name, len(files))


def with_tensors(model: ModelArchitecture, tensors: Tensors, name: str, num_files: int) -> ModelArchitecture:
    """Return a model that takes what was read of its tensors, and says so."""
    if " " in (model.weight_dtype or ""):
        raise UnsupportedError(
            say(
                "folder.checkpoint_s_weights_stored",
                "the checkpoint's weights are stored as {weight_dtype}, which is not understood: what of "
                "it an engine loads as it is stored is not known",
                weight_dtype=model.weight_dtype,
            ),
            what="weight_dtype",
            asked=model.weight_dtype,
        )
    read = say("checkpoints.headers", "headers of {files:,} files with {tensors:,} tensors",
               files=num_files, tensors=tensors.count)  # fmt: skip
    found = measured(model, tensors, name)
    return replace(found, source=f"{found.source}; {read}", variations={**found.variations, "weights": str(read)})


def from_index(model: ModelArchitecture, index: Index) -> ModelArchitecture:
    """Return a model of the size that its index gives, where all that it lists is loaded as it is stored."""
    parts = {place_of(name, model.num_layers).part for name in index.names}
    is_loaded_so = model.weights_from or TORCH.get(model.torch_dtype or "") in SIXTEEN_BIT
    countable = "tower" not in parts or (model.towers and all(model.towers.values()))
    if not index.total_bytes or "apart" in parts or not is_loaded_so or not countable or model.weight_dtype == "":
        return model
    read = say("checkpoints.index", "total_size of its index, {size:,} bytes", size=index.total_bytes)
    return replace(
        model,
        weights_from="index",
        checkpoint_bytes=index.total_bytes,
        source=f"{model.source}; {read}",
        variations={**model.variations, "checkpoint_bytes": index.total_bytes},
    )
