"""Parts of traffic by hand: a trace on a replica, pools of two kinds, ends of curves, hosts behind the cache."""

import itertools
import math
from functools import cache

import numpy
import pytest

import calculator
from calculator.engines.measured import BANDS
from calculator.planning.traffic.admission import settle
from calculator.planning.traffic.arrivals.in_service import InService
from calculator.planning.traffic.arrivals.replay import replay
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.curves.batches import bend, decoding_at
from calculator.planning.traffic.curves.policies import policies
from calculator.planning.traffic.curves.risk import holding, risk_curve, risks
from calculator.planning.traffic.judged.accuracy import Measured, _judge
from calculator.planning.traffic.pools.loaded import LoadedPool, loaded
from calculator.planning.traffic.pools.queue import preemptions, thrown_out
from calculator.planning.traffic.residence import Residents
from calculator.planning.traffic.reuse.host_tier import host_tier
from calculator.planning.traffic.timing.clients import decoding, room
from calculator.planning.traffic.timing.speed import speed
from calculator.planning.traffic.timing.step import Lengths, pace_of
from calculator.planning.traffic.timing.work import kv_bytes_read
from calculator.planning.traffic.workload import Workload

A_TOKEN = 131_072  # bytes of Llama 3.1 8B: 2 x 8 x 128 x 32 layers x 2


@cache
def plan_of(tokens=400_000, **given):
    """Return a plan of Llama 3.1 8B whose pool holds so many tokens beside the block that is kept."""
    size = (tokens + 16) * A_TOKEN
    return calculator.plan(
        "llama-3.1-8b", **{"gpu": "h100-sxm", "kv_cache_memory_bytes": size, "seq_len": 8_192, **given}
    )


def trace_of(times, prompts=(1_000,), outputs=(250,)):
    count = len(times)
    lengths = numpy.resize(prompts, count), numpy.resize(outputs, count)
    span = float(max(times) - min(times)) or 1.0
    return Workload(count / span, 1, 1, trace=lengths, times=numpy.asarray(times, dtype=float), dispersion=5.0)


def decode_s(service, count):
    return sum(term.seconds for term in pace_of(service.plan, service.lengths).at(count).terms[:-1])


# A trace on a replica


@pytest.mark.parametrize(
    ("times", "given", "first_is_of"),
    [
        # one by one, far apart; forty at once, whose prompts stand in line
        (numpy.arange(200) * 2.0, {}, "law"), (numpy.repeat(numpy.arange(10.0), 40) * 30, {}, "line"),
        (numpy.repeat(numpy.arange(10.0), 40) * 30, {"pipeline_parallel_size": 2}, "line"),
        (numpy.repeat(numpy.arange(10.0), 40) * 30, {"max_num_batched_tokens": 512}, "line"),
    ],
)  # fmt: skip
def test_a_trace_is_replayed_with_the_steps_of_its_plan(times, given, first_is_of):
    # prompts of 500 and 1,500: each takes its share of what a mean one takes, on each stage of a pipeline; a step
    # carries as many tokens of prompts as one batch may have
    plan, prompts, outputs = plan_of(**given), [500, 1_500], [100, 400]
    workload = trace_of(times, prompts, outputs)
    service = InService(plan, workload)
    rate = len(times) / (times[-1] - times[0])
    found = service.at_rate(rate)
    pace = pace_of(plan, service.lengths)
    a_token = pace.prompt_s / 1_000 / plan.request.pipeline_parallel_size
    steps = [0.0] + [decode_s(service, float(count)) for count in range(1, 500)]
    prefill = [a_token * prompts[row % 2] for row in range(len(times))]
    many = [float(outputs[row % 2]) for row in range(len(times))]
    chunk = a_token * plan.request.max_num_batched_tokens
    expected = replay(times.tolist(), prefill, many, steps, chunk)
    assert found.decoding == pytest.approx(expected.decoding, rel=1e-6)
    assert found.dispersion == pytest.approx(max(1.0, expected.dispersion), rel=1e-6)
    # Little: 250 tokens each
    assert found.step_s == pytest.approx(expected.decoding / rate / 250, rel=1e-6)
    law = plan.rules.speed.first_token(pace.prompt_s, expected.decoding, found.step_s)
    line = (expected.requests - expected.decoding) / rate
    assert ("law" if law > line else "line") == first_is_of
    assert found.first_token_s == pytest.approx(max(law, line), rel=1e-6)
    assert found.requests == pytest.approx(found.decoding + rate * found.first_token_s, rel=1e-9)
    assert found.rate == rate
    # a trace has its own times: what is said of its windows is not counted again
    poisson = Workload(1.0, 1, 1, trace=workload.trace)
    assert service.with_decoding(8.0).dispersion == InService(plan, poisson).with_decoding(8.0).dispersion


