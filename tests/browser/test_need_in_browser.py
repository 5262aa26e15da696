"""What do I need, in a real browser: the answer, a row that opens its plan, what axe finds, a phone."""

import pytest
from playwright.sync_api import expect

import calculator
from calculator import views
from calculator.views import words
from calculator.views.sizing import answer

from .actions import drawn, has_parameter, headline
from .conftest import settled
from .test_looks import PHONE, SCREENS, serious

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-need")]

GPUS = ["mi300x", "h200", "h100-sxm"]
QUERY = f"need?users=200&gpus={','.join(GPUS)}"


def found(**changes):
    return calculator.size("llama-3-70b", **{"users": 200, "seq_len": 8192, "gpus": GPUS, **changes})


def plan_of(option):
    return calculator.vary(option.plan, batch_size=option.batch_size, data_parallel_size=option.replicas)


def test_an_input_is_changed_a_row_is_pinned_and_one_opens_its_plan(open_page):
    page = open_page(QUERY, charts=1)
    expect(page).to_have_title("What do I need? · KV-cache planner")
    field = page.get_by_role("spinbutton", name="Users at once")
    field.fill("50")
    field.press("Enter")
    length = page.get_by_role("textbox", name="Tokens each, in and out")
    length.fill("4K")
    length.press("Enter")
    size = found(users=50, seq_len=4096)
    finding = views.options_view(size).finding
    expect(headline(page)).to_have_text([answer.headline(size)])
    expect(length).to_have_value("4,096")
    has_parameter(page, "users", 50)
    has_parameter(page, "seq_len", 4096)
    settled(page)
    points = sum(len(option.usd_per_hour or ()) > 0 for option in size.options)
    traces = drawn(page.get_by_role("figure", name=finding))
    assert sum(trace["points"] for trace in traces if trace["name"] != "Front") == points
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Answer (JSON)").click()
    assert download.value.suggested_filename == "llama-3-70b-size.json"
    page.keyboard.press("Escape")
    length.fill("4 kilo")
    length.press("Enter")
    expect(page.get_by_text("is not a number of tokens")).to_be_visible()
    expect(headline(page)).to_have_text([f"Before: {answer.headline(size)}"])
    length.fill("4096")
    length.press("Enter")
    expect(headline(page)).to_have_text([answer.headline(size)])
    settled(page)
    box = page.get_by_role("region", name=finding).bounding_box()
    # the second row of 35 px below the head, in the first column
    page.mouse.click(box["x"] + 70, box["y"] + 35 * 2.5)
    expect(headline(page)).to_have_text([words.headline(plan_of(size.options[1]))])
    has_parameter(page, "users", 50)
    has_parameter(page, "gpu", size.options[1].plan.accelerator.id)


def test_the_landing_page_leads_here_and_back_with_what_was_asked(open_page):
    page = open_page("?model=qwen2.5-72b&gpus=h200")
    page.get_by_role("link", name="Which GPUs do I need?").click()
    size = calculator.size("qwen2.5-72b", users=200, seq_len=8192, gpus=["h200"])
    expect(headline(page)).to_have_text([answer.headline(size)])
    page.get_by_role("link", name="Open the plan of").click()
    expect(headline(page)).to_have_text([words.headline(plan_of(size.best))])


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_and_the_answer_is_seen_first(open_page, screen):
    for query, charts in ((QUERY, 1), ("need?search=models&gpu=rtx-4090", 0), ("need?max_tpot_ms=0.1&gpus=h200", 0)):
        page = open_page(query, charts=charts, **SCREENS[screen])
        top = headline(page).bounding_box()
        assert top["y"] + top["height"] < 844  # the answer is on the first screen
        if SCREENS[screen].get("is_mobile"):
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
            main = page.locator("[data-testid=stMain]")
            assert main.evaluate("element => element.scrollWidth - element.clientWidth") == 0
        assert serious(page) == []
    page.get_by_role("button", name="at most 0.1 ms a token").click()
    expect(page.get_by_label("Most ms a token (TPOT)").first).to_be_visible()
    settled(page)
    assert serious(page) == []
