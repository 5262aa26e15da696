"""What only a browser shows: links, history, downloads, drawn charts, keyboard."""

import csv
import io
import json
import re
import socket
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from logs import VLLM_V1
from playwright.sync_api import expect

import calculator
from calculator import views
from calculator.cli.main import main

from .actions import (
    WORD_JOINER,
    choose,
    drawn,
    expected,
    has_parameter,
    headline,
    made_of_markup,
    open_tab,
    states,
    unfold,
)
from .conftest import settled

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-page")]


def fill(page, label, value):
    box = page.get_by_role("spinbutton", name=label)
    box.fill(str(value))
    box.press("Enter")


def test_the_server_is_reached_from_this_machine_alone(server):
    """Every Linux machine has the address 127.0.0.2; who listens on all addresses answers there too."""
    port = urlsplit(server).port
    socket.create_connection(("127.0.0.1", port), timeout=30).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=30).close()


INPUTS = 26  # four lists, two numbers, and under "Engine and overheads" three lists and seventeen numbers and words


def inputs(page):
    """What every input of the sidebar shows, once all are unfolded."""
    boxes = (
        page.get_by_label("Sidebar", exact=True)
        .get_by_role("combobox")
        .or_(page.get_by_label("Sidebar", exact=True).get_by_role("spinbutton"))
    )
    expect(boxes).to_have_count(INPUTS)
    shown = [box.input_value() for box in boxes.all()]
    return shown, page.get_by_role("radio", checked=True).inner_text()


# Links


def test_a_link_opens_the_same_answer_with_the_same_inputs(open_page, new_page):
    page = open_page()
    states(page, expected())
    choose(page, "Model", "Qwen2.5 72B")
    states(page, expected(model="qwen2.5-72b"))
    choose(page, "GPU", "H100 SXM")
    states(page, expected(model="qwen2.5-72b", gpu="h100-sxm"))
    page.get_by_role("radio", name="8", exact=True).click()
    changed = {"model": "qwen2.5-72b", "gpu": "h100-sxm", "tensor_parallel_size": 8}
    states(page, expected(**changed))
    fill(page, "Sequence length", 16_000)
    changed["seq_len"] = 16_000
    states(page, expected(**changed))
    choose(page, "KV cache", "fp8_e5m2")
    changed["kv_cache_dtype"] = "fp8_e5m2"
    states(page, expected(**changed))
    unfold(page, "Engine and overheads")
    fill(page, "Activations, GiB", 3.5)
    changed["activation_bytes"] = 7 * 2**29
    states(page, expected(**changed))
    open_tab(page, "KV heads")
    has_parameter(page, "view", "kv-heads")
    has_parameter(page, "activation_gib", "3.5")

    other = new_page(fresh=True)
    other.goto(page.url)
    states(other, expected(**changed))
    expect(other.get_by_role("tab", name="KV heads", selected=True)).to_be_visible()
    unfold(other, "Engine and overheads")
    expect(other.get_by_role("spinbutton", name="Activations, GiB")).to_be_visible()
    assert inputs(other) == inputs(page)
    assert parse_qs(urlsplit(other.url).query) == parse_qs(urlsplit(page.url).query)


def test_the_link_shown_for_copying_is_the_address(open_page):
    page = open_page("?seq_len=4096")
    page.get_by_role("button", name="Link").click()
    code = page.get_by_role("dialog").get_by_role("code")
    expect(code).to_contain_text("seq_len=4096")
    assert parse_qs(urlsplit(code.inner_text().strip()).query) == parse_qs(urlsplit(page.url).query)
    assert urlsplit(code.inner_text().strip()).netloc == urlsplit(page.url).netloc


def test_back_returns_to_the_former_answer_and_forward_to_the_later(open_page):
    page = open_page()
    states(page, expected())
    fill(page, "Sequence length", 4096)
    states(page, expected(seq_len=4096))
    has_parameter(page, "seq_len", 4096)
    page.go_back()
    states(page, expected())
    expect(page.get_by_role("spinbutton", name="Sequence length")).to_have_value("8192")
    page.go_forward()
    states(page, expected(seq_len=4096))
    expect(page.get_by_role("spinbutton", name="Sequence length")).to_have_value("4096")


