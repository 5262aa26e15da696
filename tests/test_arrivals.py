"""Open arrivals: requests in service and the odds of a full pool, against draws, replays and our own simulation."""

import heapq
import math
from dataclasses import replace

import numpy
import pytest

import calculator
from calculator.planning.traffic.arrivals.compound import compound
from calculator.planning.traffic.arrivals.in_service import InService
from calculator.planning.traffic.arrivals.open_arrivals import open_arrivals
from calculator.planning.traffic.arrivals.replay import replay
from calculator.planning.traffic.residence import residents

TOKEN = 131_072  # Llama 3.1 8B: 2 x 8 x 128 x 32 layers x 2 bytes
POOL = 459_000
CHAT = calculator.Workload(15.0, 1000, 250)


@pytest.fixture(scope="module")
def plan():
    return calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=131_072, kv_cache_memory_bytes=(POOL + 16) * TOKEN)


@pytest.fixture(scope="module")
def chat():
    """Blocks of 16 of a resident of lognormal lengths, and their shares."""
    some = residents(CHAT.pairs(131_072))
    return -(-some.tokens // 16).astype(float), some.weights


def odds(chat, pool_tokens):
    blocks, weights = chat
    return compound((blocks, blocks), (weights, weights), pool_tokens // 16)


def test_quantiles_of_a_compound_poisson_sum(chat):
    # R = 300: Cornish-Fisher of the compound sum gives 445,861 tokens at 1 % and 470,044 at 0.1 %
    assert odds(chat, 445_861).exceeded(300, 0, 1) == pytest.approx(0.01, rel=0.1)
    assert odds(chat, 470_044).exceeded(300, 0, 1) == pytest.approx(0.001, rel=0.15)


def test_requests_in_service_at_a_risk(chat):
    # m = 1258, s = 1050.8, skew 3.58: E[X^2] = 2.687e6, E[X^3] = 1.031e10, skew of the sum 2.34 / sqrt(R), so that
    # R m + 1639 sqrt(R) (3.09 + 2.34 / sqrt(R) 8.55 / 6) is 459,000 at R = 291 (296 without the skew)
    found = odds(chat, POOL)
    assert found.exceeded(291, 0, 1) == pytest.approx(0.001, rel=0.1)
    assert found.exceeded(296, 0, 1) > 0.0015


@pytest.mark.parametrize(("requests", "dispersion"), [(310, 1), (280, 4), (30, 40)])
def test_the_odds_are_those_of_draws(chat, requests, dispersion):
    blocks, weights = chat
    random = numpy.random.default_rng(5)
    draws = 20_000
    if dispersion == 1:
        counts = random.poisson(requests, draws)
    else:  # a Poisson number whose mean is gamma distributed
        counts = random.poisson(random.gamma(requests / (dispersion - 1), dispersion - 1, draws))
    assert counts.var() / counts.mean() == pytest.approx(dispersion, rel=0.05)
    drawn = blocks[numpy.searchsorted(weights.cumsum(), random.random(counts.sum()) * weights.sum())]
    sums = numpy.diff(numpy.concatenate([[0], drawn.cumsum()])[numpy.concatenate([[0], counts.cumsum()])])
    for pool in (350_000, POOL, 600_000):
        share = (sums > pool // 16).mean()
        tolerance = 4 * (share * (1 - share) / draws) ** 0.5 + 1e-4
        assert odds(chat, pool).exceeded(requests, 0, dispersion) == pytest.approx(share, abs=tolerance)


def test_a_large_pool_is_told_apart_coarsely_without_a_shift(chat):
    # 40 times the pool and the requests: by the normal law, whose quantile the sum of so many has
    blocks, weights = chat
    mean, square = (weights * blocks).sum(), (weights * blocks**2).sum()
    free = 8 * 10**5
    requests = free / mean
    for z, share in ((0.0, 0.5), (2.326, 0.01)):
        pool = int(free + z * (requests * square) ** 0.5)
        found = compound((blocks, blocks), (weights, weights), pool).exceeded(requests, 0, 1)
        assert found == pytest.approx(share, rel=0.15)


# replayed with steps of 0.1 s: variance over mean of the requests in service, standard deviation of the tokens [tokens]
@pytest.mark.parametrize(
    ("name", "dispersion", "deviation"), [("azure-2023-conversation", 2.1, 20_900), ("azure-2023-code", 17.5, 24_600)]
)
def test_traces_at_fixed_steps(name, dispersion, deviation):
    table = calculator.workload(name)
    order = numpy.argsort(table.times, kind="stable")
    found = replay(table.times[order].tolist(), [0.0] * len(order), table.trace[1][order].tolist(), [0.1] * 20_000, 1.0)
    assert found.dispersion == pytest.approx(dispersion, rel=0.02)
    some = residents(table.pairs(131_072))
    mean, variance, _ = some.moments(some.tokens)
    spread = (found.requests * (variance + found.dispersion * mean**2)) ** 0.5
    assert spread == pytest.approx(deviation, rel=0.01)


def shared(times, outputs, step_of):
    """Simulate requests whose steps last the longer the more there are: mean and variance over mean in service."""
    running, now, written, index = [], 0.0, 0.0, 0
    whole = first = second = 0.0
    while index < len(times):
        count = len(running)
        step = step_of(count)
        leaves = now + (running[0] - written) * step if count else float("inf")
        then = min(times[index], leaves)
        if index > len(times) // 10:
            whole, first, second = whole + then - now, first + count * (then - now), second + count**2 * (then - now)
        written, now = written + (then - now) / step, then
        if leaves <= times[index]:
            heapq.heappop(running)
        else:
            heapq.heappush(running, written + outputs[index])
            index += 1
    mean = first / whole
    return mean, (second / whole - mean**2) / mean


def test_the_number_in_service_of_poisson_arrivals(plan):
    rate = 18.0
    found = open_arrivals(plan, CHAT, requests_per_second=rate)
    pairs = CHAT.pairs(131_072)
    held = residents(pairs)
    lengths = pairs.mean(pairs.prompt_tokens), pairs.mean(pairs.output_tokens), held.moments(held.tokens)[0]

    def step_s(count):
        return calculator.speed(
            plan, max(1, count), lengths[0], None, resident_tokens=lengths[2]
        ).time_per_output_token_s

    prompt_s = calculator.speed(plan, 1, lengths[0], None).prompt_compute_s
    table = [step_s(count) / (1 - rate * prompt_s) for count in range(800)]
    random = numpy.random.default_rng(2)
    times = random.exponential(1 / rate, 60_000).cumsum().tolist()
    outputs = random.choice(pairs.output_tokens, 60_000, p=pairs.weights).tolist()
    mean, dispersion = shared(times, outputs, table.__getitem__)
    assert found.batch_size == pytest.approx(mean, rel=0.05)
    assert found.dispersion == pytest.approx(dispersion, rel=0.15)
    assert found.sd_requests == pytest.approx((found.requests * found.dispersion) ** 0.5)


def test_a_replay_is_a_shared_server():
    random = numpy.random.default_rng(4)
    times = random.exponential(1 / 30, 50_000).cumsum().tolist()
    outputs = numpy.maximum(1, random.exponential(250, 50_000)).tolist()
    found = replay(times, [0.0] * 50_000, outputs, [0.01 + 1e-4 * count for count in range(5000)], 1.0)
    # a = 10 ms, b = 0.1 ms, about 30 x 250 tokens a second: mean (q + q a / b) / (1 - q) with q = tokens a second x b
    q = 1e-4 * sum(outputs) / times[-1]
    assert found.requests == pytest.approx((q + 100 * q) / (1 - q), rel=0.02)
    assert found.dispersion == pytest.approx(1 / (1 - q), rel=0.1)
    assert found.decoding == pytest.approx(found.requests, rel=1e-9)


def test_a_replay_by_hand():
    # A decodes alone from 0 to 0.1 s: 10 steps of 10 ms. B's prompt of 40 ms goes in four parts of 10 ms beside A's
    # steps, up to 0.18 s; both decode, ten steps of 12 ms, up to 0.3 s; A's last 76 steps end at 1.06 s; C comes at 2 s
    found = replay([0.0, 0.1, 2.0], [0.0, 0.04, 1.0], [100, 10, 1], [0.0, 0.010, 0.012], 0.01)
    assert found.requests == pytest.approx((0.1 + 2 * 0.2 + 0.76) / 2)
    assert found.decoding == pytest.approx((0.1 + 0.08 + 2 * 0.12 + 0.76) / 2)
    square = (0.1 + 4 * 0.2 + 0.76) / 2
    assert found.dispersion == pytest.approx((square - 0.63**2) / 0.63)


def test_a_replay_of_prompts_is_a_queue():
    # one token of output, prompts of 10 ms: M/D/1 at a load of 0.5 has 0.5 + 0.25 / 2 / 0.5 = 0.75 in it in the mean
    random = numpy.random.default_rng(4)
    times = random.exponential(0.02, 50_000).cumsum().tolist()
    found = replay(times, [0.01] * 50_000, [1e-9] * 50_000, [1e-9] * 5000, 1.0)
    assert found.requests == pytest.approx(0.75, rel=0.03)
    assert found.decoding < 1e-3


def test_little_holds(plan):
    found = open_arrivals(plan, CHAT)
    stay = found.time_to_first_token_s + 250 * found.time_per_output_token_s
    assert found.requests == pytest.approx(15 * stay, rel=2e-3)
    assert found.batch_size == pytest.approx(15 * 250 * found.time_per_output_token_s, rel=2e-3)


def test_the_largest_rate_is_the_one_at_the_risk(plan):
    for traffic in (CHAT, calculator.workload("azure-2023-conversation")):
        found = open_arrivals(plan, traffic, risk=0.01)
        at = open_arrivals(plan, traffic, risk=0.01, requests_per_second=found.largest_requests_per_second)
        assert at.exceeded == pytest.approx(0.01, rel=0.1)
        assert at.requests == pytest.approx(found.largest_requests, rel=1e-3)
        assert (
            found.largest_requests_per_second_low
            < found.largest_requests_per_second
            < found.largest_requests_per_second_high
        )
        assert at.exceeded_low < at.exceeded < at.exceeded_high


def test_uneven_traffic_takes_a_lower_rate(plan):
    largest = {
        dispersion: open_arrivals(plan, replace(CHAT, dispersion=dispersion)).largest_requests_per_second
        for dispersion in (1.0, 5.0, 20.0)
    }
    assert largest[1.0] > largest[5.0] > largest[20.0]
    # bursts are common to all: half of the traffic has half of what exceeds Poisson's
    whole, half = (
        InService(plan, replace(CHAT, dispersion=9.0)).at_rate(rate).dispersion
        / InService(plan, CHAT).at_rate(rate).dispersion
        for rate in (15.0, 7.5)
    )
    assert (whole, half) == pytest.approx((9, 5))


def test_ranks_that_serve_requests_of_their_own_share_what_comes():
    asked = {"gpu": "h200", "engine": "sglang", "tensor_parallel_size": 8, "enable_attention_dp": True}
    plan = calculator.plan("deepseek-r1", seq_len=65_536, **asked)
    service = InService(plan, replace(CHAT, dispersion=9.0))
    load = service.at_rate(20.0)
    ((pool,),) = service.stages
    # an eighth of the requests, and an eighth of what exceeds Poisson's
    own = 1 + (load.dispersion - 1) / 8
    assert service.exceeded(load) == pool.exceeded(load.requests / 8, load.in_prefill, own)
    assert 1e-6 < service.exceeded(load) < 0.9


def test_a_rate_of_replicas(plan):
    two = calculator.vary(plan, data_parallel_size=2)
    assert open_arrivals(two, CHAT).requests_per_second == 7.5
    assert open_arrivals(two, CHAT).requests == pytest.approx(
        open_arrivals(plan, CHAT, requests_per_second=7.5).requests
    )


def test_what_a_cache_finds_need_not_be_computed(plan):
    less = open_arrivals(plan, CHAT, computed_prompt_tokens=500)
    assert less.largest_requests_per_second > 1.2 * open_arrivals(plan, CHAT).largest_requests_per_second


def test_rates_far_out(plan):
    none = open_arrivals(plan, CHAT, requests_per_second=1e-9)
    assert none.stable
    assert none.requests < 1e-8
    assert (none.exceeded, none.dispersion) == (0, pytest.approx(1))
    flood = open_arrivals(plan, CHAT, requests_per_second=1e9)
    assert (flood.stable, flood.requests, flood.exceeded) == (False, float("inf"), 1.0)
    assert open_arrivals(plan, calculator.workload("mooncake-conversation")).stable is False


def test_a_trace_far_from_its_own_rate(plan):
    # one request a day, and 10^6 times as many; 10^6 a second, and one in 10^6 of them
    lengths = {"input_tokens": [1000] * 200, "output_tokens": [250] * 200}
    rare = calculator.workload_from_trace({**lengths, "timestamp_s": numpy.arange(200) * 86_400.0})
    found = open_arrivals(plan, rare)
    assert found.dispersion == pytest.approx(1, abs=1e-3)
    same = calculator.Workload(1.0, 1000, 250, 0, 0)
    assert found.largest_requests_per_second == pytest.approx(
        open_arrivals(plan, same).largest_requests_per_second, rel=0.1
    )
    assert found.stable
    often = calculator.workload_from_trace({**lengths, "timestamp_s": numpy.arange(200) / 1e6})
    assert open_arrivals(plan, often, requests_per_second=1.0).stable


@pytest.mark.parametrize(
    "asked",
    [
        {"engine": "llama.cpp"},
        {"engine": "tensorrt-llm", "tensor_parallel_size": 2},
        {"model": "gpt-oss-120b", "tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        {
            "model": "deepseek-r1",
            "gpu": "h200",
            "engine": "sglang",
            "tensor_parallel_size": 8,
            "enable_attention_dp": True,
        },
        {"model": "gemma-3-27b"},
    ],
    ids=lambda asked: "-".join(map(str, asked.values())),
)
def test_every_kind_of_plan_has_a_largest_rate(asked):
    plan = calculator.plan(**{"model": "llama-3.1-8b", "gpu": "h100-sxm", "seq_len": 8192, **asked})
    found = open_arrivals(plan, CHAT, requests_per_second=0.5)
    assert found.largest_requests_per_second > 0.5
    assert found.largest_requests < calculator.concurrency(plan, CHAT).sequences
    at = open_arrivals(plan, CHAT, requests_per_second=found.largest_requests_per_second)
    assert at.exceeded == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("cvs", [(0, 0), (100, 100), (0, 100)])
def test_variations_far_out(plan, cvs):
    found = open_arrivals(plan, calculator.Workload(1.0, 1000, 250, *cvs))
    assert 0 <= found.exceeded <= 1
    assert found.largest_requests_per_second > 0


def test_a_pool_that_holds_nothing_takes_no_rate(plan):
    none = calculator.plan("llama-3-70b", gpu="h100-sxm", seq_len=8192)
    found = open_arrivals(none, CHAT)
    assert (found.largest_requests_per_second, found.largest_requests) == (0, 0)
    tiny = calculator.vary(plan, kv_cache_memory_bytes=2 * 16 * TOKEN)  # one block beside the one that is kept
    assert open_arrivals(tiny, CHAT).largest_requests < 0.011


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1e10, "5", True])
def test_a_rate_out_of_bounds_is_refused(plan, rate):
    with pytest.raises(calculator.CalculatorError, match=r"requests_per_second must be more than 0 and at most 1e\+09"):
        open_arrivals(plan, CHAT, requests_per_second=rate)


def test_a_risk_out_of_bounds_is_refused(plan):
    with pytest.raises(calculator.CalculatorError, match="risk must be"):
        open_arrivals(plan, CHAT, risk=0)


@pytest.mark.parametrize("dispersion", [1.0, 1.0 + 1e-12, 1.5, 4.0])
@pytest.mark.parametrize(
    ("free", "in_prefill", "mean"), [(0, 0.0, 0.7), (5, 0.25, 2.0), (40, 0.4, 9.0), (40, 1.0, 3.0)]
)
def test_the_odds_are_those_of_a_sum_over_all_numbers(free, in_prefill, mean, dispersion):
    # requests of 1 or 3 blocks in decode, of 2 or 7 in prefill: sums are convolved request by request, each number of
    # requests with its own probability, Poisson's m^n e^-m / n!, or the negative binomial's with r = m / (D - 1)
    decode, prefill = ([1, 3], [0.75, 0.25]), ([2, 7], [0.5, 0.5])
    one = numpy.zeros(free + 8)
    for share, (blocks, weights) in ((1 - in_prefill, decode), (in_prefill, prefill)):
        numpy.add.at(one, blocks, share * numpy.array(weights))
    held, fits = numpy.ones(1), 0.0
    size = mean / (dispersion - 1) if dispersion > 1.001 else None
    probability = math.exp(-mean) if size is None else dispersion**-size
    for number in range(400):
        fits += probability * held[: free + 1].sum()
        held = numpy.convolve(held, one)[: free + 1]
        stretch = mean if size is None else (size + number) * (1 - 1 / dispersion)
        probability *= stretch / (number + 1)
    parts = (numpy.array(decode[0]), numpy.array(prefill[0])), (numpy.array(decode[1]), numpy.array(prefill[1]))
    found = compound(*parts, free).exceeded(mean, in_prefill, dispersion)
    assert found == pytest.approx(1 - fits, abs=1e-7)


def test_what_is_hardly_ever_exceeded_never_is():
    one = (numpy.array([1]), numpy.array([1])), (numpy.array([1.0]), numpy.array([1.0]))
    # Poisson of mean 1: more than 12 have the odds 6.4e-11, more than 8 1.1e-6
    assert compound(*one, 12).exceeded(1.0, 0.0, 1.0) == 0.0
    assert compound(*one, 8).exceeded(1.0, 0.0, 1.0) == pytest.approx(1.125e-6, rel=1e-2)
