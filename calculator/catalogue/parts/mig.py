"""MIG slices: memory of their own, whole multiprocessors, and eighths of the memory's bandwidth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from calculator.catalogue.parts.share import CHECKED, part_of
from calculator.hardware import Accelerator
from calculator.messages import template
from calculator.units import gib_to_bytes


class Slice(NamedTuple):
    """A profile: memory [GiB], multiprocessors, eighths of the bandwidth [-], and whether a program saw the memory."""

    profile: str
    gib: str
    multiprocessors: int
    eighths: int
    seen: bool = False


class Sliced(NamedTuple):
    """A device that can be sliced: its multiprocessors [-], its profiles and where they were read."""

    multiprocessors: int
    slices: tuple[Slice, ...]
    source: str


_LISTED = "nvidia-smi mig -lgip in public documents"
_A100_80GB = (
    Slice("1g.10gb", "9.50", 14, 1, seen=True),
    Slice("1g.20gb", "19.50", 14, 2),
    Slice("2g.20gb", "19.50", 28, 2),
    Slice("3g.40gb", "39.25", 42, 4),
    Slice("4g.40gb", "39.25", 56, 4),
    Slice("7g.80gb", "79.00", 98, 8),
)
MIG = {
    "a100-40gb": Sliced(
        108,
        (
            Slice("1g.5gb", "4.75", 14, 1),
            Slice("1g.10gb", "9.75", 14, 2),
            Slice("2g.10gb", "9.75", 28, 2),
            Slice("3g.20gb", "19.62", 42, 4),
            Slice("4g.20gb", "19.62", 56, 4),
            Slice("7g.40gb", "39.50", 98, 8),
        ),
        _LISTED,
    ),
    "a100-80gb-sxm": Sliced(108, _A100_80GB, _LISTED),
    "a100-80gb-pcie": Sliced(108, _A100_80GB, _LISTED),
    "h100-sxm": Sliced(
        132,
        (
            Slice("1g.10gb", "9.75", 16, 1),
            Slice("1g.20gb", "19.62", 26, 2),
            Slice("2g.20gb", "19.62", 32, 2),
            Slice("3g.40gb", "39.50", 60, 4),
            Slice("4g.40gb", "39.50", 64, 4),
            Slice("7g.80gb", "79.25", 132, 8),
        ),
        _LISTED,
    ),
    "h100-pcie": Sliced(
        114,
        (
            Slice("1g.10gb", "9.75", 14, 1),
            Slice("1g.20gb", "19.62", 14, 2),
            Slice("2g.20gb", "19.62", 30, 2),
            Slice("3g.40gb", "39.50", 46, 4),
            Slice("4g.40gb", "39.50", 62, 4),
            Slice("7g.80gb", "79.25", 114, 8),
        ),
        _LISTED,
    ),
    "h200": Sliced(
        132,
        (
            Slice("1g.18gb", "16.00", 16, 1, seen=True),
            Slice("1g.35gb", "32.50", 26, 2),
            Slice("2g.35gb", "32.50", 32, 2),
            Slice("3g.71gb", "69.50", 60, 4),
            Slice("4g.71gb", "69.50", 64, 4),
            Slice("7g.141gb", "140.00", 132, 8),
        ),
        f"{_LISTED}; 3g.71gb and 4g.71gb: half of 7g.141gb, less what that takes elsewhere",
    ),
}
"""Profiles by device."""


def devices() -> dict[str, Callable[[Callable[[str], Accelerator]], Accelerator]]:
    """Return by id how each is made, of a function that loads a whole device."""
    return {
        f"{device}-mig-{each.profile}": partial(_device, device, each)
        for device, sliced in MIG.items()
        for each in sliced.slices
    }


def _device(device: str, each: Slice, load: Callable[[str], Accelerator]) -> Accelerator:
    whole = load(device)
    return part_of(
        whole,
        f"{device}-mig-{each.profile}",
        f"{whole.name} MIG {each.profile}",
        each.multiprocessors / MIG[device].multiprocessors,
        each.eighths / 8,
        memory_bytes=gib_to_bytes(each.gib),
        memory_source=template("as a program reported") if each.seen else template("the driver's list of profiles"),
        memory_verified=each.seen,
        program_gib=(each.gib, each.gib) if each.seen else None,
        reported_mib=None,
        sources=f"{MIG[device].source}, read {CHECKED} | bandwidth and TFLOPS: a share of the whole device's",
    )
