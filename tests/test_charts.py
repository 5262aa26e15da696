"""The three views and their figures: the rows' values, the marks, and one colour for one thing."""

import json
import math
import re

import pytest

import calculator
from calculator import charts, views
from calculator.architecture.split import why_not
from calculator.charts import base
from calculator.configs.reader import model_from_hf_config
from calculator.views.words import memory_lines

GIB = 2**30

# From the published configs: query heads, KV heads.
MODELS = {
    "llama-3-70b": (64, 8),
    "llama-2-7b": (32, 32),
    "falcon-7b": (71, 1),
    "mixtral-8x7b": (32, 8),
    "qwen2.5-14b": (40, 8),
    "palm-540b": (48, 1),
    "qwen3-0.6b": (16, 8),
}
DEGREES = {"llama-3-70b": 4, "llama-2-7b": 1, "falcon-7b": 1, "mixtral-8x7b": 4, "qwen2.5-14b": 4, "palm-540b": 16}
each_model = pytest.mark.parametrize("name", MODELS)
GROWTH = ("sequence-length", "kv-heads", "tensor-parallel")
each_view = pytest.mark.parametrize("view_name", GROWTH)


def plan_of(name, **changes):
    asked = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": DEGREES.get(name, 1), "seq_len": 2048, "batch_size": 4}
    return calculator.plan(name, **{**asked, **changes})


def opening(**changes):
    return plan_of("llama-3-70b", **{"seq_len": 8192, "batch_size": 16, **changes})


def long_context(**changes):
    """A plan whose crossing lies inside the model's context of 131,072 tokens."""
    return plan_of("llama-3.1-70b", **{"tensor_parallel_size": 4, "seq_len": 8192, "batch_size": 16, **changes})


