"""``app``: the dashboard in the browser, from a checkout or as installed."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from calculator.errors import InvalidValueError, shown

HIGHEST_PORT = 65_535
SCRIPTS = ("../app.py", "start/app.py")
"""Where the page's script stands beside the package ``dashboard``: in a checkout, and in a wheel."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--address", metavar="HOST", help="address that it answers on; default 127.0.0.1")
    parser.add_argument("--port", type=int, metavar="N", help="port that it answers on; default 8501")
    parser.add_argument("--headless", action="store_true", help="open no browser")


def run(arguments: argparse.Namespace) -> int:
    """Become the server of the dashboard; settings of its own are also taken from STREAMLIT_… variables."""
    command = server_command(arguments.address, arguments.port, headless=arguments.headless)
    os.execv(command[0], command)


def server_command(address: str | None, port: int | None, *, headless: bool) -> list[str]:
    """Return the command that serves the dashboard.

    Parameters
    ----------
    address : str or None
        Address to answer on; None: that of the page's own settings, this machine alone [-].
    port : int or None
        Port to answer on; None: the server's default [-].
    headless : bool
        Whether no browser is opened [-].

    Raises
    ------
    ModuleNotFoundError
        If what the page runs on is not installed.
    InvalidValueError
        If the port is none, or the page is not beside the package.
    """
    if find_spec("streamlit") is None:
        raise ModuleNotFoundError("No module named 'streamlit'", name="streamlit")
    command = [sys.executable, "-m", "streamlit", "run", str(_script())]
    if address is not None:
        command += ["--server.address", address]
    if port is not None:
        if not 1 <= port <= HIGHEST_PORT:
            nearest = min(max(port, 1), HIGHEST_PORT)
            raise InvalidValueError(
                f"port must be from 1 to {HIGHEST_PORT:,}, not {shown(port)}",
                what="port", asked=port, allowed=range(1, HIGHEST_PORT + 1), nearest=nearest,
            )  # fmt: skip
        command += ["--server.port", str(port)]
    return [*command, "--server.headless", "true"] if headless else command


def _script() -> Path:
    """Return the script of the page."""
    found = find_spec("dashboard")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for name in SCRIPTS:
            if (script := Path(folder, name)).is_file():
                return script.resolve()
    raise InvalidValueError("the page is not installed beside the package: start it from a checkout, by make app")
