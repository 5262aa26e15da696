"""Apple's chips: unified memory, of which Metal says how much a program should use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from calculator.hardware import Accelerator
from calculator.units import GIB


class Limit(NamedTuple):
    """The most that Metal recommends, by system [10^6 bytes], and whether it was read off a log."""

    low: float
    high: float
    seen: bool = True


METAL = {
    8: Limit(5726.63, 5726.63),
    16: Limit(11453.25, 12713.12),
    18: Limit(12884.90, 12884.90, seen=False),
    24: Limit(17179.87, 19069.67),
    32: Limit(22906.50, 26800.60),
    36: Limit(28991.03, 30150.67),
    48: Limit(38654.71, 40200.90),
    64: Limit(51539.61, 55662.79),
    96: Limit(77309.41, 77309.41, seen=False),
    128: Limit(103079.22, 115448.73),
    192: Limit(154618.82, 154618.82, seen=False),
    256: Limit(206158.43, 206158.43, seen=False),
    512: Limit(498216.21, 498216.21),
}
"""recommendedMaxWorkingSetSize by memory [GB]: at the low end two thirds up to 32 and three quarters above, more on
newer systems. llama.cpp takes it for the device's memory."""
CHIPS: dict[str, tuple[float, tuple[int, ...]]] = {
    "m1": (68.25, (8, 16)),
    "m1-pro": (200.0, (16, 32)),
    "m1-max": (400.0, (32, 64)),
    "m1-ultra": (800.0, (64, 128)),
    "m2": (100.0, (8, 16, 24)),
    "m2-pro": (200.0, (16, 32)),
    "m2-max": (400.0, (32, 64, 96)),
    "m2-ultra": (800.0, (64, 128, 192)),
    "m3": (100.0, (8, 16, 24)),
    "m3-pro": (150.0, (18, 36)),
    "m3-max": (400.0, (36, 48, 64, 96, 128)),
    "m3-ultra": (819.0, (96, 256, 512)),
    "m4": (120.0, (16, 24, 32)),
    "m4-pro": (273.0, (24, 48, 64)),
    "m4-max": (546.0, (36, 48, 64, 128)),
}
"""Bandwidth of a chip [GB/s], and the memory that it is sold with [GB]."""
OF_FEWER_CORES = {("m3-max", 36): 300.0, ("m3-max", 96): 300.0, ("m4-max", 36): 410.0}
"""Memory that comes with the slower chip of the same name."""


def devices() -> dict[str, Callable[[object], Accelerator]]:
    """Return by id how each is made."""
    return {f"apple-{chip}-{size}gb": partial(_device, chip, size) for chip in CHIPS for size in CHIPS[chip][1]}


def _device(chip: str, size: int, _: object) -> Accelerator:
    limit, ends = METAL[size], tuple(round(end * 10**6) for end in METAL[size][:2])
    title = " ".join(part.capitalize() for part in chip.split("-"))
    how = "newer systems allow more" if limit.low < limit.high else "newer systems may allow more"
    return Accelerator(
        id=f"apple-{chip}-{size}gb",
        name=f"Apple {title} {size} GB",
        vendor="Apple",
        generation="apple",
        memory_bytes=sum(ends) // 2,
        memory_source=f"the most that Metal recommends to use of the unified memory; {how}",
        memory_verified=limit.seen,
        label_gb=size,
        program_gib=(f"{ends[0] / GIB:.2f}", f"{ends[1] / GIB:.2f}"),
        bandwidth_gb_per_s=OF_FEWER_CORES.get((chip, size), CHIPS[chip][0]),
        gpus_per_node=1,
        sources="recommendedMaxWorkingSetSize as llama.cpp prints it, in public logs, read 2026-11-26; where none was "
        "found, the share of other sizes | bandwidth: Apple's technical specifications, from memory, not verified",
        unverified=("bandwidth_gb_per_s",) if limit.seen else ("memory", "bandwidth_gb_per_s"),
    )
