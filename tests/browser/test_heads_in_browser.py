"""The page of KV heads in a browser: turned to, dragged, opened by a link, on a desk, a tablet and a phone."""

import re

import pytest
from playwright.sync_api import expect

import calculator
from calculator.views.heads import answer, chosen

from .actions import OPENING, choose, has_parameter, headline, unfold
from .conftest import settled
from .test_looks import SCREENS, box_of, serious, within

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-heads")]

CHARTS = 8  # four that move together, what presets chose, three pictures of who shares which head


def heads_page(open_page, query="", charts=CHARTS, **options):
    return open_page(f"heads{query}", charts=charts, **options)


def states(page, name=None, **changes):
    """The page comes to state the answer of a number of KV heads."""
    study = calculator.head_study(**{**OPENING, **changes})
    expect(headline(page)).to_have_text([answer.headline(study, chosen.row_of(study, name))])
    settled(page)


def figures(page):
    return page.get_by_role("figure")


def test_the_page_is_turned_to_and_keeps_what_was_asked(open_page):
    page = open_page("?model=llama-3-8b&tensor_parallel_size=1")
    page.get_by_role("link", name="How many KV heads?").click()
    states(page, model="llama-3-8b", tensor_parallel_size=1)
    expect(page).to_have_url(re.compile(r"/heads\?.*model=llama-3-8b"))
    page.get_by_role("link", name="Does it fit?").click()
    expect(page.get_by_role("figure", name="Memory of one GPU")).to_be_visible()
    has_parameter(page, "model", "llama-3-8b")


def test_slider_chip_and_length_move_the_answer_the_charts_and_the_link(open_page):
    page = heads_page(open_page)
    states(page)
    for shown in (
        headline(page),
        page.get_by_role("slider"),
        page.get_by_text("Users held", exact=True),
        *(figure.locator("svg.main-svg").first for figure in figures(page).all()[:4]),
    ):
        expect(shown).to_be_visible()
        assert within(box_of(shown), 1440, 900), shown
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    states(page, "16")
    has_parameter(page, "kv_heads", "16")
    expect(figures(page).filter(has=page.locator(".js-plotly-plot"))).to_have_count(CHARTS)
    expect(page.get_by_role("figure", name="Users held over the KV heads; chosen: 28")).to_be_visible()
    page.keyboard.press("End")
    states(page, "mla")
    page.keyboard.press("Home")
    states(page, "1")
    page.get_by_role("button", name="TP 4").click()
    page.get_by_role("radio", name="8", exact=True).click()
    states(page, "1", tensor_parallel_size=8)
    has_parameter(page, "tensor_parallel_size", 8)
    page.keyboard.press("Escape")
    length = page.get_by_role("textbox", name="Tokens each")
    length.fill("16k")
    length.press("Enter")
    states(page, "1", tensor_parallel_size=8, seq_len=16_000)
    has_parameter(page, "seq_len", 16_000)


def test_a_link_opens_its_state_and_another_model_keeps_it(open_page, new_page):
    page = heads_page(open_page, "?kv_heads=1&seen=34.36%20GB")
    states(page, "1")
    expect(page.get_by_text("64 layers (its query heads) in place of 80").first).to_be_visible()
    choose(page, "Model", "LLaMA 3 8B")
    states(page, "1", model="llama-3-8b")
    other = new_page()
    other.goto(page.url)
    states(other, "1", model="llama-3-8b")


def test_the_four_charts_stand_in_twos_on_a_tablet_and_none_is_cut(open_page):
    page = heads_page(open_page, viewport={"width": 1024, "height": 768})
    boxes = [box_of(figure.locator("svg.main-svg").first) for figure in figures(page).all()[:4]]
    assert boxes[0][1] == boxes[1][1] < boxes[2][1] == boxes[3][1]
    assert all(left >= 0 and right <= 1024 for left, _, right, _ in boxes)


# what a panel adds to the page is looked at on one screen, the page itself on each
@pytest.mark.parametrize(
    ("panel", "screen"), [*(("why", screen) for screen in SCREENS), ("prefill", "dark"), ("uptraining", "phone")]
)
def test_axe_finds_nothing_serious_with_everything_unfolded_and_nothing_is_cut(open_page, screen, panel):
    query = f"?panel={panel}&seen=34.36%20GB&min_batch_size=40&kv_heads=2&training_tokens=2000000000000"
    charts = {"why": CHARTS, "prefill": 5, "uptraining": 6}[panel]  # a conversion has a chart of its own
    page = heads_page(open_page, query, charts=charts, **SCREENS[screen])
    for fold in ("All 71 claims", "What was looked for", "All 132 published pairs", "Where they disagree", "Table"):
        if page.locator("summary").filter(has_text=fold).count():
            unfold(page, fold)
    page.mouse.move(0, 0)
    settled(page)
    assert serious(page) == []
    width = page.viewport_size["width"]
    for element in ("html", "main"):
        wide, visible = page.locator(element).evaluate("element => [element.scrollWidth, element.clientWidth]")
        assert wide <= visible == width, element
    for figure in figures(page).filter(has=page.locator("svg.main-svg")).all():
        left, _, right, _ = box_of(figure.locator("svg.main-svg").first)
        assert left >= 0
        assert right <= width
