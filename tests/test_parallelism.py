"""Tensor, pipeline and data parallelism: legal degrees, copies, stages."""

import re

import pytest
from golden import PRESETS, rows
from hypothesis import given
from hypothesis import strategies as st

import calculator
from calculator.architecture.split import kv_heads_per_rank, kv_replication, layers_per_stage, why_not
from calculator.views.parallelism import divisors, parallelism_view

ENGINE = list({(row["preset"], row["tp"], row["dtype"]): row for row in rows("engine_plans.csv")}.values())
REFUSED = {(row["preset"], int(row["tp"])) for row in rows("engine_refusals.csv")}


def name(row):
    return f"{row['preset']}-tp{row['tp']}-{row['dtype']}"


@pytest.mark.parametrize("row", ENGINE, ids=name)
def test_heads_and_bytes_on_a_rank_are_the_engines(row):
    tp = int(row["tp"])
    share = calculator.kv_cache_bytes_per_gpu(row["preset"], 1, 1, row["dtype"], tp)
    assert share == int(row["bytes_per_token_per_rank"])
    assert calculator.kv_cache_bytes(row["preset"], 1, 1, row["dtype"], tp) == share * tp
    groups = calculator.load_model(row["preset"]).num_key_value_heads
    assert kv_heads_per_rank(groups, tp) == int(row["kv_heads_per_rank"])


@pytest.mark.parametrize(("preset", "tp"), sorted(REFUSED))
def test_degrees_that_the_engine_refuses_are_refused(preset, tp):
    heads = calculator.load_model(preset).num_attention_heads
    text = f"tensor_parallel_size {tp} is not possible: {heads} query heads do not divide by {tp}; legal are 1"
    with pytest.raises(calculator.ParallelismError, match=re.escape(text)):
        calculator.kv_cache_bytes(preset, 1, 1, "bf16", tp)


@pytest.mark.parametrize("preset", sorted({row["preset"] for row in ENGINE}))
def test_the_engine_and_the_program_call_the_same_degrees_legal(preset):
    refused = {tp for one, tp in REFUSED if one == preset}
    legal = set(calculator.load_model(preset).tensor_parallel_degrees)
    assert legal & {1, 2, 4, 8, 16} == {1, 2, 4, 8, 16} - refused


@pytest.mark.parametrize(
    ("heads", "groups", "expected"),
    [
        (64, 8, (1, 2, 4, 8, 16, 32, 64)),
        (71, 1, (1, 71)),
        (28, 4, (1, 2, 4, 28)),  # 7 and 14 are no multiples of 4 and do not divide it
        (40, 10, (1, 2, 5, 10, 20, 40)),  # 4 and 8 do not divide 10 KV heads: vLLM's bare assert on Phi-4
        (96, 96, (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96)),
    ],
)
def test_legal_degrees(heads, groups, expected):
    assert tuple(degree for degree in range(1, heads + 1) if why_not(heads, groups, degree) is None) == expected


@pytest.mark.parametrize(
    ("heads", "groups", "tp", "text"),
    [
        (40, 10, 4, "10 KV heads do not divide by 4; legal are 1, 2, 5, 10, 20, 40, the nearest is 5"),
        (28, 4, 7, "7 is not a multiple of the 4 KV heads, so they cannot be copied evenly; legal are 1, 2, 4, 28"),
        (64, 8, 128, "64 query heads do not divide by 128; legal are 1, 2, 4, 8, 16, 32, 64, the nearest is 64"),
    ],
)
def test_a_refused_degree_says_why_and_what_is_legal(fields, heads, groups, tp, text):
    asked = {"num_attention_heads": heads, "num_key_value_heads": groups, "intermediate_size": 4480}
    model = calculator.custom_model(**{**fields, **asked})  # 4,480 = 2^7 x 5 x 7, which 40, 28 and 64 divide
    with pytest.raises(calculator.ParallelismError, match=re.escape(text)):
        calculator.plan(model, gpu="l4", tensor_parallel_size=tp)


