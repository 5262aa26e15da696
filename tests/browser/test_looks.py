"""How the page presents itself: first screen, phone, light and dark, and what axe finds."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from .conftest import settled

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-looks")]

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
SCREENS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
}
TABS = (
    "Sequence length", "KV heads", "Tensor parallel", "Load", "Engines", "KV in use", "Ways to split", "Memory table",
    "Reconcile", "About",
)  # fmt: skip
IN_VIEW = (
    "element => { const box = element.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; }"
)


def box_of(locator):
    return locator.evaluate(IN_VIEW)


def within(box, width, height):
    left, top, right, bottom = box
    return left >= 0 and top >= 0 and right <= width and bottom <= height


def luminance(colour):
    """Relative luminance of ``rgb(…)``, as WCAG 2.2 defines it."""
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colours(page):
    text = page.get_by_role("heading", level=1).evaluate("element => getComputedStyle(element).color")
    # The page's background is that of the first ancestor that paints one.
    ground = page.get_by_role("heading", level=1).evaluate(
        """element => {
            for (let at = element; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (!/rgba\\(.*, 0\\)/.test(colour) && colour !== 'transparent') return colour;
            }
            return 'none';
        }"""
    )
    return text, ground


def serious(page):
    """What axe finds serious or critical, in words."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}: {node['html'][:120]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


# The first screen


def test_the_answer_its_numbers_and_the_memory_bar_need_no_scrolling_at_1440_by_900(open_page):
    page = open_page()
    for shown in (
        page.get_by_role("heading", level=1),
        page.get_by_text("Sequences that fit", exact=False).first,
        page.get_by_text("KV per sequence", exact=False).first,
        page.get_by_text("Fewest GPUs that would do").first,
        page.get_by_role("figure", name="Memory of one GPU"),
        page.get_by_role("heading", name="What would change it"),
    ):
        expect(shown).to_be_visible()
        assert within(box_of(shown), 1440, 900), shown
    assert page.locator("main").evaluate("element => element.scrollTop") == 0


def test_why_it_does_not_fit_needs_no_scrolling_either(open_page):
    page = open_page("?tensor_parallel_size=1")
    assert within(box_of(page.get_by_role("alert")), 1440, 900)
    assert within(box_of(page.get_by_role("figure", name="Memory of one GPU")), 1440, 900)


def test_nothing_of_the_levers_and_the_formula_is_cut_on_a_tablet(open_page):
    page = open_page(viewport={"width": 1024, "height": 768})
    expect(page.get_by_role("button", name="8 GPUs (TP 8) instead of 4")).to_be_visible()
    inner = page.locator("main button *, main pre, main [data-testid=stMarkdown]:has(table)")
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert inner.evaluate_all(cut) == []


# Phone


def each_tab(page):
    """Open one tab after the other, and wait for what it shows."""
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        panel = page.get_by_role("tabpanel", name=tab)
        shown = panel.get_by_role("figure").or_(panel.get_by_role("table")).or_(panel.get_by_label("Start-up log"))
        expect(shown.first).to_be_visible()
        page.mouse.move(0, 0)  # off the levers: a hint that fades in or out is caught half way
        expect(page.get_by_role("tooltip")).to_have_count(0)
        settled(page)
        yield tab


def test_nothing_scrolls_sideways_on_a_phone_and_charts_fit(open_page):
    page = open_page(**PHONE)
    for tab in each_tab(page):
        for element in ("html", "main"):
            wide, visible = page.locator(element).evaluate("element => [element.scrollWidth, element.clientWidth]")
            assert wide <= visible == 390, (tab, element)
        for figure in page.get_by_role("figure").all():
            for box in (box_of(figure), box_of(figure.locator("svg.main-svg").first)):
                assert box[0] >= 0, tab
                assert box[2] <= 390, tab


def test_the_answer_is_the_first_thing_on_a_phone(open_page):
    page = open_page(**PHONE)
    title = page.get_by_role("heading", level=1)
    expect(title).to_be_in_viewport(ratio=1)
    assert box_of(title)[1] < 844 / 4
    left, _, right, _ = box_of(page.get_by_label("Sidebar", exact=True))
    assert right <= 0 or left >= 390, "the inputs are folded away"


def test_inputs_can_be_unfolded_on_a_phone(open_page):
    page = open_page(**PHONE)
    page.get_by_role("banner").get_by_role("button").first.click()
    box = page.get_by_role("spinbutton", name="Sequence length")
    expect(box).to_be_in_viewport()
    box.fill("4096")
    box.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("4,096 tokens")


# Light and dark


WHITE = "rgb(255, 255, 255)"  # within bars
CHART_TEXT = ".xtick text, .ytick text, .xtitle, .ytitle, .bartext"


