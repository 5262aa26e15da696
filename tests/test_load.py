"""A plan under load: risks against exact sums made apart from this package, speeds against values worked by hand.

The pool of 459,000 tokens, 1,000 tokens in and 250 out, each with a variation of 1: 100,000 draws of N residents each
gave 365, 328 and 315 requests at risks of 50, 1 and 0.1 %.
"""

import json
from itertools import pairwise

import numpy
import pytest
from cases import CONFIGS

import calculator
from calculator import views
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.curves.batches import bend, decoding_at
from calculator.planning.traffic.curves.policies import known, policies
from calculator.planning.traffic.curves.risk import holding, risk_curve, risks
from calculator.planning.traffic.tables import workload_from_text, workload_from_trace
from calculator.planning.traffic.timing.step import Lengths
from calculator.planning.traffic.workload import Workload

BYTES_A_TOKEN = 131_072  # 2 x 8 x 128 x 32 layers x 2 bytes
LOGNORMAL = Workload(1.0, 1000, 250)
FIXED = Workload(1.0, 1000, 250, prompt_cv=0.0, output_cv=0.0)


def plan_of(pool_tokens=459_000, **asked):
    """LLaMA 3.1 8B on one H100 with a pool of so many tokens, and the block that vLLM keeps."""
    pool = (pool_tokens + 16) * BYTES_A_TOKEN
    return calculator.plan(
        "llama-3.1-8b", **{"gpu": "h100-sxm", "seq_len": 131_072, "kv_cache_memory_bytes": pool, **asked}
    )


def marked(view, mark):
    (row,) = [row for row in view.rows if getattr(row, mark)]
    return row


# Risk


@pytest.mark.parametrize(("risk", "drawn"), [(0.01, 328), (0.001, 315)])
def test_the_most_at_a_risk_and_at_even_odds_are_those_that_were_drawn(risk, drawn):
    view = views.risk_view(plan_of(), LOGNORMAL, risk)
    most, even = marked(view, "recommended"), marked(view, "even")
    assert (most.sequences, even.sequences) == pytest.approx((drawn, 365), rel=0.005)
    assert 0.8 * risk < most.risk <= risk
    assert 0.45 < even.risk <= 0.5
    assert [row.risk for row in view.rows] == sorted(row.risk for row in view.rows)


PAIRS = {"input_tokens": [100, 900, 2500, 40], "output_tokens": [300, 150, 40, 2000]}