def texts(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def lines_at(figure, axis):
    """Where straight lines run across a chart: y of horizontal ones, x of vertical ones."""
    return [
        getattr(shape, f"{axis}0")
        for shape in figure.layout.shapes
        if getattr(shape, f"{axis}0") == getattr(shape, f"{axis}1")
    ]


def trace(figure, name):
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


def is_one_colour(colour):
    return isinstance(colour, str) and re.fullmatch(r"#[0-9a-f]{6}|rgba\([\d., ]+\)", colour) is not None


def colours_of(value):
    """Every colour written anywhere in a figure."""
    found = set()
    if isinstance(value, dict):
        for inner in value.values():
            found |= colours_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            found |= colours_of(inner)
    elif isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{3,8}|rgba?\(.*\)", value):
        found.add(value)
    return found


# KV heads

COUNTED = ("MQA", "GQA", "MHA")
PLAIN = {"torch_dtype": "bfloat16", "tie_word_embeddings": False}
# Mistral 7B v0.1, as published.
WINDOWED = {
    **PLAIN,
    "model_type": "mistral",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "max_position_embeddings": 32768,
    "sliding_window": 4096,
}
# DeepSeek-V2-Lite, as published.
LATENT = {
    **PLAIN,
    "model_type": "deepseek_v2",
    "num_hidden_layers": 27,
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "vocab_size": 102400,
    "max_position_embeddings": 163840,
    "kv_lora_rank": 512,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
}


def windowed(**changes):
    asked = {"gpu": "a100-80gb-sxm", "seq_len": 32768, "batch_size": 4}
    return calculator.plan(model_from_hf_config(WINDOWED, "Mistral 7B v0.1"), **{**asked, **changes})


def latent(**changes):
    asked = {"gpu": "a100-80gb-sxm", "seq_len": 8192, "batch_size": 4}
    return calculator.plan(model_from_hf_config(LATENT, "DeepSeek-V2-Lite"), **{**asked, **changes})


def counted(plan):
    """The rows of a number of KV heads: the divisors of the query heads, without what stands beside them."""
    return [row for row in views.kv_head_view(plan).rows if row["kind"] in COUNTED]


def beside(plan):
    """The rows that are not a number of KV heads, by kind."""
    return {row["kind"]: row for row in views.kv_head_view(plan).rows if row["kind"] not in COUNTED}


@each_model
def test_kv_heads_run_over_every_divisor_from_mqa_to_mha_and_mark_the_models_own(name):
    heads, own = MODELS[name]
    rows = counted(plan_of(name))
    assert [row["num_key_value_heads"] for row in rows] == [n for n in range(1, heads + 1) if heads % n == 0]
    assert [row["num_key_value_heads"] for row in rows if row["this_model"]] == [own]
    assert rows[0]["kind"] == "MQA"
    assert rows[-1]["kind"] == "MHA"


@each_model
def test_latent_attention_stands_beside_the_counts_and_is_not_this_model(name):
    rows = views.kv_head_view(plan_of(name)).rows
    assert [row["kind"] for row in rows].index("MLA") == len(rows) - 1
    assert list(beside(plan_of(name))) == ["MLA"]
    row = rows[-1]
    assert (row["num_key_value_heads"], row["this_model"], row["refused"]) == (1, False, "")


def test_latent_attention_worked_by_hand_is_the_same_on_every_gpu():
    # arXiv 2405.04434, section 2.1.4: one vector of 4 d_k and a rotary key of d_k / 2 for each token and layer.
    # (512 + 64) x 80 layers x 2 bytes = 92,160 bytes a token, a whole copy on each GPU; MHA takes 2 x 64 x 128 values.
    row = beside(opening())["MLA"]
    assert row["kv_bytes_per_gpu"] == 92_160 * 8192 * 16
    assert row["saving_percent"] == 96.48  # 1 - 576 / 16,384
    assert beside(opening(tensor_parallel_size=8))["MLA"]["kv_bytes_per_gpu"] == row["kv_bytes_per_gpu"]


def test_windows_are_kept_for_each_count_and_set_beside_full_attention():
    # 2 x 128 x 32 layers x 4,096 tokens x 2 bytes = 64 MiB a KV head and sequence, 4 sequences; 8 times that without
    # the window at 32,768 tokens. 2,147,483,648 bytes for the model itself.
    head = 4 * 2**26
    assert {row["num_key_value_heads"]: row["kv_bytes_per_gpu"] for row in counted(windowed())} == {
        count: count * head for count in (1, 2, 4, 8, 16, 32)
    }
    assert [row["num_key_value_heads"] for row in counted(windowed()) if row["this_model"]] == [8]
    assert list(beside(windowed())) == ["MLA", "no window"]
    row = beside(windowed())["no window"]
    assert (row["num_key_value_heads"], row["this_model"]) == (8, False)
    assert row["kv_bytes_per_gpu"] == 8 * 2_147_483_648
    assert row["saving_percent"] == -100  # 8 heads x 32,768 tokens against 32 heads x 4,096
    finding = views.kv_head_view(windowed()).finding
    assert f"Without its windows it would hold {row['max_batch_size']}." in finding


def test_a_model_of_latent_attention_is_a_row_of_its_own_beside_the_counts():
    # 576 x 27 layers x 2 bytes = 31,104 bytes a token; as MHA 16 heads of 192 for K and 128 for V.
    rows = counted(latent())
    assert [row["num_key_value_heads"] for row in rows] == [1, 2, 4, 8, 16]
    assert [row["kind"] for row in rows if row["this_model"]] == []
    assert rows[-1]["kv_bytes_per_gpu"] == 16 * (192 + 128) * 27 * 2 * 8192 * 4
    assert list(beside(latent())) == ["MLA"]
    row = beside(latent())["MLA"]
    assert row["this_model"] is True
    assert row["kv_bytes_per_gpu"] == 31_104 * 8192 * 4
    assert row["saving_percent"] == 88.75  # 1 - 576 / (16 x 320)
    assert "DeepSeek-V2-Lite keeps one latent vector for 16 query heads (MLA)" in views.kv_head_view(latent()).finding


@pytest.mark.parametrize(("plan", "own"), [(windowed, "8<br>GQA"), (latent, "<br>MLA")], ids=["windows", "latent"])
def test_what_stands_beside_the_counts_is_drawn_and_named_by_its_kind(plan, own):
    view = views.kv_head_view(plan())
    figure = charts.draw(view)
    labels = list(figure.data[0].x)
    assert labels == list(figure.layout.xaxis.categoryarray)
    assert len(set(labels)) == len(labels) == len(view.rows)
    assert labels[-len(beside(plan())) :] == [f"<br>{kind}" for kind in beside(plan())]
    for bars in figure.data:
        drawn = [label for label, colour in zip(bars.x, bars.marker.color, strict=True) if colour == base.KV]
        assert drawn == [own]


def test_savings_are_written_with_one_sign():
    written = dict(
        zip(*(charts.draw(views.kv_head_view(windowed())).data[0][part] for part in ("x", "text")), strict=True)
    )
    assert written["8<br>GQA"] == "−75 %"
    assert written["32<br>MHA"] == ""
    assert written["<br>no window"] == "+100 %"


@pytest.mark.parametrize(
    ("name", "groups", "percent"),
    [  # What the model's own G saves against MHA
        ("llama-3-70b", 8, 87.5),
        ("llama-2-7b", 32, 0),
        ("palm-540b", 1, 97.92),  # 1 - 1/48; the issue prints 97.9 %
        ("falcon-7b", 1, 98.59),  # 1 - 1/71
    ],
)
def test_saving_against_mha(name, groups, percent):
    row = next(row for row in views.kv_head_view(plan_of(name)).rows if row["this_model"])
    assert (row["num_key_value_heads"], row["saving_percent"]) == (groups, percent)


def test_kv_of_one_gpu_for_each_count_worked_by_hand():
    # 2 x d_k 128 x 80 layers x 8,192 tokens x 2 bytes = 335,544,320 bytes a KV head and sequence; 16 sequences;
    # 4 GPUs hold G / 4 heads each, and one whole head each where G is less.
    head = 2 * 128 * 80 * 8192 * 2 * 16
    rows = counted(opening())
    expected = {1: head, 2: head, 4: head, 8: 2 * head, 16: 4 * head, 32: 8 * head, 64: 16 * head}
    assert {row["num_key_value_heads"]: row["kv_bytes_per_gpu"] for row in rows} == expected


@each_model
def test_kv_head_chart_draws_the_rows_and_only_the_own_count_in_full_colour(name):
    view = views.kv_head_view(plan_of(name))
    figure = charts.draw(view)
    possible = [row for row in view.rows if not row["refused"]]
    memory, batch = figure.data
    assert list(memory.y) == pytest.approx([row["kv_bytes_per_gpu"] / GIB for row in possible], rel=1e-12)
    assert list(batch.y) == [row["max_batch_size"] for row in possible]
    assert list(batch.text) == [f"{row['max_batch_size']:,}" for row in possible]
    for bars in (memory, batch):
        own = [label for label, colour in zip(bars.x, bars.marker.color, strict=True) if colour == base.KV]
        assert [int(label.split("<br>")[0]) for label in own] == [MODELS[name][1]]


def test_the_batch_of_each_count_is_that_of_a_plan_with_those_heads():
    plan = opening()
    for row in counted(plan):
        other = calculator.vary(plan, model=plan.model.with_kv_heads(row["num_key_value_heads"]))
        assert row["max_batch_size"] == other.max_batch_size
        assert row["weights_bytes_per_gpu"] == other.per_gpu.weights_bytes


def test_counts_that_tensor_parallelism_forbids_are_shown_as_such():
    # 40 query heads on TP 4: G of 5 cannot be split nor copied evenly over 4, 1, 2, 4, 8, 20 and 40 can; 10 is not
    # a multiple of 4.
    view = views.kv_head_view(plan_of("qwen2.5-14b"))
    refused = {row["num_key_value_heads"]: row["refused"] for row in view.rows if row["refused"]}
    assert refused == {5: "5 KV heads do not divide by 4", 10: "10 KV heads do not divide by 4"}
    figure = charts.draw(view)
    places = [note.x for note in figure.layout.annotations if note.text == "not possible"]
    labels = list(figure.layout.xaxis.categoryarray)
    assert [labels[place].split("<br>")[0] for place in places] == ["5", "10"]
    assert len(figure.data[0].x) == 7  # six counts and MLA


def test_the_pool_is_a_line_across_the_counts_where_one_of_them_reaches_it():
    plan = opening()  # 16 sequences take 80 GiB of one GPU with MHA
    figure = charts.draw(views.kv_head_view(plan))
    assert lines_at(figure, "y") == [plan.per_gpu.kv_pool_bytes / GIB]
    assert f"KV pool {plan.per_gpu.kv_pool_bytes / GIB:,.1f} GiB" in texts(figure)
    alone = charts.draw(views.kv_head_view(opening(batch_size=1)))  # and one 5 GiB
    assert lines_at(alone, "y") == []


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (opening, "LLaMA 3 70B keeps 8 KV heads for 64 query heads (GQA): 87.5 % less KV cache than 64 (MHA) would"),
        (lambda: plan_of("llama-2-7b"), "Llama 2 7B keeps 32 KV heads, one for each query head (MHA)"),
        (lambda: plan_of("llama-2-7b"), "a single one (MQA) would save 96.88 %"),  # 1 - 1/32
        (lambda: plan_of("falcon-7b"), "Falcon 7B keeps 1 KV head for 71 query heads (MQA): 98.59 % less"),
    ],
)
def test_kv_head_finding(plan, sentence):
    assert sentence in views.kv_head_view(plan()).finding


