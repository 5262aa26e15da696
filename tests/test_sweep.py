"""Sweeps: every point is what ``plan()`` answers, and the grid is bounded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import calculator
from calculator import plan, sweep, sweep_arrays
from calculator.planning.sweep.measures import MEASURES, PRICES

GRID = {
    "gpu": ["a100-80gb-sxm", "h100-sxm"],
    "tensor_parallel_size": [2, 4, 8, 16],
    "kv_cache_dtype": ["bf16", "fp8"],
    "seq_len": [1000, 8192],
    "batch_size": [1, 50],
}


def expected(answer):
    """The measures of one point, from its plan."""
    share = answer.kv_bytes_per_sequence // answer.request.tensor_parallel_size
    return {
        "kv_bytes_per_sequence": answer.kv_bytes_per_sequence,
        "kv_bytes_per_gpu": share * answer.request.batch_size,
        "weights_bytes_per_gpu": answer.per_gpu.weights_bytes,
        "overhead_bytes_per_gpu": answer.per_gpu.before_kv_bytes - answer.per_gpu.weights_bytes,
        "kv_pool_bytes_per_gpu": answer.kv_pool_bytes,
        "num_blocks": answer.num_blocks,
        "max_batch_size": answer.max_batch_size,
        "max_batch_size_low": answer.max_batch_size_low,
        "max_batch_size_high": answer.max_batch_size_high,
        "max_context_len": answer.max_context_len,
        "num_gpus": answer.num_gpus,
        "total_max_batch_size": answer.total_max_batch_size,
    }


def test_every_point_is_the_plan_of_its_row():
    frame = sweep("llama-3-70b", **GRID)
    assert len(frame) == 2 * 4 * 2 * 2 * 2
    assert not frame.duplicated(list(GRID)).any()
    for row in frame.to_dict("records"):
        answer = plan("llama-3-70b", **{name: row[name] for name in GRID})
        assert {name: row[name] for name in MEASURES} == expected(answer)
        assert row["fits"] == answer.fits
        assert row["refused"] == ""


@given(
    lengths=st.lists(st.integers(1, 200_000), min_size=1, max_size=8),
    batches=st.lists(st.integers(1, 300), min_size=1, max_size=8),
)
def test_arrays_of_any_grid_are_the_plans(lengths, batches):
    columns = sweep_arrays("llama-3-8b", {"gpu": "h100-sxm", "seq_len": lengths, "batch_size": batches})
    points = [(s, b) for s in lengths for b in batches]
    assert list(zip(columns["seq_len"], columns["batch_size"], strict=True)) == points
    for index, (s, b) in enumerate(points):
        answer = plan("llama-3-8b", gpu="h100-sxm", seq_len=s, batch_size=b)
        assert {name: columns[name][index] for name in MEASURES} == expected(answer)
        assert columns["fits"][index] == answer.fits


def answered(model, heads, asked):
    """The plan of a model with so many KV heads, or why there is none."""
    try:
        return plan(calculator.load_model(model).with_kv_heads(heads), **asked), ""
    except calculator.CalculatorError as error:
        return None, str(error)


def test_models_gpus_and_kv_heads_span_a_grid_too():
    """Each row is the plan of its model with its KV heads, of all replicas, in whole numbers; a window of a hybrid
    model, an engine whose pool may hold less of more bytes, and a GPU without a price are among them.
    """
    axes = {
        "gpu": ["h100-sxm", "h20"],
        "num_key_value_heads": [1, 8, 64],
        "engine": ["vllm", "sglang"],
        "tensor_parallel_size": [8],
        "data_parallel_size": [3],
        "seq_len": ["4K", 10_000],
        "batch_size": [1, 7],
    }
    models = ["llama-3-70b", "gemma-2-27b", "nemotron-h-56b"]
    frame = sweep(models, **axes)
    assert list(frame.columns)[:2] == ["model", "gpu"]
    assert frame.groupby("model", sort=False).size().to_dict() == dict.fromkeys(models, 2 * 3 * 2 * 2 * 2)
    rows = frame.to_dict("records")
    for row in rows:
        asked = {name: row[name] for name in axes if name != "num_key_value_heads"}
        answer, why = answered(row["model"], row["num_key_value_heads"], asked)
        if answer is None:
            assert (row["refused"], row["fits"]) == (why, False)
            assert all(pd.isna(row[name]) for name in (*MEASURES, *PRICES))
            continue
        assert {name: row[name] for name in MEASURES if name != "kv_bytes_per_gpu"} == {
            name: value for name, value in expected(answer).items() if name != "kv_bytes_per_gpu"
        }
        assert (row["refused"], row["fits"]) == ("", answer.fits)
        low, high = answer.price_usd_per_hour or (np.nan, np.nan)
        np.testing.assert_equal([row[name] for name in PRICES], [low, high])
    assert {bool(row["refused"]) for row in rows} == {True, False}
    assert {str(frame[name].dtype) for name in MEASURES} == {"Int64"}
    assert {row["seq_len"] for row in rows} == {4096, 10_000}


def test_one_model_of_a_list_has_its_own_longest_length():
    frame = sweep(["llama-3-8b", "llama-3.1-8b"], gpu="h100-sxm", num_key_value_heads=[[8] * 32])
    assert frame["seq_len"].tolist() == [8192, 131_072]
    assert frame["num_key_value_heads"].tolist() == [[8] * 32] * 2


def test_refused_degrees_are_rows_with_their_reason_and_no_numbers():
    frame = sweep("llama-3-70b", gpu="h100-sxm", tensor_parallel_size=[2, 3])
    good, bad = frame.iloc[0], frame.iloc[1]
    assert bad["refused"].startswith("tensor_parallel_size 3 is not possible: 64 query heads do not divide by 3")
    assert frame.loc[1, list(MEASURES)].isna().all()
    assert not bad["fits"]
    assert good["num_gpus"] == 2
    assert frame.loc[0, list(MEASURES)].notna().all()


def test_columns_are_tidy():
    frame = sweep("llama-3-70b", gpu="h100-sxm", seq_len=range(1, 4))
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["gpu", "seq_len", "batch_size", *MEASURES, *PRICES, "fits", "refused"]
    assert frame["seq_len"].tolist() == [1, 2, 3]
    assert frame.equals(sweep("llama-3-70b", gpu="h100-sxm", seq_len=(number for number in (1, 2, 3))))
    assert frame["fits"].dtype == bool
    assert all(frame[name].dtype == "int64" for name in MEASURES)


def test_defaults_are_those_of_plan():
    (row,) = sweep("llama-3-8b", gpu="h100-sxm").to_dict("records")
    assert (row["seq_len"], row["batch_size"]) == (8192, 1)


def test_weights_beyond_64_bits_are_refused_too(fields):
    huge = {"num_layers": 10_000, "hidden_size": 2**24, "intermediate_size": 2**24}
    with pytest.raises(calculator.InvalidValueError, match=r"about 10\^19 bytes, exceeds the 64 bits of an array"):
        sweep(calculator.custom_model(**{**fields, **huge}), gpu="h100-sxm")


def test_arrays_stay_within_64_bits():
    with pytest.raises(calculator.InvalidValueError, match=r"about 10\^23 bytes, exceeds the 64 bits of an array"):
        sweep("llama-3-70b", gpu="h100-sxm", seq_len=[10**9], batch_size=[10**9])


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"seq_len": range(1, 2_000_002)}, "the grid has 2,000,001 points in 1 combinations; at most 2,000,000 points"),
        ({"seq_len": np.arange(1, 1_001), "batch_size": range(1, 2_002)}, "the grid has 2,001,000 points"),
        ({"seq_len": iter(range(1, 10**12))}, "the grid has 2,000,001 points"),
        ({"block_size": range(1, 20_000)}, "in 10,001 combinations; at most 2,000,000 points and 10,000 combinations"),
        ({"seq_len": range(1, 10**30)}, r"the grid has about 10\^30 points"),
        ({"seq_len": range(1, 10**5000)}, r"the grid has about 10\^5000 points"),
        (dict.fromkeys(["seq_len", "batch_size"], np.ones((1, 10**6), int)), "the grid has 1,000,000,000,000 points"),
        ({"seq_len": [[1] * 10**4], "batch_size": [[1] * 10**4]}, "the grid has 100,000,000 points"),
        ({"seq_len": [1, 2, 3], "weight_dtype": [["a", "b"]]}, r"weight_dtype must be text, not \['a', 'b'\]"),
        ({"seq_len": []}, "seq_len is empty: give at least one value"),
        ({"tensor_parallel_size": []}, "tensor_parallel_size is empty: give at least one value"),
        ({"seq_len": [1, 0]}, "seq_len must be at least 1, not 0"),
        ({"batch_size": [1.5]}, "batch_size must hold whole numbers, not float64"),
        ({"seq_len": [10**9 + 1]}, "seq_len must be at most 1,000,000,000, not 1,000,000,001"),
        ({"seq_len": "8192"}, "seq_len must hold whole numbers"),
        ({"seq_len": {1, 2}}, "seq_len must be a list, a range or an array, not {1, 2}"),
        ({"gpu": {"l4": 1}}, "gpu must be a list, a range or an array, not {'l4': 1}"),
        ({"batch_size": [[1], [2, 3]]}, "batch_size must be a list of whole numbers, or rows of equal length"),
        ({"batch_size": float("nan")}, "batch_size must hold whole numbers"),
        ({"num_key_value_heads": [8, 0]}, "num_key_value_heads must be a whole number of at least 1, or a list"),
        ({"model": ["llama-3-8b"] * 101, "block_size": range(1, 101)}, "in 10,100 combinations"),
        ({"model": ["llama-3-8b", "llama-3-9b"]}, "unknown model 'llama-3-9b'"),
        ({"model": []}, "model is empty: give at least one value"),
        ({"seq_length": [1]}, "unknown keyword of sweep 'seq_length': did you mean seq_len"),
        ({"gpu": ["h100-sxm", "h100-sxn"]}, "unknown GPU 'h100-sxn': did you mean h100-sxm"),
        ({"tensor_parallel_size": [1.5]}, "tensor_parallel_size must be a whole number, not 1.5"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_grids_are_refused(axes, text):
    with pytest.raises(calculator.CalculatorError, match=text):
        sweep(**{"model": "llama-3-8b", "gpu": "h100-sxm", **axes})


def test_an_array_of_no_axis_is_one_value():
    assert sweep("llama-3-8b", gpu="h100-sxm", seq_len=np.array(8192))["seq_len"].tolist() == [8192]


def test_the_largest_grid_is_computed():
    columns = sweep_arrays("llama-3-8b", {"gpu": "h100-sxm", "seq_len": range(1, 2_000_001)})
    assert columns["kv_bytes_per_sequence"][-1] == 131_072 * 2_000_000
