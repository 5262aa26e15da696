"""Compare, in a real browser: what differs, what axe finds, a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import calculator

from .actions import expected, headline

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-need")]

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
SCREENS = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}, "phone": PHONE}


@pytest.mark.parametrize("screen", SCREENS)
def test_what_differs_is_said_first_and_axe_finds_nothing_serious(open_page, screen):
    page = open_page("compare?to_engine_version=0.19", charts=1, **SCREENS[screen])
    expect(headline(page)).to_have_text([calculator.compare(expected(), expected(engine_version="0.19")).finding])
    found = [rule for rule in Axe().run(page).response["violations"] if rule["impact"] in ("serious", "critical")]
    assert found == []
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") == 0
