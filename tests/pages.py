"""The page as a test drives it: opened by a link, read as a reader sees it, changed as a hand would."""

import base64
import json
import re
import zlib
from functools import cache
from pathlib import Path

import pandas
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import calculator
from calculator.configs.reader import model_from_hf_config
from calculator.units import format_size
from calculator.views import words
from tests.small_config import CONFIG

# Every AppTest reads what is installed anew for components, which takes longer than a run of the page.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

APP = Path(__file__).parents[1] / "app.py"
OPENING = {
    "model": "llama-3-70b",
    "gpu": "a100-80gb-sxm",
    "tensor_parallel_size": 4,
    "seq_len": 8192,
    "batch_size": 16,
}
GIB = 2**30
MARKUP = [
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "[x](https://example.com)",
    "![x](y.png)",
    ":red[x]",
    ":material/home:",
    ":smile:",
    "$x$",
    "`code`",
    "**strong**",
    "_emphasis_",
    "~~gone~~",
    "# heading",
    "1. item",
    "- item",
    "> quote",
    "| a | b |",
    "&lt;",
    "\\*",
    "https://example.com",
    "HTTP://EXAMPLE.COM",
    "www.example.com",
    "ftp://example.com",
    "mailto:a@b.co",
    "a@b.co",
]
LONG = "x" * 10_000


WORD_JOINER = "\u2060"


def unescaped(text):
    """What a reader sees of escaped Markdown; word joiners and places where a line may break are invisible."""
    return re.sub(r"\\([^\w\s]|_)", r"\1", text).replace(WORD_JOINER, "").replace("\u200b", "")


def open_page(address="", **link):
    """Open a page with a link; the bare address is the first page."""
    page = AppTest.from_file(str(APP), default_timeout=60)
    turn_to(page, address)
    for name, value in link.items():
        page.query_params[name] = str(value)
    return checked(page.run())


def turn_to(page, address):
    """Turn to the page of an address; what is drawn next is that one."""
    page._page_hash = calc_hash(address)  # AppTest itself can only turn to pages that are files


def checked(page):
    assert [element.message for element in page.exception] == []
    return page


def headline(page):
    return unescaped(page.title[0].value)


def warnings(page):
    return [unescaped(element.value) for element in page.warning]


def metric(page, label):
    (found,) = [element.value for element in page.metric if element.label.startswith(label)]
    return found


def widget(page, key):
    """The input of that name; one within a chip is there once the chip is open."""
    found = _found(page, key)
    if found is None and page.title and page.segmented_control:
        found = _found(unfold(page), key)
    assert found is not None, f"the page has no input {key}"
    return found


def _found(page, key):
    keys = (key, f"_text_{key}", *(["_users"] if key == "batch_size" else []))  # a length is a text, users a total
    for kind in (
        "selectbox",
        "number_input",
        "segmented_control",
        "select_slider",
        "toggle",
        "checkbox",
        "text_area",
        "text_input",
        "multiselect",
    ):
        for found in getattr(page, kind):
            if found.key in keys:
                return found
    return None


def change(page, key, value):
    found = widget(page, key)
    found.set_value(str(value) if found.key.startswith("_text_") and value is not None else value)
    return checked(page.run())


def expected(**changes):
    """The library's answer to the opening request with some inputs changed."""
    return calculator.plan(**{**OPENING, **changes})


def agrees(page, plan):
    """The page states the numbers of this plan."""
    assert headline(page) == words.headline(plan)
    assert metric(page, "Longest") == f"{plan.max_context_len:,} tokens"
    assert metric(page, "KV cache of one user") == format_size(plan.kv_bytes_per_sequence)
    bar = page.get("plotly_chart")[0].proto.alt
    assert f"; the engine may use {plan.per_gpu.requested_bytes / GIB:,.2f} of " in bar
    assert f"{format_size(plan.kv_pool_bytes)} for the blocks of each user" in formula(page).to_string()


def formula(page):
    """The steps of the formula, as a table."""
    head = "| Step | How | Size |"
    (found,) = [head + each.value.split(head)[1] for each in page.markdown if head in each.value]
    said = unescaped(found).replace("\u00a0", " ")
    names, _, *lines = [line.strip("| ").split(" | ") for line in said.splitlines()]
    return pandas.DataFrame(lines, columns=names)


def view_of(page):
    """The view that is chosen, as the part of the page that it is."""
    blocks, waiting = [], [page.main]
    while waiting:
        block = waiting.pop()
        blocks.append(block)
        waiting += [child for child in block.children.values() if hasattr(child, "children")]
    (found,) = [block for block in blocks if getattr(block.proto, "id", "").endswith("-view")]
    return found


CHIPS = ("chip_engine", "chip_split", "chip_weights", "chip_kv", "chip_memory", "chip_price", "chip_more")


def unfold(page, *keys):
    """Open chips, by default all that open a setting."""
    for key in keys or CHIPS:
        page.session_state[key] = True
    return checked(page.run())


def at_field(page):
    """What is said at a field that is wrong."""
    begins = ":red[:material/error: "
    said = [unescaped(text.value) for text in page.markdown]
    return [text.removeprefix(begins).removesuffix("]") for text in said if text.startswith(begins)]


def everything_said(page):
    """All text on the page, as a reader sees it."""
    kinds = (page.title, page.header, page.markdown, page.caption, page.warning, page.error, page.info, page.code)
    return "\n".join(unescaped(element.value) for kind in kinds for element in kind)


def packed(content):
    """A config as links carry it."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode()


def read(page, content):
    """Paste a config and read it."""
    widget(page, "_pasted").set_value(content if isinstance(content, str) else json.dumps(content))
    page.run()
    (button,) = [button for button in page.button if button.label == "Read it"]
    button.click()
    return checked(page.run())


def importing(**link):
    """The page, asking for a config."""
    page = open_page(**link)
    return change(page, "model", "config")


def imported(**changes):
    """The library's answer for the config above."""
    return expected(**{"model": model_from_hf_config(CONFIG), **changes})


def changes_on(page):
    """The table of changes."""
    (found,) = [table.value for table in page.dataframe if "Change, click to apply" in table.value.columns]
    return found
