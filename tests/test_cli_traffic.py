"""``concurrency`` and ``speed`` on the command line: worked values, text and JSON, exit codes, and what is refused."""

import json
import re
from dataclasses import replace

import pytest
from cases import CONFIGS, PRESETS

import calculator
from calculator.catalogue import traces

BYTES_A_TOKEN = 131_072  # 2 x 8 x 128 x 32 layers x 2 bytes
POOL = 459_000
ONE = ["--model=llama-3.1-8b", "--gpu=h100-sxm"]
# a pool of 459,000 tokens, and the block that vLLM keeps
HOLDS = ["concurrency", *ONE, f"--kv-cache-memory-bytes={(POOL + 16) * BYTES_A_TOKEN}"]
MEANS = ["--prompt-tokens=1000", "--output-tokens=250"]
FAST = ["speed", *ONE, *MEANS]
TOO_LARGE = ["--model=llama-3-70b", "--gpu=l4"]
VALUES = {
    "concurrency": {"sequences", "sequences_even", "mean_tokens", "sd_tokens", "saturated", "max_num_seqs", "risk",
                    "preemptions_per_request", "workload"},
    "speed": {"batch_size", "time_per_output_token_s", "time_per_output_token_s_low", "time_per_output_token_s_high",
              "output_tokens_per_second", "output_tokens_per_second_low", "output_tokens_per_second_high", "prefill_s",
              "prefill_s_low", "prefill_s_high", "prompt_compute_s", "terms", "bound", "checked", "why",
              "prompt_tokens", "output_tokens"},
}  # fmt: skip
COMMON = {"schema_version", "fits", "finding", "request", "notes"}


def as_json(run, *arguments):
    code, out, err = run(*arguments, "--format", "json")
    assert err == ""
    return code, json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


# Worked values


@pytest.mark.parametrize(("risk", "draws"), [(0.5, 365), (0.01, 328), (0.001, 315)])
def test_what_a_pool_holds_of_lognormal_lengths(run, risk, draws):
    # 100,000 draws of N residents each, made apart: the first N at which the sum exceeds 459,000 tokens
    code, report = as_json(run, *HOLDS, *MEANS, "--risk", risk)
    assert (code, report["risk"]) == (0, risk)
    assert report["sequences"] == pytest.approx(draws, rel=0.005)
    assert report["sequences_even"] == pytest.approx(365, rel=0.005)
    # m = P + O (1 + c^2) / 2 + 1/2, s^2 = (P c)^2 + O^2 ((1 + c^2)^3 / 3 - (1 + c^2)^2 / 4)
    assert report["mean_tokens"] == pytest.approx(1250.5, rel=1e-3)
    assert report["sd_tokens"] == pytest.approx((1000**2 + 250**2 * (8 / 3 - 1)) ** 0.5, rel=5e-3)
    # no more than admission lets run with a full queue, which is what fits at even odds
    assert report["max_num_seqs"] == min(report["sequences"], int(report["saturated"]))


@pytest.mark.parametrize(
    ("engine", "asked", "settles"),
    [
        ("vllm", [], 364),
        ("tensorrt-llm", ["--max-output-tokens=2048"], 150),
        ("sglang", ["--max-output-tokens=2048"], 318),
    ],
)
def test_what_an_engine_settles_at_with_a_full_queue(run, engine, asked, settles):
    # simulated apart, requests of 1,000 and 250 tokens
    _, report = as_json(run, *HOLDS, *MEANS, "--engine", engine, *asked)
    assert report["saturated"] == pytest.approx(settles, rel=0.03)
    if engine == "tensorrt-llm":
        assert report["preemptions_per_request"] == [0, 0, 0]


def test_a_table_in_the_package_and_its_own_file_are_the_same_traffic(run):
    (code, shipped), (same, own) = (
        as_json(run, *HOLDS, *which)
        for which in (["--workload=azure-2023-code"], ["--trace", traces._FOLDER / "azure_llm_2023_code.csv"])
    )
    assert code == same == 0
    for name in VALUES["concurrency"] - {"workload"}:
        assert shipped[name] == own[name], name
    # 100,000 draws, made apart
    assert shipped["sequences"] == pytest.approx(184, rel=0.012)
    assert (shipped["workload"]["num_requests"], shipped["workload"]["licence"]) == (8819, "CC-BY 4.0")


