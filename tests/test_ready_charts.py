"""The form of a chart that a page sends: the same as the Figure of a notebook, unvalidated, on its ground."""

import json

import plotly.graph_objects as go
import pytest
from charting import colours_of, opening
from golden import ROOT
from streamlit.testing.v1 import AppTest

import calculator
from calculator import charts, views
from calculator.charts import base, ground, heads, ready
from calculator.logs.proof.judged import JudgedLog
from calculator.views.pages.bars import Bars, Part


def study():
    return calculator.head_study(
        "llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192, batch_size=16
    )


def of_view(name, **asked):
    return lambda: (charts.draw, views.VIEWS[name](opening(**asked)))


CASES = {
    **{name: of_view(name) for name, question in views.VIEWS.items() if not question.is_slow},
    "sequence-length, nothing fits": of_view("sequence-length", tensor_parallel_size=1),
    "sequence-length, logarithmic": lambda: (charts.draw, views.sequence_length_view(opening()), True),
    "preemptions": lambda: (
        charts.draw, views.VIEWS["preemptions"](opening(seq_len=512, kv_cache_memory_bytes=2**28, batch_size=1)),
    ),
    "memory": lambda: (charts.memory_bar, opening()),
    "memory, does not fit": lambda: (charts.memory_bar, opening(batch_size=200), False),
    "versions": lambda: (charts.versions_chart, views.versions_view(opening())),
    "price": lambda: (
        charts.price_chart,
        views.sizing.options.options_view(
            calculator.size("llama-3-8b", users=8, seq_len=2048, gpus=["l4", "h100-sxm"], max_gpus=1)
        ),
    ),
    **{
        draw.__name__: lambda draw=draw: (draw, study())
        for draw in (heads.memory_chart, heads.batch_chart, heads.speed_chart, heads.quality_chart)
    },
    "ratios": lambda: (
        heads.ratios_chart, views.heads.ratios.ratio_view(study(), views.heads.chosen.row_of(study())),
    ),
    "sharing": lambda: (heads.sharing_chart, calculator.head_sharing("llama-3-70b", 2, 4)),
    "converting": lambda: (heads.converting_chart, views.heads.converting.converting_view(study(), "2", 10**12)),
    "accuracy": lambda: (
        charts.accuracy_chart,
        [
            JudgedLog("a", "vllm", "0.11", "m", "d", 1, True, 20.0, 21.0, 19.0, 22.0, 0.05, True),
            JudgedLog("b", "sglang", "0.5", "m", "d", 1, True, 20.0, 0.0, 0.0, 0.0, -1.0, False),
        ],
    ),
    "reconciled": lambda: (
        charts.reconciled_chart,
        Bars(((Part.WEIGHTS, 30.0), (Part.KV, 40.0)), ((Part.WEIGHTS, 30.0), (Part.UNEXPLAINED, 4.0)), 4.0, False),
    ),
    "memory_bars": lambda: (charts.memory_bars, [opening(), opening(batch_size=200)]),
    "engine_points": lambda: (charts.engine_points, views.engines_view(opening())),
}  # fmt: skip


def test_every_public_chart_is_among_the_cases():
    public = {name for name in charts.__all__ if hasattr(getattr(charts, name), "ready")} - {"draw"}
    public |= set(heads.__all__)
    drawn = {make()[0].__name__ for name, make in CASES.items()} | {one.__name__ for one in charts.DRAWN.values()}
    assert public - drawn == set()
    assert set(charts.DRAWN) <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_ready_form_and_the_figure_are_equal(case):
    chart, *asked = CASES[case]()
    figure = chart(*asked)
    assert type(figure) is go.Figure
    assert json.loads(figure.to_json()) == json.loads(json.dumps(chart.ready(*asked), allow_nan=False))


def page():
    import calculator
    from calculator import charts
    from dashboard import figure

    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192)
    figure.show(charts.memory_bar.ready(plan), "ready", "Memory")
    figure.show(charts.memory_bar(plan), "figure", "Memory")


