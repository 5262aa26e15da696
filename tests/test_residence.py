"""Residence, risk and admission by hand or by exact enumeration apart from the package."""

from dataclasses import replace
from itertools import pairwise
from math import comb, sqrt

import numpy
import pytest

import calculator
from calculator.planning.traffic.admission import settle
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.residence import (
    LawOfSum,
    Residents,
    most_at_risk,
    quantile_of_normal,
    residents,
)
from calculator.planning.traffic.tables import workload_from_trace
from calculator.planning.traffic.workload import Pairs, Workload

A_TOKEN = 131_072  # bytes of Llama 3.1 8B


def plan_of(blocks, engine="vllm", **asked):
    """Return a plan of Llama 3.1 8B with so many blocks of 16 tokens to hand out."""
    kept = 16 if engine == "vllm" else 0
    size = (16 * blocks + kept) * A_TOKEN
    return calculator.plan(
        "llama-3.1-8b", gpu="h200", engine=engine, kv_cache_memory_bytes=size, **{"seq_len": 4_096, **asked}
    )


def trace_of(prompts, outputs, **more):
    return replace(workload_from_trace({"input_tokens": prompts, "output_tokens": outputs}), **more)


# What a resident request holds


def every_step(prompts, outputs, weights, step=1):
    """Count each decode step of each request, its tokens rounded up to so many."""
    held = {}
    for prompt, output, weight in zip(prompts, outputs, weights, strict=True):
        for position in range(1, output + 1):
            tokens = -(-(prompt + position) // step) * step
            held[tokens] = held.get(tokens, 0) + weight
    total = sum(held.values())
    return {tokens: share / total for tokens, share in sorted(held.items())}


@pytest.mark.parametrize(
    ("longest", "step"),
    # lengths are told apart up to 2^21 tokens; twice that is kept in steps of two, beyond it of three
    [(60, 1), (2**21, 1), (2**21 + 1, 2), (2**22, 2), (2**22 + 1, 3), (5_000_000, 3)],
)
def test_a_resident_request_is_each_step_of_its_answer(longest, step):
    random = numpy.random.default_rng(5)
    prompts, outputs = random.integers(1, 40, 12), random.integers(1, 20, 12)
    prompts[0], outputs[0] = longest - 7, 7
    weights = random.random(12) + 0.1
    found = residents(Pairs(prompts, outputs, weights / weights.sum()))
    expected = every_step(prompts.tolist(), outputs.tolist(), weights.tolist(), step)
    held = found.weights > 1e-12  # sums of shares leave as much beside
    assert found.tokens[held].tolist() == list(expected)
    assert found.weights[held] == pytest.approx(list(expected.values()), rel=1e-6)


def test_moments_by_hand():
    # 1, 2 and 6 with shares of a half, a quarter and a quarter: 2.5; 2.25, 0.25 and 12.25 squared, and cubed
    some = Residents(numpy.array([1, 2, 6]), numpy.array([0.5, 0.25, 0.25]))
    assert some.moments(some.tokens) == pytest.approx((2.5, 4.25, (-3.375 * 2 - 0.125 + 42.875) / 4))


# The most residents at a risk


def test_quantiles_of_the_normal_out_to_the_smallest_risk():
    # NIST/SEMATECH e-handbook 1.3.6.7.1 and Wichura's AS 241
    found = [quantile_of_normal(risk) for risk in (0.5, 0.1, 0.05, 1e-6)]
    assert found == pytest.approx([0, 1.2815515655, 1.6448536270, 4.7534243088], abs=1e-7)


@pytest.mark.parametrize("risk", [0.5, 0.05, 0.001])
@pytest.mark.parametrize("third", [0.0, 3e7, -3e6])
def test_the_expansion_by_its_root(risk, third):
    # N m + s z sqrt(N) + k3 (z^2 - 1) / (6 s^2) = pool is a square equation in sqrt(N)
    mean, spread, pool = 100.0, 150.0, 50_000.0
    z = quantile_of_normal(risk)
    left = pool - third * (z * z - 1) / (6 * spread**2)
    root = (-z * spread + sqrt((z * spread) ** 2 + 4 * mean * left)) / (2 * mean)
    count, _ = most_at_risk((mean, spread**2, third), pool, risk)
    assert count == int(root**2)


def test_without_spread_the_pool_is_divided():
    assert most_at_risk((100.0, 0.0, 0.0), 1_000, 0.01) == (10, True)
    assert most_at_risk((100.0, 0.0, 0.0), 999, 0.01) == (9, True)
    assert most_at_risk((100.0, 0.0, 0.0), 99, 0.01) == (0, True)
    assert most_at_risk((0.0, 0.0, 0.0), 99, 0.01) == (0, True)


@pytest.mark.parametrize(("skew", "trusted"), [(0.119, True), (-0.119, True), (0.121, False), (-0.121, False)])
def test_the_expansion_is_trusted_while_skew_moves_it_little(skew, trusted):
    # g / 6 of a deviation where z^2 - 1 is -1: 0.02 at a skew of 0.12
    # 100 residents at a risk of one half less a trifle: of the sum k3 / (s^3 sqrt(N))
    third = skew * 20.0**3 * 10
    count, found = most_at_risk((100.0, 400.0, third), 10_000 - third / (6 * 400), 0.5)
    assert (count, found) == (100, trusted)


@pytest.mark.parametrize(("pool", "risk"), [(400, 0.01), (400, 0.1), (150, 0.001), (60, 0.5)])
def test_the_law_of_the_sum_against_the_binomial(pool, risk):
    # one of ten residents holds 21 blocks, the others one: N + 20 K, K of N
    some = Residents(numpy.array([1, 21]), numpy.array([0.9, 0.1]))

    def exceeds(count):
        most = (pool - count) // 20
        return 1 - sum(comb(count, k) * 0.1**k * 0.9 ** (count - k) for k in range(min(most, count) + 1))

    exact = max(count for count in range(1, pool + 1) if exceeds(count) <= risk)
    law = LawOfSum(some.tokens.astype(float), some.weights, pool)
    assert law.most(risk) == exact
    assert [law.exceeds(count) for count in (1, exact, exact + 1)] == pytest.approx(
        [exceeds(count) for count in (1, exact, exact + 1)], abs=1e-6
    )
    # ten times as many blocks are told apart by steps of the pool
    assert LawOfSum(10_000 * some.tokens.astype(float), some.weights, 10_000 * pool).most(risk) == pytest.approx(
        exact, abs=1
    )


def test_the_law_of_what_always_fits_or_never():
    alike = Residents(numpy.array([10]), numpy.array([1.0]))
    for pool, held in ((95, 9), (100, 10), (9, 0)):
        law = LawOfSum(alike.tokens.astype(float), alike.weights, pool)
        assert [law.exceeds(count) for count in (held, held + 1)] == pytest.approx([0, 1], abs=1e-6)


# Through the engine's blocks: requests of 100 prompt and 50 output tokens

# tokens 101 to 150 in blocks of 16: 12 steps of 7, 16 of 8, 16 of 9 and 6 of 10
MEAN_BLOCKS = (12 * 7 + 16 * 8 + 16 * 9 + 6 * 10) / 50


@pytest.mark.parametrize(
    ("engine", "version", "asked", "expected"),
    [
        # vLLM lets in what fits; 0.7 kept a hundredth of the blocks free, and none for itself
        ("vllm", None, None, 1_000 / MEAN_BLOCKS), ("vllm", "0.7", None, 0.99 * 1_001 / MEAN_BLOCKS),
        # TensorRT-LLM sets aside all that may be answered: 160 tokens are 5 of 500 blocks of 32, the whole
        # 4,096 less the prompt by default
        ("tensorrt-llm", None, 60, 500 / 5), ("tensorrt-llm", None, None, 500 / 128),
        # SGLang 0.7 x 0.14 of what is still expected, at most 4,096 each: 100 + 51 / 2 tokens and 25 or 4,096 more
        ("sglang", None, 50, 16_000 / (125.5 + 0.098 * 25)),
        ("sglang", None, 3_000, 16_000 / (125.5 + 0.098 * 2_975)),
        ("sglang", None, 8_000, 16_000 / (125.5 + 0.098 * 3_971)),
        # llama.cpp: every slot is as long as the context
        ("llama.cpp", None, None, 16_000 / 4_096),
    ],
)  # fmt: skip
def test_what_admission_settles_at_by_hand(engine, version, asked, expected):
    plan = plan_of(1_000, engine, engine_version=version)
    found = concurrency(plan, trace_of([100], [50], max_output_tokens=asked))
    assert found.saturated == pytest.approx(expected, rel=1e-6)


def test_no_more_is_set_aside_than_4_096_tokens_each():
    plan = plan_of(1_000, "sglang", seq_len=100_000)
    found = concurrency(plan, trace_of([100], [50], max_output_tokens=50_000))
    assert found.saturated == pytest.approx(16_000 / (125.5 + 0.098 * 4_096), rel=1e-6)


def test_what_is_set_aside_counts_long_answers_more():
    # TensorRT-LLM, 500 blocks of 32: 10 steps hold 4 blocks (100 + 10), 90 hold 7 (100 + 110) where 110 may come
    plan = plan_of(1_000, "tensorrt-llm")
    traffic = trace_of([10, 100], [10, 90], max_output_tokens=110)
    assert concurrency(plan, traffic).saturated == pytest.approx(500 / ((10 * 4 + 90 * 7) / 100))


def test_residents_at_even_risk_and_at_a_small_one():
    # 100 prompt and one output token: all hold 7 blocks, so that the risk does not matter
    found = concurrency(plan_of(1_000), trace_of([100], [1]))
    assert (found.sequences, found.sequences_even, found.max_num_seqs) == (142, 142, 142)
    assert (found.mean_tokens, found.sd_tokens, found.risk) == (101, 0, 0.01)
    # 50 of 150 and 100 tokens: mean 125.5, deviation sqrt((50^2 - 1) / 12); of even risk what the mean divides
    found = concurrency(plan_of(20_000), trace_of([100], [50]))
    assert (found.mean_tokens, found.sd_tokens) == pytest.approx((125.5, sqrt(2_499 / 12)))
    assert found.sequences_even == pytest.approx(20_000 / MEAN_BLOCKS, abs=1.5)
    second = (12 * 49 + 16 * 64 + 16 * 81 + 6 * 100) / 50 - MEAN_BLOCKS**2
    at_risk = ((sqrt(5.4119 * second + 4 * MEAN_BLOCKS * 20_000) - 2.32635 * sqrt(second)) / (2 * MEAN_BLOCKS)) ** 2
    assert found.sequences == pytest.approx(at_risk, abs=2)


def test_a_pool_too_small_for_anyone_holds_nobody():
    found = concurrency(plan_of(6), trace_of([100], [1]))
    assert (found.sequences, found.sequences_even, found.max_num_seqs) == (0, 0, 1)


def test_ranks_with_sequences_of_their_own_add_up():
    # DeepSeek-V3, 61 x 576 x 2 bytes a token: eight ranks with room for 1,010 // 101 of it each
    plan = calculator.plan(
        "deepseek-v3", gpu="b200", engine="sglang", tensor_parallel_size=8, enable_attention_dp=True,
        kv_cache_memory_bytes=1_010 * 70_272, seq_len=1_000, weight_dtype="fp8-block",
    )  # fmt: skip
    found = concurrency(plan, trace_of([100], [1], max_output_tokens=1))
    assert (found.sequences, found.sequences_even) == (80, 80)
    # 101 tokens and 0.098 of the half token that is still expected
    assert found.saturated == pytest.approx(8 * 1_010 / (101 + 0.098 * 0.5))
    assert found.max_num_seqs == 9  # of 9.995


@pytest.mark.parametrize(("shared", "blocks"), [(0, 0), (15, 0), (16, 1), (31, 1), (64, 4), (100, 6)])
def test_a_shared_prefix_takes_its_whole_blocks_once(shared, blocks):
    # 101 tokens are 7 blocks
    found = concurrency(plan_of(1_000), trace_of([100], [1], shared_prefix_tokens=shared))
    assert found.sequences == (1_000 - blocks) // (7 - blocks)
    assert found.saturated == pytest.approx((1_000 - blocks) / (7 - blocks))


def test_a_prefix_in_a_window_is_not_kept():
    # gpt-oss: of 24 layers 12 keep all, 12 a window of 128, in blocks of 16: 1,001 tokens are 63 blocks of the first
    # and, charged with 2,048 tokens in flight, all 63 and one more of the second; the prefix of 992 is 62 blocks once
    plan = calculator.plan(
        "gpt-oss-20b", gpu="h100-sxm", seq_len=4_096, kv_cache_dtype="bf16", async_scheduling=False,
        max_num_batched_tokens=2_048, kv_cache_memory_bytes=1_001 * 12 * 16 * 2_048,
    )  # fmt: skip
    alone, shared = (concurrency(plan, trace_of([1_000], [1], shared_prefix_tokens=size)) for size in (0, 992))
    assert alone.sequences == 1_000 // (63 + 64)
    assert shared.sequences == (1_000 - 62) // (63 + 64 - 62)


def test_of_two_pools_the_tighter_holds():
    # SGLang, gpt-oss: 20 GiB are 485,451 tokens of full layers and 388,360 of windows; 257 tokens of the one, 128 and
    # a page of one of the other
    plan = calculator.plan(
        "gpt-oss-20b", gpu_memory_bytes=2**44, engine="sglang", kv_cache_dtype="bf16", seq_len=4_096,
        kv_cache_memory_bytes=20 * 2**30,
    )  # fmt: skip
    assert concurrency(plan, trace_of([256], [1])).sequences == min(485_451 // 257, 388_360 // 129)
    assert concurrency(plan, trace_of([129], [1])).sequences == min(485_451 // 130, 388_360 // 129)


# A full queue, step by step


def settled(free, prompt, output, watermark=0.0, most=10, steps=10):
    lengths = (numpy.array([value]) for value in (prompt, output, 1.0))
    found = settle(lambda tokens: tokens, free, *lengths, watermark, most, seed=1, steps=steps)
    return found.running, found.preemptions_per_request


def test_a_queue_by_hand_without_a_watermark():
    # Blocks of one token, requests of 1 and 3, 5 blocks. Step 0 lets in five. 1: each holds 2, three go, one comes
    # back with 1. 2: 3, 3, 2: two go, one comes back with 2. 3: 4, 3: one goes; the other is done. 4: four come back.
    # Of steps 2, 3, 4: running 2, 0, 4; three thrown out, one done
    assert settled(5, 1, 3, steps=5) == pytest.approx((2.0, 3.0))


def test_a_queue_by_hand_with_a_watermark():
    # Requests of 4 and 4, 20 blocks, 4 of them kept free. Steps 3 to 9: running 2, 0, 3, 3, 1, 1, 3; one is thrown
    # out in step 3 and one in 7, two are done in step 4, one in 7 and one in 8
    assert settled(20, 4, 4, watermark=0.2) == pytest.approx((13 / 7, 2 / 4))


@pytest.mark.parametrize(
    ("free", "most", "running"),
    # requests of 4 and 5 tokens run for five steps and are done in the sixth, which lets nobody in; in a pool of 9 two
    # run for two steps (4 + 4, 5 + 4), one for three more; one alone runs even where it does not fit
    [(1_000, 3, 3 * 5 / 6), (1_000, 7, 7 * 5 / 6), (9, 10, 7 / 6), (3, 10, 5 / 6)],
)
def test_a_queue_is_full_up_to_its_limit(free, most, running):
    found, _ = settled(free, 4, 5, most=most, steps=240)
    assert found == pytest.approx(running, rel=1e-9)


@pytest.mark.parametrize(
    ("output", "simulated", "empty"),
    # 48 answers of ten tokens are 480 steps, of which 144 warm up; of the rest every eleventh, 153 to 472, runs nobody.
    # 48 of two tokens are fewer than 200 steps: 60 warm up, of the rest every third, 62 to 197
    [(10, 480 - 144, 30), (2, 200 - 60, 46)],
)
def test_a_queue_is_simulated_as_long_as_its_answers_ask_for(output, simulated, empty):
    found, _ = settled(1_000, 5, output, most=1, steps=None)
    assert found == pytest.approx(1 - empty / simulated, rel=1e-9)


def test_risks_grow_with_the_sequences():
    plan = plan_of(5_000)
    found = [concurrency(plan, Workload(1.0, 300, 100), risk=risk).sequences for risk in (1e-6, 0.001, 0.1, 0.5)]
    assert all(low < high for low, high in pairwise(found))
