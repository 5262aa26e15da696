"""From a load to hardware in words, rows and a chart: what the search found, in the form in which people read it."""

from itertools import combinations
from math import log10
from types import SimpleNamespace

import pytest

import calculator
from calculator import charts, views
from calculator.planning.sizing.prices import prices_in_text
from calculator.planning.sizing.reachable import reachable_goals
from calculator.views.sizing import answer
from calculator.views.sizing.options import option_row

FEW = ["mi300x", "h100-sxm", "h200", "t4"]
USERS = {"users": 200, "seq_len": 8192, "gpus": FEW}


@pytest.fixture(scope="module")
def found():
    return calculator.size("llama-3-70b", **USERS)


@pytest.fixture(scope="module")
def view(found):
    return views.options_view(found)


def test_the_headline_says_model_load_hardware_and_price(found):
    best = found.options[0]
    low = calculator.load_gpu("mi300x").price_usd_per_hour[0] * best.num_gpus
    assert best.plan.accelerator.id == "mi300x"
    said = f"LLaMA 3 70B, 200 users of 8,192 tokens: {best.num_gpus} × MI300X, from ${low:,.2f} an hour"
    assert answer.headline(found) == said
    assert answer.verdict(found).startswith(f"The cheapest of {len(found.options)} that hold the load. ")


def test_a_load_of_one_is_said_in_the_singular():
    alone = calculator.size("llama-3.1-8b", users=1, seq_len=1, gpus=["h100-sxm"], max_gpus=1)
    assert answer.asked(alone).endswith(", 1 user of 1 token")
    load = calculator.Workload(1.0, prompt_tokens=1000, output_tokens=250, prompt_cv=0, output_cv=0)
    one = calculator.size("llama-3.1-8b", load, gpus=["h100-sxm"], max_gpus=1)
    assert answer.asked(one).endswith(", 1 request a second of 1,000 tokens in and 250 out")


def test_a_load_is_said_as_it_was_asked_for_and_how_much_of_the_hardware_it_takes():
    # of lengths that vary as much as their mean, those beyond the longest sequence are cut: a mean of less than 1,000
    load = calculator.Workload(5.0, prompt_tokens=1000, output_tokens=250)
    found = calculator.size("llama-3-70b", load, gpus=["mi300x"])
    assert found.load.lengths.prompt_tokens < 1000
    assert answer.asked(found).endswith(", 5 requests a second of 1,000 tokens in and 250 out")
    row, best = option_row(found.best), found.best
    assert row.utilisation == pytest.approx(5 / (best.replicas * best.replica_requests_per_second))


def test_users_held_are_those_that_the_plans_of_all_replicas_hold(found, view):
    for option, row in zip(found.options, view.rows, strict=True):
        plan = option.plan
        held = (row.held_low, row.held, row.held_high)
        assert held == tuple(
            option.replicas * each for each in (plan.max_batch_size_low, plan.max_batch_size, plan.max_batch_size_high)
        )
        assert row.held_low >= 200


def test_a_goal_bounds_the_users_held():
    goal = 0.05
    held = calculator.size("llama-3-70b", **USERS, max_tpot_s=goal)
    stopped = [option for option in held.options if option.limited_by == "tpot"]
    assert stopped != []
    for option in stopped[:3]:
        row = option_row(option)
        each = row.held // option.replicas
        take = {"prompt_tokens": 8192, "output_tokens": None, "resident_tokens": 8192}
        assert calculator.speed(option.plan, each, **take).time_per_output_token_s <= goal
        assert calculator.speed(option.plan, each + 1, **take).time_per_output_token_s > goal
        assert row.limited_by == "50 ms a token"


def test_a_million_tokens_of_users_cost_what_all_gpus_cost_while_they_are_made(view):
    row = view.rows[0]
    hours = 1e6 / row.output_tokens_per_second / 3600
    assert row.usd_per_million_output_tokens_low == pytest.approx(hours * row.usd_per_hour_low)


