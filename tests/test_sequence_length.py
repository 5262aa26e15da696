"""The view of sequence length and its chart: rows are plans, the limit and what is asked are marked, nothing is cut."""

import math

import numpy
import pytest
from charting import GIB, each_model, lines_at, long_context, opening, plan_of, texts, trace

import calculator
from calculator import charts, views


@each_model
def test_lengths_rise_to_the_longest_context_and_hold_what_was_asked(name):
    plan = plan_of(name)
    lengths = [row["seq_len"] for row in views.sequence_length_view(plan).rows]
    assert lengths == sorted(set(lengths))
    assert lengths[-1] == max(plan.model.max_position_embeddings, 2048)
    assert 2048 in lengths
    assert lengths[0] <= 256


def test_lengths_go_beyond_the_model_where_that_was_asked():
    rows = views.sequence_length_view(opening(seq_len=20_000)).rows
    assert rows[-1]["seq_len"] == 20_000  # the model's own limit is 8,192


@each_model
def test_length_rows_are_those_of_plans(name):
    plan = plan_of(name)
    for row in views.sequence_length_view(plan).rows[::24]:
        other = calculator.vary(plan, seq_len=row["seq_len"])
        memory = other.per_gpu
        assert row["max_batch_size"] == other.max_batch_size
        assert row["fits"] == other.fits
        assert row["weights_bytes_per_gpu"] == memory.weights_bytes
        assert row["overhead_bytes_per_gpu"] == memory.before_kv_bytes - memory.weights_bytes
        assert row["kv_bytes_per_gpu"] == views.kv_bytes_per_gpu(other)


@each_model
def test_length_chart_stacks_weights_overheads_and_kv_of_the_rows(name):
    view = views.sequence_length_view(plan_of(name))
    figure, rows = charts.draw(view), view.rows
    weights = [row["weights_bytes_per_gpu"] / GIB for row in rows]
    before = [size + row["overhead_bytes_per_gpu"] / GIB for size, row in zip(weights, rows, strict=True)]
    kept = [row["kv_bytes_per_gpu"] / GIB for row in rows]
    tops = [size + kv for size, kv in zip(before, kept, strict=True)]
    lengths = [row["seq_len"] for row in rows]
    for label, heights in (("Weights", weights), ("Overheads", before), ("Together", tops)):
        drawn = trace(figure, label)
        # an edge is sent by its corners, between which it is straight
        assert list(numpy.interp(lengths, drawn.x, drawn.y)) == pytest.approx(heights, rel=1e-6)
    assert list(trace(figure, "Together").x) == lengths
    assert list(trace(figure, "Together").customdata) == pytest.approx(kept, rel=1e-6)
    assert "GiB" in trace(figure, "Together").hovertemplate


def test_the_limit_of_a_pool_that_is_given_is_the_device():
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, kv_cache_memory_bytes=1000 * GIB)
    assert lines_at(charts.draw(views.sequence_length_view(plan)), "y") == [plan.accelerator.memory_bytes / GIB]


@pytest.mark.parametrize("utilization", [0.5, 0.9, 1.0])
def test_the_limit_is_a_line_at_what_the_engine_may_use(utilization):
    plan = long_context(gpu_memory_utilization=utilization)
    figure = charts.draw(views.sequence_length_view(plan))
    # 79.23 GiB is what programs see of an A100 80GB (facts/hardware.csv, the middle of 79.14 to 79.32).
    assert lines_at(figure, "y") == [plan.per_gpu.requested_bytes / GIB]
    assert lines_at(figure, "y")[0] == pytest.approx(79.23 * utilization, abs=0.01)
    assert f"the engine may use {plan.per_gpu.requested_bytes / GIB:,.1f} GiB" in texts(figure)


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("batch", [1, 16, 100])
def test_the_crossing_is_marked_where_n_fits_and_n_plus_1_does_not_and_hatched_from_there(batch, log_x):
    plan = long_context(batch_size=batch, seq_len=1024)
    tokens = plan.max_context_len
    assert calculator.vary(plan, seq_len=tokens).fits
    assert not calculator.vary(plan, seq_len=tokens + 1).fits
    figure = charts.draw(views.sequence_length_view(plan), log_x)
    marked = [note for note in figure.layout.annotations if note.text.startswith("<b>full at")]
    if tokens > 131_072:  # beyond what the model is made for: nothing to mark
        assert marked == []
        assert "Does not fit" not in [drawn.name for drawn in figure.data]
        return
    assert [note.text for note in marked] == [f"<b>full at {tokens:,}</b>"]
    assert marked[0].x == pytest.approx(math.log10(tokens) if log_x else tokens)
    assert marked[0].y == plan.per_gpu.requested_bytes / GIB
    held, beyond = trace(figure, f"KV of {batch} users"), trace(figure, "Does not fit")
    assert (max(held.x), min(beyond.x), max(beyond.x)) == (tokens, tokens, 131_072)
    assert (held.fillpattern.shape, beyond.fillpattern.shape) == (None, "/")


