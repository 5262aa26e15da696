"""A config.json on the page: pasted, linked, understood or refused; foreign text stays text."""

import random
import re

import pytest
from pages import (
    GIB,
    LONG,
    MARKUP,
    WORD_JOINER,
    agrees,
    at_field,
    change,
    everything_said,
    expected,
    headline,
    imported,
    importing,
    metric,
    open_page,
    packed,
    read,
    unescaped,
    unfold,
    warnings,
    widget,
)
from streamlit.testing.v1 import AppTest

from calculator import views
from calculator.configs.reader import model_from_hf_config
from calculator.views import words
from dashboard.link.tab_names import SHOWN
from dashboard.text import plain
from tests.small_config import CONFIG

# Foreign text


@pytest.mark.parametrize("text", MARKUP)
def test_foreign_markup_is_escaped_before_it_reaches_markdown(text):
    def script(text):
        import streamlit as st

        from dashboard.text import plain

        st.markdown(plain(text))

    page = AppTest.from_function(script, args=(text,)).run()
    (element,) = page.markdown
    assert unescaped(element.value) == text
    assert not element.allow_html
    assert re.findall(r"(?<!\\)[<>\[\]`*$#|~&_]", element.value.replace("\\\\", "")) == []


def test_lines_of_foreign_text_are_joined():
    assert plain("a\n\n# b\r\n\tc") == "a \\# b c"


@pytest.mark.parametrize("text", MARKUP)
def test_foreign_markup_in_a_link_is_shown_as_text(text):
    page = open_page(gpu=text)
    (element,) = page.warning
    assert repr(text)[:38] in unescaped(element.value)
    assert re.search(r"https?:|www\.|:material", element.value, re.IGNORECASE) is None
    assert re.findall(r"(?<!\\)[<>\[\]`*$#|~&]", element.value.replace("\\\\", "")) == []


@pytest.mark.parametrize(
    "text", ["https://example.com", "www.example.com", "a@b.co", ":material/home:", "xmpp:a@b.co", "@@", "no address"]
)
def test_addresses_are_broken_up_by_characters_that_are_not_seen(text):
    assert unescaped(plain(text)) == text
    assert (WORD_JOINER in plain(text)) == (text != "no address")


# A config.json


def test_a_config_is_asked_for_before_anything_is_answered():
    page = importing(seq_len=4096)
    assert headline(page).startswith(":gray[LLaMA 3 70B")
    assert at_field(page) == ["No config.json is read yet: paste one, or choose a file"]
    first = open_page(model="config")
    assert headline(first) == "Paste a config.json, and see what fits"
    assert list(first.error) == []  # nothing went wrong yet
    change(page, "model", "llama-3-8b")
    agrees(page, expected(model="llama-3-8b", seq_len=4096))


def test_a_pasted_config_gives_the_librarys_answer():
    page = read(importing(seq_len=2048, tensor_parallel_size=1), CONFIG)
    plan = imported(seq_len=2048, tensor_parallel_size=1)
    agrees(page, plan)
    assert warnings(page) == []
    # 2 x 2 KV heads x 64 x 2 layers x 2 bytes = 1,024 bytes a token; 2 MiB for 2,048.
    assert metric(page, "KV cache of one user") == "2.00 MiB"
    # Embedding and head 2 x 256,000; a layer: Q, O 65,536 each, K, V 32,768 each, 3 x 131,072, norms 512; norm 256.
    assert sum(plan.model.parts.values()) == 512_000 + 2 * (131_072 + 65_536 + 393_216 + 512) + 256 == 1_692_928


UNDERSTOOD = ("Groups of layers", "Parameters by part")


def understood(page):
    """Open what was understood of the model, beside the formula."""
    page.session_state["_panel"] = "Model"
    return unfold(page, "exact")


def test_what_was_understood_of_a_config_is_shown():
    config = {**CONFIG, "use_cache": True, "bos_token_id": 1}
    page = understood(read(importing(seq_len=2048), config))
    layers, parts = (table.value for table in page.dataframe if table.proto.alt in UNDERSTOOD)
    model = model_from_hf_config(config)
    assert layers[["kind", "count", "num_key_value_heads", "head_dim"]].to_numpy().tolist() == [
        ["full attention", 2, 2, 64]
    ]
    assert {part: int(number.replace(",", "")) for part, number in parts.itertuples(index=False)} == model.parts
    said = [unescaped(text.value) for text in page.markdown]
    (ignored,) = [text for text in said if text.startswith("Ignored keys: ")]
    assert {"use_cache", "bos_token_id"} <= set(re.findall(r"\w+", ignored))


