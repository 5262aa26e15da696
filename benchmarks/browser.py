"""A page in Debian's chromium, watched from inside the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.server import PATIENCE_SECONDS

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

WATCH = Path(__file__).with_name("watch.js").read_text()


@dataclass(frozen=True)
class Awaited:
    """What a page must show to count as drawn.

    Attributes
    ----------
    text : str
        Words that must stand on it.
    charts : int
        Charts that must be drawn, anew where ``values`` are given [-].
    values : tuple of float
        Numbers of which the data of each of those charts must hold one.
    """

    text: str
    charts: int
    values: tuple[float, ...] = ()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; close it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


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


def change(page: Page, label: re.Pattern[str], value: int, awaited: Awaited) -> dict[str, float]:
    """Type a value into an input; return when each phase was seen, from Enter to the charts redrawn [s]."""
    page.bring_to_front()
    field = page.get_by_role("spinbutton", name=label).first
    field.fill(str(value))
    page.evaluate("awaited => { window.redrawn = watchFromEnter(awaited) }", asdict(awaited))
    field.press("Enter")
    return _seconds(page.evaluate("() => window.redrawn"))


def _seconds(phases: dict[str, float]) -> dict[str, float]:
    return {name: milliseconds / 1000 for name, milliseconds in phases.items()}
