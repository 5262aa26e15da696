"""What a saturated scheduler settles at and whom it throws out: closed forms, the package's simulation, one of our own.

Tables: simulated for 40,000 steps apart from this package. Counts of preemptions: as logged by an engine.
"""

from dataclasses import replace

import numpy
import pytest
from scheduler import NoEvict, Sglang, Vllm, simulate

import calculator
from calculator.engines.base import Admission
from calculator.planning.traffic.admission import settle

BYTES_A_TOKEN = 131_072  # 2 x 8 x 128 x 32 layers x 2 bytes
POOL = 459_000


def lognormal(mean, cv, seed, size=20_000):
    spread = numpy.log(1 + cv * cv)
    drawn = numpy.random.default_rng(seed).lognormal(numpy.log(mean) - spread / 2, spread**0.5, size)
    return numpy.maximum(1, numpy.rint(drawn)).astype(numpy.int64)


@pytest.fixture(scope="module")
def lengths():
    """Lognormal lengths of means 1,000 and 250 and CV 1, and the Azure conversation."""
    return (lognormal(1000, 1, 5), lognormal(250, 1, 6)), calculator.workload("azure-2023-conversation").trace


# the policy in the simulation and in the package; requests that run: lognormal lengths, conversation
POLICIES = {
    "watermark 0": (Vllm(0), "vllm", Admission(), None, (364, 371)),
    "watermark 5 %": (Vllm(0.05), "vllm", Admission(watermark=0.05), None, (345, 353)),
    "no evict": (NoEvict(2048), "tensorrt-llm", Admission(whole_output=True), 2048, (150, 147)),
    "reserve": (Sglang(2048, 0.098), "sglang", Admission(0, 0.098, 4096), 2048, (318, 322)),
    "reserve of long answers": (Sglang(16_384, 0.098), "sglang", Admission(0, 0.098, 4096), 16_384, (271, 277)),
    "reserve less": (Sglang(2048, 0.0294), "sglang", Admission(0, 0.0294, 4096), 2048, (346, 354)),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_closed_forms_are_what_a_scheduler_settles_at(lengths, policy):
    rule, engine, admission, asked, table = POLICIES[policy]
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h200", seq_len=131_072, kv_cache_memory_bytes=(POOL + 32) * BYTES_A_TOKEN, engine=engine
    )
    plan = replace(plan, rules=replace(plan.rules, admission=admission))
    for pairs, expected in zip(lengths, table, strict=True):
        trace = {"input_tokens": pairs[0], "output_tokens": pairs[1]}
        closed = calculator.concurrency(plan, calculator.workload_from_trace(trace, max_output_tokens=asked))
        found = simulate(rule, POOL, *pairs, steps=4000)
        assert found.running == pytest.approx(expected, rel=0.04)
        assert closed.saturated == pytest.approx(found.running, rel=0.03)


def test_a_limit_at_the_risk_keeps_preemptions_away(lengths):
    # at the limit of 1 % one request in 1,000 is thrown out or fewer, where without a limit one in twenty is
    (pairs, _) = lengths
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=131_072, kv_cache_memory_bytes=POOL * BYTES_A_TOKEN)
    trace = calculator.workload_from_trace({"input_tokens": pairs[0], "output_tokens": pairs[1]})
    limit = calculator.concurrency(plan, trace, risk=0.01).max_num_seqs
    assert simulate(Vllm(0), POOL, *pairs, clients=limit, steps=6000).per_request < 0.004
    assert simulate(Vllm(0), POOL, *pairs, steps=6000).per_request > 0.03


# Qwen2.5-7B, pool of 299,584 tokens, prompts 800 to 1,200, answers 4,000 to 6,000, 128 clients, 450 requests, steps of
# 8,192 tokens: preemptions by watermark (vLLM pull request 44594)
@pytest.mark.parametrize(("watermark", "logged"), [(0, 1065), (0.02, 400), (0.05, 187), (0.1, 168), (0.15, 168)])
def test_preemptions_are_those_of_a_logged_engine(watermark, logged):
    random = numpy.random.default_rng(7)
    pairs = random.integers(800, 1201, 4000), random.integers(4000, 6001, 4000)
    found = simulate(Vllm(watermark), 299_584, *pairs, clients=128, requests=450, chunk=8192)
    assert found.preemptions == pytest.approx(logged, rel=0.25)


@pytest.mark.parametrize(
    ("prompt", "output", "watermark"), [(1000, 250, 0), (1000, 1000, 0), (1000, 1000, 0.01), (200, 2000, 0)]
)
def test_preemptions_of_the_package_are_those_of_a_scheduler(prompt, output, watermark):
    pairs = lognormal(prompt, 1, 5), lognormal(output, 1, 6)
    ours = simulate(Vllm(watermark), POOL, *pairs, steps=5000, warm=0.3)
    theirs = settle(
        lambda tokens: -(-tokens // 16), POOL // 16, *pairs, numpy.ones(20_000), watermark, 10**6, seed=1, steps=5000
    )
    assert theirs.running == pytest.approx(ours.running, rel=0.03)
    assert theirs.preemptions_per_request == pytest.approx(ours.per_request, rel=0.25, abs=0.02)
