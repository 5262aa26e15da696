"""One server and one browser for the tests of the page; nothing may leave this machine, nothing may fail in silence."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
WAIT_MS = 30_000
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # All pages of a context in one process: the scripts of a page are parsed and compiled once, not for every test.
    "--process-per-site",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever is asked for by name beyond this machine fails at once, and the test with it.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
]
ASKED_BELOW_A_PAGE = re.compile(r"/(?:heads|need|compare|log|method)/_stcore/(?:health|host-config)$")
"""What Streamlit asks for below a page's own address first, and then finds at the root."""
NOTHING_KEPT = """
if (window === top && !sessionStorage.getItem("opened")) {
  localStorage.clear();
  sessionStorage.setItem("opened", "1");
}
"""
"""A page begins without what an earlier one of its context left, such as inputs unfolded on a phone."""
expect.set_options(timeout=WAIT_MS)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(log):
    """Serve the dashboard on a free port, from nothing; a traceback in its log fails the test."""
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.fileWatcherType", "none"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait_until_healthy(process, port, log)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "Traceback" not in log.read_text(errors="replace"), log.read_text(errors="replace")[-4000:]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests of the page."""
    with serving(tmp_path_factory.mktemp("server") / "server.log") as port:
        yield f"http://localhost:{port}/"


def _wait_until_healthy(process, port, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended: {log.read_text(errors='replace')[-4000:]}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(
        f"the server did not answer within {START_SECONDS} s: {log.read_text(errors='replace')[-4000:]}"
    )


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium; a machine without one fails here rather than skip what it cannot see."""
    path = shutil.which("chromium")
    assert path, "no chromium on the PATH: install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def contexts(browser, server):
    """Return a function that gives the context of a device, kept for the session.

    Pages share its cache and its process, which a page that stays open keeps alive; each has a session of its own.
    """
    made = {}

    def context_of(device):
        key = repr(sorted(device.items()))
        if key not in made:
            made[key] = browser.new_context(**device)
            made[key].new_page().goto(f"{server}_stcore/health")
        return made[key]

    yield context_of
    for context in made.values():
        context.close()


DESK = {"width": 1440, "height": 900}


@pytest.fixture
def new_page(browser, contexts, server):
    """Make pages; whatever goes wrong in one of them fails the test. ``fresh`` gives one that shares nothing."""
    closing, problems = [], []

    def note(message):
        if message.type == "error" and not ASKED_BELOW_A_PAGE.search(message.location["url"]):
            problems.append(f"console: {message.text}")

    def make(fresh=False, viewport=DESK, color_scheme="light", **device):
        context = browser.new_context(**device) if fresh else contexts(device)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme, reduced_motion="reduce")
        page.add_init_script(NOTHING_KEPT)
        closing.append(context if fresh else page)
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("request", lambda request: _check(request.url, server, problems))
        page.on("websocket", lambda socket: _check(socket.url.replace("ws://", "http://"), server, problems))
        return page

    yield make
    for opened in closing:
        opened.close()
    assert problems == []


def _check(url, server, problems):
    if not url.startswith((server, "data:", "blob:", "file:")):
        problems.append(f"request that leaves this machine: {url[:200]}")


@pytest.fixture
def open_page(new_page, server):
    """Open the dashboard and wait for its answer and its charts."""

    def make(query="", charts=2, **options):
        page = new_page(**options)
        page.goto(server + query)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".js-plotly-plot")).to_have_count(charts)
        if charts:
            expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        settled(page)
        return page

    return make


def settled(page):
    """Wait until the server has nothing left to send."""
    page.locator('[data-test-script-state="notRunning"]').wait_for(state="attached")
