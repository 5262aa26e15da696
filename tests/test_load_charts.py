"""The charts of a plan under load: what they draw is what the rows say, in the colours of all charts."""

import json
import math

import pytest
from charting import colours_of, texts

import calculator
from calculator import charts, views
from calculator.charts import base, ground
from calculator.planning.traffic.workload import Workload

LOAD = [name for name, question in views.VIEWS.items() if question.part_of == "load"]
each_view = pytest.mark.parametrize("name", LOAD)
FIXED = Workload(1.0, 1000, 250, prompt_cv=0.5, output_cv=0.5)


def plan_of(**asked):
    return calculator.plan("llama-3.1-8b", **{"gpu": "h100-sxm", "seq_len": 8192, "batch_size": 64, **asked})


def drawn(name, plan=None, **asked):
    view = views.VIEWS[name](plan or plan_of(), workload=FIXED, **asked)
    return view, charts.draw(view)


def trace(figure, name):
    (found,) = [one for one in figure.data if one.name == name]
    return found


@each_view
def test_no_placeholder_colour_and_only_colours_of_all_charts(name):
    import streamlit  # noqa: F401  its import sets placeholder colours such as #000001 as Plotly's default

    written = json.loads(drawn(name)[1].to_json())
    assert [colour for colour in colours_of(written) if colour.startswith("#00000")] == []
    accents = {base.KV, base.KV_FAINT, base.WEIGHTS}
    for colour in colours_of(written["data"]) - accents:
        red, green, blue = (
            (int(colour[at : at + 2], 16) for at in (1, 3, 5)) if colour.startswith("#")
            else (int(part) for part in colour[5:].split(",")[:3])
        )  # fmt: skip
        assert max(red, green, blue) - min(red, green, blue) < 40, colour  # a grey


@each_view
def test_figures_are_finite_and_axes_have_titles(name):
    figure = drawn(name)[1]
    json.loads(figure.to_json(), parse_constant=lambda constant: pytest.fail(f"{constant} in a figure"))
    assert figure.layout.xaxis.title.text
    assert name == "preemptions" or figure.layout.yaxis.title.text


@each_view
@pytest.mark.parametrize("asked", [{"kv_cache_memory_bytes": 1}, {"batch_size": 10_000}, {"seq_len": 1}])
def test_charts_draw_whatever_fits(name, asked):
    small = {"seq_len": 1, "kv_cache_memory_bytes": 2**28}  # a queue of thousands takes long to simulate
    view, figure = drawn(name, plan_of(**(small if "seq_len" in asked else {"seq_len": 2048, **asked})))
    json.loads(figure.to_json(), parse_constant=lambda constant: pytest.fail(f"{constant} in a figure"))
    assert view.finding.endswith(".")


def test_the_risk_is_drawn_in_percent_and_what_fits_is_marked():
    view, figure = drawn("risk")
    line = trace(figure, "Risk")
    assert list(line.x) == [row.sequences for row in view.rows]
    shown = [(row.risk, y) for row, y in zip(view.rows, line.y, strict=True) if y is not None]
    assert [y for _, y in shown] == pytest.approx([100 * risk for risk, _ in shown])
    most, even = (next(row for row in view.rows if getattr(row, mark)) for mark in ("recommended", "even"))
    assert texts(figure) == [f"{most.sequences:,} fit", f"{even.sequences:,} at even odds"]
    assert list(trace(figure, "What fits").x) == [most.sequences, even.sequences]
    assert list(trace(figure, "What fits").marker.color) == [base.KV, base.GREY]
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.annotations[0].y == pytest.approx(math.log10(100 * most.risk))


def test_what_exceeds_the_pool_is_hatched_and_the_pool_ends_where_it_begins():
    view, figure = drawn("resident-tokens")
    most = [row for row in view.rows if row.recommended]
    within, beyond, even = figure.data
    assert sum(within.y) + sum(beyond.y) == pytest.approx(100 * sum(row.share for row in most))
    assert (within.marker.color, beyond.marker.color, beyond.marker.pattern.shape) == (base.KV, base.GREY, "/")
    assert sum(even.y) == pytest.approx(100 * sum(row.share for row in view.rows if not row.recommended))
    (line,) = figure.layout.shapes
    first = beyond.x[0] - beyond.width[0] / 2
    assert line.x0 == pytest.approx(first)
    assert texts(figure) == [f" the pool: {line.x0:,.0f}"]


