"""vGPU profiles: a framebuffer of their own, and the whole chip while they are alone, or slices of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from calculator.catalogue.parts.share import CHECKED, part_of
from calculator.hardware import Accelerator
from calculator.messages import template
from calculator.units import gib_to_bytes


class Profiles(NamedTuple):
    """What a device's profiles are called, their framebuffers [GB of 1,024 MiB], and those of so many slices."""

    board: str
    sizes: tuple[int, ...]
    of_slices: tuple[tuple[int, int], ...] = ()


_OF_48 = (48, 24, 16, 12, 8, 6, 4, 3, 2, 1)
_OF_24 = (24, 12, 8, 6, 4, 3, 2, 1)
_OF_80 = (80, 40, 20, 16, 10, 8, 5, 4)
_SLICES_OF_80 = ((7, 80), (4, 40), (3, 40), (2, 20), (1, 20), (1, 10))
VGPU = {
    "t4": Profiles("t4", (16, 8, 4, 2, 1)),
    "a10": Profiles("a10", _OF_24),
    "a40": Profiles("a40", _OF_48),
    "rtx-a6000": Profiles("rtxa6000", _OF_48),
    "rtx-a5000": Profiles("rtxa5000", _OF_24),
    "rtx-6000-ada": Profiles("rtx6000 ada", _OF_48),
    "l4": Profiles("l4", _OF_24),
    "l40": Profiles("l40", _OF_48),
    "l40s": Profiles("l40s", _OF_48),
    "a100-40gb": Profiles("a100", (40, 20, 10, 8, 5, 4), ((7, 40), (4, 20), (3, 20), (2, 10), (1, 10), (1, 5))),
    "a100-80gb-pcie": Profiles("a100d", _OF_80, _SLICES_OF_80),
    "a100-80gb-sxm": Profiles("a100dx", _OF_80, _SLICES_OF_80),
    "h100-pcie": Profiles("h100", _OF_80, _SLICES_OF_80),
    "h100-sxm": Profiles("h100xm", _OF_80, _SLICES_OF_80),
    "rtx-pro-6000-blackwell": Profiles(
        "rtx pro 6000 blackwell dc", (96, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2), ((4, 96), (2, 48), (1, 24))
    ),
}
"""NVIDIA's documentation of virtual GPU types, from memory; a letter behind the framebuffer says the licence."""
SEEN = {("rtx-pro-6000-blackwell", 96): "95.50"}
"""What a program sees, where that was read [GiB]: about 95.5 on DC-4-96Q, of which nvidia-smi prints 98304 MiB."""


def profile_id(device: str, size: int, slices: int | None = None) -> str:
    """Return the id of a profile."""
    return f"{device}-vgpu-{f'{slices}-' if slices else ''}{size}q"


def devices() -> dict[str, Callable[[Callable[[str], Accelerator]], Accelerator]]:
    """Return by id how each is made, of a function that loads a whole device."""
    return {
        profile_id(device, size, slices): partial(_device, device, size, slices)
        for device, row in VGPU.items()
        for slices, size in [*((None, size) for size in row.sizes), *row.of_slices]
    }


def _device(device: str, size: int, slices: int | None, load: Callable[[str], Accelerator]) -> Accelerator:
    whole, seen = load(device), SEEN.get((device, size))
    share = slices / max(count for count, _ in VGPU[device].of_slices) if slices else 1.0
    return part_of(
        whole,
        profile_id(device, size, slices),
        f"{whole.name} vGPU {f'{slices}-' if slices else ''}{size}Q",
        share,
        share,
        memory_bytes=gib_to_bytes(seen or size),
        memory_source=template("as programs reported")
        if seen
        else template("the framebuffer, of which a program sees a little less"),
        memory_verified=seen is not None,
        program_gib=(seen, seen) if seen else None,
        reported_mib=size * 1024,
        sources=f"NVIDIA's documentation of virtual GPU types, not verified; read {CHECKED} | bandwidth and TFLOPS: "
        "those of the whole device while no other machine uses it, or of its slices",
    )
