"""Pools under load, laws of sums and replicas at a rate: by hand or computed apart from the package."""

import math
from math import comb

import numpy
import pytest

import calculator
from calculator.planning.traffic.arrivals.in_service import InService, Load
from calculator.planning.traffic.concurrency import concurrency
from calculator.planning.traffic.curves.risk import _steps, holding, risk_curve, risks
from calculator.planning.traffic.pools.loaded import LoadedPool, asked, held_between, held_by, share_of_risk
from calculator.planning.traffic.pools.queue import preemptions
from calculator.planning.traffic.residence import LawOfSum, Residents, _Transform, exceeding
from calculator.planning.traffic.timing.clients import decoding, room, running
from calculator.planning.traffic.timing.speed import speed
from calculator.planning.traffic.timing.step import Lengths
from calculator.planning.traffic.timing.work import Work
from calculator.planning.traffic.workload import Workload

A_TOKEN = 131_072  # bytes of Llama 3.1 8B: 2 x 8 x 128 x 32 layers x 2


def plan_of(tokens, **given):
    """Return a plan of Llama 3.1 8B whose pool holds so many tokens beside the block that is kept."""
    size = (tokens + 16) * A_TOKEN
    return calculator.plan(
        "llama-3.1-8b", **{"gpu": "h100-sxm", "kv_cache_memory_bytes": size, "seq_len": 8_192, **given}
    )


def trace_of(prompts, outputs, **more):
    return Workload(2.0, 1, 1, trace=(prompts, outputs), **more)


# The law of a sum


@pytest.mark.parametrize(
    ("reach", "mean", "steps"),
    # 4,096 steps, or eight for each resident of the mean up to the next power of two, no more than 32,768 or the grid
    [
        (1_024, 5, 1_024), (8_192, 100, 4_096), (2**20, 2_048, 4_096), (2**20, 2_047, 8_192), (2**20, 1_024, 8_192),
        (2**20, 1_023, 16_384), (2**20, 512, 16_384), (2**20, 511, 32_768), (2**20, 1, 32_768), (2**20, 0, 4_096),
        (8_192, 1, 8_192),
    ],
)  # fmt: skip
def test_the_steps_of_a_grid(reach, mean, steps):
    found = _Transform(numpy.array([float(mean)]), numpy.array([1.0]), reach)
    assert (found._steps, found._size, found._unit, found.mean) == (steps, 2 * steps, reach / steps, mean)


