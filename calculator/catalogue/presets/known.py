"""The id that a model or a GPU goes by."""

from __future__ import annotations

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets.files import model_file
from calculator.catalogue.presets.gpus import gpu_of_id
from calculator.catalogue.presets.models import load_model
from calculator.hardware import CUSTOM, Accelerator


def named(thing: ModelArchitecture | Accelerator) -> str:
    """Return the id of a model or GPU; ``custom`` where that is the id of a preset and it is another."""
    if thing.id == CUSTOM:
        return CUSTOM
    if isinstance(thing, ModelArchitecture):
        if model_file().is_not_another(thing.id, thing):
            return thing.id
        return thing.repository if thing.repository and load_model(thing.repository).is_the_same(thing) else CUSTOM
    known = gpu_of_id(thing.id)
    return thing.id if known is None or known is thing or known == thing else CUSTOM


def is_a_preset(thing: ModelArchitecture | Accelerator) -> bool:
    """Whether a model or GPU is the catalogue's own object, not one that is like it."""
    if isinstance(thing, ModelArchitecture):
        file = model_file()
        return thing.id in file.entries and file.get(thing.id) is thing
    return gpu_of_id(thing.id) is thing