def test_kv_head_finding_states_both_batches():
    plan = opening()
    mha = calculator.vary(plan, model=plan.model.with_kv_heads(64))
    finding = views.kv_head_view(plan).finding
    assert f"One replica holds {plan.max_batch_size} sequences of 8,192 tokens" in finding
    assert f"with MHA it would hold {mha.max_batch_size}." in finding


# Sequence length


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
    figure = charts.draw(view)
    for label, column in (
        ("Weights", "weights_bytes_per_gpu"),
        ("Overheads", "overhead_bytes_per_gpu"),
        ("KV cache", "kv_bytes_per_gpu"),
    ):
        drawn = trace(figure, label)
        assert list(drawn.x) == [row["seq_len"] for row in view.rows]
        assert list(drawn.y) == pytest.approx([row[column] / GIB for row in view.rows], rel=1e-12)
        assert list(drawn.customdata) == [f"{row[column]:,} bytes" for row in view.rows]
        assert drawn.stackgroup == figure.data[0].stackgroup is not None


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
    assert f"limit {plan.per_gpu.requested_bytes / GIB:,.1f} GiB" in texts(figure)


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("batch", [1, 16, 100])
def test_the_crossing_is_annotated_where_n_fits_and_n_plus_1_does_not(batch, log_x):
    plan = long_context(batch_size=batch, seq_len=1024)
    tokens = plan.max_context_len
    assert calculator.vary(plan, seq_len=tokens).fits
    assert not calculator.vary(plan, seq_len=tokens + 1).fits
    figure = charts.draw(views.sequence_length_view(plan), log_x)
    if tokens > 131_072:  # beyond what the model is made for: nothing to mark
        assert lines_at(figure, "x") == []
        return
    assert lines_at(figure, "x") == [tokens]
    (note,) = [note for note in figure.layout.annotations if note.text == f"{tokens:,} tokens"]
    assert note.x == pytest.approx(math.log10(tokens) if log_x else tokens)
    assert note.y == plan.per_gpu.requested_bytes / GIB


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