@pytest.mark.parametrize(
    ("pool", "reach"), [(1, 1_024), (1_024, 1_024), (1_025, 2_048), (4_096, 4_096), (4_097, 8_192)]
)
def test_the_grid_reaches_the_next_power_of_two(pool, reach):
    law = LawOfSum(numpy.array([1.0]), numpy.array([1.0]), pool)
    assert law._transform._unit * law._transform._steps == reach


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_law_between_the_steps_of_its_grid(count):
    # up to 16,384 in 4,096 steps of four: 1,000.5 is 250.125 steps, 3,001.25 is 750.3125
    values, weights = numpy.array([1_000.5, 3_001.25]), numpy.array([0.5, 0.5])
    one = numpy.zeros(4_097)
    one[[250, 251, 750, 751]] = 0.5 * 0.875, 0.5 * 0.125, 0.5 * 0.6875, 0.5 * 0.3125
    law = numpy.ones(1)
    for _ in range(count):
        law = numpy.convolve(law, one)[:4_097]
    upto = numpy.cumsum(law)
    ends = numpy.array([1_002.0, 2_001.0, 3_003.0, 4_003.0, 5_002.0, 7_003.0, 9_004.5, 16_000.0])
    below = (ends // 4).astype(int)
    expected = upto[below] + (ends / 4 - below) * (upto[below + 1] - upto[below])
    for pool, share in zip(ends, expected, strict=True):
        found = LawOfSum(values, weights, 16_384.0)
        assert found._transform.up_to(count, pool) == pytest.approx(share, abs=1e-7)
    found = LawOfSum(values, weights, 16_384.0)
    assert found.beyond(count, ends) == pytest.approx(1 - expected, abs=1e-7)
    assert found.exceeds(0) == 0.0


def test_whole_blocks_are_not_shared_out_between_steps():
    # one or two blocks with even odds: half of them hold more than 1, 1.25 and 1.5, two of them more than 2 in 3 of 4
    law = LawOfSum(numpy.array([1.0, 2.0]), numpy.array([0.5, 0.5]), 10)
    assert law.beyond(1, [0.5, 1.0, 1.25, 1.5, 2.0]) == pytest.approx([1, 0.5, 0.5, 0.5, 0], abs=1e-9)
    assert law._transform.up_to(1, 1.5) == pytest.approx(0.5, abs=1e-9)
    assert law._transform.up_to(2, 2.75) == pytest.approx(0.25, abs=1e-9)


def test_pools_of_one_grid_in_any_order():
    # one of ten residents holds 21 blocks, the others one: N + 20 K
    values, weights, known = numpy.array([1.0, 21.0]), numpy.array([0.9, 0.1]), {}

    def exceeds(count, pool):
        most = (pool - count) // 20
        return 1 - sum(comb(count, k) * 0.1**k * 0.9 ** (count - k) for k in range(min(most, count) + 1))

    for pool in (60, 400, 150, 100, 401, 61, 60, 400, 399, 1):
        exact = max([count for count in range(1, pool + 1) if exceeds(count, pool) <= 0.05], default=0)
        for near in (0, exact, exact + 40, 10**6):
            assert LawOfSum(values, weights, pool, {} if near else known).most(0.05, near) == exact, (pool, near)


@pytest.mark.parametrize("z", [2.0, 0.5, 0.0, -1.5])
@pytest.mark.parametrize("a", [0.05, 0.0, -0.03])
def test_the_expansion_solved_for_the_risk(z, a):
    # 25 residents of 100 each with a deviation of 10: 2,500 and 50; k3 = 6 a s^3 sqrt(N)
    third = 6 * a * 1_000 * 5
    pool = 2_500 + (z + a * (z * z - 1)) * 50
    found = exceeding((100.0, 100.0, third), pool, numpy.array([25, 0]))
    assert found.tolist() == pytest.approx([0.5 * math.erfc(z / math.sqrt(2)), 0.0], rel=1e-9)


def test_without_spread_a_pool_is_exceeded_or_not():
    assert exceeding((100.0, 0.0, 0.0), 1_000, numpy.array([9, 10, 11])).tolist() == [0, 0, 1]


# Pools


def pool_of(free, blocks=(4.0, 6.0), weights=(0.5, 0.5), known=None):
    some = Residents(numpy.array(blocks), numpy.array(weights), {} if known is None else known)
    return LoadedPool(some, numpy.array(blocks), free, None, 0)


def test_bounds_from_pools_that_are_near():
    pool = pool_of(1_100)
    key = "most", id(pool.blocks), 0.01
    pool.some.known[key] = [(900, 440), (1_000, 500), (1_150, 600), (2_000, 1_100)]
    # a pool 15 % larger: 500 less 2 and one in 500, 600 and 2 and one in 500
    assert pool.between(0.01) == (500 - 3, 600 + 3)
    pool.some.known[key] = [(1_000, 499), (1_150, 499)]
    assert pool.between(0.01) == (497, 501)
    pool.some.known[key] = [(1_100, 77), (1_150, 99)]
    assert pool.between(0.01) == (77, 77)
    pool.some.known[key] = [(1_095, 1), (1_099, 1), (1_101, 2)]
    assert pool.between(0.01) == (0, 4)
    # one that is further away says nothing: 5 blocks in the mean with a deviation of one, 2.3263 deviations
    for known in ([(1_000, 500), (1_151, 600)], [], [(1_050, 1)], [(1_101, 1)]):
        pool.some.known[key] = list(known)
        low, high = pool.between(0.01)
        assert low == high == int(((math.sqrt(2.3263**2 + 20 * 1_100) - 2.3263) / 10) ** 2)
        assert (1_100, low) in pool.some.known[key]


def test_what_takes_no_block_counts_as_one():
    pool = pool_of(7, (0.0, 0.0))
    assert pool.most(0.01) == 7
    assert pool.risks([7, 8], 0.01).tolist() == [0, 0]


def test_what_always_fits_is_the_answer_where_it_comes_near():
    # all of them 100 blocks but for one in a thousand of 99: no more than 10 hold 1,000 for certain
    assert pool_of(1_000, (100.0, 99.0), (0.999, 0.001)).most(0.01) == 10
    assert pool_of(999, (100.0, 99.0), (0.999, 0.001)).most(0.01) == 9


def test_a_stage_without_pools_holds_nobody():
    assert (held_by((), 0.01), held_between((), 0.01)) == (0, (0, 0))
    pools = pool_of(1_000, (10.0, 10.0)), pool_of(990, (9.0, 9.0))
    assert (held_by(pools, 0.01), held_between(pools, 0.01)) == (100, (100, 100))


def test_each_of_several_pools_has_its_part_of_a_small_risk():
    assert [share_of_risk(risk, 2) for risk in (0.01, 0.4999, 0.5)] == [0.005, 0.24995, 0.5]
    assert share_of_risk(0.03, 3) == 0.01


def test_two_traces_of_the_same_means_are_told_apart():
    plan = plan_of(10_000)
    keys = [asked(plan, trace_of(*lengths)) for lengths in (([1, 3], [2, 2]), ([2, 2], [1, 3]), ([1, 3], [2, 2]))]
    assert keys[0] == keys[2] != keys[1]
    assert asked(calculator.vary(plan, max_num_seqs=7), trace_of([1, 3], [2, 2])) != keys[0]


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm", "llama.cpp"])
def test_where_output_is_set_aside_nobody_is_thrown_out(engine):
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", engine=engine, seq_len=8_192, kv_cache_memory_bytes=20_000 * A_TOKEN
    )
    assert preemptions(plan, Workload(1.0, 1_000, 250), plan.rules.admission, 100, 0.01) == (0, 0, 0)


