"""A crowd of sessions on one server: each changes a number, reads for some seconds, and changes it again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles
from time import monotonic

from benchmarks.load.client import PATIENCE_SECONDS, Failed, Run, Session
from benchmarks.server import Server

MOST = 200
"""The largest number that a session asks for."""


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
    all_open, end = asyncio.Barrier(sessions + 1), asyncio.Event()

    async def reader(own: Random) -> None:
        async with Session(server.port) as session:
            try:
                met.opened.append(await asyncio.wait_for(session.open(), PATIENCE_SECONDS))
            except (Failed, OSError, TimeoutError) as error:
                met.errors[f"opening: {_said(error)}"] += 1
            await all_open.wait()
            while not end.is_set():
                await asyncio.sleep(own.uniform(*think))
                if not end.is_set():
                    await _change(session, own.randint(1, MOST), met)

    readers = [asyncio.create_task(_guarded(reader(Random(random.random())), met)) for _ in range(sessions)]
    watch = asyncio.create_task(_watch(server, met, seconds, all_open, end))
    _, pending = await asyncio.wait([watch, *readers], return_when=asyncio.ALL_COMPLETED)
    assert not pending
    return met


async def _change(session: Session, value: int, met: Met) -> None:
    try:
        met.runs.append(await asyncio.wait_for(session.change(value), PATIENCE_SECONDS))
    except (Failed, OSError, TimeoutError) as error:
        met.errors[_said(error)] += 1


async def _guarded(reading: object, met: Met) -> None:
    try:
        await reading  # type: ignore[misc]
    except Exception as error:  # one reader that is cut off does not end the others
        met.errors[f"cut off: {_said(error)}"] += 1


async def _watch(server: Server, met: Met, seconds: float, all_open: asyncio.Barrier, end: asyncio.Event) -> None:
    await asyncio.wait_for(all_open.wait(), 4 * PATIENCE_SECONDS)
    start, before = monotonic(), server.cpu_seconds()
    met.files = server.open_files()
    while (left := seconds - (monotonic() - start)) > 0:
        met.memory.append(server.resident_bytes())
        await asyncio.sleep(min(60.0, left))
    met.wall_seconds = monotonic() - start
    met.cpu_seconds = server.cpu_seconds() - before
    met.memory.append(server.resident_bytes())
    end.set()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:160]
