"""Fresh interpreters as people start them: with byte code cached, whatever this process was told."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache


@cache
def environment() -> dict[str, str]:
    """Return the environment of every fresh interpreter.

    Byte code goes to a folder of this run's own, so that floor and ours are cached alike, also
    where ``PYTHONDONTWRITEBYTECODE`` is set, and nothing is left in the repository.
    """
    folder = tempfile.mkdtemp(prefix="benchmarks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPYCACHEPREFIX": folder}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments, in a fresh interpreter; its output is kept."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment())