# A plan under load


def test_what_a_replica_holds_as_plain_values():
    found = concurrency(plan_of(1_600, seq_len=1_024), trace_of([100], [1]))
    plain = found.as_dict()
    assert [*plain] == [
        "schema_version", "fits", "finding", "sequences", "sequences_even", "mean_tokens", "sd_tokens", "saturated",
        "max_num_seqs", "risk", "preemptions_per_request", "workload", "request", "notes",
    ]  # fmt: skip
    # 101 tokens are 7 of 100 blocks
    assert [plain[name] for name in ("fits", "sequences", "sequences_even", "mean_tokens", "sd_tokens", "risk")] == [
        True, 14, 14, 101, 0, 0.01,
    ]  # fmt: skip
    assert plain["saturated"] == pytest.approx(100 / 7)
    assert (plain["workload"]["num_requests"], plain["request"]["seq_len"]) == (1, 1_024)
    assert found.servable == 14
    frame = found.frame()
    assert [*frame.columns][-3:] == [f"preemptions_per_request{end}" for end in ("", "_low", "_high")]
    low, central, high = found.preemptions_per_request
    assert frame.iloc[0, -3:].tolist() == [central, low, high]
    assert plain["preemptions_per_request"] == [low, central, high]


def test_points_of_a_curve():
    assert _steps(1, 5, 4) == [1, 2, 3, 4, 5]
    assert _steps(1, 5, 400) == [1, 2, 3, 4, 5]
    assert _steps(0, 100, 4) == [0, 25, 50, 75, 100]
    assert _steps(7, 7, 3) == [7]


def test_a_curve_has_its_marks_and_ends_beside_them():
    # all of them 7 blocks: 1,428 fit for certain, 1,429 not; a twentieth of nothing aside is one
    found = concurrency(plan_of(160_000), trace_of([100], [1]))
    assert risk_curve(found) == ((1_427, 0.0), (1_428, 0.0), (1_429, 1.0))
    assert risks(found, [1, 1_428, 1_429]) == (0, 0, 1)
    none = concurrency(plan_of(96), trace_of([100], [1]))
    assert (none.sequences_even, risk_curve(none)) == (0, ())


