"""Every device that is a part of another, or memory that a processor shares: known by name, proposed by no search."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from calculator.catalogue.parts import apple, mig, vgpu
from calculator.hardware import Accelerator


@cache
def parts() -> dict[str, Callable[[Callable[[str], Accelerator]], Accelerator]]:
    """Return by id how each is made, of a function that loads a whole device."""
    return {**apple.devices(), **mig.devices(), **vgpu.devices()}
