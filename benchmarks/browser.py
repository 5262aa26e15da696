"""A page of its own server in Debian's chromium, watched from inside the page."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.interpreter import environment

ROOT = Path(__file__).parent.parent
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_SECONDS = 60

WATCH = Path(__file__).with_name("watch.js").read_text()


@dataclass(frozen=True)
class Awaited:
    """What a page must show to count as drawn.

    Attributes
    ----------
    text : str
        Words that must stand on it.
    charts : int
        Charts that must be drawn, anew where ``value`` is given [-].
    value : float or None
        A number that the data of each of those charts must hold.
    """

    text: str
    charts: int
    value: float | None = None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; close it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def server(script: str) -> Iterator[str]:
    """Start a fresh server of a page, as ``make app`` does; yield its address once it answers, then stop it."""
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
        address = f"http://localhost:{port}/"
        _wait_until_it_answers(process, f"{address}_stcore/health")
        yield address
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


@contextmanager
def fresh_page(browser: Browser) -> Iterator[Page]:
    """Open a page that shares nothing with any other, and can watch itself."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    context.add_init_script(WATCH)
    yield context.new_page()
    context.close()


def open_page(page: Page, address: str, awaited: Awaited) -> dict[str, float]:
    """Go to a page; return when each phase was seen, from the navigation to its charts drawn [s]."""
    page.goto(address, wait_until="commit")
    return _seconds(page.evaluate("awaited => watchFor(awaited, 0)", asdict(awaited)))


def change(page: Page, label: str, value: int, awaited: Awaited) -> dict[str, float]:
    """Type a value into an input; return when each phase was seen, from Enter to the charts redrawn [s]."""
    page.bring_to_front()
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    page.evaluate("awaited => { window.redrawn = watchFromEnter(awaited) }", asdict(awaited))
    field.press("Enter")
    return _seconds(page.evaluate("() => window.redrawn"))


def _seconds(phases: dict[str, float]) -> dict[str, float]:
    return {name: milliseconds / 1000 for name, milliseconds in phases.items()}