def test_how_fast_sixty_four_sequences_are(run):
    # worked by hand from nameplate figures with rounded factors
    code, report = as_json(run, *FAST, "--batch-size=64")
    assert code == 0
    assert 1000 * report["time_per_output_token_s"] == pytest.approx(17.96, rel=0.03)
    assert report["output_tokens_per_second"] == pytest.approx(3563, rel=0.03)
    assert report["request"]["batch_size"] == report["batch_size"] == 64
    # prompt and answer, where nothing else is asked
    assert report["request"]["seq_len"] == 1250
    assert as_json(run, *FAST, "--batch-size=64", "--seq-len=4096")[1]["request"]["seq_len"] == 4096


def test_terms_sum_to_the_step_and_shares_to_one(run):
    _, report = as_json(run, *FAST, "--batch-size=64")
    terms = report["terms"]
    assert [term["name"] for term in terms] == ["weights", "kv", "compute", "links", "launch", "prefill"]
    assert sum(term["seconds"] for term in terms) == pytest.approx(report["time_per_output_token_s"])
    assert sum(term["share"] for term in terms) == pytest.approx(1)
    assert max(terms, key=lambda term: term["seconds"])["name"] == report["bound"]


def test_clients_of_a_closed_loop(run):
    _, closed = as_json(run, *FAST, "--clients=64")
    # decoding N = clients x O t / (TTFT + O t)
    assert 40 < closed["batch_size"] < 64
    _, alone = as_json(run, *FAST)
    assert alone["batch_size"] == 1


# What is printed


def test_concurrency_as_text(run):
    code, out, err = run(*HOLDS, *MEANS)
    assert (code, err) == (0, "")
    first, second, *_ = out.splitlines()
    assert re.fullmatch(
        r"One replica holds 32\d requests of this traffic at once with a risk of 1 % that its KV pool is exceeded "
        r"\(36\d at even odds\)\.",
        first,
    )
    assert second == "The traffic: prompts of 1,000 tokens (CV 1) and answers of 250 (CV 1)."
    assert re.search(r"^KV pool of one replica +459,0\d\d +tokens$", out, re.MULTILINE)
    assert re.search(r"^tokens of a request, mean +1,250 +tokens$", out, re.MULTILINE)


def test_the_source_of_a_table_is_said(run):
    _, out, _ = run(*HOLDS, "--workload=mooncake-synthetic")
    assert (
        "The traffic: mooncake-synthetic, 3,993 requests: prompts of 15,325 tokens (CV 1.2) and answers of 149" in out
    )
    assert "kvcache-ai/Mooncake" in out
    assert "Apache-2.0." in out


def test_speed_as_text(run):
    code, out, err = run(*FAST, "--batch-size=64")
    assert (code, err) == (0, "")
    assert re.match(r"With 64 sequences at once a token takes 1[78]\.\d\d ms \(\d+\.\d\d to \d+\.\d\d\)", out)
    (total,) = re.findall(r"^time per output token +([\d.]+)  ms ", out, re.MULTILINE)
    values = re.findall(r"^[a-zA-Z ]+?  +([\d.]+)  ms +[\d.]+ %$", out, re.MULTILINE)
    assert len(values) == 6
    assert sum(map(float, values)) == pytest.approx(float(total), abs=0.02)
    assert "such set-ups were measured with vLLM up to 0.23; the range is wider for what newer versions changed" in out
    _, out, _ = run(*FAST, "--batch-size", "64", "--engine-version", "0.19.0")
    assert "such set-ups were measured, and nine of ten lay within the range" in out


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (["--batch-size=513"], "513 sequences at once, measured were up to 512"),
        (["--engine=llama.cpp", "--batch-size=4"], "4 sequences at once, measured were up to 1"),
        (["--gpu=trainium2"], "no speed on Trainium2 was measured"),
    ],
)
def test_what_was_not_measured_is_said(run, asked, why):
    _, out, _ = run(*FAST, *asked)
    assert "not checked against measured speeds: " in out
    assert why in out
    _, report = as_json(run, *FAST, *asked)
    assert (report["checked"], why in report["why"]) == (False, True)