@pytest.mark.parametrize(
    "texts",
    [
        ("<b>bold</b>", "<img src=x onerror=alert(1)>", "[x](https://a.com)", ":red[x] :smile:", "$x^2$ `code`"),
        ("**b** _i_ ~~s~~", "# heading", "&lt;b&gt;", ":material/home:", "![x](y.png)"),
        ("https://example.com", "www.example.com", "a@b.co", "mailto:a@b.co", "<https://a.com>"),
        ("HTTP://A.COM", "x WWW.A.CO", "ftp://a.co/x", "xmpp:a@b.co/x", ":material/home:x :Material/home:"),
    ],
    ids=["html", "markdown", "addresses", "more-addresses"],
)
def test_markup_in_a_link_stays_text(open_page, texts):
    names = ("model", "gpu", "weight_dtype", "kv_cache_dtype", "view")
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in zip(names, texts, strict=True))
    page = open_page(f"?{query}")
    alerts = page.get_by_role("alert")
    expect(alerts).to_have_count(len(texts))
    said = [alert.inner_text().replace(WORD_JOINER, "") for alert in alerts.all()]
    for text, line in zip(texts, said, strict=True):
        assert repr(text) in line
    assert made_of_markup(alerts) == []
    states(page, expected())


def test_a_link_of_nonsense_still_answers(open_page):
    page = open_page(f"?model={'x' * 10_000}&seq_len=1e309&batch_size=-1&gpu=%00%ff&unknown=1&unknown=2")
    states(page, expected())
    assert page.get_by_role("alert").count() == 5
    expect(page.get_by_role("alert").first).to_contain_text("'unknown'")


def test_repeated_parameters_do_not_break_the_page(open_page):
    page = open_page("?seq_len=4096&seq_len=2048")
    expect(headline(page)).to_have_text([re.compile(r"^\d+ sequences of (4,096|2,048) tokens fit")])


# Changes


def test_a_click_on_a_lever_changes_the_headline_to_what_it_promised(open_page):
    page = open_page()
    lever = calculator.next_steps(expected())[0]
    page.get_by_role("button", name=lever.label).click()
    states(page, lever.plan)
    expect(headline(page)).to_contain_text(f"{lever.plan.total_max_batch_size} sequences")


def test_all_single_changes_unfold_and_apply(open_page):
    page = open_page()
    unfold(page, "single changes")
    found = calculator.levers(expected())
    last = page.get_by_role("button", name=found[-1].label, exact=True)
    expect(last).to_be_visible()
    last.click()
    states(page, found[-1].plan)


def test_a_degree_that_the_new_model_cannot_take_is_replaced_and_said(open_page):
    page = open_page()
    choose(page, "Model", "Falcon 7B")
    states(page, expected(model="falcon-7b", tensor_parallel_size=1))
    expect(page.get_by_role("alert")).to_contain_text("71 query heads do not divide by 4")


def test_what_does_not_fit_is_said_with_changes_that_make_it_fit(open_page):
    page = open_page("?tensor_parallel_size=1")
    states(page, expected(tensor_parallel_size=1))
    expect(page.get_by_role("alert")).to_contain_text("of one GPU need")
    lever = calculator.what_would_fit(expected(tensor_parallel_size=1))[0]
    page.get_by_role("button", name=lever.label).click()
    states(page, lever.plan)
    expect(page.get_by_role("alert")).to_have_count(0)


# Charts