def test_the_front_is_what_no_other_beats_in_price_and_time(view):
    def point(row):
        return round(row.usd_per_hour_low, 6), round(row.time_per_output_token_s, 12)

    points = {point(row) for row in view.rows if row.usd_per_hour_low}
    unbeaten = {here for here in points if not any(p != here and p[0] <= here[0] and p[1] <= here[1] for p in points)}
    front = [point(row) for row in view.rows if row.pareto]
    assert sorted(front) == sorted(unbeaten)  # of two that are equal one is drawn
    assert view.finding.startswith(f"{len(front)} of {len(view.rows)} options")


def test_the_chart_draws_every_priced_option_once_with_its_range(view):
    figure = charts.price_chart(view)
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    drawn = sorted((x, y) for trace in marks for x, y in zip(trace.x, trace.y, strict=True))
    priced = [row for row in view.rows if row.usd_per_hour_low is not None]
    assert drawn == sorted((row.usd_per_hour_low, 1e3 * row.time_per_output_token_s) for row in priced)
    for trace in marks:
        (row, *_) = [
            row
            for row in priced
            if (row.hardware, row.split) == tuple(trace.customdata[0][:2]) and row.usd_per_hour_low == trace.x[0]
        ]
        high = trace.y[0] + trace.error_y.array[0]
        low = trace.y[0] - trace.error_y.arrayminus[0]
        assert (low, high) == pytest.approx(
            (1e3 * row.time_per_output_token_s_low, 1e3 * row.time_per_output_token_s_high)
        )
    by_maker = {trace.name.removesuffix(", on the front"): trace.marker.symbol for trace in marks}
    assert set(by_maker) == {"AMD", "NVIDIA"}
    assert len(set(by_maker.values())) == 2


def covered(figure, label):
    """What a label covers on a plot of 300 by 260 px, that of a phone: 6.6 px a letter, 15 px high."""
    prices = [log10(x) for trace in figure.data for x in trace.x]
    across = 300 * (label.x - min(prices)) / (max(prices) - min(prices) or 1.0) + label.xshift
    down = 260 * (1 - label.y / figure.layout.yaxis.range[1]) - label.yshift
    wide = 6.6 * len(label.text.removeprefix("<b>").removesuffix("</b>"))
    left = across if label.xanchor == "left" else across - wide
    top = down if label.yanchor == "top" else down - 15
    return left, top, left + wide, top + 15


@pytest.mark.parametrize("kinds", [None, ["h100-sxm"], ["rtx-3090", "mi300x", "b200", "rtx-pro-6000-blackwell"]])
def test_labels_of_the_front_are_apart_on_a_phone_and_within_it(kinds):
    found = calculator.size("llama-3-70b", users=200, seq_len=8192, gpus=kinds)
    view = views.options_view(found)
    figure = charts.price_chart(view)
    front = {f"<b>{row.hardware}</b>" for row in view.rows if row.pareto}
    labels = figure.layout.annotations
    assert {label.text for label in labels} <= front
    boxes = [covered(figure, label) for label in labels]
    for left, _, right, bottom in boxes:
        assert left >= 0
        assert right <= 300
        assert bottom <= 260
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    if kinds is None:
        assert len(labels) >= 5


def test_the_front_is_drawn_as_steps_and_its_ends_are_labelled(view):
    figure = charts.price_chart(view)
    (line,) = [trace for trace in figure.data if trace.mode == "lines"]
    front = [row for row in view.rows if row.pareto]
    assert list(line.x) == [row.usd_per_hour_low for row in front]
    assert line.line.shape == "hv"
    labels = [label.text for label in figure.layout.annotations]
    assert f"<b>{front[0].hardware}</b>" in labels


def test_without_an_option_there_is_nothing_to_draw():
    none = calculator.size("llama-3-70b", users=200, seq_len=8192, gpus=["t4"], max_gpus=1)
    with pytest.raises(calculator.CalculatorError, match="Nothing that was tried holds it"):
        views.options_view(none)
    assert answer.headline(none).endswith(": nothing that was tried holds it")