def exact_risks(pairs, free_blocks, counts):
    """P(sum of N > free), from the distribution of one resident convolved N times by its Fourier transform."""
    each = numpy.zeros(1)
    held = numpy.zeros(200)
    for prompt, output in zip(pairs["input_tokens"], pairs["output_tokens"], strict=True):
        for step in range(1, output + 1):
            held[-(-(prompt + step) // 16)] += 1
    size = 1 << 15
    each = numpy.fft.rfft(held / held.sum(), size)
    return [float(numpy.fft.irfft(each**count, size)[free_blocks + 1 :].sum()) for count in counts]


@pytest.mark.parametrize("pool_tokens", [40_000, 160_000])
def test_the_curve_is_that_of_exact_sums(pool_tokens):
    traffic = workload_from_trace(PAIRS)
    found = concurrency(plan_of(pool_tokens), traffic)
    curve = [(count, risk) for count, risk in risk_curve(found) if 1e-3 <= risk <= 0.5]
    exact = exact_risks(PAIRS, pool_tokens // 16, [count for count, _ in curve])
    assert len(curve) > 8
    assert [risk for _, risk in curve] == pytest.approx(exact, rel=0.1)


def test_where_draws_decide_the_curve_is_theirs():
    # one answer in fifty of 100 times the length: the sum of a few is too skewed for the expansion
    pairs = {"input_tokens": [50] * 50, "output_tokens": [20] * 49 + [2000]}
    traffic = workload_from_trace(pairs)
    found = concurrency(plan_of(24_000), traffic)
    counts = [found.sequences, found.sequences + 1, found.sequences_even]
    assert risks(found, counts)[0] <= 0.01 < risks(found, counts)[1]
    assert risks(found, counts) == pytest.approx(exact_risks(pairs, 1500, counts), rel=0.15)


def test_requests_of_one_length_fit_for_certain_and_then_not_at_all():
    # 1,024 tokens are 64 blocks: 459,000 // 16 // 64 = 448
    traffic = workload_from_trace({"input_tokens": [1023], "output_tokens": [1]})
    found = concurrency(plan_of(), traffic)
    assert risks(found, [1, 448, 449]) == (0.0, 0.0, 1.0)
    view = views.risk_view(plan_of(), traffic)
    assert {row.sequences: row.risk for row in view.rows} == {447: 0.0, 448: 0.0, 449: 1.0}
    held = views.resident_tokens_view(plan_of(), traffic)
    assert [(row.sequences, row.share, row.exceeds) for row in held.rows] == [(448, 1.0, False)] * 2


KINDS = ("llama-3.1-8b", "gemma-2-9b", "qwen3-next-80b-a3b", "deepseek-v2-lite")
SERVED = [
    (model, engine)
    for model in KINDS
    for engine in ("vllm", "sglang", "tensorrt-llm", "llama.cpp")
    if (model, engine) != ("qwen3-next-80b-a3b", "tensorrt-llm")  # whose states it has no rules for
]


@pytest.mark.parametrize(("model", "engine"), SERVED)
def test_what_is_recommended_keeps_the_risk_whatever_the_pools(model, engine):
    plan = calculator.plan(model, gpu="h200", seq_len=8192, engine=engine)
    found = concurrency(plan, LOGNORMAL)
    assert risks(found, [found.sequences])[0] <= 0.01
    assert risks(found, [round(1.1 * found.sequences) + 1])[0] > 0.01


def test_ranks_of_attention_data_parallelism_share_the_requests():
    plan = calculator.plan("deepseek-v3", gpu="h200", tensor_parallel_size=8, enable_attention_dp=True, engine="sglang")
    found = concurrency(plan, LOGNORMAL)
    assert found.sequences % 8 == 0
    assert found.max_num_seqs == min(found.sequences, found.saturated) // 8
    assert risks(found, [found.sequences])[0] <= 0.01
    # of the same pool, an eighth
    assert holding(found, found.sequences).mean == pytest.approx(holding(found, found.sequences - 7).mean)
    assert "on one of 8 ranks" in views.resident_tokens_view(plan, LOGNORMAL).finding


# What is held


def test_the_mean_the_tail_and_the_end_of_the_pool():
    view = views.resident_tokens_view(plan_of(), LOGNORMAL)
    most = [row for row in view.rows if row.recommended]
    share = sum(row.share for row in most)
    mean = sum(row.share * (row.tokens_low + row.tokens_high) / 2 for row in most) / share
    # P + O (1 + c^2) / 2 + B / 2 = 1,000 + 250 + 8 tokens each
    assert mean == pytest.approx(most[0].sequences * 1258, rel=0.002)
    assert share == pytest.approx(1, abs=0.001)
    beyond = sum(row.share for row in most if row.exceeds)
    assert beyond == pytest.approx(marked(views.risk_view(plan_of(), LOGNORMAL), "recommended").risk, abs=2e-4)
    assert min(row.tokens_low for row in most if row.exceeds) == pytest.approx(458_992)  # 28,687 blocks of 16
    for low, high in pairwise(most):
        assert low.tokens_high == pytest.approx(high.tokens_low)


def test_blocks_of_unlike_layers_are_no_tokens():
    plan = calculator.plan("gemma-2-9b", gpu="h100-sxm", seq_len=8192)
    view = views.resident_tokens_view(plan, LOGNORMAL)
    assert {row.tokens_low for row in view.rows} == {None}
    assert " % of the pool in the mean" in view.finding


# Preemptions


def test_rules_of_admission_on_one_pool():
    plan = plan_of(20_000, seq_len=2048)
    traffic = workload_from_trace({"input_tokens": [300, 600], "output_tokens": [60, 120]})
    rows = views.preemption_view(plan, traffic).rows
    own = rows[0]
    assert (own.this_plan, own.engine, own.max_num_seqs) == (True, "vLLM", plan.request.max_num_seqs)
    found = concurrency(plan, traffic).preemptions_per_request
    assert (own.preemptions_low, own.preemptions, own.preemptions_high) == found
    limited = rows[1]
    assert limited.max_num_seqs == concurrency(plan, traffic).max_num_seqs
    assert limited.preemptions < own.preemptions / 5
    by_rule = {row.rule: row for row in rows[2:]}
    # 1,250 blocks; a whole answer of 2,048 tokens is 128 blocks, of which 9 fit: on average 1,250 / 128
    whole = by_rule["all that may be answered is set aside"]
    assert (whole.preemptions, whole.running) == (0.0, pytest.approx(1250 / 128))
    assert by_rule["the longest sequence is kept for every slot"].running == pytest.approx(1250 / 128)
    assert by_rule["the known tokens fit and 1% stays free"].preemptions < own.preemptions
    assert {row.preemptions_low for row in rows[2:]} == {None}


def test_every_engine_has_its_rule_and_the_plans_own_comes_first():
    assert {title for title, _, _ in known()} == {"vLLM", "SGLang", "TensorRT-LLM", "llama.cpp"}
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine="tensorrt-llm", seq_len=2048)
    found = policies(plan, FIXED)
    assert [one.own for one in found] == [True] * (len(found) - 4) + [False] * 4
    assert found[0].engine == "TensorRT-LLM"


def test_a_limit_that_ends_before_memory_is_said():
    view = views.preemption_view(plan_of(max_num_seqs=64), FIXED)
    assert view.finding.endswith("runs 64 at once and throws none out: its limit of 64 ends it before memory does.")
    assert [row.max_num_seqs for row in view.rows][:2] == [64, None]


# Speed: LLaMA 3.1 8B, one H100, 1,000 in and 250 out: 7.05 ms with 1 and 17.96 ms with 64, worked from nameplate
# figures; so a token takes a + b N with b = 10.91 / 63 = 0.17317 ms and a = 6.877 ms


def plan_for_speed(**asked):
    return calculator.plan("llama-3.1-8b", **{"gpu": "h100-sxm", "seq_len": 8192, "batch_size": 64, **asked})


def test_the_row_that_was_asked_is_the_one_worked_by_hand():
    plan = plan_for_speed(seq_len=2048)
    row = marked(views.speed_view(plan, FIXED), "asked")
    assert 1000 * row.time_per_output_token_s == pytest.approx(17.96, rel=0.03)
    assert row.output_tokens_per_second == pytest.approx(3563, rel=0.03)
    for row in views.step_view(plan, FIXED).rows:
        parts = row.weights_s + row.kv_s + row.compute_s + row.links_s + row.launch_s + row.prefill_s
        assert parts == pytest.approx(row.time_per_output_token_s)
        assert row.kv_share == pytest.approx(row.kv_s / row.time_per_output_token_s)
        assert row.time_per_output_token_s_low < row.time_per_output_token_s < row.time_per_output_token_s_high


def test_the_bend_is_where_what_every_batch_pays_is_half():
    # limit 1 / b = 5,775 tokens/s, half of it from a / b = 39.7 on
    found = bend(plan_for_speed(), Lengths(1000, 250))
    assert found.limit_tokens_per_second == pytest.approx(5775, rel=0.03)
    assert found.batch_size == pytest.approx(40, abs=2)


def test_arrivals_keep_as_many_decoding_as_littles_law_says():
    # N = 5 x 250 t(N): N = 1.25 a / (1 - 1.25 b) = 10.97; one that decodes sees the others beside itself
    found = decoding_at(plan_for_speed(), FIXED, 5)
    assert found.batch_size == pytest.approx(10.97, rel=0.05)
    assert found.batch_size == pytest.approx(5 * 250 * found.time_per_output_token_s, rel=1e-6)
    # of two replicas each has half of them
    half = decoding_at(plan_for_speed(data_parallel_size=2), FIXED, 10)
    assert half.batch_size == pytest.approx(found.batch_size)
    # 5,775 tokens/s are 23.1 requests of 250
    assert decoding_at(plan_for_speed(), FIXED, 25) is None
    said = views.speed_view(plan_for_speed(), FIXED, requests_per_second=25).finding
    assert "25 requests/s are more than these replicas could ever answer." in said


def test_the_largest_part_changes_where_it_is_said_to():
    view = views.step_view(plan_for_speed(), FIXED)
    for row, following in pairwise(view.rows):
        if row.bound != following.bound:
            assert following.batch_size - row.batch_size <= 1
            assert f"reading weights up to {row.batch_size:,.0f}, then prefill of new prompts." in view.finding
    assert {row.bound for row in view.rows} == {"weights", "prefill"}


def test_beyond_what_was_measured_is_marked_with_the_reason():
    view = views.speed_view(plan_for_speed(gpu="b200", batch_size=600), FIXED)
    rows = {row.batch_size: row for row in view.rows}
    assert (rows[512].checked, rows[513].checked) == (True, False)
    assert rows[513].why.startswith("513 sequences at once, measured were up to 512")
    assert "Not checked: 600 sequences at once, measured were up to 512" in view.finding


def test_a_plan_that_holds_no_batch_of_its_longest_sequences_still_serves_shorter_ones():
    plan = plan_for_speed(seq_len=131_072)
    assert not plan.fits
    assert marked(views.speed_view(plan, FIXED), "asked").checked


def test_the_answer_in_one_sentence():
    said = views.load_answer(plan_of(batch_size=64), LOGNORMAL)
    head, tail = said.split(" of this traffic fit at a risk of 1 % (")
    assert int(head.removesuffix(" requests")) == pytest.approx(328, rel=0.005)
    assert int(tail.split(" at even odds")[0]) == pytest.approx(365, rel=0.005)
    assert "; with 64 at once a token takes 18 ms (" in said
    assert float(said.split("the replica gives ")[1].split(" ")[0].replace(",", "")) == pytest.approx(3563, rel=0.03)


def test_an_engine_that_lets_in_fewer_says_so():
    assert views.load_answer(plan_of(max_num_seqs=64), FIXED).endswith(" vLLM lets in 64 as it is set.")
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", engine="tensorrt-llm", seq_len=8192)
    said = views.load_answer(plan, FIXED)
    assert " run at once, as TensorRT-LLM lets requests in; memory alone would hold " in said


# What cannot be


LOAD = [name for name, question in views.VIEWS.items() if question.part_of == "load"]


@pytest.mark.parametrize("name", LOAD)
@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"model": "llama-3-70b", "gpu": "h100-sxm"}, "the plan does not fit"),
        ({"model": "llama-3-8b", "gpu": "h100-sxm", "kv_cache_memory_bytes": 1}, "the plan does not fit"),
        ({"model": "llama-3-8b", "gpu_memory_bytes": 2**30}, "the plan does not fit"),
    ],
)
def test_what_does_not_fit_is_a_sentence(name, asked, why):
    view = views.VIEWS[name](calculator.plan(**asked))
    assert view.finding.endswith(".")
    if name in ("speed", "step"):
        assert {row.checked for row in view.rows} <= {False}
    else:
        assert list(view.rows) == []
        assert why in view.finding
        assert len(view.frame()) == 0


