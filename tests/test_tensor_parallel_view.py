"""The view of tensor parallelism and its chart: legal degrees, copies beyond G, users at the end of each bar."""

import pytest
from charting import DEGREES, GIB, MODELS, each_model, lines_at, opening, plan_of, texts, trace

import calculator
from calculator import charts, views
from calculator.architecture.split import why_not
from calculator.charts import base


@each_model
def test_degrees_are_legal_or_refused_with_the_reason(name):
    heads, groups = MODELS[name]
    rows = views.tensor_parallel_view(plan_of(name)).rows
    assert {row["tensor_parallel_size"]: row["refused"] for row in rows} == {
        row["tensor_parallel_size"]: why_not(heads, groups, row["tensor_parallel_size"]) or "" for row in rows
    }
    offered = [row["tensor_parallel_size"] for row in rows]
    assert offered == sorted(offered)
    assert set(range(1, 9)) <= set(offered)
    assert [row["tensor_parallel_size"] for row in rows if row["this_plan"]] == [DEGREES.get(name, 1)]


def test_kv_per_gpu_stops_falling_at_the_number_of_kv_heads():
    # 8 KV heads: 40 GiB for 16 sequences of 8,192 tokens, split over up to 8 GPUs, then copied.
    rows = {
        row["tensor_parallel_size"]: row for row in views.tensor_parallel_view(opening()).rows if not row["refused"]
    }
    gib = {degree: row["kv_bytes_per_gpu"] / GIB for degree, row in rows.items()}
    assert gib == {1: 40, 2: 20, 4: 10, 8: 5, 16: 5, 32: 5, 64: 5}
    assert {degree: row["kv_replication"] for degree, row in rows.items()} == {
        1: 1,
        2: 1,
        4: 1,
        8: 1,
        16: 2,
        32: 4,
        64: 8,
    }


def users(figure):
    """What is said at the end of each bar, by its label."""
    return dict(zip(figure.data[0].y, texts(figure), strict=True))


def test_copies_are_said_from_the_first_degree_beyond_g():
    said = users(charts.draw(views.tensor_parallel_view(opening())))
    assert [label for label, text in said.items() if "kept" in text] == ["TP 16", "TP 32", "TP 64"]
    assert [text.split("kept ")[1] for text in said.values() if "kept" in text] == ["2 ×", "4 ×", "8 ×"]


def test_with_one_kv_head_every_gpu_keeps_a_copy():
    said = users(charts.draw(views.tensor_parallel_view(plan_of("palm-540b"))))
    assert "heads kept 16 ×" in said["<b>TP 16, you</b>"]
    assert "every GPU keeps a whole copy" in views.tensor_parallel_view(plan_of("palm-540b")).finding


def test_no_copies_where_every_head_has_its_own_kv_head():
    # 32 of 32: a degree beyond G would be beyond H, which is not legal.
    assert "kept" not in " ".join(texts(charts.draw(views.tensor_parallel_view(plan_of("llama-2-7b")))))


@each_model
def test_tensor_parallel_chart_draws_the_rows(name):
    view = views.tensor_parallel_view(plan_of(name))
    figure = charts.draw(view)
    rows = [row for row in view.rows if not row["refused"]]
    own = DEGREES.get(name, 1)
    labels = [f"TP {row['tensor_parallel_size']}" for row in rows]
    labels = [f"<b>{label}, you</b>" if label == f"TP {own}" else label for label in labels]
    for label, column in (
        ("Weights", "weights_bytes_per_gpu"),
        ("Overheads", "overhead_bytes_per_gpu"),
        ("KV pool", "kv_pool_bytes_per_gpu"),
    ):
        drawn = trace(figure, label)
        assert list(drawn.y) == labels
        assert list(drawn.x) == pytest.approx([row[column] / GIB for row in rows], rel=1e-6)
        assert drawn.orientation == "h"
    assert figure.layout.barmode == "stack"
    full = [label for label, colour in zip(labels, trace(figure, "KV pool").marker.color, strict=True)
            if colour == base.KV]  # fmt: skip
    assert full == [f"<b>TP {own}, you</b>"]
    counted = {label: row["max_batch_size"] for label, row in zip(labels, rows, strict=True)}
    assert [text.split(" user")[0].removeprefix("<b>") for label, text in users(figure).items() if counted[label]] == [
        f"{count:,}" for count in counted.values() if count
    ]
    assert [text for label, text in users(figure).items() if not counted[label]] == ["<b>does not fit</b>"] * list(
        counted.values()
    ).count(0)


def test_tensor_parallel_rows_are_those_of_plans():
    plan = opening()
    for row in views.tensor_parallel_view(plan).rows:
        if not row["refused"]:
            other = calculator.vary(plan, tensor_parallel_size=row["tensor_parallel_size"])
            assert row["max_batch_size"] == other.max_batch_size
            assert row["max_batch_size_per_gpu"] == round(other.max_batch_size / row["tensor_parallel_size"], 2)
            assert row["weights_bytes_per_gpu"] == other.per_gpu.weights_bytes


def test_the_limit_is_a_line_in_the_tensor_parallel_chart():
    plan = opening()
    figure = charts.draw(views.tensor_parallel_view(plan))
    assert lines_at(figure, "x") == [plan.per_gpu.requested_bytes / GIB]


def test_tensor_parallel_finding():
    plan = opening()
    rows = [row for row in views.tensor_parallel_view(plan).rows if not row["refused"]]
    best = max(rows, key=lambda row: row["max_batch_size_per_gpu"])
    finding = views.tensor_parallel_view(plan).finding
    assert finding.startswith(
        "KV memory per GPU falls until TP 8, the number of KV heads; at TP 16 each head is kept 2"
    )
    assert f"TP {best['tensor_parallel_size']} holds the most sequences for its GPUs" in finding
    assert f"{best['max_batch_size']:,} a replica, {best['max_batch_size_per_gpu']:g} a GPU" in finding
