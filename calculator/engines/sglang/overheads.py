"""SGLang: what is in use on a GPU before weights are loaded, by class of device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from calculator.engines.overheads import LARGE_GPU_BYTES, NON_TORCH, Overhead
from calculator.messages import say
from calculator.units import GIB, gib_to_bytes

if TYPE_CHECKING:
    from calculator.hardware import Accelerator

SMALL_GPU_BYTES = 35 * GIB
LEFT_BY_LOADING, LEFT_AT_MOST = gib_to_bytes("0.12"), gib_to_bytes("0.5")
"""By how much logged weights are more than their tensors: 0.06-0.39 GiB, which loading leaves allocated."""
UNIFIED_LEFT_AT_MOST = gib_to_bytes("1")
"""The same where all programs share the memory, and files that are read count as used [bytes]."""
RANKS_OF_A_GROUP = 8


@dataclass(frozen=True, slots=True)
class InUse:
    """What is in use on a class of devices: alone, and in a group of GPUs.

    Attributes
    ----------
    alone, alone_low, alone_high : str
        On one GPU [GiB].
    group, group_low, group_high : str
        On each of eight [GiB].
    source : str
        Where it was logged.
    linear : bool
        Whether it grows with every GPU of the group, not at once.
    """

    alone: str
    alone_low: str
    alone_high: str
    group: str
    group_low: str
    group_high: str
    source: str
    linear: bool = True

    def of(self, ranks: int) -> Overhead:
        """Return the line for a GPU of a group of so many [bytes]."""
        part = min(ranks, RANKS_OF_A_GROUP) - 1
        whole = RANKS_OF_A_GROUP - 1
        if part and not self.linear:
            part = whole
        central, low, high = (
            gib_to_bytes(alone) + (gib_to_bytes(group) - gib_to_bytes(alone)) * part // whole
            for alone, group in (
                (self.alone, self.group),
                (self.alone_low, self.group_low),
                (self.alone_high, self.group_high),
            )
        )
        return Overhead(NON_TORCH, central + LEFT_BY_LOADING, self.source, low, high + LEFT_AT_MOST)


UNIFIED = InUse(
    "7.7", "3", "12", "7.7", "3", "12",
    say("sglang.in_use_unified", "7.4-8.0 GiB logged on GB10, whose memory all programs share"),
)  # fmt: skip
AMD = InUse(
    "0.6", "0.2", "1.5", "6.8", "4", "10",
    say("sglang.in_use_amd", "0.7 GiB logged on one MI355X, 4.5-8.7 in groups"), linear=False,
)  # fmt: skip
SMALL = InUse(
    "1", "0.4", "1.6", "1.6", "0.6", "2.6",
    say("sglang.in_use_small", "0.8-1.2 GiB logged on GeForce"),
)  # fmt: skip
LARGE = InUse(
    "0.55", "0.2", "1.1", "2.4", "1.2", "3.2",
    say("sglang.in_use", "0.35-0.7 GiB logged on one H100, 1.5 on four H200s, 2.3-2.5 on eight"),
)  # fmt: skip


def in_use(accelerator: Accelerator, ranks: int) -> Overhead:
    """Estimate what is in use on a GPU before weights are loaded: the context, and channels to other GPUs [bytes].

    References
    ----------
    Total less "Load weight begin. avail mem" of public logs, SGLang 0.4.1 to 0.5.18.
    """
    if accelerator.is_unified:
        return _line(UNIFIED, ranks)
    if accelerator.vendor == "AMD" and accelerator.memory_bytes >= LARGE_GPU_BYTES:
        return _line(AMD, ranks)
    return _line(SMALL if accelerator.memory_bytes < SMALL_GPU_BYTES else LARGE, ranks)


@lru_cache(maxsize=64)
def _line(known: InUse, ranks: int) -> Overhead:
    return known.of(ranks)
