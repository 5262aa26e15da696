"""Speed: the terms against values worked by hand, what bounds a step, ranges, and what is not described."""

import pytest

import calculator
from calculator.planning.traffic.speed import attention_flops, speed, work_of

# model, weights, KV, GPU, TP, engine, P, O, N; decode part, prefill share, TPOT, tokens/s, time of one prompt [ms]:
# worked from nameplate figures with the rounded factors, bytes and FLOPs of the published configs
WORKED = [
    ("llama-3.1-8b", "bf16", "bf16", "h100-sxm", 1, "vllm", 1000, 250, 1, 6.96, 0.09, 7.05, 142, 22.4),
    ("llama-3.1-8b", "bf16", "bf16", "h100-sxm", 1, "vllm", 1000, 250, 64, 12.23, 5.73, 17.96, 3563, 22.4),
    ("llama-3.1-70b", "fp8", "fp8", "h200", 1, "tensorrt-llm", 8192, 1024, 47, 39.10, 51.84, 90.94, 517, 1129.4),
    ("llama-3.1-70b", "fp8", "bf16", "h100-sxm", 2, "vllm", 8192, 1024, 29, 32.10, 19.12, 51.22, 566, 675.1),
    ("gpt-oss-120b", "mxfp4", "bf16", "h100-sxm", 4, "vllm", 1024, 1024, 32, 8.23, 0.22, 8.45, 3785, 7.2),
    ("deepseek-r1", "fp8-block", "bf16", "h200", 8, "sglang", 1024, 1024, 64, 31.17, 1.55, 32.72, 1956, 24.7),
    ("qwen3-32b", "bf16", "bf16", "a100-80gb-sxm", 2, "vllm", 2000, 500, 32, 29.88, 21.16, 51.04, 627, 330.6),
]


@pytest.mark.parametrize("case", WORKED, ids=lambda case: f"{case[0]}-{case[8]}")
def test_terms_are_those_worked_by_hand(case):
    model, weights, kv, gpu, tp, engine, prompt, output, count, decode, share, tpot, rate, prefill = case
    plan = calculator.plan(
        model, gpu=gpu, tensor_parallel_size=tp, engine=engine, weight_dtype=weights, kv_cache_dtype=kv,
        seq_len=prompt + output,
    )  # fmt: skip
    found = speed(plan, batch_size=count, prompt_tokens=prompt, output_tokens=output)
    terms = {term.name: 1000 * term.seconds for term in found.terms}
    assert sum(terms.values()) == pytest.approx(1000 * found.time_per_output_token_s)
    assert sum(terms.values()) - terms["prefill"] == pytest.approx(decode, rel=0.005)
    assert terms["prefill"] == pytest.approx(share, rel=0.01, abs=0.006)
    assert 1000 * found.time_per_output_token_s == pytest.approx(tpot, rel=0.005)
    assert found.output_tokens_per_second == pytest.approx(rate, rel=0.005)
    assert 1000 * found.prefill_s == pytest.approx(prefill, rel=0.005)
    assert found.time_per_output_token_s_low < found.time_per_output_token_s < found.time_per_output_token_s_high


