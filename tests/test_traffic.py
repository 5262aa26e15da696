"""Residence and risk of real traffic, against draws and exact sums made apart from this package.

Traces: statistics of the published files. Risks: 100,000 draws of N residents each (request by its share of output
tokens, position uniform, rounded up to blocks of 16), the first N at which the sum exceeds the pool.
"""

import re

import numpy
import pytest

import calculator
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.residence import quantile_of_normal, residents
from calculator.planning.traffic.tables import workload, workload_from_trace, workload_ids
from calculator.planning.traffic.workload import Workload

BYTES_A_TOKEN = 131_072  # 2 x 8 x 128 x 32 layers x 2 bytes
POOL = 459_000


@pytest.fixture(scope="module")
def plan():
    """One replica with a pool of 459,000 tokens, and the block that vLLM keeps."""
    pool = (POOL + 16) * BYTES_A_TOKEN
    return calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=131_072, kv_cache_memory_bytes=pool)


@pytest.mark.parametrize(
    ("cvs", "draws", "within"),
    [
        ((1.0, 1.0), (365, 328, 315), 0.005),
        # drawn of 20,000 pairs, the longest of which are shorter than those that there may be, in tokens, not in blocks
        ((0.5, 0.5), (395, 374, 368), 0.007),
        ((1.0, 2.0), (283, 235, 217), 0.02),
        ((2.0, 2.0), (282, 222, 197), 0.02),
    ],
)
def test_sequences_of_lognormal_lengths_at_three_risks(plan, cvs, draws, within):
    traffic = Workload(1.0, 1000, 250, *cvs)
    found = [concurrency(plan, traffic, risk=risk).sequences for risk in (0.5, 0.01, 0.001)]
    assert found == pytest.approx(draws, rel=within)


@pytest.mark.parametrize(
    ("name", "draws", "mean", "deviation"),
    [
        ("azure-2023-conversation", (371, 345, 337), 1227, 713),
        ("azure-2023-code", (214, 184, 174), 2131, 1952),
        ("vidur-arxiv-summarisation", (189, 176, 172), 2421, 997),
        ("servegen-deepseek-r1", (133, 97, 86), 3461 - 7.5, 4739),
    ],
)
def test_sequences_of_published_traces(plan, name, draws, mean, deviation):
    found = [concurrency(plan, workload(name), risk=risk) for risk in (0.5, 0.01, 0.001)]
    assert [each.sequences for each in found] == pytest.approx(draws, rel=0.012)
    assert (found[0].mean_tokens, found[0].sd_tokens) == pytest.approx((mean, deviation), rel=0.001)


@pytest.mark.parametrize(
    ("name", "rows", "prompt", "output", "cvs"),
    [
        ("azure-2023-code", 8_819, 2048, 28, (0.96, 2.15)),
        ("azure-2023-conversation", 19_366, 1155, 211, (0.96, 0.77)),
        ("mooncake-conversation", 12_031, 12_035, 343, (1.31, 0.73)),
        ("mooncake-synthetic", 3_993, 15_325, 149, (1.20, 1.19)),
        ("vidur-arxiv-summarisation", 28_257, 2588, 291, (0.37, 1.82)),
    ],
)
def test_shipped_tables_are_the_published_ones(name, rows, prompt, output, cvs):
    table = workload(name)
    assert len(table.trace[0]) == rows
    assert (round(table.prompt_tokens), round(table.output_tokens)) == (prompt, output)
    assert (round(table.prompt_cv, 2), round(table.output_cv, 2)) == cvs
    assert table.licence in ("CC-BY 4.0", "Apache-2.0", "MIT")
    assert table.source


def test_every_shipped_table_is_listed():
    assert set(workload_ids()) == {workload(name).name for name in workload_ids()}


def test_a_resident_request_by_hand():
    # 10 prompt tokens and 2 of output: 11, 12; 20 and 1: 21. Seen in proportion to output: a third each.
    pairs = workload_from_trace({"input_tokens": [10, 20], "output_tokens": [2, 1]}).pairs(100)
    some = residents(pairs)
    assert some.tokens.tolist() == [11, 12, 21]
    assert some.weights == pytest.approx([1 / 3] * 3)


def test_lognormal_moments_are_those_of_the_formula():
    # m = P + O (1 + c_o^2) / 2 + 1/2, s^2 = (P c_p)^2 + O^2 ((1 + c_o^2)^3 / 3 - (1 + c_o^2)^2 / 4)
    mean, variance, _ = (lambda some: some.moments(some.tokens))(residents(Workload(1.0, 1000, 250).pairs(10**7)))
    assert mean == pytest.approx(1000 + 250 + 0.5, rel=1e-3)
    assert variance == pytest.approx(1000**2 + 250**2 * (8 / 3 - 1), rel=5e-3)


