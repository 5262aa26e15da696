"""The tab of load in a browser: asked, drawn, dimmed, a trace chosen as a file, on a desk and on a phone."""

import re

import pytest
from playwright.sync_api import expect

import calculator
from calculator import views
from calculator.planning.traffic.workload import Workload

from .actions import expected, has_parameter, unfold
from .conftest import settled
from .test_looks import PHONE, SCREENS, box_of, serious

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-load")]

CHARTS = 5  # the bar of memory and four of load
TRACE = "input_tokens,output_tokens\n1000,200\n3000,50\n500,900\n"


def load_page(open_page, query="", charts=CHARTS, **options):
    page = open_page(f"?view=load{query}", charts=charts, **options)
    return page, page.locator(".st-key-view")


def answers(panel, workload, risk=0.01):
    expect(panel.get_by_text(views.load_answer(expected(), workload, risk))).to_be_visible()


def fill(panel, label, value):
    box = panel.get_by_role("spinbutton", name=label).or_(panel.get_by_role("textbox", name=label))
    box.fill(str(value))
    box.press("Enter")


def test_what_is_asked_is_answered_drawn_and_in_the_link(open_page):
    page, panel = load_page(open_page)
    answers(panel, Workload(1.0, 1000, 250))
    fill(panel, "Prompt, tokens", 2000)
    fill(panel, "Risk", 0.001)  # at once: before the page has seen the link of the first
    answers(panel, Workload(1.0, 2000, 250), 0.001)
    has_parameter(page, "prompt_tokens", 2000)
    has_parameter(page, "risk", 0.001)
    for figure in panel.get_by_role("figure").all():
        expect(figure.locator("svg.main-svg").first).to_be_visible()
    finding = views.risk_view(expected(), Workload(1.0, 2000, 250), 0.001).finding
    expect(panel.get_by_role("figure", name=finding)).to_be_visible()


def test_a_wrong_input_is_said_and_the_last_answer_stays(open_page):
    _, panel = load_page(open_page)
    fill(panel, "Correlation", -0.9)
    expect(panel.get_by_role("alert")).to_contain_text("the nearest is -0.500")
    expect(panel.get_by_text("Before: ")).to_be_visible()
    expect(panel.get_by_role("figure")).to_have_count(4)
    fill(panel, "Correlation", -0.5)
    answers(panel, Workload(1.0, 1000, 250, correlation=-0.5))


def test_a_trace_is_chosen_as_a_file_and_opens_by_its_link(open_page, new_page):
    page, panel = load_page(open_page)
    panel.get_by_role("radio", name="Trace").click()
    expect(panel.get_by_text("No trace is read yet")).to_be_visible()
    file = {"name": "mine.csv", "mimeType": "text/csv", "buffer": TRACE.encode()}
    panel.locator("input[type=file]").set_input_files(file)
    expect(panel.get_by_text(re.compile("Read: 3 requests"))).to_be_visible()
    of_trace = calculator.workload_from_trace({"input_tokens": [1000, 3000, 500], "output_tokens": [200, 50, 900]})
    answers(panel, of_trace)
    expect(page).to_have_url(re.compile(r"[?&]trace="))
    other = new_page()
    other.goto(page.url)
    answers(other.locator(".st-key-view"), of_trace)


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_with_everything_unfolded(open_page, screen):
    page, panel = load_page(open_page, "&workload=azure-2023-code", **SCREENS[screen])
    unfold(page, "How often requests are thrown out")
    expect(panel.get_by_role("figure")).to_have_count(5, timeout=120_000)
    unfold(page, "What circulates")
    expect(panel.get_by_text("It contradicts itself and the device")).to_be_visible()
    settled(page)
    assert serious(page) == []


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_axe_finds_nothing_serious_where_a_trace_is_asked_for(open_page, screen):
    page, panel = load_page(open_page, "&workload=trace", charts=1, **SCREENS[screen])
    expect(panel.get_by_text("No trace is read yet")).to_be_visible()
    panel.get_by_role("button", name="Read the trace").click()
    expect(panel.get_by_role("alert").filter(has_text="There is no trace yet")).to_be_visible()
    settled(page)
    assert serious(page) == []


def test_nothing_scrolls_sideways_on_a_phone_with_everything_unfolded(open_page):
    page, panel = load_page(open_page, **PHONE)
    unfold(page, "How often requests are thrown out")
    expect(panel.get_by_role("figure")).to_have_count(5, timeout=120_000)
    unfold(page, "What circulates")
    settled(page)
    for element in ("html", "main"):
        wide, visible = page.locator(element).evaluate("element => [element.scrollWidth, element.clientWidth]")
        assert wide <= visible == 390, element
    for figure in panel.get_by_role("figure").all():
        left, _, right, _ = box_of(figure.locator("svg.main-svg").first)
        assert left >= 0
        assert right <= 390


def test_the_keyboard_reaches_the_inputs_and_chooses_a_kind(open_page):
    page, panel = load_page(open_page)
    panel.get_by_role("radio", name="Means").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(panel.get_by_role("combobox", name="Table")).to_be_visible()
    has_parameter(page, "workload", calculator.workload_ids()[0])
