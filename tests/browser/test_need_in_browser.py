"""What do I need, in a real browser: the answer, a row that opens its plan, what axe finds, a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import calculator
from calculator import views
from calculator.views import words
from calculator.views.sizing import answer

from .actions import drawn, has_parameter, headline
from .conftest import settled

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-need")]

GPUS = ["mi300x", "h200", "h100-sxm"]
QUERY = f"need?users=200&gpus={','.join(GPUS)}"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
SCREENS = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}, "phone": PHONE}


def found(**changes):
    return calculator.size("llama-3-70b", **{"users": 200, "seq_len": 8192, "gpus": GPUS, **changes})


def serious(page):
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}: {node['html'][:120]}"
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def plan_of(option):
    return calculator.vary(option.plan, batch_size=option.batch_size, data_parallel_size=option.replicas)


def test_the_answer_its_chart_and_the_plan_of_a_row(open_page):
    page = open_page(QUERY, charts=1)
    size = found()
    expect(headline(page)).to_have_text([answer.headline(size)])
    points = sum(len(option.usd_per_hour or ()) > 0 for option in size.options)
    traces = drawn(page.get_by_role("figure", name=views.options_view(size).finding))
    assert sum(trace["points"] for trace in traces if trace["name"] != "Front") == points
    table = page.get_by_role("region", name=views.options_view(size).finding)
    box = table.bounding_box()
    # the second row of 35 px below the head, in the first column
    page.mouse.click(box["x"] + 70, box["y"] + 35 * 2.5)
    expect(headline(page)).to_have_text([words.headline(plan_of(size.options[1]))])
    has_parameter(page, "users", 200)
    has_parameter(page, "gpu", size.options[1].plan.accelerator.id)


def test_the_landing_page_leads_here_and_back_with_what_was_asked(open_page):
    page = open_page("?model=qwen2.5-72b&gpus=h200")
    page.get_by_role("link", name="Which GPUs do I need?").click()
    size = calculator.size("qwen2.5-72b", users=200, seq_len=8192, gpus=["h200"])
    expect(headline(page)).to_have_text([answer.headline(size)])
    page.get_by_role("link", name="Open the plan of").click()
    expect(headline(page)).to_have_text([words.headline(plan_of(size.best))])


def test_an_input_is_changed_by_hand_and_travels_in_the_link(open_page):
    page = open_page(QUERY, charts=1)
    field = (
        page.get_by_label("Users at once", exact=True)
        .get_by_role("spinbutton")
        .or_(page.get_by_role("spinbutton", name="Users at once"))
    )
    field.first.fill("50")
    field.first.press("Enter")
    expect(headline(page)).to_have_text([answer.headline(found(users=50))])
    has_parameter(page, "users", 50)


def test_nothing_scrolls_sideways_on_a_phone(open_page):
    for query, charts in ((QUERY, 1), ("need?search=models&gpu=rtx-4090", 0), ("need?max_tpot_ms=0.1&gpus=h200", 0)):
        page = open_page(query, charts=charts, **PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("element => element.scrollWidth - element.clientWidth") == 0
        top = headline(page).bounding_box()
        assert top["y"] + top["height"] < 844  # the answer is on the first screen


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious(open_page, screen):
    page = open_page(QUERY, charts=1, **SCREENS[screen])
    assert serious(page) == []
    page.get_by_role("button", name="No goals").click()
    expect(page.get_by_label("Most ms a token (TPOT)").first).to_be_visible()
    settled(page)
    assert serious(page) == []
    page = open_page("need?search=models&gpu=rtx-4090", charts=0, **SCREENS[screen])
    assert serious(page) == []
