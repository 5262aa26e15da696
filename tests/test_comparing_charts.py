"""Charts of plans side by side: one GPU of each on one scale, points with ranges, no line between versions."""

import itertools

import pytest

import calculator
from calculator import charts, views
from calculator.charts import heads
from calculator.views.heads import chosen, ratios

GIB = 2**30


def of(**asked):
    return calculator.plan(
        "llama-3-70b", **{"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192, "batch_size": 16, **asked}
    )


def test_bars_of_one_gpu_are_whole_on_one_scale_and_what_does_not_fit_stands_beyond():
    plans = [of(), of(gpu="mi300x"), of(batch_size=200)]
    figure = charts.memory_bars(plans)
    parts = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in figure.data}
    for letter, plan in zip("AB", plans, strict=False):
        whole = sum(sizes[letter] for sizes in parts.values())
        assert whole == pytest.approx(plan.per_gpu.total_bytes / GIB)
        # 16 users of 2.5 GiB on 4 GPUs
        assert parts["KV of the users asked"][letter] == pytest.approx(16 * 2.5 / 4)
        assert parts["More than it has"][letter] == 0
    pool = plans[2].kv_pool_bytes / GIB
    assert parts["KV of the users asked"]["C"] == pytest.approx(pool)
    assert parts["More than it has"]["C"] == pytest.approx(200 * 2.5 / 4 - pool)
    assert parts["Left free"]["C"] == 0


def test_engines_are_told_apart_by_their_marks():
    view = views.engines_view(of(data_parallel_size=2))
    figure = charts.engine_points(view)
    assert len({trace.marker.symbol for trace in figure.data}) == len(figure.data) == len(view.possible)
    for trace in figure.data:
        (row,) = [row for row in view.possible if row.engine == trace.name]
        assert trace.x[0] - trace.error_x.arrayminus[0] == row.max_batch_size_low
        assert trace.x[0] + trace.error_x.array[0] == row.max_batch_size_high


def labels(figure, width_px=280, letter_px=6):
    """Where the labels of versions stand on a phone: at 390 px wide 280 are left between the axis and the margin."""
    (trace,) = figure.data
    each = width_px / len(trace.x)
    for label in figure.layout.annotations:
        wide, at = letter_px * len(label.text), (label.x + 0.5) * each + label.xshift
        left = at - {"left": 0, "center": wide / 2, "right": wide}[label.xanchor]
        yield label, left, left + wide


@pytest.mark.parametrize("asked", [{}, {"engine": "sglang", "batch_size": 4}, {"gpu": "mi300x", "seq_len": 64}])
def test_versions_are_points_and_say_their_number_where_it_changes_and_there_is_room(asked):
    view = views.versions_view(of(**asked))
    figure = charts.versions_chart(view)
    (trace,) = figure.data
    assert trace.mode == "markers"
    rows, held = view.possible, [row.max_batch_size for row in view.possible]
    placed = sorted(labels(figure), key=lambda one: one[1])
    assert all(one[2] <= other[1] for one, other in itertools.pairwise(placed))
    assert placed[0][1] >= -20
    assert placed[-1][2] <= 280 + 16  # within the margin
    for label, left, right in placed:
        assert label.text.split()[-1] == f"{held[label.x]:,}"
        below = [row for index, row in enumerate(rows) if left < (index + 0.5) * 280 / len(rows) < right]
        if label.yanchor == "top":
            assert label.y == rows[label.x].max_batch_size_low == min(row.max_batch_size_low for row in below)
        else:
            assert label.y >= max(row.max_batch_size_high for row in below)
    said = {held[label.x] for label, _, _ in placed}
    assert {min(held), max(held)} <= said
    (own,) = [label.x for label, _, _ in placed if label.text.startswith("you: ")]
    assert rows[own].this_plan


def test_presets_are_counted_by_ratio_and_the_chosen_one_stands_out():
    study = calculator.head_study("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192)
    view = ratios.ratio_view(study, chosen.row_of(study))
    (bars,) = heads.ratios_chart(view).data
    assert list(bars.y) == [row.num_models for row in view.rows]
    (index,) = [number for number, row in enumerate(view.rows) if row.chosen]
    assert bars.x[index] == "8"  # 64 query heads to 8
    assert list(bars.marker.color).count(bars.marker.color[index]) == 1


def test_the_edge_of_each_gpu_is_marked_also_where_more_is_asked_of_it():
    plans = [of(), of(gpu="t4")]
    edges = charts.memory_bars(plans).layout.shapes
    assert [edge.x0 for edge in edges] == [edge.x1 for edge in edges]
    assert [edge.x0 for edge in edges] == pytest.approx([plan.per_gpu.total_bytes / GIB for plan in plans])
    assert [(edge.y0 + edge.y1) / 2 for edge in edges] == [0, 1]
