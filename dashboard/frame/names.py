"""What stands in lists that are searched: a GPU with its memory."""

from __future__ import annotations

from functools import cache

from calculator.catalogue.presets import load_gpu
from calculator.units import GIB


@cache
def gpu_label(key: str) -> str:
    """Return a GPU's name and the memory that a program sees on it, by which it is searched too."""
    gpu = load_gpu(key)
    return f"{gpu.name} · {gpu.memory_bytes / GIB:,.0f} GiB"
