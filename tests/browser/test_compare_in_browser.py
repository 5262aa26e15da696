"""Compare, in a real browser: plans side by side, what is opened, what axe finds, a phone."""

import pytest
from playwright.sync_api import expect

from calculator import views
from calculator.views.comparing import difference
from dashboard import state
from dashboard.compare import pins

from .actions import expected, headline
from .conftest import settled
from .test_looks import SCREENS, serious

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-need")]

OTHERS = [{"gpu": "mi300x"}, {"engine_version": "0.19"}, {"gpu": "h200", "kv_cache_dtype": "fp8_e4m3"}]


def pin(**changes):
    held = {name: parameter.default for name, parameter in state.PARAMETERS.items()}
    return pins.of_link(state.link_of(held | changes))


def said(*changes):
    return difference.headline(views.side_by_side([expected(**each) for each in changes]))


@pytest.mark.parametrize("screen", SCREENS)
def test_what_differs_is_said_first_and_axe_finds_nothing_serious(open_page, screen):
    pinned = ",".join(pin(**each) for each in OTHERS)
    page = open_page(f"compare?pinned={pinned}", charts=3, **SCREENS[screen])
    expect(headline(page)).to_have_text([said(*OTHERS)])
    assert serious(page) == []
    width = page.viewport_size["width"]
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("element => element.scrollWidth") <= width
    for figure in page.locator(".js-plotly-plot svg.main-svg").all():
        box = figure.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_what_is_other_is_chosen_swapped_pinned_and_taken_out(open_page):
    page = open_page("compare", charts=3)
    box = page.get_by_role("combobox", name="GPU")
    box.click()
    box.fill("192 GiB")  # a GPU is found by its memory
    page.get_by_role("option", name="MI300X · 192 GiB").click()
    expect(headline(page)).to_have_text([said({}, {"gpu": "mi300x"})])
    page.get_by_role("button", name="Swap").click()
    expect(headline(page)).to_have_text([said({"gpu": "mi300x"}, {})])
    settled(page)
    page.get_by_text("Every number, and what moves it").click()
    expect(page.get_by_role("region", name="What moves each number")).to_be_visible()
    page.get_by_role("button", name="A: 4 × MI300X, TP 4").click()
    page.get_by_role("button", name="Take it out").click()
    expect(headline(page)).to_contain_text("on llama.cpp")
