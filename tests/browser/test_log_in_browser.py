"""Check my log and Method and accuracy in a browser: the first click acts, figures become a plan, axe, a phone."""

import re

import pytest
from logs import VLLM_V1
from playwright.sync_api import expect

import calculator
from calculator.views.pages import log as said
from calculator.views.pages import method

from .actions import headline
from .conftest import settled
from .test_looks import SCREENS, serious

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-need")]

LESS = VLLM_V1.replace("51.38", "47.88").replace("420,864", "392,192").replace("26.30x", "24.51x")
"""The same start with 3.5 GiB less left for KV."""


def nothing_serious(page):
    """Axe finds nothing serious, and nothing scrolls sideways."""
    assert serious(page) == []
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") == 0


@pytest.mark.parametrize("screen", SCREENS)
def test_a_log_is_read_at_the_first_click_and_becomes_a_plan(open_page, screen):
    page = open_page("?view=reconcile", charts=0, **SCREENS[screen])  # an old link
    expect(page).to_have_url(re.compile(r"/log\?"))
    page.get_by_label("Start-up log").fill(LESS)
    page.get_by_role("button", name="Read it").click()
    result = calculator.reconcile(LESS)
    expect(headline(page)).to_have_text([said.headline(result)])
    assert said.headline(result).endswith("your engine kept 3.5 GiB less for KV than expected")
    expect(page.get_by_role("figure")).to_be_visible()
    expect(page.get_by_label("Start-up log")).to_have_value(LESS)
    assert "sk-abcdef" not in page.url
    settled(page)
    nothing_serious(page)
    page.get_by_role("button", name="Use these figures as my plan").click()
    expect(page).to_have_url(re.compile(r"calibration=%7B"))
    plan = calculator.plan(**{**result.plan.asked, "calibration": result.calibration, "non_torch_bytes": None})
    assert plan.kv_pool_bytes / 2**30 == pytest.approx(47.88, abs=0.01)
    expect(headline(page)).to_contain_text(f"{plan.total_max_batch_size} ")
    expect(page.get_by_role("button", name="By a log of vLLM")).to_be_visible()


@pytest.mark.parametrize("screen", SCREENS)
def test_the_method_opens_from_an_old_link_and_axe_finds_nothing_serious(open_page, screen):
    page = open_page("?view=about", charts=1, **SCREENS[screen])
    expect(page).to_have_url(re.compile(r"/method\?"))
    expect(headline(page)).to_have_text([method.headline()])
    settled(page)
    nothing_serious(page)
