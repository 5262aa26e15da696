"""``heads`` on the command line: text, JSON and CSV of one study, goals, exit codes, and what is refused."""

import csv
import io
import json
import re
from dataclasses import asdict, fields, replace

import pytest

import calculator
from calculator.planning.heads.rows import HeadRow

ASKED = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": 4, "seq_len": 8192, "batch_size": 16}
LLAMA = [
    "heads", "--model=llama-3-70b", "--gpu=a100-80gb-sxm", "--tensor-parallel-size=4", "--seq-len=8192",
    "--batch-size=16",
]  # fmt: skip
A_HEAD = 2 * 128 * 80 * 2  # K and V of 128 elements, 80 layers, 2 bytes [bytes]
COUNTS = [1, 2, 4, 8, 16, 32, 64]


@pytest.fixture(scope="module")
def study():
    return calculator.head_study("llama-3-70b", **ASKED)


def as_json(run, *arguments):
    code, out, err = run(*LLAMA, *arguments, "--format", "json")
    assert err == ""
    return code, json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_json_is_the_study_of_the_library(run, study):
    code, report = as_json(run)
    assert code == 0
    rows = report["rows"]
    assert rows == json.loads(json.dumps([asdict(row) for row in study.rows]))
    counted = [row for row in rows if row["num_key_value_heads"]]
    assert [row["kv_bytes_per_token"] for row in counted] == [A_HEAD * count for count in COUNTS]
    assert [row["saving"] for row in counted] == [(64 - count) / 64 for count in COUNTS]
    assert [row["kv_replication"] for row in counted] == [4, 2, 1, 1, 1, 1, 1]  # TP 4
    assert (report["schema_version"], report["finding"], report["recommendation"]) == (1, study.finding, None)
    assert report["request"]["tensor_parallel_size"] == 4


