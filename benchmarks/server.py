"""A page of its own server, as ``make app`` starts it, and what its process takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.interpreter import environment

ROOT = Path(__file__).parent.parent
APP, BARE = "app.py", "benchmarks/bare_page.py"
PATIENCE_SECONDS = 60
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes
    ----------
    port : int
        Where it listens.
    pid : int
        Its process.
    """

    port: int
    pid: int

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://localhost:{self.port}/"

    def cpu_seconds(self) -> float:
        """Time that the process has computed, in its own code and in the system's [s]."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Memory of the process that is in use [bytes]."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def open_files(self) -> int:
        """Descriptors that the process holds [-]."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


@contextmanager
def server(script: str) -> Iterator[Server]:
    """Start a fresh server of a page; yield it once it answers, then stop it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = ("--server.headless", "true", "--server.port", str(port))
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", script, *options],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        started = Server(port, process.pid)
        _wait_until_it_answers(process, f"{started.address}_stcore/health")
        yield started
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"no server answers at {address}")
