"""The command line: exit codes, what goes to which stream, JSON keys, and never a traceback."""

import json
import re
import sys

import pytest
from golden import GIB

import calculator
from calculator.cli.main import main

REFERENCE = ["plan", "--model=llama-3-70b", "--gpu=a100-80gb-sxm", "--tensor-parallel-size=4", "--seq-len=8192"]
PER_GPU = {
    "total_bytes",
    "requested_bytes",
    "weights_bytes",
    "activation_bytes",
    "non_torch_bytes",
    "cuda_graph_bytes",
    "draft_bytes",
    "lora_bytes",
    "other_memory_bytes",
    "kv_pool_bytes",
}
FAILING = """\
deployments:
- name: "a::b\\n::error::x"
  model: llama-3-70b
  gpu: a100-80gb-sxm
  tensor_parallel_size: 4
  seq_len: 8192
  expect: {min_batch_size: 400}
"""


def test_kv_as_json(run):
    code, out, err = run(
        *["kv", "--model", "llama-3-70b", "--seq-len", "8192", "--batch-size", "16", "--kv-cache-dtype", "fp16"],
        *["--tensor-parallel-size", "16", "--format", "json"],
    )
    # 16 GPUs hold one head each, so the whole 42,949,672,960 twice
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "schema_version": 1,
        "model": "llama-3-70b",
        "kv_cache_bytes": 85_899_345_920,
        "kv_cache_bytes_per_gpu": 5_368_709_120,
        "kv_bytes_per_token": 327_680,
        "state_bytes_per_sequence": 0,
        "kv_heads_per_gpu": 1,
        "kv_replication": 2,
    }


def test_one_more_token_fills_no_window_that_is_full(run):
    """Gemma 3 27B: 10 of 62 layers see all tokens, 16 heads of 128 for keys and for values, in 2 bytes."""
    _, out, _ = run("kv", "--model", "gemma-3-27b", "--seq-len", "128K", "--batch-size", 3)
    assert f"One more token:     {10 * 2 * 16 * 128 * 2:,} bytes" in out
    _, out, _ = run("kv", "--model", "gemma-3-27b", "--seq-len", 1000)
    assert f"One more token:     {62 * 2 * 16 * 128 * 2:,} bytes" in out


def test_kv_as_text(run):
    code, out, err = run("kv", "--model", "llama-3-70b", "--seq-len", 8192, "--batch-size", 16)
    assert (code, err) == (0, "")
    assert "42,949,672,960 bytes (40.00 GiB, 42.95 GB)" in out
    assert "327,680 bytes over the whole model" in out


def test_a_small_cache_has_a_unit_that_suits_it(run):
    _, out, _ = run("kv", "--model", "qwen3-4b", "--seq-len", 1)
    head, whole, *_ = out.splitlines()
    assert head == "Qwen3 4B, 1 token × 1 sequence"
    assert whole == "KV cache, all GPUs: 147,456 bytes (144.00 KiB)"  # 2 × 36 layers × 8 heads × 128 × 2 bytes


@pytest.mark.parametrize(
    ("called", "named"), [("/usr/bin/kv-cache-planner", "kv-cache-planner"), ("/x/__main__.py", "python -m calculator")]
)
def test_usage_names_the_command_that_was_typed(monkeypatch, capsys, called, named):
    monkeypatch.setattr(sys, "argv", [called])
    with pytest.raises(SystemExit):
        main(["kv"])
    assert capsys.readouterr().err.startswith(f"usage: {named} kv ")


def test_plan_as_json_is_the_plan(run, reference):
    code, out, err = run(*REFERENCE, "--weight-dtype", "bf16", "--gpu-memory-utilization", "0.92", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(reference.as_dict()))