def test_the_y_axis_shows_the_limit_even_where_the_cache_dwarfs_it():
    plan = long_context(batch_size=1000)
    low, high = charts.draw(views.sequence_length_view(plan)).layout.yaxis.range
    limit = plan.per_gpu.requested_bytes / GIB
    assert low == 0
    assert limit < high < 4 * limit


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


# Tensor parallelism


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


def test_the_knee_is_marked_between_g_and_the_first_copy():
    view = views.tensor_parallel_view(opening())
    figure = charts.draw(view)
    labels = list(figure.data[0].x)
    (knee,) = lines_at(figure, "x")
    assert (labels[math.floor(knee)], labels[math.ceil(knee)]) == ("8", "16")
    assert "copies begin" in " ".join(texts(figure))


def test_with_one_kv_head_copies_begin_with_the_second_gpu():
    figure = charts.draw(views.tensor_parallel_view(plan_of("palm-540b")))
    (knee,) = lines_at(figure, "x")
    assert (figure.data[0].x[math.floor(knee)], figure.data[0].x[math.ceil(knee)]) == ("1", "2")
    assert "every GPU keeps a whole copy" in views.tensor_parallel_view(plan_of("palm-540b")).finding


def test_no_knee_where_every_head_has_its_own_kv_head():
    # 32 of 32: a degree beyond G would be beyond H, which is not legal.
    figure = charts.draw(views.tensor_parallel_view(plan_of("llama-2-7b")))
    assert lines_at(figure, "x") == []
    assert "copies" not in " ".join(texts(figure))


