"""What the tests of the page do and see, in the words of a reader."""

import re

from playwright.sync_api import expect

import calculator
from calculator.views import words

from .conftest import settled

OPENING = {"model": "llama-3-70b", "gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192, "batch_size": 16}


def expected(**changes):
    return calculator.plan(**{**OPENING, **changes})


def headline(page):
    return page.get_by_role("heading", level=1)


def states(page, plan):
    """The page comes to state the answer of a plan."""
    # a joiner breaks up addresses of a foreign name; a list waits for the one heading: a rerun has two
    said = re.compile(f"^{f'{WORD_JOINER}?'.join(map(re.escape, words.headline(plan)))}$")
    expect(headline(page)).to_have_text([said])
    settled(page)


def has_parameter(page, name, value):
    expect(page).to_have_url(re.compile(rf"[?&]{name}={re.escape(str(value))}(&|$)"))


def choose(page, label, option):
    box = page.get_by_role("combobox", name=label, exact=True)
    box.click()
    box.fill(option)
    # a model's name stands before its repository
    page.get_by_role("option", name=re.compile(rf"^{re.escape(option)}( · .*)?$")).click()


def unfold(page, name):
    """Open an expander; a page that is still being drawn may take the click and fold it again."""
    fold = page.locator("details").filter(has=page.locator("summary").filter(has_text=name)).first
    for _ in range(3):
        settled(page)
        fold.locator("summary").click()
        try:
            expect(fold).to_have_attribute("open", "", timeout=5_000)
        except AssertionError:
            continue
        return
    raise AssertionError(f"{name!r} does not stay open")


def choose_view(page, name):
    """Choose one of the views below the answer; return the part of the page that shows it."""
    page.get_by_role("radio", name=name, exact=True).click()
    settled(page)
    return page.locator(".st-key-view")


def open_chip(page, name):
    """Open the chip that says this, and return what it opens."""
    page.get_by_role("button", name=name).first.click()
    opened = page.get_by_test_id("stPopoverBody")
    expect(opened).to_be_visible()
    settled(page)
    return opened


def fill(page, role, label, value):
    box = page.get_by_role(role, name=label)
    box.fill(str(value))
    box.press("Enter")


def drawn(figure):
    """Wait for a chart and return the traces that Plotly holds for it."""
    plot = figure.locator(".js-plotly-plot")
    expect(plot.locator("svg.main-svg").first).to_be_visible()
    return plot.evaluate(
        "plot => plot.data.map(trace => ({name: trace.name, type: trace.type, points: trace.x.length}))"
    )


WORD_JOINER = "\u2060"


def made_of_markup(shown):
    """What Streamlit makes of Markdown, HTML, icons and addresses; nothing of it may come out of foreign text."""
    made = (
        "a, b, strong, em, del, code, img, script, .katex, h1, h2, li, blockquote, table, [data-testid=stIconMaterial]"
    )
    return [element.evaluate("element => element.outerHTML") for element in shown.locator(made).all()]