def test_plan_json_keys(run):
    _, out, _ = run(*REFERENCE, "--format", "json")
    report = json.loads(out)
    # design.md, JSON keys
    assert set(report) >= {
        "schema_version",
        "fits",
        "max_batch_size",
        "max_context_len",
        "num_blocks",
        "kv_pool_tokens",
        "max_concurrency",
        "kv_pool_bytes",
        "block_size",
        "kv_heads_per_gpu",
        "kv_replication",
        "per_gpu",
        "kv_bytes_per_sequence",
        "request",
        "notes",
    }
    assert set(report["per_gpu"]) == PER_GPU
    inputs = set(calculator.request.PLAN_FIELDS) | {"model", "gpu"}
    assert set(report["request"]) == inputs
    assert report["request"]["gpu_memory_utilization"] == 0.92
    assert (report["schema_version"], report["block_size"], report["kv_heads_per_gpu"]) == (1, 16, 2)


def test_plan_as_text(run, reference):
    code, out, err = run(*REFERENCE)
    assert (code, err) == (0, "")
    first, second, *_ = out.splitlines()
    assert first == f"LLaMA 3 70B on 4 × A100 80GB SXM: {reference.max_batch_size} users of 8,192 tokens"
    assert second.startswith("Each takes 2.50 GiB of KV cache.")
    sizes = [int(size.replace(",", "")) for size in re.findall(r"[KMG]iB +([\d,]+)  ", out)]
    *lines, total = sizes
    assert sum(lines) == total == reference.per_gpu.total_bytes


def test_a_plan_that_does_not_fit_exits_with_1_and_says_what_would(run):
    code, out, err = run("plan", "--model", "llama-3-70b", "--gpu", "a100-80gb-sxm", "--seq-len", "8192")
    assert (code, err) == (1, "")
    assert out.startswith("LLaMA 3 70B does not fit on 1 × A100 80GB SXM\n")
    assert "note: does not fit: weights (131.42 GiB)" in out
    assert "\nwould fit: Weights in " in out


@pytest.mark.parametrize(
    ("flag", "value", "field", "expected"),
    [
        ("--gpu-memory-gib", "79.25", "gpu_memory_bytes", round(79.25 * GIB)),
        ("--gpu-memory-bytes", "80GiB", "gpu_memory_bytes", 80 * GIB),
        ("--kv-cache-memory-bytes", "21474836480", "kv_cache_memory_bytes", 20 * GIB),
        ("--activation-bytes", "1.5 GB", "activation_bytes", 1_500_000_000),
        ("--cuda-graph-bytes", "0B", "cuda_graph_bytes", 0),
    ],
)
def test_sizes_are_read_in_either_unit(run, flag, value, field, expected):
    _, out, _ = run(*REFERENCE, flag, value, "--format", "json")
    assert json.loads(out)["request"][field] == expected


def test_models_and_gpus_are_listed(run):
    code, out, err = run("models", "--format", "json")
    assert (code, err) == (0, "")
    assert [row["id"] for row in json.loads(out)["models"]] == list(calculator.model_ids())
    code, out, err = run("gpus", "--format", "json")
    assert (code, err) == (0, "")
    assert [row["id"] for row in json.loads(out)["gpus"]] == list(calculator.gpu_ids())
    assert len(run("models")[1].splitlines()) == 1 + len(calculator.model_ids())
    assert len(run("gpus")[1].splitlines()) == 1 + len(calculator.gpu_ids())


def test_check_without_files_is_met(run):
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"([\d,]+) of \1 expectations of 264 entries are met\n", out)


def test_a_missed_expectation_exits_with_1(run, tmp_path, reference):
    path = tmp_path / "plan.yaml"
    path.write_text(FAILING)
    code, out, err = run("check", path, "--format", "json")
    assert (code, err) == (1, "")
    report = json.loads(out)
    assert (report["schema_version"], report["checked"], report["missed"]) == (1, 1, 1)
    assert report["findings"] == [
        {
            "subject": "a::b\n::error::x",
            "field": "min_batch_size",
            "expected": 400,
            "actual": reference.max_batch_size,
            "tolerance": "at least",
            "source": "the plan file",
            "file": str(path),
            "line": 7,
            "ok": False,
        }
    ]
