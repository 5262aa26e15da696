"""The page of hardware for a load: the package's answer, by link and by hand; what cannot be is said at the field."""

import json
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from pages import change, checked, everything_said, headline, open_page, unescaped, warnings, widget

import calculator
from calculator import views
from calculator.request import OPTIONS
from calculator.views import words
from calculator.views.sizing import answer
from dashboard import state
from dashboard.compare import pins
from dashboard.need import asking, found, searching, tables
from dashboard.need.opening import link_of_option, pin_of_option

FEW = "mi300x,h200,h100-sxm"
GPUS = FEW.split(",")
ASKED = {"users": 200, "seq_len": 8192, "gpus": GPUS}


def need(**link):
    return open_page("need", **{"gpus": FEW, **link})


def expected(model="llama-3-70b", **changes):
    return calculator.size(model, **{**ASKED, **changes})


def agrees(page, size):
    """The page states the numbers of this search."""
    assert headline(page) == answer.headline(size)
    assert answer.verdict(size) in everything_said(page)
    shown = page.dataframe[0].value
    assert list(shown["Hardware, opens it"]) == [
        f"{one.num_gpus:,} × {one.plan.accelerator.name}" for one in size.options
    ]
    assert list(shown["$ / h"]) == pytest.approx([one.usd_per_hour[0] for one in size.options])
    (chart,) = page.get("plotly_chart")
    assert chart.proto.alt == views.options_view(size).finding


def plan_link(page):
    (link,) = [each for each in page.get("page_link") if each.proto.label.startswith("Open the plan")]
    return dict(part.split("=") for part in link.proto.query_string.split("&"))


# Find GPUs


def test_users_are_asked_and_answered_and_in_the_link():
    page = need()
    agrees(page, expected())
    change(page, "users", 50)
    change(page, "seq_len", 4096)
    change(page, "max_tpot_ms", 40.0)
    agrees(page, expected(users=50, seq_len=4096, max_tpot_s=0.04))
    link = {name: page.query_params[name] for name in ("search", "load", "users", "seq_len", "max_tpot_ms", "gpus")}
    assert link == {
        "search": "gpus", "load": "users", "users": "50", "seq_len": "4096", "max_tpot_ms": "40", "gpus": FEW,
    }  # fmt: skip
    agrees(open_page("need", **link), expected(users=50, seq_len=4096, max_tpot_s=0.04))


