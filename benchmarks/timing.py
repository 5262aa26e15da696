"""How things are timed: floor and ours in turns, medians, a ratio, an aim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any


def duration(seconds: float) -> str:
    """Return ``12.3 ms`` or ``1.234 s``."""
    return f"{seconds:.3f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def kib(num_bytes: float) -> str:
    """Return ``12.3 KiB``."""
    return f"{num_bytes / 2**10:,.1f} KiB"


def mib(num_bytes: float) -> str:
    """Return ``123 MiB``."""
    return f"{num_bytes / 2**20:,.0f} MiB"


@dataclass(frozen=True)
class Measurement:
    """One measured thing beside its floor.

    Attributes
    ----------
    name : str
        What to call it on the command line.
    measured, floor : str
        What was timed, in words.
    seconds, floor_seconds : tuple of float
        One entry a round, in turns; in the unit that ``written`` writes, seconds where nothing else is said.
    aim_ratio : float or None
        The most that the ratio of the medians should be [-]; None without such an aim.
    aim_seconds : float or None
        The most that the median should be [s]; None without such an aim.
    explain : callable
        Finds out where the time goes; asked only where the aim is missed.
    remark : str
        What the reader should know of how it was measured.
    written : callable
        Writes one entry with its unit.
    """

    name: str
    measured: str
    floor: str
    seconds: tuple[float, ...]
    floor_seconds: tuple[float, ...]
    explain: Callable[[], str]
    aim_ratio: float | None = None
    aim_seconds: float | None = None
    remark: str = ""
    written: Callable[[float], str] = duration

    @property
    def ratio(self) -> float:
        """Median of ours to median of the floor [-]."""
        return median(self.seconds) / median(self.floor_seconds)

    @property
    def fastest_ratio(self) -> float:
        """Fastest round of ours to fastest of the floor, which other processes disturb least [-]."""
        return min(self.seconds) / min(self.floor_seconds)

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        if self.aim_ratio is not None:
            return self.ratio <= self.aim_ratio
        if self.aim_seconds is not None:
            return median(self.seconds) <= self.aim_seconds
        return None

    @property
    def aim(self) -> str:
        """The aim in words."""
        if self.aim_ratio is not None:
            return f"aim <= {self.aim_ratio:g}x"
        return f"aim <= {self.aim_seconds:g} s" if self.aim_seconds is not None else "no aim"

    def line(self) -> str:
        """Say it in one line."""
        verdict = {True: "met", False: "MISSED", None: "measured apart"}[self.met]
        return (
            f"{self.name}: {self.measured} {self.written(median(self.seconds))}"
            f" | floor: {self.floor} {self.written(median(self.floor_seconds))}"
            f" | {self.ratio:.2f}x (medians of {len(self.seconds)}; the fastest of each {self.fastest_ratio:.2f}x)"
            f" | {self.aim} | {verdict}"
        )

    def as_dict(self, why: str) -> dict[str, Any]:
        """Return it as plain values for a file."""
        return {
            "name": self.name,
            "measured": self.measured,
            "floor": self.floor,
            "seconds": self.seconds,
            "floor_seconds": self.floor_seconds,
            "median_seconds": median(self.seconds),
            "median_floor_seconds": median(self.floor_seconds),
            "ratio": self.ratio,
            "fastest_ratio": self.fastest_ratio,
            "aim": self.aim,
            "met": self.met,
            "why": why,
            "remark": self.remark,
        }


def stopwatch(call: Callable[[], object], clock: Callable[[], float] = perf_counter) -> Callable[[], float]:
    """Return a function that calls and returns how long that took by a clock [s]."""

    def timed() -> float:
        start = clock()
        call()
        return clock() - start

    return timed


def in_turns(
    floor: Callable[[], float], ours: Callable[[], float], rounds: int, warm_up: int = 1
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Time the floor, ours, the floor, ours …, so that the machine's noise hits both.

    Parameters
    ----------
    floor, ours : callable
        Each runs once and returns how long that took [s].
    rounds : int
        How often each counts [-].
    warm_up : int
        How often each runs before, uncounted [-].

    Returns
    -------
    tuple of two tuples of float
        The rounds of the floor and of ours [s].
    """
    pairs = [(floor(), ours()) for _ in range(warm_up + rounds)][warm_up:]
    floors, own = zip(*pairs, strict=True)
    return floors, own
