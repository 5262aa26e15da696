"""Reports: an answer as one page that loads nothing, runs nothing and shows foreign text as it is."""

import datetime
import re
from html.parser import HTMLParser

import pytest
from pages import MARKUP

import calculator
from calculator import views
from calculator.planning.command import serve_command
from calculator.views.comparing import difference
from calculator.views.pages.report import curve, svg
from calculator.views.sizing import answer
from calculator.views.words import headline

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
    with pytest.raises(
        calculator.InvalidValueError,
        match="a plan, a comparison, a service or of what size found, not of 'x'",
    ):
        calculator.report_html("x")


def test_plans_side_by_side_have_a_report_that_begins_with_what_differs(reference, run, tmp_path):
    other = calculator.vary(reference, gpu="h200", tensor_parallel_size=2, data_parallel_size=2)
    beside = views.side_by_side([reference, other])
    link = "https://planner.example/compare?pinned=a"
    content = calculator.report_html(beside, link, DAY)
    page = Page(content)
    is_harmless(page)
    said = "".join(page.text)
    assert difference.headline(beside) in said
    assert ("a", "href", link) in page.attributes
    # Differing rows stand above those that are the same; both plans have 4 GPUs, of 79.23 and 139.80 GiB.
    assert said.index("What differs") < said.index("A100 80GB SXM, 79.2 GiB") < said.index("The same in all")
    assert said.index("The same in all") < said.index("GPUs44")
    assert all(serve_command(plan) in said for plan in beside.plans)
    compared = calculator.compare(reference, other)
    assert calculator.report_html(compared, link, DAY) == content
    assert all(row.cause in said for row in compared.changed)
    three = Page(calculator.report_html(views.side_by_side([reference, other, reference]), day=DAY))
    is_harmless(three)
    assert "C to A" in three.text
    file = tmp_path / "report.html"
    run("plan", "--model", "llama-3.1-8b", "--gpu", "l40s", "--engine-version", "0.19", "--upgrade-to", "0.33",
        "--report", file)  # fmt: skip
    assert "vLLM 0.19" in file.read_text(encoding="utf-8")


def test_a_service_has_a_report_with_its_load_speed_and_cost(run, tmp_path):
    plan = calculator.plan("llama-3.1-8b", gpu="l40s", seq_len=8192)
    served = calculator.service(plan, calculator.Workload(2.0, 1000, 200, 0.0, 0.0), prices={"l40s": 1.5}, replicas=3)
    page = Page(calculator.report_html(served, day=DAY))
    is_harmless(page)
    said = "".join(page.text)
    # 3 GPUs of 1.50 USD are 4.50 USD an hour; 2 requests/s of 200 tokens are 1.44 million an hour: 3.125 USD each
    assert "LLaMA 3.1 8B, 2 requests a second of 1,000 tokens in and 200 out: 3 × L40S, from $4.50 an hour" in said
    assert "a million output tokens, at its own rate3.12" in said
    assert "The price of a GPU is your own." in said
    assert served.command in said
    file = tmp_path / "report.html"
    run("service", "--model", "llama-3.1-8b", "--gpu", "l40s", "--requests-per-second", "2", "--prompt-tokens", "1000",
        "--output-tokens", "200", "--report", file)  # fmt: skip
    assert "2 requests a second of 1,000 tokens in and 200 out" in file.read_text(encoding="utf-8")


def test_several_answers_by_name_are_one_page(reference):
    page = Page(calculator.report_html({"one": reference, "<b>two": reference}, day=DAY))
    is_harmless(page)
    assert "".join(page.text).count(headline(reference)) == 2
    with pytest.raises(calculator.InvalidValueError, match="one answer at least"):
        calculator.report_html({})


def test_names_of_marks_cover_neither_each_other_nor_the_line_and_ticks_are_round():
    marks = [curve.Mark(10 + step / 100, 5.0, f"mark {step}") for step in range(40)]
    drawn = curve.curve([(1, 5), (100, 5)], marks, None, ("x", "y"), "")
    boxes = [
        (float(x), float(y), float(x) + svg.LETTER * len(said))
        for x, y, said in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" >(mark \d+)<', drawn)
    ]
    line = float(re.search(r'points="[\d.]+,([\d.]+)', drawn)[1])
    assert 1 <= len(boxes) < len(marks)
    assert all(abs(y - 4 - line) >= 7 for _, y, _ in boxes)
    for index, (left, y, right) in enumerate(boxes):
        assert all(abs(y - b) >= 12 or right <= a or c <= left for a, b, c in boxes[index + 1 :])
    assert curve.ticks(0, 64) == [0, 20, 40, 60]
    assert curve.ticks(3, 3) == [3]
    assert curve.log_ticks(6, 79) == [10, 20, 50]
    assert curve.log_ticks(6, 7) == [6, 7]


def test_bars_are_on_one_scale_and_a_logarithmic_axis_is_one():
    bar = [svg.Row(name, (svg.Part("a", size, svg.KV),), "") for name, size in (("one", 1.0), ("four", 4.0))]
    widths = [float(found) for found in re.findall(r'<rect x="150.0" y="[\d.]+" width="([\d.]+)"', svg.bars(bar, ""))]
    assert widths[1] / widths[0] == pytest.approx(4, rel=1e-3)
    marks = [curve.Mark(x, 1.0, "") for x in (1.0, 10.0, 100.0)]
    drawn = curve.curve([], marks, None, ("x", "y"), "", log_x=True)
    first, second, third = (float(found) for found in re.findall(r'<circle cx="([\d.]+)"', drawn))
    assert second - first == pytest.approx(third - second, abs=0.2)


@pytest.mark.parametrize(
    "options",
    [{"link": 3}, {"link": None}, {"day": "2026-01-02"}, {"day": 0.5}, {"language": ["zh"]}, {"language": {}}],
)
def test_what_is_of_another_kind_is_refused_by_name(reference, options):
    (name,) = options
    with pytest.raises(calculator.CalculatorError, match=name) as refused:
        calculator.report_html(reference, **options)
    assert refused.value.what == name
