"""Sizing on the command line and in plan files: the same answers as the package gives."""

import json

import pytest

import calculator
from calculator.cli.main import main

CHAT = ["--prompt-tokens", "1000", "--output-tokens", "250", "--requests-per-second", "17"]
PLAN = ["--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--seq-len", "16384"]


def answered(capsys, *argv):
    code = main(list(argv))
    return code, capsys.readouterr().out


def test_size_prints_the_options_of_the_package(capsys):
    asked = ["size", "--model", "qwen2.5-72b", "--users", "50", "--seq-len", "16384", "--max-gpus", "8"]
    code, text = answered(capsys, *asked)
    assert code == 0
    assert "2 × MI325X (TP 2) at $3.90 an hour" in text
    assert "2026-05-18, 1 quote" in text
    code, text = answered(capsys, *asked, "--format", "json")
    found = json.loads(text)
    expected = calculator.size("qwen2.5-72b", users=50, seq_len=16384, max_gpus=8)
    assert code == 0
    assert [(row["gpu"], row["num_gpus"]) for row in found["options"]] == [
        (one.plan.accelerator.id, one.num_gpus) for one in expected.options
    ]
    assert [row["pareto"] for row in found["options"]].count(True) == len(expected.pareto)
    assert {row["reason"] for row in found["refused"]} == {row.why.key for row in expected.refused}


def test_size_takes_lists_prices_goals_and_traffic(capsys):
    code, text = answered(
        capsys, "size", "--model", "llama-3.1-8b", *CHAT, "--gpus", "h100-sxm,l40s", "--weight-dtypes", "auto,fp8",
        "--price", "h100-sxm=2:3", "--price", "l40s=50", "--max-tpot-s", "0.05", "--format", "json",
    )  # fmt: skip
    rows = json.loads(text)["options"]
    assert code == 0
    assert rows[0]["gpu"] == "h100-sxm"
    assert rows[0]["usd_per_hour_low"] * 1.5 == pytest.approx(rows[0]["usd_per_hour_high"])
    assert {row["weight_dtype"] for row in rows} == {"bf16", "fp8"}
    assert all(row["time_per_output_token_s"] <= 0.05 for row in rows)


def test_nothing_found_is_said_in_the_exit_code(capsys):
    code, text = answered(
        capsys, "size", "--model", "llama-3.1-8b", *CHAT, "--gpus", "h100-sxm", "--max-tpot-s", "0.0001"
    )
    assert code == 1
    assert text.startswith("Nothing meets the goals. 8 × H100 SXM (TP 8) comes nearest: a token takes ")


def test_service_prints_the_answer_of_the_package(capsys):
    asked = ["service", *PLAN, *CHAT, "--max-tpot-s", "0.03", "--price", "h100-sxm=2"]
    code, text = answered(capsys, *asked)
    assert code == 0
    assert "where the time per output token stops it" in text
    code, text = answered(capsys, *asked, "--format", "json")
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=16384)
    load = calculator.Workload(17.0, prompt_tokens=1000, output_tokens=250)
    expected = calculator.service(plan, load, max_tpot_s=0.03, prices={"h100-sxm": 2})
    assert json.loads(text) == json.loads(json.dumps(expected.as_dict()))
    assert f"--max-num-seqs {expected.batch_size}" in json.loads(text)["command"]


def test_too_few_replicas_are_said_in_the_exit_code(capsys):
    code, text = answered(capsys, "service", *PLAN, *CHAT[:-1], "170", "--replicas", "1")
    assert code == 1
    assert "do not hold the load" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["size", "--model", "llama-3.1-8b"], "prompt_tokens is missing: give trace, workload"),
        (["size", "--model", "llama-3.1-8b", "--users", "0"], "users must be a whole number from 1"),
        (["size", "--model", "llama-3.1-8b", "--users", "5", "--price", "h100-sxm=$2"], "price must be such as"),
        (["size", "--model", "llama-3.1-8b", "--users", "5", "--price", "h100-sxm=0"], "the price of h100-sxm must be"),
        (["size", "--model", "llama-3.1-8b", "--users", "5", "--gpus", "h100"], "unknown GPU 'h100'"),
        (["size", "--model", "llama-3.1-8b", "--users", "3", "--trace", "none.csv"], "give users or traffic, not both"),
        (["size", "--model", "llama-3.1-8b", "--users", "3", "--risk", "0.3"], "risk is of traffic"),
        (["size", "--model", "llama-3.1-8b", "--users", "3", "--max-ttft-s", "1"], "output_tokens is missing"),
        (["service", *PLAN, *CHAT, "--max-ttft-s", "-1"], "max_ttft_s must be a number of seconds, more than 0"),
    ],
)
def test_bad_input_is_a_clear_error(capsys, argv, message):
    assert main(argv) == 2
    assert message in capsys.readouterr().err


DEPLOYMENT = """
deployments:
  - name: chat
    model: llama-3.1-8b
    gpu: h100-sxm
    seq_len: 16384
    data_parallel_size: 2
    workload:
      requests_per_second: 17
      prompt_tokens: 1000
      output_tokens: 250
    expect:
      max_tpot_s: {tpot}
      max_ttft_s: 0.5
      min_requests_per_second: {rate}
      max_usd_per_million_output_tokens: {usd}
"""


