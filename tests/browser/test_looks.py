"""How the page presents itself: first screen, phone, light and dark, and what axe finds."""

import json
import re
from contextlib import suppress

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from .actions import choose_view, expected, fill, open_chip, states
from .conftest import settled

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-looks")]

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
SCREENS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
}
VIEWS = ("Length", "KV heads", "Tensor parallel", "Load")
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


COLOURS = ("color-contrast", "link-in-text-block")
"""Rules of axe that look at colours: all that differs where the page is dark. Others read what it says."""


def serious(page, within=None):
    """What axe finds serious or critical, in words, once no colour is on its way to another."""
    page.wait_for_function(
        "() => !document.getAnimations().some(one => one instanceof CSSTransition && one.playState === 'running')"
    )
    options = {"resultTypes": ["violations"]}
    if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches"):
        options["runOnly"] = {"type": "rule", "values": COLOURS}
    found = Axe().run(page, within, options).response["violations"]
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
        page.get_by_text("KV cache of one user"),
        page.get_by_text("Price an hour"),
        page.get_by_role("figure", name="Memory of one GPU"),
        page.get_by_role("heading", name="What would change it"),
    ):
        expect(shown).to_be_visible()
        assert within(box_of(shown), 1440, 900), shown
    assert page.locator("main").evaluate("element => element.scrollTop") == 0
    levels = page.get_by_role("heading").evaluate_all("found => found.map(heading => heading.tagName)")
    assert levels == ["H1", "H2", "H2"]
    page = open_page("?batch_size=200")
    assert within(box_of(page.get_by_role("button", name="4 × MI300X: ")), 1440, 900)
    assert within(box_of(page.get_by_role("figure", name="Memory of one GPU")), 1440, 900)


@pytest.mark.parametrize("width", [390, 1024])
def test_nothing_scrolls_sideways_and_charts_fit(open_page, width):
    page = open_page(**(PHONE if width == 390 else {"viewport": {"width": 1024, "height": 768}}))
    title = page.get_by_role("heading", level=1)
    expect(title).to_be_in_viewport(ratio=1)
    assert box_of(title)[1] < 844 / 4
    assert box_of(page.get_by_role("combobox", name="Model", exact=True))[3] < 844
    for name in VIEWS:
        choose_view(page, name)
        for element in ("html", "main"):
            wide, visible = page.locator(element).evaluate("element => [element.scrollWidth, element.clientWidth]")
            assert wide <= visible == width, (name, element)
        for figure in page.get_by_role("figure").all():
            left, _, right, _ = box_of(figure.locator("svg.main-svg").first)
            assert left >= 0, name
            assert right <= width, name
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert page.locator("main button *, main pre, main [data-testid=stMetricValue]").evaluate_all(cut) == []
    if width == 390:
        fill(page, "textbox", "Tokens each", "4K")
        states(page, expected(seq_len=4096))


# Light and dark


WHITE = "rgb(255, 255, 255)"  # within bars
CHART_TEXT = ".xtick text, .ytick text, .xtitle, .ytitle, .bartext"
COLOURS_OF_BARS = """plot => Object.fromEntries(plot.data
    .filter(trace => trace.type === 'bar')
    .map(trace => [trace.name.startsWith('KV') ? 'KV cache' : trace.name.split(' ')[0],
        [trace.marker.color].flat().filter(one => one.startsWith('#'))[0]]))"""


def faint(page, ground):
    """Text of the charts, on the page's own ground, that has less contrast than WCAG 2.2 asks of small text."""
    shown = (
        page.locator(".js-plotly-plot")
        .locator(CHART_TEXT)
        .evaluate_all("""found => found.map(text => [text.textContent, getComputedStyle(text).fill])""")
    )
    assert len(shown) > 10
    return [text for text, colour in shown if colour != WHITE and contrast(colour, ground) < 4.5]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_is_light_and_dark_is_dark_and_both_are_readable(open_page, scheme):
    page = open_page("?view=tensor-parallel", color_scheme=scheme)
    text, ground = colours(page)
    assert (luminance(ground) < 0.03) is (scheme == "dark")
    assert (luminance(ground) > 0.9) is (scheme == "light")
    assert contrast(text, ground) >= 7
    assert faint(page, ground) == []
    bar = page.get_by_role("figure", name="Memory of one GPU").locator(".js-plotly-plot").evaluate(COLOURS_OF_BARS)
    chart = page.locator(".st-key-view .js-plotly-plot").first.evaluate(COLOURS_OF_BARS)
    assert bar["Weights"] == chart["Weights"]
    assert bar["Weights"] != chart["KV cache"]


# axe


def close_chip(page):
    """Close what is open: a key that comes while the page is drawn anew is not heard."""
    body = page.get_by_test_id("stPopoverBody")
    for _ in range(5):
        settled(page)
        page.keyboard.press("Escape")
        with suppress(AssertionError):
            expect(body).to_have_count(0, timeout=3_000)
            return
    expect(body).to_have_count(0)


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_in_any_view_chip_or_state(open_page, screen):
    page = open_page("?unknown=1", **SCREENS[screen])
    found = {}
    for name in VIEWS:
        choose_view(page, name)
        page.mouse.move(0, 0)
        found[name] = serious(page, ".st-key-view" if found else None)
    choose_view(page, "Length")
    for name in ("TP 4", "More settings", "Exact bytes", "Share"):
        open_chip(page, re.compile(name))
        found[name] = serious(page, "[data-testid=stPopoverBody]")
        close_chip(page)
    fill(page, "spinbutton", "GPUs", 3)
    expect(page.get_by_text("The last answer that could be computed")).to_be_visible()
    settled(page)
    found["dimmed"] = serious(page)
    page = open_page("?batch_size=200", **SCREENS[screen])
    found["does not fit"] = serious(page)
    assert {name: rules for name, rules in found.items() if rules} == {}


def test_a_browser_that_speaks_chinese_is_answered_in_it_and_axe_finds_nothing_serious(open_page):
    page = open_page(locale="zh-CN", viewport={"width": 390, "height": 844})
    expect(page.get_by_role("heading", level=1)).to_contain_text("58 个用户")
    expect(page.get_by_role("figure", name="单个 GPU 的显存")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("58 users")
    expect(page).to_have_url(re.compile("lang=en"))


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


def test_axe_finds_nothing_serious_where_a_config_is_read_or_an_architecture_typed(open_page):
    page = open_page("?model=config&seq_len=2048&tensor_parallel_size=1", charts=0)
    box = page.get_by_role("textbox", name="Paste its content")
    expect(box).to_be_visible()
    assert serious(page) == []
    box.fill(json.dumps(CONFIG))
    page.get_by_role("button", name="Read it").click()
    opened = open_chip(page, "Exact bytes and blocks")
    opened.get_by_role("radio", name="Model").click()
    expect(page.get_by_role("region", name="Groups of layers")).to_be_visible()
    expect(page.get_by_text("Ignored keys")).to_be_visible()
    settled(page)
    assert serious(page) == []
    page = open_page("?model=custom&gpu=custom")
    expect(page.get_by_role("spinbutton", name="KV heads, G")).to_be_visible()
    assert serious(page) == []