def test_what_requests_of_one_length_hold():
    held = holding(concurrency(plan_of(160_000), trace_of([100], [1])), 1_000)
    assert (held.mean, held.free, held.tokens) == (pytest.approx(0.7), 10_000, 160_000)
    (only,) = held.bins
    assert (only.low, only.high, only.share) == pytest.approx((0.7 - 1 / 48, 0.7, 1.0))


def test_what_requests_of_two_lengths_hold_by_the_binomial():
    # 7 or 14 blocks (101 or 210 tokens): of 930 the mean is 9,765, the deviation 3.5 x sqrt(930); four either way in
    # 48 bins, one of which ends where the pool does
    found = concurrency(plan_of(160_000), trace_of([100, 209], [1, 1]))
    held = holding(found, 930)
    assert held.mean == pytest.approx(0.9765)
    reach = 4 * 3.5 * math.sqrt(930) / 10_000
    width = 2 * reach / 48
    assert all(one.high - one.low == pytest.approx(width) for one in held.bins)
    assert min(abs(one.high - 1) for one in held.bins) < 1e-9
    assert held.bins[0].low <= 0.9765 - reach + 1e-9 < held.bins[0].low + 2 * width
    assert held.bins[-1].high >= 0.9765 + reach - 1e-9 > held.bins[-1].high - 2 * width
    assert sum(one.share for one in held.bins) == pytest.approx(1, abs=1e-3)
    mean = sum(one.share * (one.low + one.high) / 2 for one in held.bins)
    assert mean == pytest.approx(0.9765, abs=width / 2)


# A replica at a rate


@pytest.fixture(scope="module")
def service():
    return InService(plan_of(400_000), Workload(3.0, 1_000, 250, 0.0, 0.0, dispersion=3.0))


@pytest.mark.parametrize("count", [0.5, 20.0])
def test_a_replica_that_decodes_so_many(service, count):
    # one that decodes sees count others: the step of count + 1, and prefill of count
    def terms(number):
        found = speed(service.plan, number, 1_000, 250, resident_tokens=service.lengths.resident)
        return {term.name: term.seconds for term in found.terms}, found.prompt_compute_s

    others, prompt_s = terms(count + 1)
    decode_s = sum(seconds for name, seconds in others.items() if name != "prefill")
    step = decode_s + terms(count)[0]["prefill"]
    grows = (others["kv"] + others["compute"] + others["links"]) / (count + 1) + 20e-6  # of each sequence
    found = service.with_decoding(count)
    rate = count / (250 * step)
    first = service.plan.rules.speed.first_token(prompt_s, count, step)
    stretch = 1 / (1 - count * grows / decode_s)
    assert (found.rate, found.decoding, found.step_s) == pytest.approx((rate, count, step), rel=1e-9)
    assert (found.first_token_s, found.requests) == pytest.approx((first, count + rate * first), rel=1e-9)
    # bursts of all requests are those of its share: three of them a second come with two more than Poisson's
    assert found.dispersion == pytest.approx(stretch * (1 + 2 * rate / 3.0), rel=1e-6)


def test_a_replica_that_does_not_keep_up(service):
    over = service.at_rate(service.capacity)
    assert (over.rate, over.requests, over.decoding, over.first_token_s) == (service.capacity, *[math.inf] * 3)
    assert (over.step_s, over.dispersion, service.exceeded(over)) == (math.inf, 1.0, 1.0)
    assert service.at_rate(2.0).rate == pytest.approx(2.0, rel=1e-6)
    low, high = service.range_of_speed(20.0)
    found = speed(service.plan, 20, 1_000, 250, resident_tokens=service.lengths.resident)
    central = found.time_per_output_token_s
    assert (low, high) == pytest.approx(
        (found.time_per_output_token_s_low / central, found.time_per_output_token_s_high / central)
    )
    assert low < 1 < high