def test_streamlit_sends_a_ready_chart_as_it_is_and_builds_no_figure(monkeypatch):
    built = []
    make = go.Figure.__init__
    monkeypatch.setattr(go.Figure, "__init__", lambda self, *args, **more: built.append(1) or make(self, *args, **more))
    shown = AppTest.from_function(page, default_timeout=30).run()
    assert not shown.exception
    first, second = (json.loads(chart.proto.spec) for chart in shown.get("plotly_chart"))
    expected = ground.grounded(charts.memory_bar.ready(opening(batch_size=1)), dark=False)
    assert first == second == json.loads(json.dumps(expected))
    assert len(built) == 1  # the Figure that the page above asks for itself


@pytest.mark.parametrize("view", ["sequence-length", "kv-heads", "tensor-parallel"])
def test_the_page_builds_no_figure(monkeypatch, view):
    def refuse(*_args, **_more):
        raise AssertionError("a Figure was built: give figure.show the chart's ready form")

    monkeypatch.setattr(go.Figure, "__init__", refuse)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params["view"] = view
    page.run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == 2


DRAWN = ("sequence-length", "memory", "speed", "kv-in-use", "memory_chart")


@pytest.mark.parametrize("case", DRAWN)
def test_on_a_dark_page_fills_carry_white_text_and_lines_stand_out(case):
    chart, *asked = CASES[case]()
    spec = chart.ready(*asked)
    before = json.dumps(spec)
    dark = ground.grounded(spec, dark=True)
    assert json.dumps(spec) == before  # what is shared stays as it is
    light = ground.grounded(spec, dark=False)
    painted = colours_of({"data": dark["data"], "shapes": dark["layout"].get("shapes", [])})
    assert painted & set(ground.FILLS_ON_DARK) == set()
    assert painted & {ground.FILLS_ON_DARK[base.KV], ground.LINES_ON_DARK[base.KV]}
    assert base.KV in colours_of(light["data"])
    assert dark["layout"]["xaxis"]["tickfont"]["color"] == ground.TEXT_ON_DARK
    assert light["layout"]["xaxis"]["tickfont"]["color"] == ground.TEXT_ON_LIGHT


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_fills_have_the_contrast_that_white_text_needs_and_lines_that_of_their_ground():
    # WCAG 2.2: 4.5 for text, 3 for what is drawn
    fills = (base.KV, base.WEIGHTS, ground.FILLS_ON_DARK[base.KV], ground.FILLS_ON_DARK[base.WEIGHTS])
    assert [colour for colour in fills if contrast(colour, "#ffffff") < 4.5] == []
    assert contrast(base.KV, "#ffffff") > 3
    assert contrast(ground.LINES_ON_DARK[base.KV], "#12161d") > 3


def test_a_figure_is_painted_like_the_ready_form():
    plan = opening()
    figure = charts.on_ground(charts.memory_bar(plan), dark=True)
    expected = ground.grounded(charts.memory_bar.ready(plan), dark=True)
    assert json.loads(figure.to_json()) == json.loads(json.dumps(expected))


def test_a_models_name_cannot_carry_markup_into_a_title():
    fields = {"num_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "hidden_size": 256,
              "intermediate_size": 512, "vocab_size": 1000, "max_position_embeddings": 4096,
              "tie_word_embeddings": True}  # fmt: skip
    model = calculator.custom_model(**fields, name="<a href='x'>Mine</a> & yours")
    title = ready.titled(calculator.plan(model, gpu="l4", seq_len=512), "Speed")["text"]
    assert title == "&lt;a href='x'&gt;Mine&lt;/a&gt; &amp; yours on 1 × L4: Speed"


@pytest.mark.parametrize(
    ("y", "log_x", "kept"),
    [
        ([5.0, 5.0, 5.0, 5.0], False, [0, 3]),
        ([1.0, 2.0, 4.0, 8.0], False, [0, 3]),  # straight over x
        ([1.0, 2.0, 4.0, 8.0], True, [0, 1, 2, 3]),  # but not over its logarithm
        ([5.0, 5.0, 7.0, 7.0], False, [0, 1, 2, 3]),
        ([5.0, 5.0, 5.0, 7.0], True, [0, 2, 3]),
    ],
)
def test_an_edge_is_sent_by_its_corners(y, log_x, kept):
    x = [1, 2, 4, 8]
    assert ready.corners(x, y, log_x) == ([x[i] for i in kept], [y[i] for i in kept])