def checked(capsys, tmp_path, text):
    path = tmp_path / "deployments.yaml"
    path.write_text(text, encoding="utf-8")
    code = main(["check", str(path), "--format", "json"])
    out, err = capsys.readouterr()
    report = json.loads(out) if out else {"problems": [{"error": err}]}
    if report["problems"]:
        return code, "\n".join(problem["error"] for problem in report["problems"])
    return code, {row["field"]: row for row in report["findings"]}


def test_a_deployment_is_held_to_its_workload(capsys, tmp_path):
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=16384, data_parallel_size=2)
    load = calculator.Workload(17.0, prompt_tokens=1000, output_tokens=250)
    service = calculator.service(plan, load, max_ttft_s=0.5, max_tpot_s=0.03, replicas=2)
    code, found = checked(capsys, tmp_path, DEPLOYMENT.format(tpot=0.03, rate=30, usd=0.7))
    assert code == 0
    assert found["max_tpot_s"]["actual"] == pytest.approx(service.mean_time_per_output_token_s)
    assert found["min_requests_per_second"]["actual"] == pytest.approx(2 * service.replica_requests_per_second)
    # two H100 at 5.00 USD an hour, 17 x 250 tokens a second
    usd = 10 / (17 * 250 * 3600) * 1e6
    assert found["max_usd_per_million_output_tokens"]["actual"] == pytest.approx(usd, rel=1e-3)
    code, found = checked(capsys, tmp_path, DEPLOYMENT.format(tpot=0.002, rate=40, usd=0.6))
    assert code == 1
    assert {field for field, row in found.items() if not row["ok"]} == {
        "max_tpot_s", "min_requests_per_second", "max_usd_per_million_output_tokens",
    }  # fmt: skip


def test_a_trace_stands_beside_its_plan_file(capsys, tmp_path):
    (tmp_path / "trace.csv").write_text("input_tokens,output_tokens\n1000,250\n900,200\n", encoding="utf-8")
    means = "      requests_per_second: 17\n      prompt_tokens: 1000\n      output_tokens: 250\n"
    text = DEPLOYMENT.format(tpot=0.03, rate=1, usd=1)
    assert means in text
    code, _ = checked(capsys, tmp_path, text.replace(means, "      trace: trace.csv\n      requests_per_second: 17\n"))
    assert code == 0
    code, error = checked(capsys, tmp_path, text.replace(means, "      trace: none.csv\n"))
    assert code == 2
    assert "none.csv: cannot be read" in error


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "      prompt_tokens: 1000\n",
            "      prompt_tokens: -1\n",
            "deployments.yaml:10: deployments: 0 (chat): workload: prompt_tokens",
        ),
        ("      prompt_tokens: 1000\n", "", "prompt_tokens is missing"),
        ("      output_tokens: 250\n", "      output_tokens: 250\n      rate: 3\n", "rate"),
        ("      prompt_tokens: 1000\n", "      workload: azure\n", "workload"),
    ],
)
def test_bad_traffic_in_a_plan_file_has_its_line(capsys, tmp_path, before, after, message):
    text = DEPLOYMENT.format(tpot=0.03, rate=1, usd=1)
    code, error = checked(capsys, tmp_path, text.replace(before, after))
    assert code == 2
    assert message in error


def test_expectations_of_traffic_need_traffic(capsys, tmp_path):
    text = DEPLOYMENT.format(tpot=0.03, rate=1, usd=1)
    start, end = text.index("    workload:"), text.index("    expect:")
    code, error = checked(capsys, tmp_path, text[:start] + text[end:])
    assert code == 2
    assert "max_tpot_s is of a workload: state one beside it" in error


def test_a_deployment_states_its_own_price(capsys, tmp_path):
    text = DEPLOYMENT.format(tpot=0.03, rate=1, usd=1).replace(
        "    workload:", "    price_usd_per_hour: [2, 3]\n    workload:"
    )
    text += "      max_price_usd_per_hour: 6\n"
    code, found = checked(capsys, tmp_path, text)
    assert code == 0
    # two H100 at 3 USD an hour at most, 17 x 250 tokens a second
    assert found["max_price_usd_per_hour"]["actual"] == pytest.approx(6)
    assert found["max_usd_per_million_output_tokens"]["actual"] == pytest.approx(6 / (17 * 250 * 3600) * 1e6, rel=1e-3)
    code, error = checked(capsys, tmp_path, text.replace("[2, 3]", "[3, 2]"))
    assert code == 2
    assert "the price of h100-sxm goes from 3 to 2: the lowest comes first" in error
    code, error = checked(capsys, tmp_path, text.replace("[2, 3]", "$2"))
    assert code == 2


def test_changes_are_printed_with_price_and_what_they_cost(capsys):
    code, text = answered(capsys, "plan", "--model", "kimi-k2.5", "--gpu", "h100-sxm", "--seq-len", "8192")
    assert code == 1
    assert "would fit: 32 × H100 SXM (TP 8, PP 4) (31 more GPUs; $63.68 to $160.00 an hour; a token passes" in text
    code, text = answered(capsys, "plan", *PLAN)
    assert code == 0
    assert (
        "would hold more: KV cache in fp8_e4m3 (8 bits a value instead of 16; $1.99 to $5.00 an hour; published: FP8 KV"
        in text
    )
