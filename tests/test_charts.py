"""What holds for every chart: one colour for one thing, finite values, units, a name, and the form that pages send."""

import json
import math
import re

import pytest
from charting import GROWTH, all_figures, colours_of, each_model, opening, plan_of

import calculator
from calculator import charts, views
from calculator.charts import base

each_view = pytest.mark.parametrize("view_name", GROWTH)


def test_the_same_thing_has_the_same_colour_in_every_chart():
    kv, weights, overheads = set(), set(), set()
    for figure in all_figures(opening()).values():
        for drawn in figure.data:
            colour = drawn.fillcolor if drawn.type == "scatter" else drawn.marker.color
            name = drawn.name or ""
            if name.startswith("KV"):
                kv |= {colour} if isinstance(colour, str) else set(colour) - {base.KV_FAINT}
            elif name.startswith("Weights"):
                weights.add(colour)
            elif name.startswith("Overheads"):
                overheads.add(colour)
    assert (kv, weights, overheads) == ({base.KV}, {base.WEIGHTS}, {base.OVERHEAD})


def saturation(colour):
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return (max(red, green, blue) - min(red, green, blue)) / max(red, green, blue)


def test_only_kv_and_weights_have_a_colour_and_the_rest_is_grey():
    for name, colour in base.LINE_COLOURS.items():
        if colour.startswith("#"):
            assert (saturation(colour) > 0.5) == (name in ("kv_cache", "weights")), name


@pytest.mark.parametrize("name", ["llama-3-70b", "falcon-7b", "qwen2.5-14b"])
def test_no_placeholder_colour_is_left_after_streamlit_is_imported(name):
    import plotly.io
    import streamlit  # noqa: F401  its import sets placeholder colours such as #000001 as Plotly's default

    assert [colour for colour in colours_of(plotly.io.templates["streamlit"].to_plotly_json()) if "#00000" in colour]
    for figure in all_figures(plan_of(name)).values():
        written = json.loads(figure.to_json())
        assert [colour for colour in colours_of(written) if re.match(r"#00000\d", colour)] == []
        assert written["layout"]["template"]["layout"]["colorway"] == [base.KV, base.WEIGHTS, base.GREY]


@each_model
def test_figures_are_finite_and_serialise(name):
    for figure in all_figures(plan_of(name)).values():
        written = figure.to_json()
        json.loads(written, parse_constant=lambda constant: pytest.fail(f"{constant} in a figure"))
        for drawn in figure.data:
            values = drawn.x if drawn.orientation == "h" else drawn.y
            assert all(math.isfinite(value) and value >= 0 for value in values)


@each_view
def test_rows_serialise_and_the_frame_has_their_columns(view_name):
    view = views.VIEWS[view_name](plan_of("qwen2.5-14b"))
    assert json.loads(json.dumps(view.rows)) == view.rows
    frame = view.frame()
    assert len(frame) == len(view.rows)
    for row, record in zip(view.rows, frame.to_dict("records"), strict=True):
        assert {name: record[name] for name in row} == row
    bytes_columns = [name for name in frame.columns if "bytes" in name]
    assert {str(frame[name].dtype) for name in bytes_columns} == {"Int64"}


@pytest.mark.parametrize(
    ("view_name", "columns"),
    [
        (
            "sequence-length",
            "seq_len weights_bytes_per_gpu overhead_bytes_per_gpu kv_bytes_per_gpu max_batch_size fits",
        ),
        (
            "kv-heads",
            "num_key_value_heads kind this_model saving_percent refused kv_bytes_per_gpu weights_bytes_per_gpu "
            "copied_bytes_per_gpu "
            "max_batch_size",
        ),
        (
            "tensor-parallel",
            "tensor_parallel_size this_plan kv_bytes_per_gpu weights_bytes_per_gpu overhead_bytes_per_gpu "
            "kv_pool_bytes_per_gpu kv_heads_per_gpu kv_replication "
            "max_batch_size max_batch_size_per_gpu refused",
        ),
    ],
)
def test_columns_carry_their_unit_and_scope(view_name, columns):
    assert set(views.VIEWS[view_name](opening()).frame().columns) == set(columns.split())


def test_a_view_without_a_chart_is_refused_by_name():
    view = views.View("pie", "Pie", "", opening(), [])
    with pytest.raises(calculator.UnknownNameError, match="no chart for a view named 'pie'"):
        charts.draw(view)


@each_view
def test_axes_name_what_they_show_and_its_unit(view_name):
    layout = charts.draw(views.VIEWS[view_name](opening())).layout
    titles = [axis.title.text or "" for axis in (layout.xaxis, layout.yaxis)]
    assert len([title for title in titles if "GiB" in title]) == 1
    assert layout.title.text.startswith("LLaMA 3 70B on 4 × A100 80GB SXM: ")


@each_view
def test_charts_draw_where_nothing_fits(view_name):
    view = views.VIEWS[view_name](opening(tensor_parallel_size=1))
    figure = charts.draw(view)
    assert {drawn.type for drawn in figure.data} <= {"bar", "scatter"}
    assert len(figure.data) >= 2
    assert view.finding.endswith(".")