def test_each_chart_is_drawn_when_its_tab_is_opened(open_page):
    page = open_page("?model=llama-3.1-70b")
    plan = expected(model="llama-3.1-70b")
    bar = drawn(page.get_by_role("figure", name="Memory of one GPU"))
    assert bar[0]["name"].startswith("Weights")
    for tab, view_name, traces in (
        ("KV heads", "kv-heads", 2),
        ("Tensor parallel", "tensor-parallel", 4),
        ("Sequence length", "sequence-length", 3),
    ):
        view = views.VIEWS[view_name](plan)
        panel = open_tab(page, tab)
        figure = panel.get_by_role("figure", name=view.finding)
        found = drawn(figure)
        assert len(found) == traces
        assert {trace["points"] for trace in found} == {len([row for row in view.rows if not row.get("refused")])}
        # Plotly gives every series drawn a group of its own; an empty chart has none.
        assert figure.locator("svg .trace").count() >= traces
        has_parameter(page, "view", view_name)
    panel = open_tab(page, "Memory table")
    table = panel.get_by_role("region", name="Memory of one GPU, of one replica and of all GPUs, in bytes")
    expect(table.locator("canvas").first).to_be_visible()
    # The grid is painted; what it holds is there for screen readers in a table within the canvas.
    expect(table.locator("th", has_text="One replica (4 GPUs)")).to_have_count(1)
    expect(table.locator("td", has_text=re.compile(f"^{plan.per_replica.weights_bytes:,}$"))).not_to_have_count(0)


def test_the_crossing_is_written_into_the_drawn_chart(open_page):
    page = open_page("?model=llama-3.1-70b&log_x=true")
    crossing = expected(model="llama-3.1-70b").max_context_len
    figure = page.get_by_role("figure", name="reaches the GPU's limit")
    expect(figure.get_by_text(f"{crossing:,} tokens", exact=True)).to_be_visible()
    assert figure.locator(".js-plotly-plot").evaluate("plot => plot.layout.xaxis.type") == "log"


# Downloads


def download(page, click):
    with page.expect_download() as info:
        click()
    return info.value


def saved(page, label):
    page.get_by_role("button", name="Save", exact=True).click()
    button = page.get_by_role("dialog").get_by_role("button", name=label)
    expect(button).to_be_visible()
    return download(page, button.click)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?tensor_parallel_size=1",
        "?gpu=custom&gpu_memory_gib=70&activation_gib=2.5&kv_cache_dtype=fp8_e4m3",
        "?model=custom&num_layers=32&num_attention_heads=32&num_key_value_heads=8&head_dim=128&hidden_size=4096"
        "&intermediate_size=14336&vocab_size=128256&max_position_embeddings=8192&tie_word_embeddings=false",
    ],
    ids=["opening", "does-not-fit", "own-gpu", "own-architecture"],
)
def test_the_plan_file_downloaded_passes_the_check(open_page, tmp_path, capsys, query):
    page = open_page(query)
    file = saved(page, "Plan file")
    assert file.suggested_filename.endswith(".yaml")
    target = tmp_path / file.suggested_filename
    file.save_as(target)
    assert main(["check", str(target)]) == 0
    assert capsys.readouterr().err == ""
    (deployment,) = calculator.read_plan_file(target)
    states(page, deployment.plan)


def test_the_json_downloaded_is_the_librarys_answer(open_page, tmp_path):
    page = open_page("?seq_len=4096&kv_cache_dtype=fp8_e4m3")
    file = saved(page, "JSON")
    assert file.suggested_filename == "llama-3-70b-a100-80gb-sxm.json"
    file.save_as(tmp_path / "answer.json")
    plan = expected(seq_len=4096, kv_cache_dtype="fp8_e4m3")
    assert json.loads((tmp_path / "answer.json").read_text(encoding="utf-8")) == json.loads(json.dumps(plan.as_dict()))


