"""What only a browser shows: links, history, downloads, drawn charts, keyboard."""

import csv
import io
import json
import re
import socket
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

import calculator
from calculator import views
from calculator.cli.main import main
from calculator.views.fits.changes import first_of, rows_of

from .actions import (
    WORD_JOINER,
    choose,
    choose_view,
    drawn,
    expected,
    fill,
    has_parameter,
    made_of_markup,
    open_chip,
    states,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-page")]


def test_the_server_is_reached_from_this_machine_alone(server):
    """Every Linux machine has the address 127.0.0.2; who listens on all addresses answers there too."""
    port = urlsplit(server).port
    socket.create_connection(("127.0.0.1", port), timeout=30).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=30).close()


# Links


def test_a_link_opens_the_same_answer_with_the_same_inputs(open_page, new_page):
    page = open_page()
    states(page, expected())
    choose(page, "Model", "Qwen2.5 72B")
    choose(page, "GPU", "H100 SXM")
    changed = {"model": "qwen2.5-72b", "gpu": "h100-sxm"}
    states(page, expected(**changed))
    fill(page, "spinbutton", "GPUs", 8)
    changed["tensor_parallel_size"] = 8
    states(page, expected(**changed))
    fill(page, "textbox", "Tokens each", "16k")
    changed["seq_len"] = 16_000
    states(page, expected(**changed))
    open_chip(page, "KV bf16")
    choose(page, "KV cache", "fp8_e5m2")
    changed["kv_cache_dtype"] = "fp8_e5m2"
    states(page, expected(**changed))
    page.keyboard.press("Escape")
    open_chip(page, "More settings")
    fill(page, "spinbutton", "Activations, GiB", 3.5)
    changed["activation_bytes"] = 7 * 2**29
    states(page, expected(**changed))
    page.keyboard.press("Escape")
    choose_view(page, "KV heads")
    has_parameter(page, "view", "kv-heads")
    has_parameter(page, "activation_gib", "3.5")

    code = open_chip(page, re.compile("Share")).get_by_role("code")
    assert parse_qs(urlsplit(code.inner_text().strip()).query) == parse_qs(urlsplit(page.url).query)
    assert urlsplit(code.inner_text().strip()).netloc == urlsplit(page.url).netloc

    other = new_page(fresh=True)
    other.goto(page.url)
    states(other, expected(**changed))
    expect(other.get_by_role("radio", name="KV heads", exact=True, checked=True)).to_be_visible()
    expect(other.get_by_role("button", name="More settings: 1 set")).to_be_visible()
    assert parse_qs(urlsplit(other.url).query) == parse_qs(urlsplit(page.url).query)


def test_back_returns_to_the_former_answer_and_forward_to_the_later(open_page):
    page = open_page()
    fill(page, "textbox", "Tokens each", 4096)
    states(page, expected(seq_len=4096))
    has_parameter(page, "seq_len", 4096)
    page.go_back()
    states(page, expected())
    expect(page.get_by_role("textbox", name="Tokens each")).to_have_value("8,192")
    page.go_forward()
    states(page, expected(seq_len=4096))
    expect(page.get_by_role("textbox", name="Tokens each")).to_have_value("4,096")


HOSTILE = (
    "<b>bold</b>", "<img src=x onerror=alert(1)>", "[x](https://a.com)", ":red[x] :smile:", "$x^2$ `code`",
    "**b** _i_ ~~s~~", "# heading", "&lt;b&gt;", ":material/home:", "![x](y.png)", "https://example.com",
    "www.example.com", "mailto:a@b.co", "xmpp:a@b.co/x",
)  # fmt: skip
NAMES = (
    "model", "gpu", "weight_dtype", "kv_cache_dtype", "view", "engine", "workload", "seen_of", "panel", "to_model",
    "to_gpu", "to_engine", "to_weight_dtype", "to_kv_cache_dtype",
)  # fmt: skip


def test_markup_in_a_link_stays_text_and_nonsense_is_still_answered(open_page):
    page = open_page(
        "?" + "&".join(f"{name}={quote(text, safe='')}" for name, text in zip(NAMES, HOSTILE, strict=True))
    )
    alerts = page.get_by_role("alert")
    expect(alerts).to_have_count(len(HOSTILE))
    said = [alert.inner_text().replace(WORD_JOINER, "") for alert in alerts.all()]
    for text in HOSTILE:
        assert [line for line in said if repr(text) in line] != [], text
    assert made_of_markup(alerts) == []
    states(page, expected())
    page = open_page(f"?model={'x' * 10_000}&seq_len=1e309&batch_size=-1&gpu=%00%ff&unknown=1&unknown=2")
    states(page, expected())
    assert page.get_by_role("alert").count() == 5


