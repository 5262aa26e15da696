"""Languages: a catalogue each, complete, with the same values in every text; pages and reports speak it throughout."""

import ast
import copy
import dataclasses
import gettext
import io
import pickle
import re
import string

import pytest

import calculator
from calculator.languages import ENGLISH, language, languages, meant_by, said_in, texts_said_in
from calculator.languages.known import COMPILED, FOLDER
from calculator.messages import capitalised, joined, phrase, say
from calculator.planning.heads.rows import HeadRow
from calculator.units import plural
from calculator.views.comparing.versions import VersionRow
from calculator.views.heads.ratios import RatioRow
from calculator.views.kv_heads import KvHeadRow
from calculator.views.kv_in_use import KvInUseRow
from calculator.views.load.preemptions import PreemptionRow
from calculator.views.load.resident_tokens import ResidentRow
from calculator.views.load.risk import RiskRow
from calculator.views.load.speed import SpeedRow
from calculator.views.parallelism import ParallelismRow
from calculator.views.sequence_length import LengthRow
from calculator.views.tensor_parallel import TensorParallelRow
from dashboard.column_names import called
from dashboard.text import sentence
from tests import catalogues
from tests.pages import change, open_page

ROWS = (
    LengthRow, KvHeadRow, KvInUseRow, TensorParallelRow, ParallelismRow, RiskRow, ResidentRow, SpeedRow, PreemptionRow,
    HeadRow, RatioRow, VersionRow,
)  # fmt: skip
"""What tables of the page have rows of."""
OTHERS = [code for code in languages() if code != ENGLISH.code]
CATALOGUES = {code: catalogues.read(code) for code in OTHERS}
NAMES = re.compile(r"https?:\S+|`[^`]*`|--?[a-z][\w-]*|\b\w*[_/]\w*|\b\w+(?:\.\w+)+")
"""What is the same in every language: addresses, code, flags, names of inputs, paths and files."""
ENGLISH_WORDS = re.compile(r"[A-Za-z]{2,}(?:[ ,]+[a-z]{2,}){2}")
"""Three words in a row, of which the last two are no names."""


@pytest.fixture(params=OTHERS)
def catalogue(request):
    return CATALOGUES[request.param]


def ids(found):
    return {message.id if isinstance(message.id, str) else message.id[0] for message in found if message.id}


def values(text):
    return sorted((name, spec, conversion or "") for _, name, spec, conversion in string.Formatter().parse(text)
                  if name is not None)  # fmt: skip


def test_a_catalogue_has_what_the_code_says_and_nothing_else(catalogue):
    assert ids(catalogue) == ids(catalogues.extracted())


def test_every_text_is_translated_with_the_values_that_it_has(catalogue):
    for message in catalogue:
        if message.id:
            forms = [message.string] if isinstance(message.id, str) else message.string
            english = [message.id] if isinstance(message.id, str) else message.id
            assert forms, english
            assert all(forms), english
            assert not message.fuzzy, english
            assert {tuple(values(form)) for form in forms} == {tuple(values(form)) for form in english}, english


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_read_is_compiled_from_what_is_edited(code):
    written = gettext.GNUTranslations(io.BytesIO(catalogues.compiled(CATALOGUES[code])))
    with (FOLDER / f"{code}{COMPILED}").open("rb") as file:
        assert gettext.GNUTranslations(file)._catalog == written._catalog


def test_no_text_is_put_together_before_it_is_known():
    for file in catalogues.sources():
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call):
                name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                at = {"say": 1, "tell": 0, "phrase": 0, "template": 0, "joined": 0}.get(name)
                given = call.args[at] if at is not None and len(call.args) > at else None
                assert not isinstance(given, ast.JoinedStr | ast.BinOp), f"{file.name}:{call.lineno}"


