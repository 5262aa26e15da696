"""The tables of ``data/``: what makes them says what they hold, and pools are those that vLLM's own planner makes."""

import csv
import importlib.util
import json

import pytest
from golden import DATA, GIB, rows

import calculator

POOLS = rows("engine_pools.csv")
CASES = {
    case["case"]: case["config"]
    for case in map(json.loads, (DATA / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines())
}


def script(name):
    """Load one of the scripts that make the tables; it imports no engine until it is run."""
    spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(row):
    asked = ("case", "tp", "pp", "dtype", "max_model_len", "max_num_batched_tokens", "async_scheduling")
    return "-".join(row[name] for name in (*asked, "asked_block_size", "available_gib"))


def model_of(name):
    return calculator.model_from_hf_config(CASES[name]) if name in CASES else calculator.load_model(name)


def plan_of(row):
    model = model_of(row["case"])
    return calculator.plan(
        model,
        gpu_memory_bytes=2**44,
        kv_cache_memory_bytes=int(float(row["available_gib"]) * GIB),
        tensor_parallel_size=int(row["tp"]),
        pipeline_parallel_size=int(row["pp"]),
        kv_cache_dtype=row["dtype"],
        seq_len=int(row["max_model_len"]),
        # the engine reckons with an encoder's whole budget for each request, which is a batch's tokens by default
        encoder_seq_len=int(row["max_num_batched_tokens"]) if model.needs_encoder else None,
        block_size=int(row["asked_block_size"]) if row["asked_block_size"] else None,
        max_num_batched_tokens=int(row["max_num_batched_tokens"]),
        async_scheduling=row["async_scheduling"] == "true",
    )


@pytest.mark.parametrize("row", [row for row in POOLS if row["block_size"]], ids=named)
def test_pools_are_the_engines(row):
    answer = plan_of(row)
    pool = answer.stage.geometry.pools[0]
    assert answer.request.block_size == int(row["block_size"])
    assert list(dict.fromkeys(stage.geometry.pools[0].block_bytes for stage in answer.stages)) == [
        int(size) for size in row["bytes_per_block"].split("/")
    ]
    assert pool.blocks(int(row["max_model_len"])) == int(row["request_blocks"])
    assert answer.fits is not row["refused"].startswith("ValueError: To serve at least one request")
    if not row["refused"]:
        assert answer.num_blocks == int(row["num_blocks"])
        assert answer.reported_kv_tokens == int(row["kv_tokens"])
        assert answer.max_concurrency == float(row["max_concurrency"])


@pytest.mark.parametrize("row", [row for row in POOLS if not row["block_size"]], ids=named)
def test_what_the_engine_cannot_build_is_refused(row):
    assert row["refused"].startswith("AssertionError: If tensor parallel world size does not divide num_groups")
    with pytest.raises(calculator.ParallelismError, match="state do not divide by"):
        plan_of(row)


@pytest.mark.parametrize("row", [row for row in POOLS if row["longest"]], ids=named)
def test_the_longest_request_is_the_engines_estimate(row):
    answer = plan_of(row)
    longest = int(row["longest"])
    assert answer.max_context_len == longest
    if longest:
        assert answer.stage.geometry.pools[0].blocks(longest) == int(row["longest_blocks"])


@pytest.mark.parametrize("table", script("make_engine").COLUMNS)
def test_the_script_declares_the_columns_of_the_table(table):
    with (DATA / table).open(encoding="utf-8", newline="") as file:
        header = [line for line in file if line.startswith("#")]
        file.seek(0)
        columns = next(csv.reader(line for line in file if not line.startswith("#")))
    assert tuple(columns) == script("make_engine").COLUMNS[table]
    assert "vllm 0.33.0" in header[0]
    assert any(f"make_engine.py make {table}" in line for line in header)


def test_the_script_declares_the_keys_of_the_reference():
    keys = script("make_parameters").COLUMNS
    for line in (DATA / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines():
        assert tuple(json.loads(line)) == keys