def test_more_even_than_at_random_counts_as_at_random():
    found = InService(plan_of(), trace_of(numpy.arange(200) * 2.0)).at_rate(200 / 398)
    assert found.dispersion == 1.0


def test_who_all_come_at_once_leave_no_time_to_count():
    # the first twentieth has come when all others come: a step is that of one
    service = InService(plan_of(), trace_of([0.0] + [500.0] * 199))
    found = service.at_rate(200 / 500.0)
    step = speed(service.plan, 1, 1_000, 250, resident_tokens=service.lengths.resident).terms[-1].seconds
    assert (found.decoding, found.dispersion) == (0, 1.0)
    assert found.step_s == pytest.approx(decode_s(service, 2.0) + step, rel=1e-9)


def test_times_that_are_all_the_same_say_nothing():
    service = InService(plan_of(), trace_of([5.0] * 200))
    assert service.at_rate(1.0) == InService(plan_of(), Workload(200.0, 1, 1, trace=service.workload.trace)).at_rate(
        1.0
    )


def test_steps_of_numbers_between_those_that_are_worked_out():
    # sixty numbers up to twice 12,000, each as many times the one before it; between them as on a straight line
    plan = calculator.plan("qwen3-30b-a3b", gpu="h100-sxm", seq_len=8_192, kv_cache_memory_bytes=2**33)
    service = InService(plan, Workload(1.0, 1_000, 250, 0.0, 0.0))
    nodes = sorted({math.floor(24_000 ** (place / 59) + 1e-9) for place in range(60)})
    steps = service._steps
    assert len(steps) == 24_001
    for low, high in itertools.pairwise(nodes):
        middle = (low + high) // 2
        at = (middle - low) / (high - low)
        expected = (1 - at) * decode_s(service, low) + at * decode_s(service, high)
        assert steps[middle] == pytest.approx(expected, rel=1e-9), middle
    assert steps[24_000] == pytest.approx(decode_s(service, 24_000.0), rel=1e-9)


@pytest.mark.parametrize("count", [0.5, 40.0])
def test_a_crowd_of_experts_stretches_by_the_slope_of_its_step(count):
    # 128 experts, 8 for each token: their share is 1 - (15/16)^n, its slope -ln(15/16) (15/16)^n
    plan = calculator.plan("qwen3-30b-a3b", gpu="h100-sxm", seq_len=8_192, kv_cache_memory_bytes=2**33)
    service = InService(plan, Workload(1.0, 1_000, 250, 0.0, 0.0))
    pace = pace_of(plan, service.lengths)
    touched = -math.log(15 / 16) * (15 / 16) ** (count + 1)
    slope = pace.experts_s * touched + pace.kv_s + pace.compute_s + pace.links_s + 20e-6
    expected = 1 / (1 - count * slope / decode_s(service, count + 1))
    assert service.with_decoding(count).dispersion == pytest.approx(expected, rel=1e-3)
    stretch = expected - 1
    assert service.with_decoding(count).dispersion - 1 == pytest.approx(stretch, rel=2e-3)