@pytest.mark.parametrize("tp", [0, -1, 2.0, "2", None])
def test_a_degree_that_is_no_count_is_refused_by_the_models_own_methods(tp):
    with pytest.raises(calculator.ParallelismError, match="tensor_parallel_size must be a whole number of at least 1"):
        calculator.load_model("llama-3-70b").state_bytes_per_sequence(tp)


@pytest.mark.parametrize("preset", PRESETS)
def test_one_gpu_holds_all(preset):
    assert calculator.kv_cache_bytes_per_gpu(preset, 7, 3) == calculator.kv_cache_bytes(preset, 7, 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_kv_per_gpu_falls_to_one_head_and_no_further(preset):
    model = calculator.load_model(preset)
    groups, whole = model.num_key_value_heads, calculator.kv_cache_bytes(model, 100)
    for tp in model.tensor_parallel_degrees:
        share = calculator.kv_cache_bytes_per_gpu(model, 100, tensor_parallel_size=tp)
        assert share == whole // min(tp, groups)
        assert kv_replication(groups, tp) == max(1, tp // groups)
        assert share * tp == whole * kv_replication(groups, tp)


def test_copies_are_noted_and_counted():
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=16, seq_len=8192)
    assert (plan.kv_heads_per_gpu, plan.kv_replication) == (1, 2)
    assert plan.kv_bytes_per_sequence == 2 * 327_680 * 8192
    assert any(
        "each head is kept 2 times (a latent vector counts as one head): KV memory per GPU stops falling at 8 GPUs"
        in note
        for note in plan.notes
    )


@pytest.mark.parametrize(
    ("layers", "stages", "expected"),
    # vLLM get_pp_indices: the remainder goes before the last stage, from the back
    [(80, 1, (80,)), (80, 4, (20,) * 4), (80, 3, (27, 27, 26)), (7, 4, (2, 2, 2, 1)), (6, 4, (1, 2, 2, 1))],
)
def test_layers_of_each_stage(layers, stages, expected):
    assert layers_per_stage(layers, stages) == expected


@given(layers=st.integers(1, 500), data=st.data())
def test_stages_hold_every_layer_once(layers, data):
    counts = layers_per_stage(layers, data.draw(st.integers(1, layers)))
    assert sum(counts) == layers
    assert max(counts) - min(counts) <= 1


def test_more_stages_than_layers_are_refused():
    text = "pipeline_parallel_size 81 is not possible: there are 80 layers, one a stage at the least; the largest is 80"
    with pytest.raises(calculator.ParallelismError, match=text):
        calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", pipeline_parallel_size=81)


@given(st.integers(1, 20_000))
def test_divisors(number):
    assert divisors(number) == [one for one in range(1, number + 1) if number % one == 0]


def test_ways_to_use_many_gpus_are_bounded_and_the_rest_counted():
    # 64 x 80 x 65,536 = 2^26 x 5: 27 x 2 divisors, of which 5,120 to 65,536 have up to 65,536 replicas beside them
    sizes = {"tensor_parallel_size": 64, "pipeline_parallel_size": 80, "data_parallel_size": 65_536}
    view = parallelism_view(calculator.plan("llama-3-70b", gpu="h100-sxm", seq_len=1024, **sizes))
    assert [row.way for row in view.rows][:2] == ["TP 65536, DP 5120", "TP 40960, DP 8192"]
    assert view.finding.endswith("46 more ways to divide them not shown.")
    # 2^6 x 3^3 x 5 x 7 = 60,480: 7 x 4 x 2 x 2 divisors
    many = parallelism_view(calculator.plan("llama-3-8b", gpu="h100-sxm", seq_len=1024, data_parallel_size=60_480))
    # the way that shares one sequence's tokens among all is shown as well
    assert [row.way for row in many.rows][63:] == ["TP 1, DP 60480", "TP 60480, context over 7560"]
    assert many.finding.endswith("48 more ways to divide them not shown.")
