"""``python -m benchmarks.load [--sessions N] [--minutes M]``: how a server holds many readers at once."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from statistics import mean, median
from typing import Any

from benchmarks.load.crowd import Met, crowd
from benchmarks.server import APP, BARE, server

MIB = 2**20
COLUMNS = (
    "page", "sessions", "runs", "p50 s", "p95 s", "slowest s", "errors", "CPU ms a run", "of a core", "KiB a run",
    "MiB, minute by minute", "files",
)  # fmt: skip

FLAGS: dict[str, dict[str, Any]] = {
    "--sessions": {"type": int, "nargs": "+", "default": [50], "help": "readers at once; several: in turn"},
    "--minutes": {"type": float, "default": 10.0, "help": "for how long each crowd changes numbers"},
    "--think": {
        "type": float, "nargs": 2, "default": (2.0, 5.0), "metavar": ("LEAST", "MOST"),
        "help": "seconds between two changes of a reader",
    },
    "--cold": {"type": int, "default": 10, "help": "readers that open a cold server at the same moment; 0: none"},
    "--no-bare": {"action": "store_true", "help": "leave out the bare page of three charts"},
}  # fmt: skip


def main() -> int:
    """Measure the page, and the bare page beside it; 1 where a reader would have seen an error."""
    parser = argparse.ArgumentParser("python -m benchmarks.load", description=__doc__)
    for flag, more in FLAGS.items():
        parser.add_argument(flag, **more)
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; this client computes on the same machine")
    wrong = _cold(asked.cold) if asked.cold else 0
    print(" | ".join(COLUMNS))
    for sessions in asked.sessions:
        for page, script in (("app", APP), *(() if asked.no_bare else (("bare", BARE),))):
            with server(script) as started:
                met = asyncio.run(crowd(started, sessions, 60 * asked.minutes, tuple(asked.think)))
            wrong += met.errors.total()
            print(_row(page, sessions, met), flush=True)
            for said, count in met.errors.most_common(5):
                print(f"    {count} x {said}")
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 1 if wrong else 0


def _cold(readers: int) -> int:
    """Let readers open a cold server together; return the errors that they saw."""
    with server(APP) as started:
        met = asyncio.run(crowd(started, readers, 0, (0, 0)))
    slowest = max((run.seconds for run in met.opened), default=0.0)
    print(f"{readers} at once on a cold server: {len(met.opened)} opened, the slowest in {slowest:.1f} s, "
          f"{met.errors.total()} errors")  # fmt: skip
    for said, count in met.errors.most_common(5):
        print(f"    {count} x {said}")
    return met.errors.total()


def _row(page: str, sessions: int, met: Met) -> str:
    runs = max(1, len(met.runs))
    seconds = [run.seconds for run in met.runs] or [0.0]
    cells = (
        page,
        f"{sessions}",
        f"{len(met.runs)}",
        f"{median(seconds):.2f}",
        f"{met.percentile(95):.2f}",
        f"{max(seconds):.2f}",
        f"{met.errors.total()}",
        f"{1e3 * met.cpu_seconds / runs:.0f}",
        f"{met.cpu_seconds / max(met.wall_seconds, 1e-9):.2f}",
        f"{mean([run.bytes for run in met.runs] or [0]) / 1024:.1f}",
        " ".join(f"{size / MIB:.0f}" for size in met.memory),
        f"{met.files}",
    )
    return " | ".join(cells)


if __name__ == "__main__":
    sys.exit(main())