def test_a_range_is_that_of_one_up_to_one():
    service = InService(plan_of(engine_version="0.10"), Workload(3.0, 1_000, 250, 0.0, 0.0))
    for count, group in ((1e-9, "one sequence"), (0.5, "one sequence"), (1.0, "one sequence"), (2.0, "dense")):
        assert service.range_of_speed(count) == pytest.approx(BANDS[group]), count


def test_alike_requests_of_one_token_have_no_spread():
    service = InService(plan_of(), Workload(3.0, 100, 1, 0.0, 0.0))
    assert service.tokens(service.with_decoding(1e-6))[1] < 0.6  # 100 or 101


def test_a_pool_of_one_block_holds_one_and_no_second():
    # 9 tokens in a block of 16: 1 - exp(-m) (1 + m) is 1 % at m = 0.1486
    service = InService(plan_of(16), Workload(3.0, 8, 1, 0.0, 0.0))
    found = service.largest(0.01)
    assert 1 - math.exp(-0.14855) * 1.14855 == pytest.approx(0.01, rel=1e-3)
    assert found.requests == pytest.approx(0.1486, rel=0.02)
    none = InService(plan_of(0), Workload(3.0, 8, 1, 0.0, 0.0))
    assert (none.largest(0.01).rate, none.largest(0.01).requests) == (0, 0)
    assert none.largest(0.01).step_s == pytest.approx(decode_s(none, 1.0), rel=1e-5)


# Pools of two kinds


@cache
def two_pools():
    """A plan of layers with a window and layers without: two pools of one stage."""
    return calculator.plan(
        "gpt-oss-20b", gpu="h100-sxm", engine="tensorrt-llm", seq_len=32_768, kv_cache_memory_bytes=4 * 2**30
    )


W = Workload(1.0, 1_000, 250)
EVEN = Workload(1.0, 1_000, 250, 0.0, 0.0)


def test_no_share_of_time_is_more_than_one():
    service = InService(two_pools(), EVEN)
    load = service.with_decoding(1e4)
    assert service.exceeded(load) == 1.0
    found = concurrency(two_pools(), W)
    assert risks(found, [10**6]) == (1.0,)


def test_the_fullest_stage_of_a_pipeline_says_how_often():
    # 11, 11 and 10 of 32 layers, and what stands beside them: the pools differ
    service = InService(calculator.plan("llama-3.1-8b", gpu="l4", pipeline_parallel_size=3, seq_len=8_192,
                                         kv_cache_memory_bytes=2**31), EVEN)  # fmt: skip
    load = service.largest(0.01)
    each = [pool.exceeded(load.requests, load.in_prefill, load.dispersion) for (pool,) in service.stages]
    assert len(each) == 3
    assert max(each) > 2 * min(each)
    assert service.exceeded(load) == max(each) == pytest.approx(0.01, rel=1e-3)


def test_the_tightest_pool_is_the_one_that_is_shown():
    plan = two_pools()
    found = concurrency(plan, W)
    (pools,) = loaded(plan, W)
    assert len({pool.free for pool in pools}) == len(pools) > 1
    held = [pool.most(0.01) for pool in pools]
    assert len(set(held)) > 1
    shown = holding(found, 10)
    assert (shown.free, shown.tokens) == (pools[held.index(min(held))].free, None)


def test_a_block_over_two_ranks_holds_twice_the_tokens():
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", tensor_parallel_size=16, decode_context_parallel_size=2, seq_len=4_096
    )
    held = holding(concurrency(plan, W), 10)
    assert held.tokens == 2 * 16 * held.free


def test_nothing_holds_nothing():
    shown = holding(concurrency(plan_of(0), W), 10)
    assert (shown.mean, shown.free, shown.tokens, shown.bins) == (0.0, 0, 0, ())