# Changes


def test_a_change_is_applied_by_a_click_in_the_table_and_taken_back(open_page):
    page = open_page()
    rows = first_of(expected(), rows_of(expected(), calculator.levers(expected())), 8)
    box = page.get_by_role("region", name="What would change the answer").bounding_box()
    page.mouse.click(box["x"] + 60, box["y"] + 35 * 2.5)  # the second row below the head, rows of 35 px
    states(page, rows[1].lever.plan)
    said = page.get_by_text(f"{rows[1].users} users: ")
    expect(said).to_be_in_viewport()  # the answer, where the click was made
    page.get_by_role("button", name="Take it back").click()
    states(page, expected())
    expect(said).to_have_count(0)


def test_a_wrong_number_keeps_the_last_answer_and_what_would_do_is_a_click_away(open_page):
    page = open_page()
    fill(page, "spinbutton", "GPUs", 3)
    expect(page.get_by_text("64 query heads do not divide by 3")).to_be_visible()
    expect(page.get_by_text("The last answer that could be computed")).to_be_visible()
    expect(page.get_by_role("button", name="Command")).to_be_disabled()
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    page.get_by_role("button", name="2 GPUs").click()
    plan = expected(tensor_parallel_size=2)
    states(page, plan)
    page.locator("[class*=st-key-fits-] button").first.click()  # two hold too few: what would is offered
    expect(page.locator(".stMarkdownBadge", has_text="fits, ")).to_be_visible()


# Charts


def test_each_chart_is_drawn_when_its_view_is_chosen(open_page):
    page = open_page("?model=llama-3.1-70b&log_x=true")
    plan = expected(model="llama-3.1-70b")
    figure = page.get_by_role("figure", name="reaches the GPU's limit")
    assert figure.locator(".js-plotly-plot").evaluate("plot => plot.layout.xaxis.type") == "log"
    assert drawn(page.get_by_role("figure", name="Memory of one GPU"))
    for name, view_name in (("KV heads", "kv-heads"), ("Tensor parallel", "tensor-parallel"), ("Load", "load")):
        panel = choose_view(page, name)
        has_parameter(page, "view", view_name)
        if view_name in views.VIEWS:
            figure = panel.get_by_role("figure", name=views.VIEWS[view_name](plan).finding)
            assert drawn(figure)
            # Plotly gives every series drawn a group of its own; an empty chart has none.
            assert figure.locator("svg .trace").count() > 0


# Downloads


def download(page, click):
    with page.expect_download() as info:
        click()
    return info.value


def saved(page, label):
    button = open_chip(page, re.compile("Share")).get_by_role("button", name=label)
    expect(button).to_be_visible()
    return download(page, button.click)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?gpu=custom&gpu_memory_gib=70&activation_gib=2.5&kv_cache_dtype=fp8_e4m3",
        "?model=custom&num_layers=32&num_attention_heads=32&num_key_value_heads=8&head_dim=128&hidden_size=4096"
        "&intermediate_size=14336&vocab_size=128256&max_position_embeddings=8192&tie_word_embeddings=false",
    ],
    ids=["opening", "own-gpu", "own-architecture"],
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
        ("Length", "sequence-length"),
    ):
        view = views.VIEWS[view_name](plan)
        panel = choose_view(page, tab)
        drawn(panel.get_by_role("figure", name=view.finding))
        files = open_chip(page, "Table and files")
        file = download(page, files.get_by_role("button", name="CSV", exact=True).click)
        assert file.suggested_filename == f"qwen2.5-14b-{view_name}.csv"
        file.save_as(tmp_path / "view.csv")
        rows = list(csv.DictReader(io.StringIO((tmp_path / "view.csv").read_text(encoding="utf-8"))))
        named = [{"of_model": plan.model.name, **row} for row in as_text(view.rows)]
        assert [{name: row.get(name, "") for name in rows[0]} for row in named] == rows

        file = download(page, files.get_by_role("button", name="Chart as HTML").click)
        page.keyboard.press("Escape")
        target = tmp_path / f"qwen2.5-14b-{view_name}.html"
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
    assert len([row for row in view.rows if not row.get("refused")]) in names  # marks beside them are shorter
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


def test_fields_chips_and_views_are_reached_and_changed_by_keyboard_alone(open_page):
    page = open_page()
    tab_to(page, "spinbutton", "Users at once")
    page.keyboard.press("Control+a")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    states(page, expected(batch_size=20))
    has_parameter(page, "batch_size", 20)
    page.get_by_role("button", name="TP 4 · 1 replica").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("spinbutton", name="Replicas")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="Length", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    has_parameter(page, "view", "kv-heads")
