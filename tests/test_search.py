"""Inverse questions: each lever is the plan with one thing changed, and the smallest fit is the smallest."""

import itertools
import re

import pytest
from golden import PRESETS

import calculator
from calculator import levers, smallest_fit, vary, what_would_fit


@pytest.fixture
def too_big():
    """LLaMA 3 70B on one A100, which cannot hold its weights."""
    return calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", seq_len=8192)


def test_every_lever_is_the_plan_with_its_change(reference):
    found = levers(reference)
    assert {lever.kind for lever in found} == {"KV format", "Weight format", "GPUs", "Length", "GPU"}
    for lever in found:
        assert lever.plan == vary(reference, **lever.changes)
        assert lever.gain == lever.plan.total_max_batch_size - reference.total_max_batch_size
        assert lever.gain != 0


def test_levers_are_sorted_by_gain(reference):
    gains = [lever.gain for lever in levers(reference)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]


def test_fp8_doubles_the_tokens_of_the_reference(reference):
    (lever,) = [lever for lever in levers(reference) if lever.changes == {"kv_cache_dtype": "fp8_e4m3"}]
    assert lever.plan.num_blocks == reference.kv_pool_bytes // (reference.stage.geometry.pools[0].block_bytes // 2)
    assert lever.cost == "8 bits a value instead of 16"


def test_levers_offer_only_degrees_that_the_model_allows():
    plan = calculator.plan("falcon-7b", gpu="h100-sxm")
    assert [lever for lever in levers(plan) if lever.kind == "GPUs"] == []


def test_levers_offer_only_formats_that_the_engine_stores_and_runs_on_that_device(reference):
    offered = {lever.changes["kv_cache_dtype"] for lever in levers(reference) if lever.kind == "KV format"}
    # an A100 has no fp8 of its own, which the kernel of scales per token and head takes (compute capability 8.9)
    assert offered == {"fp8_e4m3", "fp8_e5m2", "int8_per_token_head", "int4_per_token_head", "nvfp4"}
    hopper = {lever.changes.get("kv_cache_dtype") for lever in levers(vary(reference, gpu="h100-sxm"))}
    assert "fp8_per_token_head" in hopper
    for lever in levers(reference):
        request = lever.plan.request
        assert calculator.supports(request.engine, request.gpu, request.weight_dtype, request.kv_cache_dtype).ok


@pytest.mark.parametrize(
    ("gpu", "engine", "asked", "reason"),
    [
        ("a100-80gb-sxm", "vllm", {"kv_cache_dtype": "fp8_per_token_head"}, "a KV cache in fp8_per_token_head on A100"),
        ("t4", "vllm", {"kv_cache_dtype": "fp8"}, "a KV cache in fp8_e4m3 on T4 (turing); it does on ampere, ada"),
        ("h100-sxm", "sglang", {"kv_cache_dtype": "nvfp4"}, "a KV cache in nvfp4 on H100 SXM (hopper)"),
        ("a100-80gb-sxm", "tensorrt-llm", {"weight_dtype": "fp8"}, "weights in fp8 on A100 80GB SXM (ampere)"),
    ],
)
def test_what_is_read_not_to_run_is_refused_with_the_reason(gpu, engine, asked, reason):
    with pytest.raises(calculator.UnsupportedError, match=re.escape(reason)):
        calculator.plan("llama-3.1-8b", gpu=gpu, engine=engine, seq_len=1024, **asked)


def test_what_was_not_read_is_planned_with_a_note():
    # vLLM's documentation asks for compute capability 7.5 or higher; a plan of a V100 still says what memory holds
    plan = calculator.plan("llama-3.1-8b", gpu="v100-32gb", seq_len=1024)
    assert plan.fits
    assert any("is not known to run weights in bf16 on V100 32GB" in note for note in plan.notes)
    assert not any("is not known to run" in note for note in vary(plan, gpu="h100-sxm").notes)