def test_what_is_held_begins_at_nothing():
    alike = concurrency(plan_of(160_000), trace_of([1.0], [100], [1]))
    (only,) = holding(alike, 10).bins  # 70 of 10,000 blocks, which is less than a 48th
    assert (only.low, only.high, only.share) == (0.0, pytest.approx(0.007), 1.0)
    # one of 7 or 14 blocks: 10.5 with a deviation of 3.5, four of which reach below nothing
    two = concurrency(plan_of(160_000), trace_of([1.0, 2.0], [100, 209], [1, 1]))
    first, second, *rest = holding(two, 1).bins
    width = 2 * 4 * 3.5 / 10_000 / 48
    assert first.low == 0.0 < first.high <= width + 1e-12
    assert second.high - second.low == pytest.approx(width)
    assert all(one.share >= 0 for one in (first, second, *rest))


def mixed(free, values, weights):
    blocks = numpy.array(values)
    return LoadedPool(Residents(blocks, numpy.array(weights)), blocks, free, None, 0)


def test_up_to_2048_are_left_to_the_law():
    # of 1 block, one in a hundred 101: mean 2, variance 99, third moment 9,702; at even odds 2 N may be as much as the
    # pool and 9,702 / 99 / 6 = 16.33 more: 2,048 of 4,080, 2,049 of 4,082. Skew 9.85 / 6 / sqrt(N) is 0.036 and not
    # trusted
    assert mixed(4_080, [1.0, 101.0], [0.99, 0.01])._expanded(0.5) == (2_048, True)
    assert mixed(4_082, [1.0, 101.0], [0.99, 0.01])._expanded(0.5) == (2_049, False)


@pytest.mark.parametrize(
    ("free", "most"),
    # of one block; the largest, of 1.001, is not seen: 2,000 or 1,998 for certain, two of which are one in a thousand
    [(2_000, 1_998), (1_999, 1_999), (1_001, 1_000), (999, 999)],
)
def test_what_fits_for_certain_within_one_in_a_thousand(free, most):
    # 1,999 / 1.001 = 1,997.003: two off, of which one would do; 1,001 / 1.001 = 1,000; 999 / 1.001 = 998.002
    assert mixed(free, [1.0, 1.001], [1.0, 0.0]).most(0.01) == most


# How often a queue throws out