def test_correlation_of_the_lengths_is_the_one_asked_for():
    pairs = Workload(1.0, 1000, 250, 1.0, 1.0, 0.4).pairs(10**8)
    p, o, w = pairs.prompt_tokens, pairs.output_tokens, pairs.weights
    means = (w * p).sum(), (w * o).sum()
    deviations = [numpy.sqrt((w * (x - m) ** 2).sum()) for x, m in zip((p, o), means, strict=True)]
    assert (w * (p - means[0]) * (o - means[1])).sum() / numpy.prod(deviations) == pytest.approx(0.4, abs=0.01)


def test_quantiles_of_the_normal():
    # Abramowitz and Stegun, table 26.5
    assert [round(quantile_of_normal(risk), 3) for risk in (0.5, 0.01, 0.001)] == [0.0, 2.326, 3.090]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_requests_of_one_length_are_those_of_the_plan_at_their_last_token(engine):
    # P = 4,095 and one token of output: every resident holds 4,096
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4096, engine=engine)
    traffic = workload_from_trace({"input_tokens": [4095], "output_tokens": [1]})
    assert concurrency(plan, traffic).sequences == plan.max_batch_size


@pytest.mark.parametrize("engine", ["tensorrt-llm", "llama.cpp"])
def test_a_stage_whose_layers_keep_nothing_holds_no_request_back(engine):
    # the later half of ten layers shares the caches of the first, so that a second stage keeps none
    shares = {
        "model_type": "gemma3n_text",
        "num_hidden_layers": 10,
        "num_kv_shared_layers": 5,
        "torch_dtype": "bfloat16",
    }
    plan = calculator.plan(
        calculator.model_from_hf_config(shares), gpu="h100-sxm", seq_len=4096, engine=engine, pipeline_parallel_size=2
    )
    found = concurrency(plan, workload_from_trace({"input_tokens": [4095], "output_tokens": [1]}))
    assert found.sequences == plan.max_batch_size > 0


def test_a_shared_prefix_is_kept_once(plan):
    # 1,000 of 1,024 prompt tokens are 62 whole blocks of 16: kept once, each request takes the rest
    traffic = {"input_tokens": [1024], "output_tokens": [1]}
    alone = workload_from_trace(traffic)
    from dataclasses import replace

    shared = replace(alone, shared_prefix_tokens=1000)
    blocks = POOL // 16
    assert concurrency(plan, alone).sequences == blocks // 65
    assert concurrency(plan, shared).sequences == (blocks - 62) // (65 - 62)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Workload(0, 10, 10), "requests_per_second must be more than 0"),
        (lambda: Workload(1, 0.5, 10), "prompt_tokens must be at least 1"),
        (lambda: Workload(1, 10, 10, -1), "prompt_cv must be at least 0"),
        (lambda: Workload(1, 10, 10, 1, 101), "output_cv must be at most 100, not 101"),
        (lambda: Workload(1, 10, 10, 1, 1, 1.5), "correlation must be at most 1.0, not 1.5"),
        (lambda: Workload(1, 10, 10, 1, 1, -0.9), "the nearest is -0.500"),
        (lambda: Workload(float("nan"), 10, 10), "requests_per_second must be a finite number, not nan"),
        (
            lambda: workload_from_trace({"input_tokens": [5, -1], "output_tokens": [1, 1]}),
            "row 2, input_tokens: must be a whole number from 1",
        ),
        (
            lambda: workload_from_trace({"input_tokens": [5, 1.5], "output_tokens": [1, 1]}),
            "row 2, input_tokens: must be a whole number",
        ),
        (
            lambda: workload_from_trace({"input_tokens": [5], "output_tokens": ["x"]}),
            "row 1, output_tokens: must be a number, not 'x'",
        ),
        (
            lambda: workload_from_trace({"prompt_tokens": [5], "output_tokens": [1]}),
            "the column input_tokens is missing: rename 'prompt_tokens' to it",
        ),
        (lambda: workload_from_trace({"input_tokens": [], "output_tokens": []}), "input_tokens is empty"),
        (lambda: workload("azure-2023"), "did you mean azure-2023-code"),
    ],
)
def test_what_is_no_traffic_is_refused(make, text):
    with pytest.raises(calculator.CalculatorError, match=text):
        make()