def test_the_csv_and_the_html_of_each_view(open_page, new_page, tmp_path):
    page = open_page("?model=qwen2.5-14b")  # 40 query heads: some degrees and some KV counts are refused
    plan = expected(model="qwen2.5-14b")
    for tab, view_name in (
        ("Tensor parallel", "tensor-parallel"),
        ("KV heads", "kv-heads"),
        ("Sequence length", "sequence-length"),
    ):
        view = views.VIEWS[view_name](plan)
        panel = open_tab(page, tab)
        drawn(panel.get_by_role("figure", name=view.finding))
        file = download(page, panel.get_by_role("button", name="CSV", exact=True).click)
        assert file.suggested_filename == f"{view_name}.csv"
        file.save_as(tmp_path / "view.csv")
        rows = list(csv.DictReader(io.StringIO((tmp_path / "view.csv").read_text(encoding="utf-8"))))
        assert [{name: row.get(name, "") for name in rows[0]} for row in as_text(view.rows)] == rows

        file = download(page, panel.get_by_role("button", name="Chart as HTML").click)
        target = tmp_path / f"{view_name}.html"
        assert file.suggested_filename == target.name
        file.save_as(target)
        stands_alone(new_page(fresh=True, offline=True), target, view)


def as_text(rows):
    """Rows as a CSV file writes them, numbers in their shortest form."""
    return [{name: f"{value}" for name, value in row.items()} for row in rows]


def stands_alone(page, file, view):
    """The file is drawn without any network: no request but for itself."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    plot = page.locator(".js-plotly-plot")
    expect(plot.locator("svg.main-svg").first).to_be_visible()
    names = plot.evaluate("plot => plot.data.map(trace => trace.x.length)")
    assert set(names) == {len([row for row in view.rows if not row.get("refused")])}
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    expect(page.get_by_text(view.finding[:40])).to_be_visible()


# Keyboard


def tab_to(page, role, name, limit=80):
    """Press Tab until the element of this role and name has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)
    for _ in range(limit):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{name!r} was not reached in {limit} steps of Tab")


def test_an_input_is_reached_and_changed_by_keyboard_alone(open_page):
    page = open_page()
    tab_to(page, "spinbutton", "Sequence length, tokens")
    page.keyboard.press("Control+a")
    page.keyboard.type("2048")
    page.keyboard.press("Enter")
    states(page, expected(seq_len=2048))


def test_a_lever_is_reached_and_applied_by_keyboard_alone(open_page):
    page = open_page()
    lever = calculator.next_steps(expected())[0]
    tab_to(page, "button", lever.label)
    page.keyboard.press("Enter")
    states(page, lever.plan)


def test_tabs_change_by_arrow_keys(open_page):
    page = open_page()
    page.get_by_role("tab", name="Sequence length").focus()
    tabs = (
        ("KV heads", "kv-heads"), ("Tensor parallel", "tensor-parallel"), ("Load", "load"), ("Engines", "engines"),
        ("KV in use", "kv-in-use"), ("Ways to split", "parallelism"), ("Memory table", "memory"),
    )  # fmt: skip
    for name, view in tabs:
        page.keyboard.press("ArrowRight")
        if page.get_by_role("tab", name=name, selected=True).count() == 0:
            page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name=name, selected=True)).to_be_visible()
        has_parameter(page, "view", view)
        settled(page)
        page.get_by_role("tab", name=name).focus()  # a page that is drawn anew may drop the focus
    expect(page.get_by_role("tabpanel", name="Memory table").get_by_role("table").first).to_be_visible()


# Engines and logs


def test_engines_stand_side_by_side_with_a_table(open_page):
    page = open_page("?view=engines")
    panel = page.get_by_role("tabpanel", name="Engines")
    for engine in ("vllm", "sglang", "tensorrt-llm"):
        expect(panel).to_contain_text(f"{expected(engine=engine).total_max_batch_size:,} sequences")
    page.get_by_role("tab", name="Ways to split").click()
    has_parameter(page, "view", "parallelism")
    assert drawn(page.get_by_role("tabpanel", name="Ways to split").get_by_role("figure"))


def test_a_pasted_log_is_reconciled_and_forgotten(open_page):
    page = open_page("?view=reconcile", charts=1)
    before = page.url
    page.get_by_label("Start-up log").fill(VLLM_V1)
    page.get_by_role("button", name="Reconcile it").click()
    expect(page.get_by_text(calculator.reconcile(VLLM_V1).finding)).to_be_visible()
    expect(page.get_by_label("Start-up log")).to_have_value("")
    assert page.url == before
    assert "sk-abcdef" not in page.content()