def test_a_range_of_evictions_is_three_deviations_about_the_ends_of_the_pool():
    plan = calculator.plan("llama-3.1-8b", gpu="l4", weight_dtype="fp8", seq_len=8_192)
    rule, some = plan.rules.admission, Workload(1.0, 3_000, 500, 0.0, 1.0)
    pairs, each = some.pairs(8_192), []
    for seed, size in enumerate((plan.stage.usable_range[0], plan.stage.usable_bytes, plan.stage.usable_range[1])):
        free = int(plan.stage.geometry.counts(size, 8_192)[0]) - 1  # one is kept back
        lengths = pairs.prompt_tokens, pairs.output_tokens, pairs.weights
        each.append(settle(lambda tokens: -(-tokens // 16), free, *lengths, rule.watermark, 64, seed=seed))
    low, middle, high = (one.preemptions_per_request for one in each)
    assert low > middle > high > 0  # a smaller pool throws out more often
    lowest = min(one.preemptions_per_request - 3 * one.deviation for one in each)
    highest = max(one.preemptions_per_request + 3 * one.deviation for one in each)
    assert 0 < lowest < high < low < highest
    assert preemptions(plan, some, rule, 64, 0.01) == pytest.approx((lowest, middle, highest))
    assert thrown_out(plan, some, rule, 64, 0.01) == pytest.approx(middle)


# Ends of a curve


@pytest.mark.parametrize(
    ("tokens", "cv", "output"),
    # pools of few and of many: risks that begin above half of what is held, and below; that end before twice the even
    # odds, and beyond
    [(3_000, 3.0, 1), (8_000, 0.5, 1), (8_000, 3.0, 1), (20_000, 3.0, 1), (20_000, 3.0, 250), (400_000, 1.0, 250)],
)
def test_a_curve_goes_a_twentieth_beyond_what_is_shown(tokens, cv, output):
    found = concurrency(plan_of(tokens), Workload(1.0, 500, output, prompt_cv=cv, output_cv=0.0))
    first, last = max(1, found.sequences // 2), 2 * found.sequences_even + 4
    tried = sorted({first + round((last - first) * part / 400) for part in range(401)})
    shown = [count for count, risk in zip(tried, risks(found, tried), strict=True) if 1e-5 <= risk <= 0.999]
    marks = {found.sequences, found.sequences_even} - {0}
    shown = sorted({*shown, *marks})
    aside = max(1, (shown[-1] - shown[0]) // 20)
    begin, end = max(1, shown[0] - aside), shown[-1] + aside
    points = sorted({begin + round((end - begin) * part / 48) for part in range(49)} | marks)
    curve = risk_curve(found)
    assert [count for count, _ in curve] == points
    assert tuple(risk for _, risk in curve) == risks(found, points)


# Hosts behind the cache


def test_a_host_over_a_measured_link():
    # 1,008 tokens in blocks over PCIe 5.0: 56.9 GB/s, 57.1 at most and 12.3 at least
    found, size = host_tier(plan_of(10_000), 1_000), 1_008 * A_TOKEN
    for seconds, rate in ((found.load_s, 56.9), (found.load_s_low, 57.1), (found.load_s_high, 12.3)):
        assert seconds == pytest.approx(size / rate / 1e9, rel=1e-9)


@pytest.mark.parametrize(("seq_len", "pays"), [(8, 16), (16, None), (31, None), (32, 32), (48, 32)])
def test_loading_pays_from_a_block_on(seq_len, pays):
    # two FLOPs of each parameter in a matrix, and attention of 524,288 for each pair of tokens: at 24 tokens a token
    # takes as long to load as to compute, so that one block is computed and two are loaded; on a fast link one pays
    matrices, pairs = 2 * (8_030_261_248 - 128_256 * 4_096), 32 * 2 * 32 * 256
    plan = plan_of(10_000, seq_len=seq_len)
    link = A_TOKEN * plan.accelerator.bf16_tflops * 1e12 / 1.45 / (matrices + pairs * 24 / 2) / 1e9
    found = host_tier(plan, 16, host_gb_per_s=link if seq_len > 8 else 1e6)
    assert found.pays_from_tokens == pays


# What is answered of arrivals, rules and clients


def test_what_arrivals_hold_and_how_long_they_take():
    plan = plan_of()
    service, found = InService(plan, EVEN), calculator.open_arrivals(plan, EVEN, requests_per_second=8.0)
    load = service.at_rate(8.0)
    mean, variance = service.tokens(load)
    assert found.mean_tokens == pytest.approx(load.requests * mean)
    assert found.sd_tokens**2 == pytest.approx(load.requests * (variance + load.dispersion * mean**2))
    low, high = service.range_of_speed(load.decoding)
    exceeded = [service.exceeded(service.at_rate(8.0 * slower)) for slower in (low, 1.0, high)]
    assert [found.exceeded_low, found.exceeded, found.exceeded_high] == exceeded == sorted(exceeded)
    at = decoding_at(plan, EVEN, 8.0)
    assert (at.batch_size, at.time_per_output_token_s) == (load.decoding, load.step_s)
    assert (at.time_per_output_token_s_low, at.time_per_output_token_s_high) == (load.step_s * low, load.step_s * high)


def test_rules_of_a_replica_of_two_schedulers():
    # each of the two runs as many as its limit; beside them stands the rule without a limit, where memory holds more
    some = Workload(1.0, 100, 20, 0.0, 0.0)
    asked = {"gpu": "h200", "engine": "sglang", "tensor_parallel_size": 2, "enable_attention_dp": True,
             "kv_cache_memory_bytes": 2**26}  # fmt: skip
    plan = calculator.plan("deepseek-v2-lite", seq_len=4_096, max_num_seqs=4, **asked)
    own = [row for row in policies(plan, some) if row.own]
    assert [(row.max_num_seqs, row.running > 8) for row in own[:2]] == [(4, False), (None, True)]
    assert (own[0].running, own[0].engine, own[1].preemptions_low) == (8, "SGLang", None)
    one = plan_of(16 * 8 * 10)
    best = concurrency(one, some).max_num_seqs
    for limit, rows in ((best + 1, [best + 1, best]), (best, [best])):
        plan = calculator.vary(one, max_num_seqs=limit)
        assert [row.max_num_seqs for row in policies(plan, some) if row.own and row.max_num_seqs] == rows


def test_a_prompt_that_takes_longer_than_all_steps_bends_at_one():
    assert bend(plan_of(seq_len=131_072), Lengths(100_000, 1)).batch_size == 1


def test_clients_of_a_replica_that_hardly_work_or_find_no_memory():
    plan = plan_of(1_420 * 16)
    assert decoding(plan, 1e-6, Lengths(1_000, 250)) == 1e-3
    assert decoding(plan, 0.5, Lengths(1_000, 250)) < 0.5
    assert decoding(plan, 10, Lengths(1_000, None)) == decoding(plan, 10, Lengths(1_000, 1.0))
    none = plan_of(0)
    assert room(none, Lengths(1_000, 250)) == 0
    assert decoding(none, 10, Lengths(1_000, 250)) == pytest.approx(decoding(plan, 10, Lengths(1_000, 250)))
    whole = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", engine="tensorrt-llm", seq_len=8_192, kv_cache_memory_bytes=6_400 * 16 * A_TOKEN
    )
    blocks = whole.request.block_size
    at, over = (room(whole, Lengths(tokens * blocks, None)) for tokens in (10, 11))
    assert room(whole, Lengths(10 * blocks - 1, 1.0)) == at > room(whole, Lengths(10 * blocks, 1.0)) == over


def test_sparse_attention_reads_2048_latents_and_every_index_key():
    # 61 layers of 576 values in 16 bit, and 128 values of an index in 8 bit with a scale of four bytes
    plan = calculator.plan("deepseek-v3.2", gpu="h200", tensor_parallel_size=8, seq_len=8_192)
    index, latent = 61 * 132, 61 * 576 * 2

    def read(tokens):
        return kv_bytes_read(plan, 1, tokens)

    assert read(2_000) - read(1_000) == 1_000 * (index + latent)
    assert read(2_049) - read(2_047) == index + (index + latent)
    assert read(8_000) - read(2_048) == (8_000 - 2_048) * index


@pytest.mark.parametrize(("kind", "clients", "asked"), [("burst", None, 1e6), ("full", 200.0, 200), ("burst", 9.0, 9)])
def test_a_queue_is_judged_by_its_tokens_a_second(kind, clients, asked):
    keywords = {"engine": "vllm", "model": "llama-3.1-8b", "gpu": "h100-sxm", "weight_dtype": "bf16",
                "kv_cache_dtype": "auto", "seq_len": 1_250, "data_parallel_size": 2}  # fmt: skip
    row = Measured("a", kind, "s", keywords, 1_000.0, 250.0, None, clients, None, None, 400.0)
    found, each = _judge(row), speed(calculator.plan(**keywords), None, 1_000, 250, clients=asked / 2)
    assert found.rate_error == pytest.approx(2 * each.output_tokens_per_second / 400 - 1, rel=1e-12)
    assert (found.group, found.checked, found.step_error) == ("dense", each.checked, None)


@pytest.mark.parametrize(("off", "held"), [(0.79, True), (0.77, False), (1.38, True), (1.4, False)])
def test_a_step_is_in_range_within_that_of_its_group(off, held):
    # of dense models from 0.78 to 1.39
    keywords = {"engine": "vllm", "model": "llama-3.1-8b", "gpu": "h100-sxm", "weight_dtype": "bf16",
                "kv_cache_dtype": "auto", "seq_len": 1_250}  # fmt: skip
    step_s = speed(calculator.plan(**keywords), 16, 1_000, 250).time_per_output_token_s * off
    found = _judge(Measured("a", "static", "s", keywords, 1_000.0, 250.0, 16.0, None, step_s, None, None))
    assert (found.group, found.in_range) == ("dense", held)
    assert found.step_error == pytest.approx(1 / off - 1)