class Shouted(gettext.NullTranslations):
    """A language that has its own word order and says everything twice as loud."""

    def gettext(self, message):
        own = {"{users} of {tokens}": "{tokens} : {users}", ", ": " + "}
        return own.get(message) or re.sub(
            r"{[^}]*}|[^{]+", lambda part: part[0] if part[0][0] == "{" else part[0].upper(), message
        )

    def ngettext(self, _one, _many, n):
        return "{number:,} ONE" if n == 1 else "{number:,} MORE"


LOUD = type(ENGLISH)("loud", "LOUD", Shouted())


def test_a_text_is_said_with_its_parts():
    users = say("t.users", "{users} of {tokens}", users=plural(2, "user"), tokens=plural(1, "token"))
    assert users == "2 users of 1 token"
    assert said_in(users, LOUD) == "1 ONE : 2 MORE"
    assert said_in(joined(", ", [users, phrase("left"), "vLLM"]), LOUD) == "1 ONE : 2 MORE + LEFT + vLLM"
    assert said_in(capitalised(phrase("left")), LOUD) == "LEFT"
    assert said_in("a name", LOUD) == "a name"
    assert said_in(users, ENGLISH) is users


def test_a_text_that_travels_is_still_known():
    made = joined(", ", [plural(3, "GPU"), capitalised(phrase("left"))])
    for same in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (same, said_in(same, LOUD)) == ("3 GPUs, Left", "3 MORE + LEFT")


def test_texts_within_dictionaries_are_said_and_those_given_stay():
    given = {"title": {"text": phrase("left")}, "x": [1, phrase("right")], "names": ("vLLM",)}
    assert texts_said_in(given, LOUD) == {"title": {"text": "LEFT"}, "x": [1, "RIGHT"], "names": ("vLLM",)}
    assert given["title"]["text"] == "left"
    assert texts_said_in(given, ENGLISH) is given


@pytest.mark.parametrize(
    ("locale", "code"),
    [("zh-CN", "zh"), ("zh_Hans", "zh"), ("ZH", "zh"), ("en-GB", "en"), ("xx-YY", "en"), (None, "en")],
)
def test_a_browsers_locale_means_a_language(locale, code):
    assert meant_by(locale).code == code


def test_a_language_that_is_not_there_is_refused():
    known = ", ".join(sorted(["en", *(catalogue.stem for catalogue in FOLDER.glob("*.po"))]))
    with pytest.raises(calculator.UnknownNameError, match=rf"unknown language 'tlh': known are {known}"):
        language("tlh")


def english_in(text):
    """Return runs of English words, names aside."""
    return ENGLISH_WORDS.findall(NAMES.sub("·", text))


def test_an_error_keeps_its_key():
    with pytest.raises(calculator.ParallelismError) as refused:
        calculator.plan("llama-3-70b", gpu="h100-sxm", tensor_parallel_size=3)
    # 64 query heads do not divide by 3; 2 and 4 do, and 2 is the nearest below
    assert "64 个查询头不能被 3 整除" in said_in(str(refused.value), language("zh"))


def test_a_report_is_whole_in_the_language_that_is_asked():
    plan = calculator.plan("llama-3-70b", gpu="h100-sxm", tensor_parallel_size=4, batch_size=16)
    english, chinese = (calculator.report_html(plan, language=code) for code in ("en", "zh"))
    assert '<html lang="zh">' in chinese
    text = re.sub(r"<style>.*?</style>|<pre>.*?</pre>|<[^>]+>", "\n", chinese, flags=re.DOTALL)
    assert english_in(text) == []
    figures = re.compile(r"(?<![\w.])\d[\d,]*\.\d+")
    assert sorted(figures.findall(english)) == sorted(figures.findall(chinese))


WHAT_IS_READ = ("body", "label", "help", "placeholder", "alt", "content", "options", "delta")