# Text and JSON, exit codes


@pytest.mark.parametrize("kind", ["window and full", "latent", "encoder and decoder"])
@pytest.mark.parametrize("command", ["concurrency", "speed"])
def test_text_and_json_agree_and_hold_every_value(run, tmp_path, command, kind):
    path = PRESETS.get(kind)
    if path is None:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(CONFIGS[kind]))
    asked = [command, "--model", path, "--gpu=h100-sxm", *MEANS]
    asked += ["--encoder-seq-len=1500"] if kind not in PRESETS else []
    text, out, err = run(*asked)
    code, report = as_json(run, *asked)
    assert (text, err) == (code, "")
    assert code == (0 if report["fits"] else 1)
    assert set(report) == COMMON | VALUES[command]
    assert report["schema_version"] == 1
    assert out.startswith(report["finding"] + "\n")
    for note in report["notes"]:
        assert f"note: {note}\n" in out


@pytest.mark.parametrize("command", ["concurrency", "speed"])
def test_a_plan_that_does_not_fit_exits_with_1_in_text_and_json(run, command):
    code, report = as_json(run, command, *TOO_LARGE, *MEANS)
    assert (code, report["fits"]) == (1, False)
    assert any("does not fit" in note for note in report["notes"])
    text, out, err = run(command, *TOO_LARGE, *MEANS)
    assert (text, err) == (1, "")
    assert "note: does not fit: " in out
    if command == "concurrency":
        assert (report["sequences"], report["saturated"]) == (0, 0)
        assert out.startswith(
            "One replica holds no request of this traffic with a risk of 1 %: its KV pool has 0 tokens"
        )
    else:
        assert (report["checked"], "the plan does not fit" in report["why"]) == (False, True)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("concurrency {one}", "prompt_tokens is missing: give trace, workload, or prompt_tokens and output_tokens"),
        ("concurrency {one} --prompt-tokens 9", "output_tokens is missing"),
        ("concurrency {one} --prompt-cv 1", "prompt_tokens is missing"),
        ("concurrency {one} {means} --workload azure-2023-code", "give one of trace, workload and means: workload and"),
        ("concurrency {one} --trace a.csv --workload azure-2023-code", "trace and workload both say how long"),
        ("concurrency {one} --trace a.csv --correlation 0.5", "trace and correlation both say how long"),
        ("concurrency {one} --trace nowhere.csv", "nowhere.csv: cannot be read: No such file or directory"),
        ("concurrency {one} --workload azure", "unknown workload 'azure': did you mean azure-2023-code or"),
        ("concurrency {one} {means} --requests-per-second 0", "requests_per_second must be more than 0, not 0.0"),
        ("concurrency {one} {means} --requests-per-second 1e10", "must be at most 1,000,000,000, not 10000000000.0"),
        ("concurrency {one} {means} --prompt-cv 101", "prompt_cv must be at most 100, not 101.0"),
        ("concurrency {one} {means} --output-cv -1", "output_cv must be at least 0, not -1.0"),
        ("concurrency {one} {means} --output-cv nan", "output_cv must be a finite number, not nan"),
        ("concurrency {one} {means} --correlation -1.5", "correlation must be at least -1, not -1.5"),
        ("concurrency {one} {means} --correlation -0.9", "reach -0.500 to 1.000, the nearest is -0.500"),
        ("concurrency {one} {means} --risk 0", "risk must be at least 1e-06, not 0.0"),
        ("concurrency {one} {means} --risk 1%", "argument --risk: must be a number, not '1%'"),
        ("concurrency {one} {means} --shared-prefix-tokens 2000", "at most the mean of prompt_tokens, 1,000, not"),
        ("concurrency {one} {means} --max-output-tokens 1.5", "argument --max-output-tokens: must be a whole number"),
        ("concurrency {one} {means} --gpu-memory-gib 1 --gpu-memory-bytes 1", "give one of gpu_memory_gib and"),
        ("concurrency {means}", "the following arguments are required: --model"),
        ("speed {one} --clients 5 --batch-size 5", "give one of batch_size and clients"),
        ("speed {one} --clients 0", "clients must be more than 0, not 0.0"),
        ("speed {one} --batch-size 0", "batch_size must be at least 1, not 0"),
        ("speed {one} --batch-size 1.5", "argument --batch-size: must be a whole number, not '1.5'"),
        ("speed {one} --output-tokens 0", "output_tokens must be at least 1, not 0.0"),
        ("speed {one} --prompt-tokens inf", "prompt_tokens must be a finite number, not inf"),
        ("speed {one} --prompt-tokens many", "argument --prompt-tokens: must be a number, not 'many'"),
        ("speed --model llama-3.1-8b --gpu-memory-gib 80", "the bandwidth of Own GPU is not known"),
        ("speed --model llama-3.1-8b", "gpu is missing"),
    ],
    ids=lambda value: value[:80],
)  # fmt: skip
def test_what_is_refused_exits_with_2_and_one_sentence(run, form, arguments, text):
    words = arguments.replace("{one}", " ".join(ONE)).replace("{means}", " ".join(MEANS)).split()
    code, out, err = run(*words, "--format", form)
    assert (code, out) == (2, "")
    assert text in err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith(("error: ", "python -m calculator "))


