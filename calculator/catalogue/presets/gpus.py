"""GPUs by their ids, and by what people, drivers and logs call them."""

from __future__ import annotations

from functools import lru_cache

from calculator.catalogue.gpu_names import candidates
from calculator.catalogue.parts.table import parts
from calculator.catalogue.presets.files import gpu_file, more_gpus
from calculator.errors import InvalidValueError, UnknownNameError, friendly, shown, unknown_name
from calculator.hardware import Accelerator
from calculator.messages import phrase, say

MOST_CHOICES = 8
"""Choices that a message names."""
BY_MEMORY = phrase(
    "any other is described by its memory alone: gpu_memory_bytes, or --gpu-memory-gib on the command line"
)


def gpu_ids() -> tuple[str, ...]:
    """Return the ids of all whole GPUs: those that a search proposes, and those known by name alone."""
    return (*proposed_gpu_ids(), *more_gpus().entries)


def all_gpu_ids() -> tuple[str, ...]:
    """Return the ids of all GPUs and of what is known by name beside: slices, profiles, shares of unified memory."""
    return (*gpu_ids(), *parts())


def proposed_gpu_ids() -> tuple[str, ...]:
    """Return the ids of the GPUs that a search proposes where none is named, in the order of the file."""
    return tuple(gpu_file().entries)


@lru_cache(maxsize=1024)
def gpu_of_id(key: str) -> Accelerator | None:
    """Return the GPU of an id, None where there is none."""
    for file in (gpu_file(), more_gpus()):
        if key in file.entries:
            return file.get(key)
    make = parts().get(key)
    return make(load_gpu) if make else None


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
    found = gpu_of_id(name)
    if found is None:
        found = gpu_of_id(gpu_id(name))
    assert found is not None, "an id that is named has a device"
    return found


def _label_of(key: str) -> int | None:
    return load_gpu(key).label_gb


@lru_cache(maxsize=1024)
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