def test_csv_has_the_rows_of_the_study_and_empty_cells_where_there_is_no_number(run, study):
    code, out, err = run(*LLAMA, "--format=csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == [field.name for field in fields(HeadRow)]
    assert [row["num_key_value_heads"] for row in rows] == [*map(str, COUNTS), ""]
    for name in ("kv_bytes_per_token", "max_batch_size", "full_output_tokens_per_second", "saving"):
        assert [float(row[name]) for row in rows] == [getattr(row, name) for row in study.rows], name
    assert rows[3]["degrees_without_copies"] == "1 2 4 8"


@pytest.mark.parametrize("text", ["=HYPERLINK(1) has no such heads", "@x", "+1", "-1"])
def test_a_cell_is_no_formula(run, monkeypatch, text):
    shown = calculator.head_study("llama-3-70b", **ASKED)
    spoilt = replace(shown, rows=(replace(shown.rows[0], why=text), *shown.rows[1:]))
    monkeypatch.setattr("calculator.cli.commands.heads.head_study", lambda **_: spoilt)
    _, out, _ = run(*LLAMA, "--format=csv")
    assert next(csv.DictReader(io.StringIO(out)))["why"] == f"'{text}"


def test_text_has_a_line_a_row_the_model_marked_and_what_is_published(run, study):
    code, out, err = run(*LLAMA)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == study.finding
    table = lines[2 : 2 + 1 + len(study.rows)]
    assert table[0].split() == [
        "KV", "heads", "kind", "KV", "a", "token", "saved", "weights,", "GPU", "users", "ms", "a", "token", "tokens/s",
        "USD/M", "FLOP/B", "TP", "quality",
    ]  # fmt: skip
    assert [line for line in table if line.startswith("*")] == [table[4]]
    assert re.match(r"\* +8 +GQA 8:1 +320\.00 KiB +87\.50 % +32\.86 GiB +58 \(56 to 60\) ", table[4])
    # price of 4 GPUs at 0.8 to 3.0 USD over the ends of the speed; 8 FLOP a byte; 8 heads on up to 8 GPUs
    row = study.rows[3]
    low = 4 * 0.8 / row.full_output_tokens_per_second_high / 3600 * 1e6
    assert re.search(rf" {low:.2g} to [\d.]+ +8 +8 +-5.2", table[4])
    # arXiv 2405.04434 table 8 (-5.2, C-Eval) and 2307.09288 table 18 (+1.6, NQ); none at 2, 4, 16 and 32
    assert table[4].endswith("-5.2 to +1.6")
    assert [line.endswith("no data") for line in table[1:8]] == [False, True, True, False, True, True, False]


@pytest.mark.parametrize(
    ("goals", "code", "said"),
    [
        (["--min-batch-size=40"], 0, "1 to 8 KV heads meet the goals. With 16 it holds 28 sequences, fewer than 40."),
        (["--min-batch-size=40", "--without-copies"], 0, "4 to 8 KV heads meet the goals."),
        (["--min-batch-size=400"], 1, "No number of KV heads meets the goals (1: holds 117 sequences"),
        (["--max-tpot-s=0.001"], 1, "No number of KV heads meets the goals"),
        (["--min-output-tokens-per-second=1"], 0, "1 to 64 KV heads meet the goals."),
    ],
)
def test_goals_are_answered_and_decide_the_exit_code(run, goals, code, said):
    got, out, err = run(*LLAMA, *goals)
    assert (got, err) == (code, "")
    (line,) = [line for line in out.splitlines() if line.startswith("goals: ")]
    assert line.startswith(f"goals: {said}")
    again, report = as_json(run, *goals)
    assert again == code
    assert f"goals: {report['recommendation']['finding']}" == line
    assert bool(report["recommendation"]["meets"]) is (code == 0)


def test_without_goals_the_exit_code_says_whether_the_model_as_it_is_fits(run):
    small = ["heads", "--model=llama-3-70b", "--gpu=a100-80gb-sxm", "--tensor-parallel-size=4", "--seq-len=8192"]
    assert run(*small, "--batch-size=58")[0] == 0
    assert run(*small, "--batch-size=59")[0] == 1  # one more than it holds; 4 KV heads would hold 117


def test_the_numbers_to_compare_and_what_is_set_beside_them(run):
    _, report = as_json(run, "--kv-heads", 8, 64, "--no-latent", "--constant-parameters")
    few, many = report["rows"]
    assert (few["kind"], many["kind"], report["constant_parameters"]) == ("gqa", "mha", True)
    # 2 x 56 x 128 x 8,192 parameters a layer pay for 4,778.67 of the 28,672 columns of three matrices of 8,192
    assert few["mlp_width"] - many["mlp_width"] == pytest.approx(4778.67, abs=4)
    assert abs(few["num_parameters"] - many["num_parameters"]) <= 80 * 4 * 3 * 8192


def test_a_list_gives_each_layer_its_own_heads_and_windows(run):
    _, report = as_json(run, "--kv-heads", 8, "4x40, 16x40", "--no-latent")
    own, mixed = report["rows"]
    assert (mixed["kind"], mixed["kv_bytes_per_token"]) == ("mixed", (40 * 4 + 40 * 16) * 2 * 128 * 2)
    assert own["kv_bytes_per_token"] == 8 * A_HEAD
    _, report = as_json(run, "--kv-heads", 8, "--sliding-window", "none*40,1024*40", "--no-latent")
    # 40 layers keep 8,192 tokens, 40 the last 1,024
    assert report["rows"][0]["kv_bytes_per_sequence"] == 40 * (8192 + 1024) * 8 * 2 * 128 * 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--kv-heads", "8x79"], "num_key_value_heads lists 79 layers, and there are 80: give one entry a layer"),
        (["--kv-heads", "8x79,5"], "num_key_value_heads of layer 79: 5 is not possible"),
        (["--kv-heads", "8x79,y"], "kv_heads of layer 79: 'y' is not a number"),
        (["--sliding-window", "none,128"], "sliding_window lists 2 layers, and there are 80"),
        (["--kv-heads", 3], "num_key_value_heads 3 is not possible: 64 query heads do not divide by it"),
        (["--output-tokens", 8192], "output_tokens must be a whole number from 1 to 8,191"),
        (["--min-batch-size", 0], "min_batch_size"),
        (["--no-without-copies"], "no goal is stated"),
        (["--kv-heads", "x"], "must be a whole number, not 'x'"),
    ],
)
def test_what_cannot_be_is_refused(run, asked, said):
    code, out, err = run(*LLAMA, *asked)
    assert (code, out) == (2, "")
    assert said in err
