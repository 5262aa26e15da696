"""A crowd of sessions on one server: each changes a number, reads for some seconds, and changes it again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles
from time import monotonic

from benchmarks.load.client import PATIENCE_SECONDS, Failed, Run, Session
from benchmarks.server import Server

MOST, AT_ONCE = 200, 10
"""The largest number that a session asks for; and how many open the page at the same moment."""


@dataclass
class Met:
    """What a crowd met.

    Attributes
    ----------
    opened, runs : list of Run
        The first run of each session, and those that followed a change.
    errors : Counter
        What a reader would have seen as an error, and how often.
    memory : list of int
        Of the server, minute by minute [bytes].
    cpu_seconds, wall_seconds : float
        What the server computed while the sessions changed numbers, and how long they did [s].
    files : int
        Descriptors that the server held with all sessions open [-].
    """

    opened: list[Run] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    files: int = 0

    def percentile(self, percent: int) -> float:
        """Seconds that so many in a hundred of the runs did not exceed [s]."""
        seconds = [run.seconds for run in self.runs]
        return quantiles(seconds, n=100, method="inclusive")[percent - 1] if len(seconds) > 1 else sum(seconds)


async def crowd(server: Server, sessions: int, seconds: float, think: tuple[float, float], seed: int = 1) -> Met:
    """Let so many sessions change a number for some time.

    Parameters
    ----------
    server : Server
        Whose page they open.
    sessions : int
        How many there are [-].
    seconds : float
        For how long, from when all have opened the page; 0: they open it and go [s].
    think : tuple of float
        The shortest and the longest that a reader reads between two changes [s].
    seed : int
        Of the random numbers.

    Returns
    -------
    Met
        Latencies, errors, memory and processor time.
    """
    met, random = Met(), Random(seed)
    doors, all_open, end = asyncio.Semaphore(AT_ONCE), asyncio.Event(), asyncio.Event()
    settled = 0

    async def reader(own: Random) -> None:
        nonlocal settled
        async with AsyncExitStack() as stack:
            try:
                async with doors:
                    session = await stack.enter_async_context(Session(server.port))
                    met.opened.append(await asyncio.wait_for(session.open(), PATIENCE_SECONDS))
            finally:
                settled += 1
                if settled == sessions:
                    all_open.set()
            await all_open.wait()
            while not end.is_set():
                await asyncio.sleep(own.uniform(*think))
                if not end.is_set():
                    await _change(session, own.randint(1, MOST), met)

    readers = [asyncio.create_task(_guarded(reader(Random(random.random())), met)) for _ in range(sessions)]
    await all_open.wait()
    await _watch(server, met, seconds)
    end.set()
    await asyncio.gather(*readers)
    return met


async def _change(session: Session, value: int, met: Met) -> None:
    try:
        met.runs.append(await asyncio.wait_for(session.change(value), PATIENCE_SECONDS))
    except (Failed, OSError, TimeoutError) as error:
        met.errors[_said(error)] += 1


async def _guarded(reading: Awaitable[None], met: Met) -> None:
    try:
        await reading
    except Exception as error:  # one reader that is cut off does not end the others
        met.errors[f"cut off: {_said(error)}"] += 1


async def _watch(server: Server, met: Met, seconds: float) -> None:
    """Note what the server takes, minute by minute."""
    start, before = monotonic(), server.cpu_seconds()
    met.files = server.open_files()
    while (left := seconds - (monotonic() - start)) > 0:
        met.memory.append(server.resident_bytes())
        await asyncio.sleep(min(60.0, left))
    met.wall_seconds = monotonic() - start
    met.cpu_seconds = server.cpu_seconds() - before
    met.memory.append(server.resident_bytes())


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:160]