@pytest.mark.parametrize(
    ("link", "keywords"),
    [
        ({"answer_tokens": 500}, {"output_tokens": 500}),
        ({"max_ttft_ms": 5000, "answer_tokens": 500}, {"max_ttft_s": 5.0, "output_tokens": 500}),
        ({"engines": "vllm,sglang"}, {"engines": ["vllm", "sglang"]}),
        ({"weight_dtypes": "auto,fp8"}, {"weight_dtypes": ["auto", "fp8"]}),
        ({"kv_cache_dtypes": "fp8_e4m3"}, {"kv_cache_dtypes": ["fp8"]}),
        ({"max_gpus": 8}, {"max_gpus": 8}),
        ({"prices": "h200=1, mi300x=9:10"}, {"prices": {"h200": 1.0, "mi300x": (9.0, 10.0)}}),
        ({"gpus": "h200"}, {"gpus": ["h200"]}),
        ({"model": "qwen2.5-72b"}, {"model": "qwen2.5-72b"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_every_state_is_opened_by_its_link_and_written_again(link, keywords):
    page = need(**link)
    assert warnings(page) == []
    agrees(page, expected(**keywords))
    assert {name: page.query_params[name] for name in link} == {name: str(value) for name, value in link.items()}


def test_an_alias_in_a_link_is_the_format_that_it_names():
    page = need(kv_cache_dtypes="fp8,fp8_e4m3")
    assert page.query_params["kv_cache_dtypes"] == "fp8_e4m3"
    agrees(page, expected(kv_cache_dtypes=["fp8"]))


def test_traffic_by_means_and_by_a_shipped_table():
    page = need(load="traffic", requests_per_second=5, prompt_cv=0.5)
    load = calculator.Workload(5.0, 1000, 250, 0.5)
    agrees(page, calculator.size("llama-3-70b", load, gpus=GPUS))
    change(page, "risk", 0.1)
    agrees(page, calculator.size("llama-3-70b", load, gpus=GPUS, risk=0.1))
    table = calculator.workload_ids()[0]
    page = need(load="traffic", workload=table, requests_per_second=2)
    load = replace(calculator.workload(table), requests_per_second=2.0)
    agrees(page, calculator.size("llama-3-70b", load, gpus=GPUS))


def test_the_switch_of_the_load_keeps_the_rest():
    page = need(users=50, requests_per_second=3)
    change(page, "load", "traffic")
    agrees(page, calculator.size("llama-3-70b", calculator.Workload(3.0, 1000, 250), gpus=GPUS))
    change(page, "load", "users")
    agrees(page, expected(users=50))


def test_a_cell_says_value_and_range_and_sorts_as_a_number():
    size = expected()
    rows = views.options_view(size).rows
    shown = tables.styled(tables.OPTIONS, rows)
    html = shown.to_html()
    best = rows[0]
    assert f"{best.held:,} ({best.held_low:,}–{best.held_high:,})" in html
    assert list(shown.data["Users held"]) == [row.held for row in rows]


def test_what_was_left_out_is_said_with_the_reason():
    page = need(gpus="t4,h200", max_gpus=8)
    size = expected(gpus=["t4", "h200"], max_gpus=8)
    assert len(size.refused) == 1
    assert str(size.refused[0].why) not in everything_said(page)  # made once it is opened
    page.session_state["chip_left_out"] = True
    assert str(size.refused[0].why) in everything_said(checked(page.run()))


def test_nearly_stands_apart():
    size = expected(gpus=["rtx-3090"])
    page = need(gpus="rtx-3090")
    assert size.nearly != ()
    assert "Nearly: held only at the centre of the memory's range" in [unescaped(each.value) for each in page.subheader]
    nearly = page.dataframe[1].value
    assert list(nearly["Hardware, opens it"]) == [f"{one.num_gpus:,} × RTX 3090" for one in size.nearly]


# From a row to its plan


def test_the_cheapest_opens_its_plan_with_all_that_was_asked():
    page = need(users=500, max_tpot_ms=80, prices="h200=1")
    best = expected(users=500, max_tpot_s=0.08, prices={"h200": 1}).best
    link = plan_link(page)
    opened = open_page(**{name: unquote(value) for name, value in link.items()})
    assert warnings(opened) == []
    plan = calculator.vary(best.plan, batch_size=best.batch_size, data_parallel_size=best.replicas)
    assert plan.fits
    assert headline(opened) == words.headline(plan)
    assert opened.query_params["users"] == "500"
    assert opened.query_params["max_tpot_ms"] == "80"


@pytest.mark.parametrize("load", ["users", "traffic"])
def test_every_row_opens_a_plan_that_fits_under_its_engine_and_split(load, monkeypatch):
    """Options with shared experts, copies of attention and several replicas, without a page around them."""
    engines = ["vllm", "sglang"]
    work = {"users": 200, "seq_len": 8192} if load == "users" else {"workload": calculator.Workload(50.0, 1000, 250)}
    size = calculator.size("deepseek-v3", gpus=GPUS, engines=engines, **work)
    held = {name: parameter.default for name, parameter in state.PARAMETERS.items()} | {"model": "deepseek-v3"}
    monkeypatch.setattr(state, "st", SimpleNamespace(session_state=held))
    for option in size.options:
        link = link_of_option(option)
        asked = {
            name: state.PARAMETERS[name].read(link[name])
            for name in link
            if name in OPTIONS and name not in ("model", "gpu")
        }
        plan = calculator.plan(link["model"], gpu=link["gpu"], **asked)
        assert plan.fits, option
        groups = option.num_gpus // plan.num_gpus if plan.request.enable_expert_parallel else 1
        assert plan.num_gpus * groups == option.num_gpus  # of groups that share experts a plan is one
        if load == "users":
            assert groups * plan.total_max_batch_size >= 200


def test_a_click_on_a_row_turns_to_its_plan():
    page = need()
    size = expected()
    option = size.options[2]
    link = {"model": "llama-3-70b", "gpu": option.plan.accelerator.id, "batch_size": str(option.batch_size)}
    page.session_state[found.OPENS] = link
    checked(page.run())
    plan = calculator.plan(
        "llama-3-70b", gpu=link["gpu"], tensor_parallel_size=4, batch_size=option.batch_size, seq_len=8192
    )
    assert headline(page) == words.headline(plan)


def test_the_landing_page_leads_here_and_what_was_asked_there_holds_on():
    page = open_page(model="qwen2.5-72b", seq_len=16384)
    (link,) = page.get("page_link")
    assert link.proto.label == "Which GPUs do I need?"
    page._page_hash = link.proto.page_script_hash
    page.query_params.clear()
    page.session_state["gpus"] = GPUS
    checked(page.run())
    agrees(page, expected("qwen2.5-72b", seq_len=16384))


def test_rows_that_are_pinned_stand_side_by_side_with_the_users_asked(monkeypatch):
    page, options = need(), expected().options[:2]
    held = {name: page.session_state[name] for name in state.PARAMETERS}
    monkeypatch.setattr(state, "st", SimpleNamespace(session_state=held))
    page.session_state["pinned"] = [pin_of_option(option) for option in options]
    monkeypatch.undo()
    checked(page.run())
    assert list(page.dataframe[0].value[tables.PINS])[:3] == ["Pinned", "Pinned", "Pin"]
    for pin, option in zip(page.query_params["pinned"].split(","), options, strict=True):
        plan = pins.plan_of(pin)
        replicas = plan.request.data_parallel_size
        assert (plan.accelerator.id, plan.num_gpus) == (option.plan.accelerator.id, option.num_gpus)
        assert 0 <= plan.request.batch_size * replicas - 200 < replicas == option.replicas
    assert ", about 200 users of 8,192 tokens: B " in headline(open_page("compare", pinned=page.query_params["pinned"]))


# I have GPUs


def test_what_runs_on_gpus_that_are_there():
    page = open_page("need", search="models", gpu="rtx-4090", num_gpus=2, seq_len=16384)
    runs = calculator.what_runs("rtx-4090", 2, min_context=16384)
    assert headline(page) == answer.owned_headline(runs)
    shown = page.dataframe[0].value
    assert list(shown["Model, opens it"]) == [row.name for row in runs.rows]
    assert list(shown["Users held"]) == [row.max_batch_size for row in runs.rows]
    name, why = runs.refused[0]
    assert f"{calculator.load_model(name).name}: {why}" in everything_said(page)
    change(page, "num_gpus", 1)
    assert headline(page) == answer.owned_headline(calculator.what_runs("rtx-4090", 1, min_context=16384))


def test_the_switch_between_both_keeps_what_was_asked():
    page = need(users=50)
    change(page, "search", "models")
    assert headline(page).startswith("2 × A100 80GB SXM: ")
    change(page, "search", "gpus")
    agrees(page, expected(users=50))


# What cannot be


def test_goals_that_nothing_meets_say_the_nearest_miss_and_offer_those_that_would_do():
    page = need(max_tpot_ms=0.1)
    missed = expected(max_tpot_s=1e-4)
    assert headline(page) == answer.headline(missed)
    assert str(missed.finding) in everything_said(page)
    (button,) = [each for each in page.main.button if each.label.startswith("Allow")]
    button.click()
    checked(page.run())
    goal = page.session_state["max_tpot_ms"]
    assert unescaped(button.label) == f"Allow {goal:,.4g} ms a token"
    met = expected(max_tpot_s=goal / 1e3)
    assert met.best is not None
    agrees(page, met)


def test_too_few_gpus_offer_the_number_that_would_do():
    page = need(gpus="h100-sxm", max_gpus=4)
    (button,) = [each for each in page.main.button if each.label.startswith("Allow")]
    button.click()
    checked(page.run())
    agrees(page, expected(gpus=["h100-sxm"], max_gpus=page.session_state["max_gpus"]))


def test_a_thousand_million_users_are_answered():
    page = need(users=10**9)
    assert headline(page) == "LLaMA 3 70B, 1,000,000,000 users of 8,192 tokens: nothing that was tried holds it"
    assert "So many GPUs do not hold it: " in everything_said(page)


BAD = [
    ("users", "0", "must lie between 1 and 1,000,000,000, not 0", "200"),
    ("users", "1000000001", "must lie between 1 and 1,000,000,000, not 1000000001", "200"),
    ("users", "many", "must be a whole number, not 'many'", "200"),
    ("max_tpot_ms", "0", "must lie between 0.001 and 1,000,000,000.0, not 0.0", "none"),
    ("max_ttft_ms", "-1", "must lie between 0.001", "none"),
    ("max_gpus", "0", "must lie between 1 and 1,024, not 0", "64"),
    ("num_gpus", "1025", "must lie between 1 and 1,024, not 1025", "2"),
    ("answer_tokens", "0", "must lie between 1 and", "not counted"),
    ("search", "cars", "unknown search 'cars'", "gpus"),
    ("load", "truck", "unknown load 'truck'", "users"),
    ("engines", "vllm,nope", "unknown engine 'nope'", "vllm"),
    ("gpus", "h100-sxm,h1000", "unknown GPU 'h1000'", "all"),
    ("gpus", "/etc/passwd", "unknown GPU '/etc/passwd'", "all"),
    ("weight_dtypes", "fp7", "unknown weight format 'fp7'", "auto"),
    ("kv_cache_dtypes", "", "unknown", "auto"),
    ("prices", "h100-sxm=0", "more than 0", "nothing"),
    ("prices", "h100-sxm=-2", "more than 0", "nothing"),
    ("prices", "h100-sxm=2 EUR", "without a currency", "nothing"),
    ("prices", "h1000=2", "unknown GPU in prices 'h1000'", "nothing"),
    ("prices", "x" * 3000, "longer than 2,000 characters", "nothing"),
]


@pytest.mark.parametrize(("name", "value", "why", "used"), BAD, ids=[f"{row[0]}={row[1][:16]}" for row in BAD])
def test_a_bad_value_in_a_link_is_named_with_the_reason_and_what_is_used(name, value, why, used):
    # opened where nothing is searched, as the link is the same on every page
    page = open_page(**{name: value})
    (said,) = warnings(page)
    assert said.startswith(f"The link asked for {name}=")
    assert why in said
    assert said.endswith(f" Used in its place: {used}.")
    assert page.query_params == open_page().query_params


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("h200=0", "The price of h200 must be a number of USD per GPU and hour, more than 0"),
        ("h200=-1", "more than 0"),
        ("h200=€2", "without a currency"),
        ("nope=2", "Unknown GPU in prices 'nope'"),
    ],
)
def test_a_wrong_price_is_said_and_the_last_answer_stays_dimmed(text, why):
    page = need()
    before = headline(page)
    change(page, "prices", text)
    (error,) = page.error
    assert why in unescaped(error.value)
    assert headline(page) == f":gray[Before: {before}]"
    change(page, "prices", "h200=1")
    assert page.error.len == 0
    agrees(page, expected(prices={"h200": 1}))


def test_an_answer_longer_than_the_sequence_is_said():
    page = need(answer_tokens=9000)
    (error,) = page.error
    assert "output_tokens must be more than 0 and less than seq_len 8,192" in unescaped(error.value)
    assert headline(page) == "This cannot be searched"


def test_emptied_lists_take_their_default_again():
    page = need(engines="vllm,sglang")
    change(page, "engines", [])
    assert page.query_params["engines"] == "vllm"
    agrees(page, expected())


# Lengths


@pytest.mark.parametrize(
    ("typed", "tokens"), [("16K", 16_384), ("32k", 32_000), ("4096", 4096), ("12,000", 12_000), ("0.1m", 100_000)]
)
def test_a_length_is_typed_as_text_and_the_field_shows_what_was_taken(typed, tokens):
    page = change(need(gpus="h200"), "seq_len", typed)
    assert widget(page, "seq_len").value == f"{tokens:,}"
    assert page.query_params["seq_len"] == str(tokens)
    agrees(page, expected(gpus=["h200"], seq_len=tokens))


@pytest.mark.parametrize(
    ("typed", "why", "nearest"),
    [
        ("8 kilo", "is not a number of tokens: write a whole number, or one with k or m", None),
        ("1.5K", "is no whole number of 1,024s", None),
        ("0", "must lie between 1 and 1,000,000,000, not 0", "1"),
        ("<b>9</b>", "is not a number of tokens", None),
    ],
)
def test_what_is_no_length_is_said_at_its_field_and_the_last_answer_stays_dimmed(typed, why, nearest):
    page = need(gpus="h200")
    before = headline(page)
    change(page, "seq_len", typed)
    assert headline(page) == f":gray[Before: {before}]"
    assert why.lower() in everything_said(page).lower()
    assert page.error.len == 0  # the field says it
    assert page.query_params["seq_len"] == "8192"
    buttons = [each for each in page.main.button if each.key == "_nearest_seq_len"]
    assert [each.label for each in buttons] == ([nearest] if nearest else [])
    change(page, "seq_len", "4K")
    agrees(page, expected(gpus=["h200"], seq_len=4096))


def test_the_nearest_length_is_a_click_away():
    page = change(need(gpus="h200"), "seq_len", "0")
    next(each for each in page.main.button if each.key == "_nearest_seq_len").click()
    agrees(checked(page.run()), expected(gpus=["h200"], seq_len=1))


def test_lengths_of_traffic_are_texts_too():
    page = need(load="traffic", requests_per_second=5, gpus="h200")
    change(page, "prompt_tokens", "2K")
    agrees(page, calculator.size("llama-3-70b", calculator.Workload(5.0, 2048, 250), gpus=["h200"]))
    change(page, "output_tokens", "many")
    assert headline(page).startswith(":gray[Before: ")


# The search


def test_answers_are_kept_by_what_was_asked_and_no_more_than_so_many():
    kept = searching.Kept(2)
    made = []

    def answering(what):
        return lambda: made.append(what) or what

    assert [kept.get(key, answering(key)) for key in ("a", "b", "a", "c", "a", "b")] == ["a", "b", "a", "c", "a", "b"]
    assert made == ["a", "b", "c", "b"]  # of two, the one asked longest ago went
    assert kept.get("cut", answering("cut"), keep=lambda _: False) == "cut"
    kept.get("cut", answering("cut"))
    assert made[-2:] == ["cut", "cut"]


def test_a_search_is_shared_by_sessions(monkeypatch):
    searched = []
    size = calculator.size

    def counted(*args, **keywords):
        searched.append(keywords["users"])
        return size(*args, **keywords)

    monkeypatch.setattr(calculator, "size", counted)
    need(users=77)
    need(users=77)
    need(users=78)
    assert searched == [77, 78]


def test_two_traces_are_two_questions():
    one = calculator.workload_from_trace({"input_tokens": [100, 200], "output_tokens": [10, 20]})
    other = calculator.workload_from_trace({"input_tokens": [100, 201], "output_tokens": [10, 20]})
    assert asking._mark(one) == asking._mark(one)
    assert asking._mark(one) != asking._mark(other)


BOX = {
    "engine": "vllm",
    "engine_version": "0.33",
    "non_torch_bytes": 4 * 2**30,
    "gpu_memory_bytes": None,
    "gpu": "h200",
}


@pytest.mark.parametrize("by_link", [True, False])
def test_a_log_of_a_machine_counts_in_the_search_by_link_and_by_field(by_link):
    box = {name: value for name, value in BOX.items() if value is not None}
    text = json.dumps(box)
    page = need(model="llama-3-70b", **({"calibration": text} if by_link else {}))
    if not by_link:
        page = change(page, "_calibration_given", text)
    assert json.loads(unquote(page.query_params["calibration"])) == box
    agrees(page, expected(calibration=box))
    assert expected(calibration=box).options != expected().options
    elsewhere = change(page, "engines", ["sglang"])
    agrees(elsewhere, expected(engines=("sglang",)))
    assert any("not used" in chip.proto.popover.label for chip in elsewhere.get("popover"))


def test_what_is_no_calibration_is_said_in_its_field():
    page = change(need(model="llama-3-70b"), "_calibration_given", '{"engine": "vllm"}')
    assert "calibration" not in page.query_params
    assert any(error.value.startswith("Calibration") for error in page.error)