def test_tokens_of_requests_in_decode_and_in_prefill():
    # 11 and 31 in decode: 21 and 100; prompts of 10 and 30 seen a quarter and three quarters: 25 and 75
    one = InService(plan_of(400_000), trace_of([10, 30], [1, 1]))
    assert one.tokens(Load(1.0, 4.0, 3.0, 1.0, 1.0, 1.0)) == pytest.approx((22, 0.75 * 541 + 0.25 * 700 - 484))
    assert one.lengths == Lengths(20.0, 1.0, None, 21.0)
    stated = InService(plan_of(400_000), trace_of([10, 30], [1, 1]), 500.0)
    assert stated.lengths.computed == 20.0
    assert InService(plan_of(400_000), trace_of([10, 30], [1, 1], prefix_hit_rate=0.25)).lengths.computed == 15.0


def test_the_pools_of_a_replica_at_a_rate(service):
    load = service.at_rate(3.0)
    (pools,) = service.stages
    expected = sum(pool.exceeded(load.requests, load.in_prefill, load.dispersion) for pool in pools)
    assert service.exceeded(load) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    none = InService(plan_of(0, seq_len=16), Workload(3.0, 8, 8, 0.0, 0.0)).largest(0.01)
    assert (none.rate, none.requests, none.decoding, none.dispersion) == (0, 0, 0, 1)


def test_arrivals_up_to_their_bounds():
    plan, traffic = plan_of(400_000), Workload(3.0, 1_000, 250, 0.0, 0.0)
    found = calculator.open_arrivals(plan, traffic, requests_per_second=10**9)
    assert found.stable is False
    plain = found.as_dict()
    assert plain["schema_version"] == calculator.plan("llama-3.1-8b", gpu="h100-sxm").as_dict()["schema_version"]
    assert [name for name, value in plain.items() if value is None] == [
        "requests", "sd_requests", "batch_size", "mean_tokens", "sd_tokens", "time_to_first_token_s",
        "time_per_output_token_s",
    ]  # fmt: skip
    assert (found.exceeded, found.exceeded_low, found.exceeded_high) == (1, 1, 1)
    at = calculator.open_arrivals(calculator.vary(plan, data_parallel_size=2), traffic)
    assert at.requests_per_second == 1.5
    assert at.sd_requests == pytest.approx((at.requests * at.dispersion) ** 0.5, rel=1e-12)
    ratio = at.largest_requests_per_second_high / at.largest_requests_per_second_low
    low, high = InService(plan, traffic).range_of_speed(at.batch_size)
    assert ratio == pytest.approx(high / low, rel=1e-9)


# Clients


def test_requests_that_there_is_room_for():
    # 1,000 + 250 / 2 = 1,125 tokens are 71 of 1,420 blocks; vLLM keeps none free; one token more takes a block more
    plan = plan_of(1_420 * 16)
    assert room(plan, Lengths(1_000, 250)) == 20
    assert room(plan, Lengths(1_000, 272)) == 20  # 1,136 tokens
    assert room(plan, Lengths(1_000, 274)) == 19  # 1,137: 72 blocks
    assert room(plan, Lengths(1_000, 250, resident=568)) == 39  # 36 blocks
    assert room(plan, Lengths(1_000, None)) == 22  # 63 blocks
    assert running(calculator.vary(plan, max_num_seqs=5), Lengths(1_000, 250)) == 5
    assert running(plan, Lengths(1_000, 250)) == 20


def test_clients_of_a_closed_loop():
    plan = plan_of(1_420 * 16)
    lengths = Lengths(1_000, 250)
    count = decoding(plan, 10, lengths)
    found = speed(plan, count)
    first = plan.rules.speed.first_token(found.prompt_compute_s, count, found.time_per_output_token_s)
    answering = 250 * found.time_per_output_token_s
    assert count == pytest.approx(10 * answering / (first + answering), rel=1e-5)
    assert decoding(plan, 10_000, lengths) == 20  # as many as there is room for


@pytest.mark.parametrize(("experts", "each", "tokens", "share"), [(8, 2, 1, 0.25), (8, 2, 2, 0.4375), (0, 0, 5, 0.0)])
def test_experts_that_tokens_pass_through(experts, each, tokens, share):
    assert Work(1, 1, 1, 1, experts, each).touched(tokens) == share