def test_a_device_of_unknown_bandwidth_has_risks_and_no_speed():
    plan = calculator.plan("llama-3-8b", gpu_memory_bytes=80 * 2**30)
    assert marked(views.risk_view(plan, FIXED), "recommended").sequences > 300
    for make in (views.speed_view, views.step_view):
        assert list(make(plan, FIXED).rows) == []
        assert make(plan, FIXED).finding == "the bandwidth of Own GPU is not known, so no speed can be computed."
    assert "the bandwidth of Own GPU is not known" in views.load_answer(plan, FIXED)


def test_an_engine_hardly_measured_says_so():
    # of llama.cpp one sequence at a time in one format was measured
    plan = calculator.plan("llama-3-8b", gpu="h100-sxm", engine="llama.cpp", seq_len=4096, batch_size=4)
    view = views.speed_view(plan, FIXED)
    assert {row.checked for row in view.rows if row.batch_size > 1} == {False}
    assert "Not checked: " in view.finding
    assert "4 sequences at once, measured were up to 1" in view.finding


def test_an_encoder_and_a_decoder_are_answered():
    model = calculator.model_from_hf_config(CONFIGS["encoder and decoder"], name="whisper")
    plan = calculator.plan(model, gpu="h100-sxm", seq_len=448, encoder_seq_len=1500)
    for name in LOAD:
        assert len(views.VIEWS[name](plan, workload=Workload(1.0, 4, 100)).rows) > 1