def test_what_was_assumed_of_a_config_is_shown():
    config = {**CONFIG, "vision_config": {"hidden_size": 64}}
    page = understood(read(importing(seq_len=2048), config))
    (said,) = [unescaped(text.value) for text in page.markdown if text.value.startswith("Assumed")]
    assert "vision_config: its weights are not counted" in said


@pytest.mark.parametrize("view", [names[-1] for names in SHOWN.values() if names[-1] in views.VIEWS])
def test_every_view_works_from_a_config(view):
    page = open_page(model="config", config_json=packed(CONFIG), view=view, seq_len=2048, tensor_parallel_size=1)
    made = views.VIEWS[view](imported(seq_len=2048, tensor_parallel_size=1))
    assert f"**{made.finding}**" in [unescaped(text.value) for text in page.markdown]
    assert [chart.proto.alt for chart in page.get("plotly_chart")][-1] == made.finding


def test_a_config_travels_in_the_link():
    page = read(importing(seq_len=1024), CONFIG)
    link = dict(page.query_params)
    assert link["model"] == "config"
    assert len(link["config_json"]) < 400
    again = open_page(**link)
    assert warnings(again) == []
    assert again.query_params == link
    assert everything_said(again) == everything_said(page)
    agrees(again, imported(seq_len=1024))


def test_an_empty_box_is_answered_in_words_and_what_was_pasted_stays_to_be_corrected():
    page = read(importing(), "")
    assert said_of_config(page) == ["There is nothing to read yet: paste a config.json, or choose a file."]
    page = read(page, '{"model_type": "llama"')
    assert widget(page, "_pasted").value == '{"model_type": "llama"'


def test_a_config_is_forgotten_by_the_link_of_another_model():
    page = read(importing(seq_len=1024), CONFIG)
    change(page, "model", "llama-3-8b")
    assert "config_json" not in page.query_params
    agrees(page, expected(model="llama-3-8b", seq_len=1024))


def said_of_config(page):
    return [unescaped(error.value) for error in page.error]


REFUSED = [  # pasted text, and why it is not read
    ("not JSON", "The config:1: not valid JSON: Expecting value; nothing was read."),
    ('{"model_type": "llama", "model_type": "gpt2"}', "duplicate key 'model_type'"),
    ('{"model_type": NaN}', "NaN is not a number that JSON has"),
    ("[" * 20_000, "nested too deeply"),
    ('{"a":' * 20_000 + "1" + "}" * 20_000, "nested too deeply"),
    ('{"vocab_size": ' + "9" * 5_000 + "}", "a number of thousands of digits"),
]


@pytest.mark.parametrize(("content", "why"), REFUSED, ids=["text", "twice", "nan", "lists", "deep", "digits"])
def test_what_is_no_config_is_refused_with_the_reason(content, why):
    page = importing(seq_len=1024)
    read(page, content)
    said = said_of_config(page)
    assert [text for text in said if why in text] != [], said
    assert max(len(text) for text in said) < 300
    assert headline(page).startswith(":gray[")
    agrees(read(page, CONFIG), imported(seq_len=1024))
    assert warnings(page) == []


NOT_UNDERSTOOD = [  # changes of the config above, and why it is refused
    ({"model_type": "nonesuch"}, "Unknown model_type 'nonesuch'"),
    ({"model_type": "lama"}, "or llama"),
    ({"model_type": 3}, "Model_type is missing or not a name: 3"),
    ({"num_hidden_layers": -2}, "num_hidden_layers"),
    ({"num_hidden_layers": 10**30}, "num_hidden_layers"),
    ({"num_hidden_layers": "2"}, "num_hidden_layers"),
    ({"num_key_value_heads": 3}, "num_attention_heads 4 does not divide by num_key_value_heads 3"),
    ({"vocab_size": None}, "vocab_size"),
]


@pytest.mark.parametrize(("changes", "why"), NOT_UNDERSTOOD, ids=[str(case[0])[1:-1] for case in NOT_UNDERSTOOD])
def test_a_config_that_is_not_understood_is_refused_with_the_reason(changes, why):
    page = read(importing(seq_len=1024), {**CONFIG, **changes})
    assert headline(page).startswith(":gray[")
    (said,) = at_field(page)
    assert why.lower() in said.lower()
    assert len(said) < 600
    agrees(read(page, CONFIG), imported(seq_len=1024))


def test_a_config_nested_too_deeply_is_refused_with_the_reason():
    inner = 1
    for _ in range(50):
        inner = {"a": inner}
    page = read(importing(), {**CONFIG, "nested": inner})
    (said,) = at_field(page)
    assert "nested more than 12 levels deep" in said


def test_a_pasted_config_has_a_longest_length():
    assert widget(importing(), "_pasted").max_chars == 262_144