@each_model
def test_tensor_parallel_chart_draws_the_rows(name):
    view = views.tensor_parallel_view(plan_of(name))
    figure = charts.draw(view)
    rows = [row for row in view.rows if not row["refused"]]
    labels = [str(row["tensor_parallel_size"]) for row in rows]
    for label, column, unit in (
        ("Weights", "weights_bytes_per_gpu", GIB),
        ("KV cache", "kv_bytes_per_gpu", GIB),
        ("Sequences a replica", "max_batch_size", 1),
        ("Sequences a GPU", "max_batch_size_per_gpu", 1),
    ):
        drawn = trace(figure, label)
        assert list(drawn.x) == labels
        assert list(drawn.y) == pytest.approx([row[column] / unit for row in rows], rel=1e-12)
    assert figure.layout.barmode == "stack"
    own = [label for label, alpha in zip(labels, trace(figure, "Weights").marker.opacity, strict=True) if alpha == 1]
    assert own == [str(DEGREES.get(name, 1))]


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
    assert lines_at(figure, "y") == [plan.per_gpu.requested_bytes / GIB]


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


# The memory bar


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
    figure = charts.memory_bar(answer)
    drawn = [size for _, size, _ in lines if size]
    assert [bar.x[0] for bar in figure.data] == [size / GIB for size in drawn]
    assert [int(bar.hovertemplate.split(" bytes")[0].split(": ")[1].replace(",", "")) for bar in figure.data] == drawn
    assert lines_at(figure, "x") == [answer.per_gpu.total_bytes / GIB]
    assert figure.layout.barmode == "stack"


def test_where_memory_does_not_suffice_the_bar_goes_beyond_the_device():
    plan = opening(tensor_parallel_size=1)
    figure = charts.memory_bar(plan)
    total = plan.per_gpu.total_bytes / GIB
    assert sum(bar.x[0] for bar in figure.data) == pytest.approx(plan.per_gpu.before_kv_bytes / GIB)
    assert sum(bar.x[0] for bar in figure.data) - total == pytest.approx(-plan.per_gpu.unused_bytes / GIB)
    assert lines_at(figure, "x") == [total]


def test_estimates_are_marked_as_such_and_exact_figures_as_exact():
    sources = {name: source for name, _, source in memory_lines(opening())}
    assert sources["Weights"].endswith("exact")
    assert sources["KV cache"].endswith("exact")
    for name in ("Activations", "Outside the allocator", "CUDA graphs"):
        assert sources[name].startswith("estimate: ")


def test_the_legend_of_the_bar_is_optional():
    assert charts.memory_bar(opening()).layout.showlegend is True
    assert charts.memory_bar(opening(), legend=False).layout.showlegend is False


# Every figure


def all_figures(plan):
    figures = {name: charts.draw(make(plan)) for name, make in views.VIEWS.items() if name in GROWTH}
    return {**figures, "memory-bar": charts.memory_bar(plan)}


def test_the_same_thing_has_the_same_colour_in_every_chart():
    kv, weights, overheads = set(), set(), set()
    for figure in all_figures(opening()).values():
        for drawn in figure.data:
            colour = drawn.fillcolor if drawn.type == "scatter" else drawn.marker.color
            name = (drawn.name or "").removeprefix("One GPU ")
            if name.startswith("KV cache"):
                kv.add(colour)
            elif name.startswith("Weights"):
                weights.add(colour)
            elif name.startswith(("Activations", "Outside", "CUDA", "Overheads")):
                overheads.add(colour)
    assert kv == {base.KV}
    assert weights == {base.WEIGHTS}
    assert overheads & {base.KV, base.WEIGHTS} == set()
    assert len(overheads) == 3  # one grey for each; the chart that adds them up takes one of the three


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
            "max_batch_size",
        ),
        (
            "tensor-parallel",
            "tensor_parallel_size this_plan kv_bytes_per_gpu weights_bytes_per_gpu kv_heads_per_gpu kv_replication "
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
    assert layout.xaxis.title.text in ("Sequence length, tokens", "KV heads, G", "Tensor-parallel degree, TP")
    assert layout.yaxis.title.text.endswith("GiB")


@each_view
def test_charts_draw_where_nothing_fits(view_name):
    view = views.VIEWS[view_name](opening(tensor_parallel_size=1))
    figure = charts.draw(view)
    assert {drawn.type for drawn in figure.data} <= {"bar", "scatter"}
    assert len(figure.data) >= 2
    assert view.finding.endswith(".")
