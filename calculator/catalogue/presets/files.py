"""The project's own tables, wherever the package is installed, and the files of presets among them."""

from __future__ import annotations

from functools import lru_cache
from operator import eq
from pathlib import Path

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.preset_file import PresetFile
from calculator.catalogue.presets.entries import build_gpu, build_model, gpu_schema, model_schema
from calculator.errors import FileFormatError
from calculator.hardware import Accelerator
from calculator.messages import say

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "data", _PACKAGE.parents[1])
FILES = {
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


@lru_cache(maxsize=8)
def model_file(path: Path | None = None) -> PresetFile[ModelArchitecture]:
    """Read a file of models, by default the project's own."""
    return PresetFile(
        path or data_file(FILES["MODEL_FILE"]), "models", model_schema, build_model, ModelArchitecture.is_the_same
    )


@lru_cache(maxsize=8)
def gpu_file(path: Path | None = None) -> PresetFile[Accelerator]:
    """Read a file of GPUs, by default the project's own."""
    return PresetFile(path or data_file(FILES["GPU_FILE"]), "gpus", gpu_schema, build_gpu, eq)


def more_gpus() -> PresetFile[Accelerator]:
    """Read the file of GPUs that are known by name and never proposed."""
    return gpu_file(data_file(FILES["MORE_GPUS_FILE"]))