def test_shares_of_the_pool_are_drawn_in_percent_where_blocks_are_unlike():
    _, figure = drawn("resident-tokens", calculator.plan("gemma-2-9b", gpu="h100-sxm", seq_len=8192))
    assert figure.layout.xaxis.title.text == "Share of the pool, %"
    assert figure.layout.shapes[0].x0 == 100


def test_a_bar_a_rule_and_the_plans_own_in_full_colour():
    view, figure = drawn("preemptions", plan_of(seq_len=2048, kv_cache_memory_bytes=2**32))
    (bars,) = figure.data
    assert list(bars.x) == [row.preemptions for row in view.rows]
    assert list(bars.marker.color) == [base.KV] + [base.GREY] * (len(view.rows) - 1)
    assert len(set(bars.y)) == len(view.rows)
    assert [text.rsplit(" ", 1)[1] for text in texts(figure)] == ["running"] * len(view.rows)


def test_speed_is_drawn_with_its_band_and_its_marks():
    view, figure = drawn("speed", requests_per_second=5)
    for unit, factor, field in (
        ("ms a token", 1000, "time_per_output_token_s"),
        ("tokens/s", 1, "output_tokens_per_second"),
    ):
        for name, end in ((unit, ""), (f"{unit}, low", "_low"), (f"{unit}, high", "_high")):
            line = trace(figure, name)
            assert list(line.x) == pytest.approx([row.batch_size for row in view.rows])
            assert list(line.y) == pytest.approx([factor * getattr(row, f"{field}{end}") for row in view.rows])
    assert [line.fill for line in figure.data if line.mode == "lines"] == [None, "tonexty", None] * 2
    marks = {text.split(" ", 1)[1]: float(text.split(" ")[0].replace(",", "")) for text in texts(figure)}
    assert marks["you"] == 64
    assert set(marks) == {"you", "half of the limit", "fit", "arrivals"}
    poles = sorted(shape.x0 for shape in figure.layout.shapes if shape.type == "line")
    assert poles == pytest.approx(sorted(marks.values()), rel=0.01)


def test_what_was_not_measured_is_shaded_over_both_panels_and_named():
    view, figure = drawn("speed", plan_of(gpu="b200", batch_size=600))
    (shade,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (shade.x0, shade.x1) == (513, view.rows[-1].batch_size)
    assert (shade.y0, shade.y1, shade.yref) == (0, 1, "paper")
    assert figure.layout.xaxis.title.text.endswith("(grey: not checked)")
    # at so small a risk a fifth more than fit still has room in the mean
    measured = charts.draw(views.speed_view(plan_of(batch_size=16), risk=1e-6))
    assert measured.layout.xaxis.title.text == "Sequences at once, one replica"


def test_the_parts_of_a_step_add_up_and_have_their_colours():
    view, figure = drawn("step")
    totals = [sum(part) for part in zip(*(area.y for area in figure.data), strict=True)]
    assert totals == pytest.approx([100] * len(view.rows))
    colours = {area.name: area.fillcolor for area in figure.data}
    assert (colours["Reading weights"], colours["Reading the KV cache"]) == (base.WEIGHTS, base.KV)
    assert "Links between GPUs" not in colours  # one GPU has none
    assert list(trace(figure, "Reading the KV cache").y) == pytest.approx([100 * row.kv_share for row in view.rows])


@pytest.mark.parametrize(("dark", "veil"), [(False, ground.VEIL_ON_LIGHT), (True, ground.VEIL_ON_DARK)])
def test_an_older_answer_is_veiled_in_the_colour_of_the_page(dark, veil):
    figure = charts.dimmed(drawn("risk")[1], dark)
    assert figure.layout.shapes[-1].fillcolor == veil
    assert figure.layout.shapes[-1].layer == "above"
