"""Reports: an answer as one page that loads nothing, runs nothing and shows foreign text as it is."""

import datetime
import re
from html.parser import HTMLParser

import pytest
from pages import MARKUP

import calculator
from calculator.views.pages.report import svg
from calculator.views.sizing import answer

DAY = datetime.date(2026, 11, 26)
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; every element that is opened is closed."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def is_harmless(page):
    """No element that loads or runs, no attribute that does."""
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base", "b", "input"})
    names = {name for _, name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "style", "xlink:href")}
    policies = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policies


def test_a_report_says_question_answer_assumptions_link_date_and_versions(reference):
    link = "https://planner.example/?model=llama-3-70b&seq_len=8192"
    content = calculator.report_html(reference, link, DAY)
    page = Page(content)
    is_harmless(page)
    said = " ".join("".join(page.text).split())
    # 2 × 8 heads × 128 × 80 layers × 8,192 tokens × 2 bytes = 2,684,354,560 bytes
    for text in (
        "LLaMA 3 70B",
        "Not modelled: caches and profiling",
        "2,684,354,560",
        "2.50 GiB",
        "vLLM 0.33",
        "Made on 2026-11-26",
    ):
        assert text in said
    assert ("a", "href", link) in page.attributes
    assert content.count("<svg") == 4  # memory, length, KV heads, tensor parallel
    assert len(content) < 100_000
    assert Page(calculator.report_html(reference, "javascript:alert(1)", DAY)).tags.isdisjoint({"a"})


def test_foreign_text_stays_text(fields):
    hostile = "".join(MARKUP) + "\"'</title></style></svg><script>alert(1)</script>"
    model = calculator.custom_model(**fields, name=hostile[:400])
    page = Page(calculator.report_html(calculator.plan(model, gpu="l4"), hostile, DAY))
    is_harmless(page)
    assert hostile[:400] in "".join(page.text)


@pytest.mark.parametrize("model", ["deepseek-v3", "gemma-3-27b", "qwen3.5-27b"])
def test_any_model_has_a_report_whether_it_fits_or_not(model):
    asked = {"encoder_seq_len": 1500} if calculator.load_model(model).needs_encoder else {}
    is_harmless(Page(calculator.report_html(calculator.plan(model, gpu="l4", **asked), day=DAY)))


def test_a_search_has_a_report_with_a_row_for_each_option(run, tmp_path):
    found = calculator.size("llama-3.1-8b", users=20, seq_len=4096, gpus=["l4", "l40s", "v100-16gb"])
    page = Page(calculator.report_html(found, day=DAY))
    is_harmless(page)
    said = "".join(page.text)
    assert answer.headline(found) in said
    assert found.options
    assert all(str(row.why) in said for row in found.refused)
    file = tmp_path / "report.html"
    run("plan", "--model", "llama-3.1-8b", "--gpu", "l40s", "--report", file)
    assert "LLaMA 3.1 8B" in "".join(Page(file.read_text(encoding="utf-8")).text)
    with pytest.raises(calculator.InvalidValueError, match="a report is of a plan or of what size found, not of 'x'"):
        calculator.report_html("x")


def test_bars_are_on_one_scale_and_a_logarithmic_axis_is_one():
    bar = [svg.Row(name, (svg.Part("a", size, svg.KV),), "") for name, size in (("one", 1.0), ("four", 4.0))]
    widths = [float(found) for found in re.findall(r'<rect x="150.0" y="[\d.]+" width="([\d.]+)"', svg.bars(bar, ""))]
    assert widths[1] / widths[0] == pytest.approx(4, rel=1e-3)
    marks = [svg.Mark(x, 1.0, "") for x in (1.0, 10.0, 100.0)]
    drawn = svg.curve([], marks, None, ("x", "y"), "", log_x=True)
    first, second, third = (float(found) for found in re.findall(r'<circle cx="([\d.]+)"', drawn))
    assert second - first == pytest.approx(third - second, abs=0.2)
