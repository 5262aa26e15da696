"""A config.json from the reader's own disk or clipboard: read, refused, and carried by the link."""

import base64
import json
import re
import zlib

import pytest
from playwright.sync_api import expect

from calculator import views
from calculator.configs.reader import model_from_hf_config
from tests.small_config import CONFIG

from .actions import (
    WORD_JOINER,
    choose,
    choose_view,
    drawn,
    expected,
    has_parameter,
    headline,
    made_of_markup,
    open_chip,
    states,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-config")]


IMPORTING = "?model=config&seq_len=2048&tensor_parallel_size=1"


def imported(config):
    return expected(model=model_from_hf_config(config), seq_len=2048, tensor_parallel_size=1)


def packed(content):
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode()


def test_a_config_uploaded_is_answered_and_travels_in_the_link(open_page, new_page):
    page = open_page(IMPORTING, charts=0)
    expect(headline(page)).to_have_text(["Paste a config.json, and see what fits"])
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("There is nothing to read yet")).to_be_visible()
    file = {"name": "config.json", "mimeType": "application/json", "buffer": json.dumps(CONFIG).encode()}
    page.locator("input[type=file]").set_input_files(file)
    states(page, imported(CONFIG))
    expect(page.get_by_role("alert")).to_have_count(0)

    other = new_page()
    has_parameter(page, "model", "config")
    expect(page).to_have_url(re.compile("[?&]config_json="))
    other.goto(page.url)
    states(other, imported(CONFIG))
    expect(other.get_by_role("alert")).to_have_count(0)
    opened = open_chip(other, "Exact bytes and blocks")
    opened.get_by_role("radio", name="Model").click()
    for name in ("Groups of layers", "Parameters by part"):
        expect(other.get_by_role("region", name=name).locator("canvas").first).to_be_visible()
    other.keyboard.press("Escape")
    choose_view(other, "KV heads")
    drawn(other.get_by_role("figure", name=views.kv_head_view(imported(CONFIG)).finding))


def test_a_file_that_is_no_config_is_refused_and_another_one_read(open_page):
    page = open_page(IMPORTING, charts=0)
    page.locator("input[type=file]").set_input_files(
        {"name": "config.json", "mimeType": "application/json", "buffer": b"\x89PNG\xff\xfe"}
    )
    expect(page.get_by_role("alert").filter(has_text="The file is not UTF-8 text; nothing was read.")).to_be_visible()
    page.locator("input[type=file]").set_input_files(
        {"name": "other.json", "mimeType": "application/json", "buffer": json.dumps(CONFIG).encode()}
    )
    expect(page.get_by_text("other.json")).to_be_visible()
    states(page, imported(CONFIG))
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_file_larger_than_a_config_is_refused(open_page):
    page = open_page(IMPORTING, charts=0)
    page.locator("input[type=file]").set_input_files(
        {"name": "config.json", "mimeType": "application/json", "buffer": b'{"a":"' + b"x" * 300_000 + b'"}'}
    )
    said = "The config is larger than 262,144 bytes; nothing was read."
    expect(page.get_by_role("alert").filter(has_text=said)).to_be_visible()


def test_a_config_pasted_with_markup_in_its_names_stays_text(open_page):
    name = "<img src=x onerror=alert(1)> **b** [x](https://a.com) www.a.com :material/home:"
    config = {**CONFIG, "_name_or_path": name, f"_{name}": 1}
    page = open_page(f"{IMPORTING}&view=kv-heads", charts=0)
    page.get_by_role("textbox", name="Paste its content").fill(json.dumps(config))
    page.get_by_role("textbox", name="Paste its content").press("Control+Enter")
    page.get_by_role("button", name="Read it").click()
    states(page, imported(config))
    finding = views.kv_head_view(imported(config)).finding
    drawn(page.get_by_role("figure", name=finding))
    panel = page.locator(".st-key-view")
    paragraph = panel.get_by_role("paragraph").first
    assert paragraph.inner_text().replace(WORD_JOINER, "") == finding
    made = made_of_markup(panel.locator("[data-testid=stMarkdown]"))
    assert [one for one in made if not one.startswith("<strong>")] == []  # the finding itself is bold
    open_chip(page, "Exact bytes and blocks").get_by_role("radio", name="Model").click()
    ignored = page.get_by_text(re.compile("^Ignored keys"))
    expect(ignored).to_be_visible()
    assert f"_{name[:20]}" in ignored.inner_text().replace(WORD_JOINER, "")
    assert made_of_markup(ignored) == []


def test_a_hostile_config_in_a_link_is_refused_and_the_page_lives(open_page):
    bomb = packed(bytes(10_000_000))
    page = open_page(f"{IMPORTING}&config_json={bomb}", charts=0)
    expect(page.get_by_role("alert").filter(has_text="unpacks to more than 262,144 bytes")).to_be_visible()
    expect(headline(page)).to_have_text(["Paste a config.json, and see what fits"])
    choose(page, "Model", "Falcon 7B")
    states(page, expected(model="falcon-7b", seq_len=2048, tensor_parallel_size=1))
    expect(page.get_by_role("alert")).to_have_count(0)
