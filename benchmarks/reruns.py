"""What a rerun of the page takes of its server: processor time, bytes sent and memory, beside three bare charts.

Sessions are the websocket clients of ``benchmarks.load``, without pauses, on the page and on the bare one in turns.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from functools import cache
from itertools import count

from benchmarks.load.client import Run, Session
from benchmarks.server import APP, BARE, Server, server
from benchmarks.timing import Measurement, kib, mib

SESSIONS, ROUNDS, CHANGES, WARM_UP = 4, 7, 6, 3
Round = tuple[float, float, float]
"""Processor seconds a run, bytes a run, and bytes of memory."""


def cpu() -> Measurement:
    """Processor time of a rerun."""
    floor, ours = _measured()
    return Measurement(
        name="rerun-cpu",
        measured="processor time of a rerun of the app",
        floor="of three bare charts",
        seconds=tuple(each[0] for each in ours),
        floor_seconds=tuple(each[0] for each in floor),
        aim_ratio=0.8,
        explain=str,
        remark=f"{SESSIONS} sessions without pauses, the bare page at Streamlit's defaults",
    )


def sent() -> Measurement:
    """Bytes that a rerun sends."""
    floor, ours = _measured()
    return Measurement(
        name="rerun-sent",
        measured="sent in a rerun of the app",
        floor="of three bare charts",
        seconds=tuple(each[1] for each in ours),
        floor_seconds=tuple(each[1] for each in floor),
        aim_ratio=2.3,
        explain=str,
        written=kib,
    )


def memory() -> Measurement:
    """Memory of the server."""
    floor, ours = _measured()
    return Measurement(
        name="memory",
        measured=f"memory of the app's server with {SESSIONS} sessions",
        floor="of that of three bare charts",
        seconds=tuple(each[2] for each in ours),
        floor_seconds=tuple(each[2] for each in floor),
        aim_ratio=2,
        explain=str,
        written=mib,
    )


@cache
def _measured() -> tuple[list[Round], list[Round]]:
    for script in (BARE, APP):  # once before, so that byte code is cached, and compiling it fills no memory
        with server(script) as started:
            asyncio.run(_opened(started))
    with ExitStack() as stack:
        bare, app = (stack.enter_context(server(script)) for script in (BARE, APP))
        return asyncio.run(_in_turns(bare, app))


async def _opened(started: Server) -> None:
    async with Session(started.port) as session:
        await session.open()


async def _in_turns(bare: Server, app: Server) -> tuple[list[Round], list[Round]]:
    async with AsyncExitStack() as stack:
        crowds = []
        for started in (bare, app):
            sessions = [await stack.enter_async_context(Session(started.port)) for _ in range(SESSIONS)]
            for session in sessions:
                await session.open()
            crowds.append((started, sessions))
        values = count(17)
        rounds: tuple[list[Round], list[Round]] = ([], [])
        for turn in range(WARM_UP + ROUNDS):
            for (started, sessions), kept in zip(crowds, rounds, strict=True):
                measured = await _round(started, sessions, values)
                if turn >= WARM_UP:
                    kept.append(measured)
        return rounds


async def _round(started: Server, sessions: list[Session], values: count[int]) -> Round:
    before = started.cpu_seconds()

    async def changes(session: Session) -> list[Run]:
        return [await session.change(next(values)) for _ in range(CHANGES)]

    runs = [run for each in await asyncio.gather(*map(changes, sessions)) for run in each]
    spent = started.cpu_seconds() - before
    return spent / len(runs), sum(run.bytes for run in runs) / len(runs), float(started.resident_bytes())