def test_the_smallest_fit_is_the_smallest(too_big):
    wanted = vary(too_big, batch_size=40)
    answer = smallest_fit(wanted)
    assert answer.fits is True
    # weights 131.4 GiB and 40 x 2.5 GiB of KV cache need at least four pools of 71.3 GiB
    assert answer.num_gpus >= 4
    for tp in (1, 2, 4, 8):
        for pp in range(1, (answer.num_gpus - 1) // tp + 1):
            assert vary(wanted, tensor_parallel_size=tp, pipeline_parallel_size=pp).fits is False


@pytest.mark.parametrize("preset", PRESETS)
def test_the_smallest_fit_keeps_the_request(preset):
    plan = calculator.plan(preset, gpu="h200", seq_len=2048, batch_size=4, data_parallel_size=3)
    answer = smallest_fit(plan)
    assert answer.fits is True
    assert (answer.request.seq_len, answer.request.batch_size, answer.request.gpu) == (2048, 4, "h200")
    assert answer.request.data_parallel_size == 1
    assert answer.request.tensor_parallel_size <= 8


def test_no_number_of_gpus_is_said_as_none():
    # 16 GiB cannot hold PaLM's 1,006 GiB even 64 times: 64 x 15.77 x 0.9 = 908
    assert smallest_fit(calculator.plan("palm-540b", gpu="v100-16gb")) is None


def test_what_would_fit_offers_one_change_of_each_kind_and_each_fits(too_big):
    found = what_would_fit(too_big)
    kinds = [lever.kind for lever in found]
    assert len(kinds) == len(set(kinds))
    assert {"GPUs", "GPU", "Weight format"} <= set(kinds)
    assert all(lever.plan == vary(too_big, **lever.changes) and lever.plan.fits for lever in found)


def test_what_would_fit_offers_the_longest_context_that_does(reference):
    plan = vary(reference, batch_size=100)
    (lever,) = [lever for lever in what_would_fit(plan) if lever.kind == "Length"]
    assert lever.changes == {"seq_len": plan.max_context_len}
    assert vary(plan, seq_len=plan.max_context_len + 1).fits is False


def test_nothing_is_offered_where_the_plan_fits(reference):
    assert what_would_fit(reference) == ()


def test_splits_that_cost_nothing_come_first():
    # DeepSeek-V3 on 8 x H200 at 32,768 tokens, each of 61 x 576 x 2 x 32,768 = 2.14 GiB: 20 by TP, 112 by DP and EP,
    # 161 by DCP, less what counts of 1,024 x 129,280 tokens take of each GPU, 0.52 GiB
    plan = calculator.plan("deepseek-v3", gpu="h200", tensor_parallel_size=8, seq_len=32768)
    assert plan.total_max_batch_size == 19
    found = calculator.levers(plan)
    held = {str(lever.label): lever.plan.total_max_batch_size for lever in found if lever.key == "knob.split"}
    assert held["TP 8, DCP 8 on the same GPUs"] == 159
    assert held["TP 1, DP 8, EP on the same GPUs"] == 104
    assert [lever.key for lever in found[: len(held)]] == ["knob.split"] * len(held)
    assert {lever.plan.num_gpus for lever in found if lever.key == "knob.split"} == {8}
    assert calculator.next_steps(plan)[0].key == "knob.split"


def test_a_split_that_holds_less_is_not_put_first():
    plan = calculator.plan(
        "deepseek-v3", gpu="h200", tensor_parallel_size=8, decode_context_parallel_size=8, seq_len=32768
    )
    found = calculator.levers(plan)
    losses = [lever for lever in found if lever.key == "knob.split" and lever.gain < 0]
    assert losses
    gains = [lever.gain for lever in found if lever.key != "knob.split" or lever.gain < 0]
    assert gains == sorted(gains, reverse=True)


def test_the_fewest_gpus_are_those_that_can_be_bought():
    # Kimi K2.5 fits 31 H100 in a row of stages; what exists are machines of eight: as the search for hardware says
    plan = calculator.plan("kimi-k2.5", gpu="h100-sxm", seq_len=8192)
    assert vary(plan, pipeline_parallel_size=31).fits
    found = calculator.size("kimi-k2.5", users=1, seq_len=8192, gpus=["h100-sxm"])
    assert smallest_fit(plan).num_gpus == found.best.num_gpus == 32
    (lever,) = [lever for lever in what_would_fit(plan) if lever.kind == "GPUs"]
    assert lever.label == "32 × H100 SXM (TP 8, PP 4)"


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("asked", [40, 400])
def test_the_fewest_gpus_equal_trying_every_way_within_a_machine(engine, asked):
    plan = calculator.plan("deepseek-v3", gpu="h200", engine=engine, seq_len=32768, batch_size=asked)
    fit = []
    for tp, pp, more in itertools.product((1, 2, 4, 8), (1, 2, 4, 8), WAYS):
        try:
            # replicas that share experts are asked for their share of the batch each
            own = {**more, "batch_size": -(-asked // more.get("data_parallel_size", 1))}
            other = vary(plan, tensor_parallel_size=tp, pipeline_parallel_size=pp, **own)
        except calculator.CalculatorError:
            continue
        if other.fits and other.num_gpus in (1, 2, 4, 8):
            fit.append(other.num_gpus)
    smallest = smallest_fit(plan)
    assert smallest.num_gpus == min(fit, default=16)
    assert smallest.total_max_batch_size >= asked


WAYS = (
    {},
    *({"decode_context_parallel_size": ranks} for ranks in (2, 4, 8)),
    *({"data_parallel_size": replicas, "enable_expert_parallel": True} for replicas in (2, 4, 8)),
    {"enable_attention_dp": True},
)


def test_each_lever_says_users_price_and_what_it_costs_in_answers_or_risk(reference):
    rows = levers(reference).frame()
    assert list(rows["users"]) == [lever.plan.total_max_batch_size for lever in levers(reference)]
    by_change = {lever.label: lever for lever in levers(reference)}
    four_bits = by_change["KV cache in nvfp4"]
    # the published pairs of FP4 beside 16 bit: Qwen3 8B loses most, of GPQA-Diamond 57.07 to 53.54
    assert "Qwen3 8B, GPQA-Diamond 57.07 to 53.54" in four_bits.quality
    low, high = calculator.load_gpu("a100-80gb-sxm").price_usd_per_hour
    assert four_bits.usd_per_hour == pytest.approx((4 * low, 4 * high))
    assert by_change["1 GPU (TP 1) instead of 4"].changes == {"tensor_parallel_size": 1}
    split = calculator.levers(calculator.plan("deepseek-v3", gpu="h200", tensor_parallel_size=8, seq_len=32768))[0]
    assert (split.key, split.quality, bool(split.risk)) == ("knob.split", "", True)
