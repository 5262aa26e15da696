"""The memory of one GPU as a gauge: exact sums, what is asked, what more fits, what does not."""

import pytest
from charting import GIB, lines_at, opening, plan_of, texts

from calculator import charts
from calculator.charts import base
from calculator.views.memory import gauge
from calculator.views.words import memory_lines


@pytest.mark.parametrize(
    "plan",
    [
        opening,
        lambda: plan_of("falcon-7b"),
        lambda: plan_of("mixtral-8x7b"),
        lambda: opening(data_parallel_size=2, pipeline_parallel_size=3),
        lambda: opening(kv_cache_memory_bytes=10 * GIB),
        lambda: opening(block_size=4096),
        lambda: opening(gpu_memory_utilization=1.0),
    ],
    ids=["opening", "falcon-7b", "mixtral-8x7b", "stages", "pool-given", "large-blocks", "everything-used"],
)
def test_the_parts_of_the_bar_sum_exactly_to_what_a_program_sees(plan):
    answer = plan()
    lines = memory_lines(answer)
    assert sum(size for _, size, _ in lines) == answer.per_gpu.total_bytes
    segments = gauge(answer)
    assert sum(one.bytes for one in segments) == answer.per_gpu.total_bytes
    figure = charts.memory_bar(answer)
    assert [bar.x[0] for bar in figure.data] == [one.bytes / GIB for one in segments]
    assert figure.layout.barmode == "stack"
    assert lines_at(figure, "x")[-1] == answer.per_gpu.total_bytes / GIB


def test_what_is_asked_stands_beside_what_more_fits():
    plan = opening()
    sizes = {one.key: one.bytes for one in gauge(plan)}
    assert list(sizes) == ["weights", "overheads", "kv", "room", "free"]
    assert sizes["kv"] == 10 * GIB  # 16 x 2.5 GiB / 4 GPUs
    assert sizes["kv"] + sizes["room"] == plan.per_gpu.kv_pool_bytes
    assert sizes["weights"] == plan.per_gpu.weights_bytes
    assert sizes["weights"] + sizes["overheads"] == plan.per_gpu.before_kv_bytes
    bars = {bar.name.rsplit(" ", 2)[0]: bar for bar in charts.memory_bar(plan).data}
    assert bars["KV of 16 users"].marker.pattern.shape is None
    assert bars["Room for more users"].marker.pattern.shape == "/"
    parts = bars["Overheads"].hovertemplate
    assert all(name in parts for name in ("Activations", "Outside the allocator", "CUDA graphs"))


def test_what_the_engine_may_use_is_said_at_the_edge():
    plan = opening()
    figure = charts.memory_bar(plan)
    assert lines_at(figure, "x") == [plan.per_gpu.requested_bytes / GIB, plan.per_gpu.total_bytes / GIB]
    assert "the engine may use 72.9 of 79.2 GiB" in texts(figure)  # 0.92 of 79.23 GiB
    given = charts.memory_bar(opening(kv_cache_memory_bytes=10 * GIB))
    assert texts(given)[-1] == "one GPU: 79.2 GiB"


@pytest.mark.parametrize(
    ("asked", "beyond"),
    [
        # of 200 x 2.5 / 4 GiB of KV cache the pool holds its own size
        ({"batch_size": 200}, lambda plan: 125 * GIB - plan.per_gpu.kv_pool_bytes),
        # weights, overheads and 16 x 2.5 GiB on one GPU
        ({"tensor_parallel_size": 1}, lambda plan: plan.per_gpu.before_kv_bytes + 40 * GIB - plan.per_gpu.total_bytes),
    ],
    ids=["cache", "weights"],
)
def test_what_does_not_fit_goes_beyond_the_gpus_edge_in_hatched_red(asked, beyond):
    plan = opening(**asked)
    figure = charts.memory_bar(plan)
    *held, missing = figure.data
    assert round(missing.x[0] * GIB) == beyond(plan)
    assert (missing.marker.pattern.shape, missing.marker.pattern.fgcolor) == ("/", base.MISSING)
    assert sum(bar.x[0] for bar in figure.data) > plan.per_gpu.total_bytes / GIB
    assert sum(bar.x[0] for bar in held) <= plan.per_gpu.total_bytes / GIB
    assert not any(bar.name.startswith("Kept free") for bar in held)
    # what does not fit is still said in full
    assert held[0].name == f"Weights {plan.per_gpu.weights_bytes / GIB:,.2f} GiB"
    assert held[0].text[0] == f"weights {plan.per_gpu.weights_bytes / GIB:,.1f}"
    assert figure.layout.xaxis.range[1] > sum(bar.x[0] for bar in figure.data)


def test_estimates_are_marked_as_such_and_exact_figures_as_exact():
    sources = {name: source for name, _, source in memory_lines(opening())}
    assert sources["Weights"].endswith("exact")
    assert sources["KV cache"].endswith("exact")
    for name in ("Activations", "Outside the allocator", "CUDA graphs"):
        assert sources[name].startswith("estimate: ")


def test_the_legend_of_the_bar_is_optional():
    assert charts.memory_bar(opening()).layout.showlegend is True
    assert charts.memory_bar(opening(), legend=False).layout.showlegend is False