# Goals that nothing meets


@pytest.mark.parametrize(
    "goals", [{"max_tpot_s": 1e-4}, {"max_tpot_s": 1e-4, "max_ttft_s": 1e-3}], ids=["tpot", "both"]
)
def test_loosened_goals_are_met_and_a_tenth_less_is_not(goals):
    asked = {**USERS, "gpus": FEW[:3], "output_tokens": 500}
    missed = calculator.size("llama-3-70b", **asked, **goals)
    assert missed.best is None
    assert answer.headline(missed).endswith(": nothing meets the goals")

    def search(gpus, **loosened):
        return calculator.size("llama-3-70b", **{**asked, "gpus": gpus or asked["gpus"]}, **loosened)

    found = reachable_goals(missed, search)
    assert set(found) == set(goals)
    assert search(None, **found).best is not None
    assert search(None, **{name: 0.9 * value for name, value in found.items()}).best is None


def test_where_goals_are_met_or_not_set_there_is_nothing_to_loosen(found):
    def search(**_):
        raise AssertionError("nothing is searched")

    assert reachable_goals(found, search) == {}
    none = calculator.size("llama-3-70b", users=200, seq_len=8192, gpus=["t4"], max_gpus=1)
    assert reachable_goals(none, search) == {}


def test_more_gpus_than_allowed_are_said():
    few = calculator.size("llama-3-70b", users=200, seq_len=8192, gpus=["h100-sxm"], max_gpus=4)
    needed = answer.gpus_that_would_do(few)
    assert calculator.size("llama-3-70b", users=200, seq_len=8192, gpus=["h100-sxm"], max_gpus=needed).best is not None
    less = calculator.size("llama-3-70b", users=200, seq_len=8192, gpus=["h100-sxm"], max_gpus=needed - 1)
    assert less.best is None


# Prices as text


def test_prices_are_read_as_people_write_them():
    assert prices_in_text("h100-sxm=2, mi300x = 1.5:3,") == {"h100-sxm": 2.0, "mi300x": (1.5, 3.0)}
    assert prices_in_text(" ") == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("h100-sxm=0", "must be a number of USD per GPU and hour, more than 0"),
        ("h100-sxm=-2", "more than 0"),
        ("h100-sxm=$2", "without a currency"),
        ("h100-sxm=2 EUR", "without a currency"),
        ("h100-sxm", "price must be such as h100-sxm=2.5"),
        ("h100-sxm=nan", "more than 0"),
        ("h100-sxm=3:2", "the lowest comes first"),
        ("h100-sxm=1:2:3", "price must be such as"),
        ("h100=2", "unknown GPU 'h100': it can be h100-nvl or"),
        ("h100-sxm=2,h100-sxm=3", "prices name h100-sxm twice"),
    ],
)
def test_what_is_no_price_is_refused_with_the_reason(text, why):
    with pytest.raises(calculator.CalculatorError) as caught:
        prices_in_text(text)
    assert why in str(caught.value)


def test_a_search_that_was_cut_short_says_so():
    cut = calculator.size("llama-3-70b", **USERS, progress=lambda *_: False)
    assert cut.best is not None
    assert f"The search was cut short: {cut.tried:,} of {cut.to_try:,} layouts were tried." in answer.verdict(cut)


# What runs


def test_what_runs_is_said_with_the_largest():
    one = SimpleNamespace(name="LLaMA 3 8B")
    gpu = SimpleNamespace(name="L4")
    said = [
        answer.owned_headline(SimpleNamespace(gpu=gpu, num_gpus=2, min_context=8192, rows=rows))
        for rows in ([], [one], [one, one])
    ]
    assert said == [
        "2 × L4: no model of the catalogue runs with 8,192 tokens",
        "2 × L4: 1 model runs with 8,192 tokens, up to LLaMA 3 8B",
        "2 × L4: 2 models run with 8,192 tokens, up to LLaMA 3 8B",
    ]