def test_rows_of_a_file_are_named_on_the_command_line(run, tmp_path):
    path = tmp_path / "a\x1b[31m.csv"
    path.write_text("input_tokens,output_tokens\n5,1\n6,-2\n")
    code, out, err = run(*HOLDS, "--trace", path)
    assert (code, out) == (2, "")
    assert r"a\x1b[31m.csv: row 2, output_tokens: must be a whole number from 1 to 1,000,000,000, not -2" in err
    assert "\x1b" not in err
    path.write_text("input_tokens,output_tokens\n5,1\n6,2\n")
    code, out, err = run(*HOLDS, "--trace", path)
    assert (code, err) == (0, "")
    assert "\x1b" not in out


def test_what_stands_beside_the_lengths_of_a_trace(run, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("input_tokens,output_tokens\n1024,1\n")
    _, report = as_json(
        run, *HOLDS, "--trace", path, "--requests-per-second=7", "--max-output-tokens=9", "--shared-prefix-tokens=1000"
    )
    kept = report["workload"]
    assert (kept["requests_per_second"], kept["max_output_tokens"], kept["shared_prefix_tokens"]) == (7, 9, 1000)
    # 1,000 of 1,024 prompt tokens are 62 whole blocks of 16, kept once; each request takes 65 less 62
    assert report["sequences"] == (POOL // 16 - 62) // 3


# Faces in notebooks


def test_frames_and_tables_hold_what_is_answered():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4096)
    traffic = calculator.Workload(requests_per_second=1, prompt_tokens=1000, output_tokens=250)
    held = calculator.concurrency(plan, traffic)
    row = held.frame().iloc[0]
    assert len(held.frame()) == 1
    for name in VALUES["concurrency"] - {"workload", "preemptions_per_request"}:
        assert row[name] == getattr(held, name)
    named = [f"preemptions_per_request{end}" for end in ("_low", "", "_high")]
    assert tuple(row[named]) == held.preemptions_per_request
    fast = calculator.speed(plan, batch_size=64)
    frame = fast.frame()
    assert list(frame.columns) == ["term", "seconds", "share"]
    assert list(frame["term"]) == [term.name for term in fast.terms]
    assert frame["seconds"].sum() == pytest.approx(fast.time_per_output_token_s)
    assert frame["share"].sum() == pytest.approx(1)
    for table, value in ((held._repr_html_(), f"{held.sequences:,}"), (fast._repr_html_(), "17.96 ms")):
        assert table.startswith("<table><caption>LLaMA 3.1 8B on 1 × H100 SXM</caption>")
        assert f"<td>{value}</td>" in table


def test_foreign_names_are_escaped_in_tables(fields):
    model = calculator.custom_model(name="<script>x</script>", **fields)
    plan = calculator.plan(model, gpu="l4", seq_len=1000)
    trace = calculator.workload_from_trace({"input_tokens": [5], "output_tokens": [5]})
    for answer in (
        calculator.concurrency(plan, replace(trace, name="<img src=x>")),
        calculator.speed(plan, batch_size=1),
    ):
        assert "<script" not in answer._repr_html_()
        assert "<img" not in answer._repr_html_()