def read_by_a_visitor(page):
    """Return the texts of a page: what stands in fields of its messages that are shown, heads and cells of tables."""
    found = []

    def read(message):
        for field, value in message.ListFields():
            for one in value if field.is_repeated else [value]:
                if field.type == field.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
                    read(one)
                elif field.type == field.TYPE_STRING and field.name in WHAT_IS_READ:
                    found.append(one)

    def walk(block):
        for child in block.children.values():
            proto = getattr(child, "proto", None)
            if hasattr(proto, "ListFields"):
                read(proto)
            if hasattr(child, "children"):
                walk(child)

    walk(page._tree)
    for table in (*page.dataframe, *page.table):
        found += [str(cell) for cell in (*table.value.columns, *table.value.to_numpy().ravel())]
    return found


@pytest.mark.parametrize("address", ["", "heads", "compare", "log"])
def test_a_page_is_whole_in_the_language_of_its_link(address):
    page = open_page(address, lang="zh")
    assert [text for text in read_by_a_visitor(page) if english_in(text)] == []
    assert any("装得下" in text or "引擎" in text or "日志" in text for text in read_by_a_visitor(page))


def test_the_switch_turns_the_page_and_the_link_and_keeps_what_was_asked():
    page = change(open_page(), "batch_size", 20)
    assert "lang" not in page.query_params
    page.button(key="language-zh").click().run()
    assert page.title[0].value.endswith("58 个用户，每个 8,192 token")
    assert (page.query_params["lang"], page.query_params["batch_size"]) == ("zh", "20")
    page.button(key="language-en").click().run()
    assert page.title[0].value.endswith("58 users of 8,192 tokens")


def test_what_a_link_asked_in_vain_is_said_in_the_language_that_is_turned_to():
    page = open_page(lang="zh", unknown=1, gpu_memory_utilization=7)
    assert [warning.value.startswith("链接") for warning in page.warning] == [True, True]
    page.button(key="language-en").click().run()
    assert page.warning[0].value.startswith("The link names")
    assert "must lie between" in page.warning[1].value


def test_a_table_is_whole_in_the_language_of_the_page():
    page = open_page(lang="zh", view="tensor-parallel")
    page.session_state["fold-tensor-parallel"] = True
    (table,) = [each.value for each in page.run().dataframe if "KV 池，每 GPU 字节" in each.value.columns]
    heads = "".join(table.columns)
    assert not re.search("[a-z]{3}", heads), heads
    # three do not divide 64 heads; what is asked is four
    assert "64 个查询头不能被 3 整除" in list(table["为何不行"])
    assert list(table[table["张量并行"] == 4]["本方案"]) == ["是"]
    rows = [field.name for row in ROWS for field in dataclasses.fields(row)]
    assert [name for name in rows if called(name) == name] == []


def test_a_link_of_a_language_that_is_not_there_says_so():
    page = open_page(lang="tlh")
    assert page.title[0].value.endswith("58 users of 8,192 tokens")
    assert "unknown language" in page.warning[0].value


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("vLLM 0.33 does not start", "vLLM 0.33 does not start"),
        ("llama.cpp has none", "llama.cpp has none"),
        ("seq_len is missing", "seq_len is missing"),
        ("no device: the log names none", "No device: the log names none"),
        ("other. And more", "Other. And more"),
        ("", ""),
    ],
)
def test_a_name_keeps_its_capitals_at_the_beginning_of_a_sentence(text, begun):
    assert capitalised(text) == begun
    assert sentence(text) == begun


def test_an_error_that_is_a_part_of_a_text_is_said_as_well():
    with pytest.raises(calculator.CalculatorError) as refused:
        calculator.plan("gpt-oss-20b", gpu="a100-80gb-sxm", kv_cache_dtype="fp8")
    said = said_in(say("x", "{error}", error=refused.value), language("zh"))
    assert said == said_in(str(refused.value), language("zh"))
    left = re.sub(r"vLLM|A100 80GB SXM|gpt-oss 20B|KV|Triton|\b[a-z]+\d*_\w+|fp16|bf16", "", said)
    assert not re.search("[a-z]{3,}", left), said
