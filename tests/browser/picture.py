"""Take the picture of the README: ``python -m tests.browser.picture docs/does_it_fit.png``."""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM_FLAGS, serving

WIDTH, HEIGHT, COLOURS = 1280, 900, 96
OPENED_MS, SETTLED_MS = 120_000, 8_000
"""What a cold server takes on a busy machine, and drawing the last chart and table once the first is there [ms]."""


def taken() -> bytes:
    """Return the landing page as it opens, light, as a PNG."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "server.log") as port,
        sync_playwright() as run,
    ):
        browser = run.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(f"http://localhost:{port}/")
        page.locator(".js-plotly-plot").first.wait_for(timeout=OPENED_MS)
        page.wait_for_timeout(SETTLED_MS)
        picture = page.screenshot()
        browser.close()
    return picture


def main(path: Path) -> None:
    """Write the picture with as many colours as it needs."""
    image = Image.open(io.BytesIO(taken())).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