# What circulates: 70,553,706,496 parameters in 16 bit over four GPUs of 2,039 GB/s are 17.30 ms


def test_the_table_that_circulates_is_refuted_by_its_own_numbers():
    rows = {row.kind: row for row in views.circulating_speeds().rows}
    # one GPU of four has 36.33 GiB for 2 KV heads of GQA, a sequence of 4,096 tokens takes 0.1563 of each head; a head
    # more has 2 x 8,192 x 128 x 80 weights, 0.3125 GiB: MHA 16 heads, (36.33 - 14 x 0.3125) / 2.5 = 12.8;
    # 36.33 / 0.3125 = 116.3; MQA one, (36.33 + 0.3125) / 0.1563 = 234.5
    assert [row.max_batch_size for row in rows.values()] == [12, 116, 234]
    assert [row.implied_tokens_per_second for row in rows.values()] == [800, 25_600, 48_000]
    assert rows["GQA"].weights_ms == pytest.approx(70_553_706_496 * 2 / 4 / 2039e9 * 1000, rel=1e-4)
    assert all(row.ms_a_token > row.weights_ms - 0.3 for row in rows.values())  # but for the input embedding
    finding = views.circulating_speeds().finding
    assert "alone takes 17.3 ms" in finding
    assert "32 sequences that each get a token every 1.25 ms would be 25,600 tokens/s, not 3,200" in finding