def faint(page, ground):
    """Text of the charts, on the page's own ground, that has less contrast than WCAG 2.2 asks of small text."""
    shown = (
        page.locator(".js-plotly-plot")
        .locator(CHART_TEXT)
        .evaluate_all("""found => found.map(text => [text.textContent, getComputedStyle(text).fill])""")
    )
    assert len(shown) > 10
    return [text for text, colour in shown if colour != WHITE and contrast(colour, ground) < 4.5]


def test_dark_is_dark_and_readable(open_page, tmp_path):
    page = open_page("?view=kv-heads", color_scheme="dark")
    text, ground = colours(page)
    assert luminance(ground) < 0.03
    assert contrast(text, ground) >= 7
    assert faint(page, ground) == []
    page.screenshot(path=tmp_path / "dark.png")
    assert (tmp_path / "dark.png").stat().st_size > 20_000


def test_light_is_light_and_readable(open_page):
    page = open_page("?view=kv-heads", color_scheme="light")
    text, ground = colours(page)
    assert luminance(ground) > 0.9
    assert contrast(text, ground) >= 7
    assert faint(page, ground) == []


COLOURS_OF_BARS = """plot => Object.fromEntries(plot.data
    .filter(trace => trace.type === 'bar')
    .map(trace => [trace.name.split(' ')[0], [trace.marker.color].flat().filter(one => one.startsWith('#'))[0]]))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_kv_and_weights_have_the_same_colours_in_bar_and_chart(open_page, scheme):
    page = open_page("?view=tensor-parallel", color_scheme=scheme)
    bar = page.get_by_role("figure", name="Memory of one GPU").locator(".js-plotly-plot")
    chart = page.get_by_role("tabpanel").locator(".js-plotly-plot")
    shown = [plot.evaluate(COLOURS_OF_BARS) for plot in (bar, chart)]
    kv, weights = ({found[name] for found in shown} for name in ("KV", "Weights"))
    assert (len(kv), len(weights)) == (1, 1)
    assert kv != weights


# axe


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_in_any_tab(open_page, screen):
    page = open_page(**SCREENS[screen])
    assert {tab: serious(page) for tab in each_tab(page)} == {tab: [] for tab in TABS}


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_axe_finds_nothing_serious_with_everything_unfolded(open_page, screen):
    page = open_page("?view=kv-heads&model=qwen2.5-14b&seq_len=40000&unknown=1", **SCREENS[screen])
    page.get_by_text("Engine and overheads").click()
    expect(page.get_by_role("spinbutton", name="Activations, GiB")).to_be_visible()
    page.get_by_text("single changes").click()
    expect(page.get_by_role("button", name="instead of").nth(20)).to_be_visible()
    page.get_by_text("Table", exact=True).click()
    expect(page.get_by_label("Table of KV heads").first).to_be_visible()
    settled(page)
    assert serious(page) == []


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_menus(open_page, screen):
    page = open_page(**SCREENS[screen])
    for button in ("Link", "Save"):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert serious(page) == [], button
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_axe_finds_nothing_serious_where_it_does_not_fit(open_page, screen):
    page = open_page("?tensor_parallel_size=1&model=nope", **SCREENS[screen])
    expect(page.get_by_role("alert").first).to_be_visible()
    assert serious(page) == []


CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "use_cache": True,
}


def test_axe_finds_nothing_serious_where_a_config_is_read(open_page):
    page = open_page("?model=config&seq_len=2048&tensor_parallel_size=1", charts=0)
    box = page.get_by_role("textbox", name="Paste its content")
    expect(box).to_be_visible()
    assert serious(page) == []
    box.fill(json.dumps(CONFIG))
    box.press("Control+Enter")
    page.get_by_role("button", name="Read it").click()
    page.get_by_text("What was understood of the config").click()
    expect(page.get_by_role("region", name="Groups of layers")).to_be_visible()
    expect(page.get_by_text("Ignored keys")).to_be_visible()
    settled(page)
    assert serious(page) == []


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_hint_of_a_lever(open_page, screen):
    page = open_page(**SCREENS[screen])
    page.get_by_role("button", name="KV cache in").first.hover()
    hint = page.get_by_role("tooltip")
    expect(hint).to_be_visible()
    # Faded in fully, or axe judges a colour that nobody sees for longer than a blink.
    page.wait_for_timeout(600)
    assert serious(page) == []


def test_headings_are_one_answer_and_its_sections(open_page):
    page = open_page()
    levels = page.get_by_role("heading").evaluate_all("found => found.map(heading => heading.tagName)")
    assert levels == ["H1", "H2", "H2", "H2"]


def test_axe_finds_nothing_serious_in_an_own_architecture(open_page):
    page = open_page(
        "?model=custom&gpu=custom&num_layers=32&num_attention_heads=32&num_key_value_heads=8&head_dim=128"
        "&hidden_size=4096&intermediate_size=14336&vocab_size=128256&max_position_embeddings=8192"
        "&tie_word_embeddings=false"
    )
    expect(page.get_by_role("spinbutton", name="KV heads, G")).to_be_visible()
    assert serious(page) == []