def test_a_config_too_long_for_a_link_is_refused_with_the_reason():
    noise = random.Random(3).randbytes(30_000).hex()
    page = read(importing(), {**CONFIG, "noise": noise})
    assert said_of_config(page) == ["The config is too long for a link, even packed; nothing was read."]
    assert "config_json" not in page.query_params


def foreign_text(page):
    """What the page gives to Markdown, where text of a config can stand; all of it must be escaped."""
    kinds = (page.title, page.caption, page.error, page.warning, page.info)
    found = [element.value for kind in kinds for element in kind]
    found += [text.value[2:-2] for text in page.markdown if text.value.startswith("**") and text.value[-2:] == "**"]
    begins = ":red[:material/error: "
    found += [text.value.removeprefix(begins)[:-1] for text in page.markdown if text.value.startswith(begins)]
    found = [text.removeprefix(":gray[").removesuffix("]") if text.startswith(":gray[") else text for text in found]
    for value in found:
        assert re.findall(r"(?<!\\)[<>\[\]`*$#|~&]", value.replace("\\\\", "")) == []
        assert re.search(r"https?:|www\.|:material", value, re.IGNORECASE) is None
    assert [element for element in page.markdown if element.allow_html] == []
    return [unescaped(value) for value in found]


@pytest.mark.parametrize("text", [*MARKUP, LONG], ids=[*MARKUP, "long"])
def test_markup_in_the_names_of_a_config_stays_text(text):
    config = {**CONFIG, "_name_or_path": text, text: 1}
    page = read(importing(seq_len=1024, view="kv-heads"), config)
    agrees(page, imported(seq_len=1024, model=model_from_hf_config(config)))
    said = foreign_text(page)
    name = text[:80]
    assert [value for value in said if value.startswith(f"{name} keeps 2 KV heads for 4 query heads (GQA)")] != []
    assert max(len(value) for value in said) < 1000


@pytest.mark.parametrize("changes", [{"_name_or_path": "a\ud800b"}, {"a\ud800b": 1}, {"model_type": "a\ud800b"}])
def test_half_a_character_in_a_config_leaves_the_page_alive(changes):
    for view in ("kv-heads", "memory"):
        page = open_page(
            model="config", config_json=packed({**CONFIG, **changes}), seq_len=1024, view=view, gpu_memory_gib=0.25
        )
        change(page, "model", "llama-3-8b")
        assert headline(page) == words.headline(expected(model="llama-3-8b", seq_len=1024, gpu_memory_bytes=GIB // 4))


@pytest.mark.parametrize("text", [*MARKUP, LONG], ids=[*MARKUP, "long"])
def test_markup_in_what_is_refused_of_a_config_stays_text(text):
    page = read(importing(seq_len=1024), {**CONFIG, "model_type": text})
    (said,) = at_field(page)
    assert f"Unknown model_type {repr(text)[:20]}" in "".join(foreign_text(page))
    assert len(said) < 1000


CUT = packed(CONFIG)[:-24]
HOSTILE = [  # what stands in the link, and why it is refused
    ("random text!", "is not a config that this page packed"),
    ("QUJD", "is not a config that this page packed"),
    ("", "or is cut off"),
    (packed(bytes(100_000_000)), "longer than 16,384 characters"),
    (packed(bytes(10_000_000)), "unpacks to more than 262,144 bytes"),
    (CUT, "cut off"),
    (packed(b"\xff\xfe"), "is not a config that this page packed"),
    (packed(b"{"), "The link's config:1: not valid JSON"),
    (packed(b"[" * 100_000), "nested too deeply"),
    (packed(b'{"a": 1, "a": 2}'), "duplicate key 'a'"),
    ("\u00e9\u4e2d", "is not a config that this page packed"),
]
HOSTILE_IDS = ["text", "no-zlib", "nothing", "100MB", "10MB", "cut-off", "bytes", "brace", "deep", "twice", "unicode"]


@pytest.mark.parametrize(("content", "why"), HOSTILE, ids=HOSTILE_IDS)
def test_a_hostile_config_in_a_link_is_refused_with_the_reason_and_the_page_lives(content, why):
    page = open_page(model="config", config_json=content, seq_len=1024)
    (said,) = warnings(page)
    assert said.startswith("The link asked for config_json=")
    assert why.lower() in said.lower()
    assert said.endswith("Used in its place: nothing.")
    assert len(said) < 300
    assert headline(page) == "Paste a config.json, and see what fits"
    agrees(read(page, CONFIG), imported(seq_len=1024))


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b'"llama"', b"{}"])
def test_a_config_in_a_link_that_is_no_mapping_is_refused_with_the_reason(content):
    page = open_page(model="config", config_json=packed(content), seq_len=1024)
    assert headline(page) == "This cannot be planned"
    (error,) = page.error
    assert re.search("holds a mapping of names to values|model_type is missing", unescaped(error.value), re.IGNORECASE)