# Traces as text


def test_json_lines_are_the_same_as_csv():
    rows = [(10, 5, 0.0), (20, 7, 60.0), (300, 1, 90.5)]
    csv = "input_tokens,output_tokens,timestamp_s\n" + "\n".join(",".join(map(str, row)) for row in rows)
    names = ("input_tokens", "output_tokens", "timestamp_s")
    lines = "\n\n".join(json.dumps(dict(zip(names, row, strict=True)) | {"model": "m"}) for row in rows)
    assert workload_from_text(csv.encode(), "t") == workload_from_text(lines.encode(), "t")
    assert workload_from_text(lines.encode(), "t").trace[0].tolist() == [10, 20, 300]


def test_a_file_of_json_lines(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"input_tokens": 10, "output_tokens": 5}\n{"output_tokens": 5, "input_tokens": 30}\n')
    assert workload_from_trace(path).prompt_tokens == 20


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"input_length": 1, "output_length": 2}', "rename 'input_length' to it"),
        ('{"input_tokens": 1, "output_tokens": true}', "row 1, output_tokens: must be a number, not True"),
        ('{"input_tokens": 1, "output_tokens": "<b>"}', "row 1, output_tokens: must be a number, not '<b>'"),
        ('{"input_tokens": 1, "output_tokens": 1}\n{"input_tokens": 1}', "row 2, output_tokens: is missing"),
        ('{"input_tokens": 1, "output_tokens": 1}\n[1, 2]', "row 2 is not a JSON object"),
        ('{"input_tokens": 1, "output_tokens": 1}\nnonsense', "row 2 is not a JSON object"),
        ('{"input_tokens": 1, "output_tokens": NaN}', "row 1 is not a JSON object"),
        ('{"input_tokens": ' + "[" * 60_000, "row 1 is not a JSON object"),
        ('{"input_tokens": 1, "output_tokens": 1' + "0" * 400 + "}", "row 1, output_tokens: must be a whole number"),
        ('{"input_tokens": 1, "output_tokens": 1e999}', "row 1, output_tokens: must be a whole number"),
        ('{"input_tokens": 1, "output_tokens": 1' + "0" * 5000 + "}", "row 1 is not a JSON object"),
    ],
)
def test_json_lines_that_are_no_trace_are_refused(text, why):
    with pytest.raises(calculator.CalculatorError, match=why.replace("[", r"\[")):
        workload_from_text(text.encode(), "t")


def sd_of(prompt, outputs):
    """The deviation of what a resident holds, step by step of each answer."""
    steps = [prompt + step for output in outputs for step in range(1, output + 1)]
    return float(numpy.std(steps))


def test_two_traces_of_the_same_means_are_told_apart():
    # 9, 9, 9, 13 and 11, 11, 11, 7 have the mean 10 and the variance 3, so the workloads are equal but for their pairs
    plan, skewed = plan_of(20_000, seq_len=2048), ([9, 9, 9, 13], [11, 11, 11, 7])
    made = [workload_from_trace({"input_tokens": [100] * 4, "output_tokens": outputs}) for outputs in skewed]
    assert made[0] == made[1]
    found = [concurrency(plan, traffic).sd_tokens for traffic in made]
    assert found == pytest.approx([sd_of(100, outputs) for outputs in skewed])
    assert abs(found[0] - found[1]) > 0.01


def test_the_nearest_correlation_that_is_named_is_taken():
    with pytest.raises(calculator.CalculatorError, match=r"the nearest is -0\.500") as refused:
        Workload(1.0, 1000, 250, correlation=-0.9)
    for nearest in (-0.5, refused.value.nearest):
        assert Workload(1.0, 1000, 250, correlation=nearest).correlation == nearest