def test_a_file_of_a_trace(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("input_tokens,output_tokens,timestamp_s\n10,5,0\n20,5,60\n30,5,120\n", encoding="utf-8")
    traffic = workload_from_trace(path)
    assert (traffic.name, traffic.prompt_tokens, traffic.requests_per_second) == ("mine", 20.0, 2 / 120)
    path.write_text("input_tokens,output_tokens\n10\n", encoding="utf-8")
    with pytest.raises(calculator.CalculatorError, match="row 1, output_tokens: is missing"):
        workload_from_trace(path)


@pytest.mark.parametrize(
    ("risk", "text"),
    [
        (0, "at least 1e-06, not 0"),
        (0.6, "at most 0.5, not 0.6"),
        (1, "at most 0.5, not 1"),
        (-0.1, "at least 1e-06, not -0.1"),
        (float("nan"), "a finite number, not nan"),
        ("1 %", "a number, not '1 %'"),
        (True, "a number, not True"),
        (10**400, "a number, not about 10^400"),
        (None, "a number, not None"),
    ],
    ids=["0", "0.6", "1", "-0.1", "nan", "text", "bool", "huge", "none"],
)
def test_a_risk_out_of_bounds_is_refused(plan, risk, text):
    with pytest.raises(calculator.InvalidValueError, match="^" + re.escape(f"risk must be {text}")) as caught:
        concurrency(plan, Workload(1.0, 10, 10), risk=risk)
    assert (caught.value.what, caught.value.allowed) == ("risk", (1e-6, 0.5))


# a saturated queue of lognormal lengths (1,000 and 250) and of the Azure conversation, simulated apart: requests
@pytest.mark.parametrize(
    ("engine", "version", "asked", "lognormal", "conversation"),
    [
        ("vllm", None, None, 364, 371),
        ("vllm", "0.7", None, 360, 368),  # a watermark of 1 %
        ("tensorrt-llm", None, 2048, 150, 147),  # all that may be answered is set aside
        ("sglang", None, 2048, 318, 322),
        ("sglang", None, 16_384, 271, 277),
    ],
)
def test_what_admission_settles_at(engine, version, asked, lognormal, conversation):
    from dataclasses import replace

    plan = calculator.plan(
        "llama-3.1-8b", gpu="h200", seq_len=131_072, kv_cache_memory_bytes=(POOL + 32) * BYTES_A_TOKEN, engine=engine,
        engine_version=version,
    )  # fmt: skip
    made = Workload(1.0, 1000, 250, max_output_tokens=asked)
    table = replace(workload("azure-2023-conversation"), max_output_tokens=asked)
    found = [concurrency(plan, traffic).saturated for traffic in (made, table)]
    assert found == pytest.approx((lognormal, conversation), rel=0.03)


def test_preemptions_against_a_logged_engine():
    # Qwen2.5-7B, pool of 299,584 tokens, prompts 800 to 1,200, answers 4,000 to 6,000, 128 at once, 450 requests: 400
    # preemptions logged with a watermark of 2 %, 187 with 5 %, 168 with 10 % (vLLM pull request 44594); 1,065 with none
    from calculator.planning.traffic.admission import settle

    random = numpy.random.default_rng(7)
    lengths = random.integers(800, 1201, 4000), random.integers(4000, 6001, 4000)
    for watermark, logged in ((0.02, 400), (0.05, 187), (0.1, 168)):
        found = settle(
            lambda tokens: -(-tokens // 16),
            299_584 // 16,
            *lengths,
            numpy.ones(4000),
            watermark,
            128,
            seed=1,
            steps=20_000,
        )
        assert found.preemptions_per_request * 450 == pytest.approx(logged, rel=0.45)


def test_blocks_that_are_looked_up_are_those_that_are_computed(monkeypatch):
    from calculator.planning.traffic import admission

    def settled():
        return admission.settle(
            lambda tokens: -(-tokens // 16),
            60,
            *numpy.array([[40, 90, 7], [50, 20, 9]]),
            numpy.ones(3) / 3,
            0.02,
            64,
            1,
        )

    looked_up = settled()
    monkeypatch.setattr(admission, "LONGEST_LISTED", 0)
    assert settled() == looked_up
    assert looked_up.preemptions_per_request > 0


def test_engines_that_set_output_aside_throw_nobody_out():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine="tensorrt-llm")
    assert concurrency(plan, Workload(1.0, 1000, 250)).preemptions_per_request == (0.0, 0.0, 0.0)