@pytest.mark.parametrize("log_x", [False, True])
def test_what_is_asked_is_marked_with_how_much_it_takes(log_x):
    plan = long_context()
    figure = charts.draw(views.sequence_length_view(plan), log_x)
    # 16 x 2.5 GiB / 4 GPUs of KV cache, beside weights and overheads
    gib = plan.per_gpu.before_kv_bytes / GIB + 10
    ring = trace(figure, "You")
    assert (ring.x[0], ring.y[0]) == (8192, pytest.approx(gib))
    assert lines_at(figure, "x") == [8192]
    (note,) = [note for note in figure.layout.annotations if note.text == f"<b>you: {gib:,.1f} GiB</b>"]
    assert note.x == pytest.approx(math.log10(8192) if log_x else 8192)


def test_the_crossings_of_the_cases_above_lie_on_both_sides_of_the_models_limit():
    inside = [long_context(batch_size=batch, seq_len=1024).max_context_len <= 131_072 for batch in (1, 16, 100)]
    assert inside == [False, True, True]


def test_rows_change_from_fitting_to_not_at_the_crossing():
    plan = long_context()
    rows = views.sequence_length_view(plan).rows
    assert [row["fits"] for row in rows] == [row["seq_len"] <= plan.max_context_len for row in rows]
    at_crossing = next(row for row in rows if row["seq_len"] == plan.max_context_len)
    assert at_crossing["max_batch_size"] == 16


def test_logarithmic_axis():
    view = views.sequence_length_view(long_context())
    assert charts.draw(view).layout.xaxis.type == "linear"
    assert charts.draw(view, log_x=True).layout.xaxis.type == "log"


@pytest.mark.parametrize("asked", [{"batch_size": 1000}, {"batch_size": 16}, {"tensor_parallel_size": 1}])
def test_nothing_is_clipped_within_the_lengths_that_are_shown(asked):
    plan = long_context(**asked)
    figure = charts.draw(views.sequence_length_view(plan))
    first, last = figure.layout.xaxis.range
    assert first <= plan.request.seq_len <= last
    assert last > plan.max_context_len
    tops = trace(figure, "Together")
    shown = [top for tokens, top in zip(tops.x, tops.y, strict=True) if tokens <= last]
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert high > max(plan.per_gpu.requested_bytes / GIB, *shown)


@pytest.mark.parametrize(
    ("plan", "sentences"),
    [
        # 16 x 2.5 GiB / 4 GPUs = 10 GiB.
        (opening, ["At 8,192 tokens, 16 sequences at once take 10.00 GiB of one GPU", "not reached by 8,192 tokens"]),
        (lambda: opening(batch_size=1), ["At 8,192 tokens, one sequence takes 0.62 GiB of one GPU"]),
        (lambda: opening(tensor_parallel_size=1), ["Nothing is left for a KV cache on one GPU"]),
    ],
)
def test_length_finding(plan, sentences):
    finding = views.sequence_length_view(plan()).finding
    for sentence in sentences:
        assert sentence in finding


def test_length_finding_states_the_crossing():
    plan = long_context()
    assert (
        f"reaches the GPU's limit at {plan.max_context_len:,} tokens each" in views.sequence_length_view(plan).finding
    )