def test_weights_that_a_step_reads():
    # 8,030,261,248 parameters less the input embedding of 128,256 x 4,096, 2 bytes each
    assert work_of(calculator.load_model("llama-3.1-8b"), "bf16").dense_bytes == 2 * (8_030_261_248 - 128_256 * 4096)
    # gpt-oss 120B: 36 layers x 128 experts x 3 x 2880 x 2880 parameters at 17 bytes per 32, and biases in 16 bit
    experts = 36 * 128 * (3 * 2880 * 2880 * 17 // 32 + 2 * 3 * 2880)
    assert work_of(calculator.load_model("gpt-oss-120b"), "mxfp4").expert_bytes == experts


def test_flops_of_attention_over_a_prompt():
    # 32 layers x 2 x 32 heads x (128 + 128) x 1000^2 / 2 pairs
    assert attention_flops(calculator.load_model("llama-3.1-8b"), 1000) == 32 * 2 * 32 * 256 * 1000**2 / 2
    # a window of 4,096: beyond it every token pairs with 4,096, less the corner of the first
    window = 4096 * 10_000 - 4096**2 / 2
    assert attention_flops(calculator.load_model("mistral-7b-v0.1"), 10_000) == 32 * 2 * 32 * 256 * window


def plan_of(model="llama-3.1-8b", **asked):
    return calculator.plan(model, **{"gpu": "h100-sxm", "seq_len": 8192, **asked})


def test_what_bounds_a_step():
    assert speed(plan_of(), batch_size=1).bound == "weights"
    assert speed(plan_of(), batch_size=40, prompt_tokens=8000, output_tokens=None).bound == "kv"
    assert speed(plan_of("qwen3-0.6b"), batch_size=1).bound == "launch"
    assert speed(plan_of(), batch_size=40, prompt_tokens=8000, output_tokens=100).bound == "prefill"


def test_fewer_clients_decode_than_there_are():
    closed = speed(plan_of(), clients=64)
    assert closed.batch_size < 64
    assert closed.batch_size == pytest.approx(
        64 * 250 * closed.time_per_output_token_s
        / (_first(closed) + 250 * closed.time_per_output_token_s),
        rel=1e-6,
    )  # fmt: skip
    # 1,000 + 250 / 2 tokens are 71 blocks of 16; ten such and the block that is kept
    few = plan_of(kv_cache_memory_bytes=(10 * 71 + 1) * 16 * 131_072)
    assert speed(few, clients=64).batch_size == 10


def _first(found):
    """TTFT of vLLM in a closed loop: 1.27 T + 0.076 N T + 6.2 t + 12 ms."""
    step = found.time_per_output_token_s
    return 1.27 * found.prefill_s + 0.076 * found.batch_size * found.prefill_s + 6.2 * step + 0.012


@pytest.mark.parametrize(
    ("plan", "asked", "why"),
    [
        (lambda: plan_of(), {"batch_size": 64, "prompt_tokens": 4000}, ""),
        (lambda: plan_of(gpu="b200"), {"batch_size": 600}, "600 sequences at once, measured were up to 512"),
        (lambda: plan_of(gpu="l40s"), {"batch_size": 400}, "memory holds"),
        (lambda: plan_of("llama-3-70b"), {"batch_size": 1}, "the plan does not fit"),
        (lambda: plan_of(engine="llama.cpp"), {"batch_size": 1}, "no speed of llama.cpp was measured"),
        (lambda: plan_of(gpu="mi300x"), {"batch_size": 64}, "24 to 78 % slower"),
        (lambda: plan_of(gpu="rtx-4090", weight_dtype="fp8"), {"batch_size": 4}, "consumer cards"),
        (lambda: plan_of(gpu="trainium2"), {"batch_size": 1}, "no speed on Trainium2 was measured"),
        (lambda: plan_of(), {"batch_size": 8, "output_tokens": 4}, "in bursts"),
    ],
)
def test_what_was_not_measured_is_said(plan, asked, why):
    found = speed(plan(), **asked)
    assert found.checked is not bool(why)
    assert why in found.why


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "give one of batch_size and clients"),
        ({"batch_size": 1, "clients": 1}, "give one of batch_size and clients"),
        ({"batch_size": 0}, "batch_size must be a number above 0"),
        ({"batch_size": float("nan")}, "batch_size must be a number above 0"),
        ({"batch_size": 1, "prompt_tokens": -1}, "prompt_tokens must be a number above 0"),
        ({"batch_size": 1, "output_tokens": 10**10}, "output_tokens must be a number above 0, at most 1,000,000,000"),
        ({"clients": True}, "clients must be a number above 0"),
    ],
)
def test_bad_numbers_are_refused(asked, text):
    with pytest.raises(calculator.CalculatorError, match=text):
        speed(plan_of(), **asked)


def test_a_device_of_unknown_bandwidth_is_refused():
    with pytest.raises(calculator.UnsupportedError, match="the bandwidth of Own GPU is not known"):
        speed(calculator.plan("llama-3.1-8b", gpu_memory_bytes=80 * 2**30), batch_size=1)


def test_one_step_of_all_experts_reads_them_all_and_of_one_token_only_its_own():
    plan = plan_of("gpt-oss-120b", tensor_parallel_size=4)
    work = work_of(plan.model, plan.request.weight_dtype)

    def expert_s(count):
        terms = {term.name: term.seconds for term in speed(plan, batch_size=count).terms}
        return terms["weights"] - work.dense_bytes / 4 / 3350e9

    assert expert_s(1) == pytest.approx(1.3 * work.expert_bytes * 4 / 128 / 4 / 3350e9)
    assert expert_s(500) == pytest.approx(1.3 * work.expert_bytes / 4 / 3350e9, rel=1e-5)
