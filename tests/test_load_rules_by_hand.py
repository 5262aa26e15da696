"""A replica under load, rule by rule: the parts of a step, who is in service, pools that are near to one another."""

from dataclasses import replace
from math import comb, exp, factorial, gamma, log

import numpy
import pytest

import calculator
from calculator.planning.traffic.admission import settle, steps_for
from calculator.planning.traffic.arrivals.compound import compound
from calculator.planning.traffic.arrivals.in_service import InService, Load, _most
from calculator.planning.traffic.pools.loaded import (
    LoadedPool,
    free_pools,
    held_between,
    held_by,
    loaded,
    share_of_risk,
    tightest_pool,
)
from calculator.planning.traffic.residence import LawOfSum, Residents, exceeding
from calculator.planning.traffic.reuse.prefixes import (
    Prefixes,
    _ids,
    caches_prefixes,
    computed_tokens,
    hit_tokens,
    states_sharing,
)
from calculator.planning.traffic.timing.step import Lengths, Pace, pace_of
from calculator.planning.traffic.timing.work import Work, attention_flops, kv_bytes_read, work_of

GIB = 2**30


def planned(**asked):
    return calculator.plan("llama-3.1-8b", gpu="h100-sxm", **{"seq_len": 4_096, **asked})


# The parts of a step


@pytest.mark.parametrize(
    ("stages", "sharing", "count", "each", "touched"),
    # a stage has its share of the sequences, at least one whole; of 8 experts each token passes through 2
    [(1, 1, 4.0, 4.0, 1 - 0.75**4), (2, 1, 4.0, 2.0, 1 - 0.75**2), (4, 1, 2.0, 1.0, 0.25),
     (4, 1, 0.5, 0.5, 1 - 0.75**0.5),
     (1, 3, 2.0, 2.0, 1 - 0.75**6)],
)  # fmt: skip
def test_a_step_is_the_sum_of_its_parts(stages, sharing, count, each, touched):
    pace = Pace(
        stages=stages, weights_s=1.0, experts_s=10.0, kv_s=100.0, compute_s=1e3, links_s=1e4, launch_s=1e5,
        prompt_s=1e6, alone_s=7.0, output=50.0, sharing=sharing, work=Work(0, 0, 0, 0, 8, 2),
    )  # fmt: skip
    step = pace.at(count)
    assert {term.name: term.seconds for term in step.terms} == pytest.approx({
        "weights": 1 + 10 * touched, "kv": 100 * each, "compute": 1e3 * each, "links": 1e4 * each,
        "launch": 1e5 + 20e-6 * each, "prefill": each / 50 * 1e6,
    })  # fmt: skip
    assert step.seconds == pytest.approx(pace.seconds(count)) == pytest.approx(sum(one.seconds for one in step.terms))
    assert (step.launch_s, step.prompt_s, step.alone_s) == (1e5, 1e6, 7.0)
    without = replace(pace, output=None)
    assert without.at(count).terms[-1].seconds == 0.0
    assert pace.seconds(count) - without.seconds(count) == pytest.approx(each / 50 * 1e6)


def test_what_a_sequence_holds_in_the_mean():
    assert Lengths(100, 50).held == 125
    assert Lengths(100, None).held == 100
    assert Lengths(100, 50, None, 7).held == 7
    assert Work(0, 0, 0, 0, 0, 2).touched(5) == 0


def test_weights_of_a_dense_model_are_read_once_by_all_ranks():
    # all but the input embedding, in 16 bit; two all-reduces of h elements a layer, of which a rank sends 2 (n - 1) / n
    dense = 2 * (8_030_261_248 - 128_256 * 4_096)
    for ranks in (1, 2, 4):
        plan = planned(tensor_parallel_size=ranks)
        pace = pace_of(plan, Lengths(1_000, 250))
        assert pace.weights_s == pytest.approx(dense / ranks / 3.35e12)
        assert pace.experts_s == 0
        bus = plan.rules.speed.bus_gb_per_s(plan) * 1e9 if ranks > 1 else 1.0
        sent = 2 * (ranks - 1) / ranks * 4_096 * 2
        assert pace.links_s == pytest.approx(1.8 * 2 * 32 * sent / bus)
        # a prompt sends as much for each of its tokens
        half = pace_of(plan, Lengths(1_000, 250, 500))
        assert pace.alone_s - pace.prompt_s == pytest.approx(pace.weights_s + pace.launch_s + 20e-6)
        assert half.prompt_s < pace.prompt_s
        assert half.weights_s == pace.weights_s
    nothing = pace_of(plan, Lengths(1_000, 250, 0))
    assert nothing.prompt_s == 0


# Who is in service


W = calculator.Workload(2.0, 1_000, 250, prompt_cv=0.0, output_cv=0.0, dispersion=3.0)


@pytest.mark.parametrize("count", [0.5, 8.0, 60.0])
def test_a_load_by_its_equations(count):
    plan = planned()
    service = InService(plan, W)
    load = service.with_decoding(count)
    pace = pace_of(plan, service.lengths)
    assert (service.lengths.prompt, service.lengths.output) == (1_000, 250)
    # one that decodes sees as many others beside itself; prefill is that of so many

    def decode(number):
        return sum(term.seconds for term in pace.at(number).terms if term.name != "prefill")

    prefill = next(term.seconds for term in pace.at(count).terms if term.name == "prefill")
    step = decode(count + 1) + prefill
    assert load.step_s == pytest.approx(step)
    assert load.rate == pytest.approx(count / (250 * step))
    assert load.first_token_s == pytest.approx(plan.rules.speed.first_token(pace.prompt_s, count, step))
    assert load.decoding == count
    assert load.requests == pytest.approx(count + load.rate * load.first_token_s)
    assert load.in_prefill == pytest.approx(1 - count / load.requests)
    grows = (decode(count + 1.5) - decode(count + 0.5)) * count / decode(count + 1)
    own = 1 + 2 * load.rate / 2.0
    assert load.dispersion == pytest.approx(own / (1 - grows), rel=1e-3)
    even = InService(plan, replace(W, dispersion=1.0)).with_decoding(count)
    assert even.dispersion == pytest.approx(1 / (1 - grows), rel=1e-3)
    fewer = InService(plan, replace(W, dispersion=0.5)).with_decoding(count)  # more even than Poisson counts as it
    assert fewer.dispersion == pytest.approx(even.dispersion)


def test_tokens_of_those_in_prefill_and_in_decode():
    service = InService(planned(), W)
    # in decode 1,001 to 1,250 tokens, each as often; in prefill 1,000
    mean, variance = 1_125.5, (250**2 - 1) / 12
    for share in (0.0, 0.25, 1.0):
        load = Load(1.0, 8.0, 8.0 * (1 - share), 1.0, 1.0, 1.0)
        both = (1 - share) * mean + share * 1_000
        square = (1 - share) * (variance + mean**2) + share * 1_000**2
        assert service.tokens(load) == pytest.approx((both, square - both**2), abs=1e-6)
    assert Load(1.0, float("inf"), 5.0, 1.0, 1.0, 1.0).in_prefill == 0
    assert Load(0.0, 0.0, 0.0, 1.0, 1.0, 1.0).in_prefill == 0


def test_a_rate_beyond_the_capacity_is_not_kept_up_with():
    service = InService(planned(), W)
    over = service.at_rate(service.capacity)
    assert (over.requests, over.decoding, over.dispersion) == (float("inf"), float("inf"), 1.0)
    assert service.exceeded(over) == 1.0
    for rate in (0.1, 0.5 * service.capacity, 0.9 * service.capacity):
        assert service.at_rate(rate).rate == pytest.approx(rate, rel=1e-6)


def test_the_largest_that_holds_is_bisected_by_its_logarithm():
    assert _most(lambda x: x, lambda x: x <= 5, 1e-3, 1e3) == pytest.approx(5, rel=1e-8)
    assert _most(lambda x: x, lambda _: False, 1e-3, 1e3) == pytest.approx(1e-3)
    assert _most(lambda x: x, lambda _: True, 1e-3, 1e3) == pytest.approx(1e3, rel=1e-8)
    assert _most(lambda x: x, lambda _: True, 1.0, 100.0, 1) == pytest.approx(10)
    tried = []
    _most(lambda x: x, lambda x: tried.append(x) or x <= 5, 1e-3, 1e3)
    assert len(tried) == 36
    assert tried[0] == pytest.approx(1)
    assert log(tried[1] / tried[0]) == pytest.approx(log(1e3) / 2)


# Pools


def test_the_risk_of_several_pools_is_shared():
    assert [share_of_risk(0.01, 1), share_of_risk(0.01, 2), share_of_risk(0.4, 4)] == [0.01, 0.005, 0.1]
    assert [share_of_risk(0.5, 1), share_of_risk(0.5, 3)] == [0.5, 0.5]  # even odds of each stay even


def test_free_blocks_of_a_pool():
    # blocks of 16 tokens of 131,072 bytes; one is kept back
    plan = planned(kv_cache_memory_bytes=2_000 * 16 * 131_072)
    plain = calculator.Workload(1.0, 1_000, 250)
    ((pool, free, shared),) = free_pools(plan.stage, plan, plain)
    assert (free, shared) == (1_999, 0)
    assert pool.blocks(17) == 2
    for prefix, blocks in ((15, 0), (16, 1), (500, 31)):
        some = replace(plain, shared_prefix_tokens=prefix)
        assert free_pools(plan.stage, plan, some)[0][1:] == (1_999 - blocks, blocks)
    assert free_pools(plan.stage, plan, plain, 16 * 131_072)[0][1] == 0
    assert free_pools(plan.stage, plan, plain, 0)[0][1] == 0


def pool_of(free, values=(1, 21), weights=(0.9, 0.1)):
    """Residents of one block or of 21, and a pool of so many."""
    some = Residents(numpy.array(values), numpy.array(weights))
    return LoadedPool(some, numpy.asarray(values, dtype=float), free, None, 0)


def binomial(free, risk):
    """The most of which N + 20 K exceed a pool at no more than a risk, K of N with a chance of one in ten."""

    def exceeds(count):
        most = (free - count) // 20
        return 1 - sum(comb(count, k) * 0.1**k * 0.9 ** (count - k) for k in range(min(most, count) + 1))

    return max((count for count in range(1, free + 1) if exceeds(count) <= risk), default=0)


@pytest.mark.parametrize("risk", [0.5, 0.1, 0.01])
def test_the_most_of_a_pool_by_the_binomial(risk):
    for free in (60, 150, 400):
        assert pool_of(free).most(risk) == binomial(free, risk), free


def test_a_law_finds_its_most_wherever_it_looks_first():
    values, weights, known = numpy.array([1.0, 21.0]), numpy.array([0.9, 0.1]), {}
    exact = {free: binomial(free, 0.01) for free in (60, 100, 150, 200, 300, 400)}
    for free, near in ((200, 0), (60, 10**6), (400, 5), (150, 1), (300, 300), (100, -5), (200, 7)):
        law = LawOfSum(values, weights, free, known)
        assert law.most(0.01, near) == exact[free], free
    # all of them share a grid, where what was found stands in order
    ((transform, _),) = (one for key, one in known.items() if key[0] == "transform")
    assert transform.found[0.01] == sorted((free, exact[free]) for free in exact)
    # told where to look, it looks at few
    fresh = LawOfSum(values, weights, 400)
    assert fresh.most(0.01, exact[400]) == exact[400]
    assert len(fresh._transform._by_count) <= 3


def test_bounds_from_pools_that_are_near():
    some = pool_of(400).some
    blocks = numpy.array([1.0, 21.0])
    pools = {free: LoadedPool(some, blocks, free, None, 0) for free in (400, 440, 420, 470, 900)}
    exact = {free: pools[free].most(0.01) for free in pools}
    assert pools[400].between(0.01) == (exact[400],) * 2
    assert pools[440].between(0.01) == (exact[440],) * 2  # 400 alone says nothing of it
    assert pools[400].between(0.01) == (exact[400],) * 2
    # between two that are no more than 15 % apart: two more and a five-hundredth either way
    low, high = pools[420].between(0.01)
    assert (low, high) == (exact[400] - 2 - exact[400] // 500, exact[440] + 2 + exact[440] // 500)
    assert low <= exact[420] <= high
    assert pools[900].between(0.01) == (exact[900],) * 2
    assert pools[470].between(0.01) == (exact[470],) * 2  # 440 and 900 are too far apart
    assert held_by([pools[900], pools[420]], 0.5) == pools[420].most(0.5)
    assert held_between([pools[400], pools[900]], 0.5) == (pools[400].most(0.5),) * 2
    assert (held_by([], 0.01), held_between([], 0.01)) == (0, (0, 0))


def test_risks_of_a_pool():
    pool = pool_of(150)
    # 7 of 21 blocks always fit; beyond, by the binomial
    counts = [0, 7, 8, 30, 60]
    expected = [0.0, 0.0] + [
        1 - sum(comb(n, k) * 0.1**k * 0.9 ** (n - k) for k in range(min(n, (150 - n) // 20) + 1)) for n in counts[2:]
    ]  # fmt: skip
    assert pool.risks(counts, 0.01) == pytest.approx(expected, abs=1e-6)
    nothing = pool_of(150, (0,), (1.0,))
    assert nothing.most(0.01) == 150  # what takes none counts as a block
    alike = pool_of(150, (10,), (1.0,))
    assert alike.most(0.01) == 15
    assert alike.risks([15, 16], 0.01).tolist() == [0.0, 1.0]


def test_the_tightest_of_pools_and_stages():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4_096, pipeline_parallel_size=2)
    some = calculator.Workload(1.0, 1_000, 250)
    stages = loaded(plan, some)
    held = [held_by(pools, 0.01) for pools in stages]
    stage, pool = tightest_pool(plan, some, 0.01)
    assert (held[stage], pool) == (min(held), 0)
    windows = calculator.plan("gpt-oss-20b", gpu="h100-sxm", seq_len=32_768, kv_cache_memory_bytes=4 * GIB)
    (pools,) = loaded(windows, some)
    each = [one.most(0.01 / len(pools)) for one in pools]
    assert each[tightest_pool(windows, some, 0.01)[1]] == min(each) == held_by(pools, 0.01)


# Blocks of a random number of requests


@pytest.mark.parametrize("dispersion", [1.0, 2.5])
@pytest.mark.parametrize("in_prefill", [0.0, 0.3])
def test_a_sum_of_a_random_number_of_blocks(dispersion, in_prefill):
    # each takes 2 blocks in decode, 3 in prefill; their number is Poisson of mean 4, or negative binomial
    free, mean = 9, 4.0
    law = compound((numpy.array([2.0]), numpy.array([3.0])), (numpy.array([1.0]), numpy.array([1.0])), free)
    if dispersion == 1:
        chance = [exp(-mean) * mean**n / factorial(n) for n in range(20)]
    else:
        size, rate = mean / (dispersion - 1), 1 / dispersion
        chance = [gamma(size + n) / gamma(size) / factorial(n) * rate**size * (1 - rate) ** n for n in range(20)]
    fits = 0.0
    for n, share in enumerate(chance):
        for k in range(n + 1):  # so many of them in prefill
            if 2 * (n - k) + 3 * k <= free:
                fits += share * comb(n, k) * in_prefill**k * (1 - in_prefill) ** (n - k)
    assert law.exceeded(mean, in_prefill, dispersion) == pytest.approx(1 - fits, abs=1e-9)
    assert law.exceeded(1e-13, in_prefill, dispersion) == 0.0
    assert law.exceeded(1e4, in_prefill, dispersion) == pytest.approx(1.0)


def test_what_exceeds_a_pool_by_itself_never_fits():
    law = compound((numpy.array([2.0, 50.0]), numpy.array([1.0])), (numpy.array([0.5, 0.5]), numpy.array([1.0])), 9)
    # one that fits and one that does not: none of the second, at most four of the first, each Poisson of mean 1
    some = sum(exp(-1) / factorial(n) for n in range(5))
    assert law.exceeded(2.0, 0.0, 1.0) == pytest.approx(1 - exp(-1) * some, abs=1e-9)
    # of a pool of a million blocks 2^15 parts are told apart: of two parts each 16,384 fit, with a deviation of 128
    part = 10**6 / 2**15
    large = compound((numpy.array([2 * part]), numpy.array([1.0])), (numpy.array([1.0]), numpy.array([1.0])), 10**6)
    assert large.exceeded(16_384 - 7 * 128, 0.0, 1.0) < 1e-9
    assert large.exceeded(16_384, 0.0, 1.0) == pytest.approx(0.5, abs=0.01)
    assert large.exceeded(16_384 + 7 * 132, 0.0, 1.0) > 1 - 1e-9
    # what lies between two parts is shared out over both, so that its mean stays
    between = compound(
        (numpy.array([50.5 * part]), numpy.array([1.0])), (numpy.array([1.0]), numpy.array([1.0])), 10**6
    )
    assert between.exceeded(2**15 / 50.5, 0.0, 1.0) == pytest.approx(0.5, abs=0.02)


# Prefixes


def test_ids_of_blocks_as_they_are_written():
    for cell, most, found in (
        ("0 14-16", 4, [0, 14, 15, 16]), ("[1, 2,3]", 3, [1, 2, 3]), ("5", 1, [5]), ("7-7", 1, [7]), ("", 0, []),
        ("0 14-16", 3, None), ("1 2", 1, None), ("3-2", 4, None), ("x", 4, None), ("1-", 4, None), ([1, 2], 2, [1, 2]),
        ([1.0, 2], 2, [1, 2]), ([1.5], 1, None), ([-1], 1, None), (["a"], 1, None), (None, 1, None),
        ([2**63 - 1], 1, [2**63 - 1]),
        ([2**63], 1, None), (f"{2**63 - 1}", 1, [2**63 - 1]), (f"{2**63}", 1, None),
    ):  # fmt: skip
        assert _ids(cell, most) == found, cell


def test_hits_of_blocks_by_hand():
    # three requests of 40, 40 and 25 tokens in blocks of 10: 4, 4 and 3 of them
    some = Prefixes(numpy.array([1, 2, 3, 4, 1, 2, 5, 6, 1, 2, 3]), numpy.array([4, 4, 3]), 10)
    prompts = numpy.array([40, 40, 25])
    assert hit_tokens(some, prompts, None).tolist() == [0, 20, 24]  # the last token is always computed
    assert hit_tokens(some, prompts, 10**6).tolist() == [0, 20, 24]
    assert hit_tokens(some, prompts, 0).tolist() == [0, 0, 0]
    assert hit_tokens(some, prompts, 19).tolist() == [0, 10, 10]  # one block: the head of a prefix stays longest
    # of four blocks the second request leaves 1, 2, 5, 6
    assert hit_tokens(some, prompts, 40).tolist() == [0, 20, 20]
    # the third comes first: then 1, 2, 3 are there
    assert hit_tokens(some, prompts, None, numpy.array([1.0, 2.0, 0.0])).tolist() == [30, 20, 0]
    # a prompt that is cut has the blocks of what is left of it
    assert hit_tokens(some, numpy.array([40, 11, 25]), None).tolist() == [0, 10, 24]


def test_what_is_stated_of_prefixes():
    plan = planned()
    for stated, computed in (({}, None), ({"shared_prefix_tokens": 400}, 600), ({"prefix_hit_rate": 0.25}, 750),
                             ({"shared_prefix_tokens": 1_000}, 1), ({"prefix_hit_rate": 1.0}, 1),
                             ({"shared_prefix_tokens": 400, "prefix_hit_rate": 0.25}, 750)):  # fmt: skip
        some = replace(W, **stated)
        assert computed_tokens(some, plan) == (None if computed is None else pytest.approx(computed))
        assert states_sharing(some) is bool(stated)
    off = planned(enable_prefix_caching=False)
    assert computed_tokens(replace(W, shared_prefix_tokens=400), off) is None
    assert (caches_prefixes(plan), caches_prefixes(off)) == (True, False)
    found = calculator.prefix_reuse(replace(W, shared_prefix_tokens=400), plan)
    assert (found.hit_rate, found.prompt_tokens, found.computed_prompt_tokens) == pytest.approx((0.4, 1_000, 600))
    assert (found.unique_tokens, found.cache_tokens) == (None, plan.kv_pool_tokens)
    # ten in service hold 1,125.5 tokens each in the mean
    assert calculator.prefix_reuse(W, plan, running=10).cache_tokens == plan.kv_pool_tokens - 11_255
    assert calculator.prefix_reuse(W, plan, running=10**9).cache_tokens == 0
    assert calculator.prefix_reuse(W, plan, cache_tokens=7).cache_tokens == 7


@pytest.mark.parametrize(("name", "least", "most"), [("prompt_tokens", 1, 10**9), ("host_memory_bytes", 0, 2**60),
                                                    ("sequences", 1, 10**9)])  # fmt: skip
def test_numbers_of_a_host_tier_have_bounds(name, least, most):
    for value in (least - 1, most * 2, 1.5, True, "4"):
        with pytest.raises(calculator.CalculatorError, match=rf"{name} must be a whole number from {least} to"):
            calculator.host_tier(planned(), **{"prompt_tokens": 100, name: value}, host_gb_per_s=10)


def test_a_host_tier_by_hand():
    # 1,000 tokens are 63 blocks of 16 x 131,072 bytes; 50 GB/s
    found = calculator.host_tier(planned(), 1_000, 10 * GIB, 5, host_gb_per_s=50)
    size = 63 * 16 * 131_072
    assert found.bytes_per_sequence == size
    assert (found.load_s, found.load_s_low, found.load_s_high) == pytest.approx((size / 50e9,) * 3)
    assert (found.sequences, found.working_set_bytes, found.holds_working_set) == (10 * GIB // size, 5 * size, True)
    assert found.pays_from_hit_rate == pytest.approx(found.load_s / found.recompute_s)
    assert (found.hit_rate_without, found.hit_rate_with) == (None, None)
    for room, holds in ((5 * size, True), (5 * size - 1, False), (None, None)):
        assert calculator.host_tier(planned(), 1_000, room, 5, host_gb_per_s=50).holds_working_set is holds
    two = calculator.host_tier(planned(tensor_parallel_size=2), 1_000, host_gb_per_s=50)
    assert (two.bytes_per_sequence, two.load_s) == (size, pytest.approx(size / 2 / 50e9))
    slow = calculator.host_tier(planned(), 1_000, host_gb_per_s=1e-3)
    assert (slow.faster, slow.pays_from_hit_rate, slow.pays_from_tokens) == ("recompute", None, None)
    fast = calculator.host_tier(planned(), 1_000, host_gb_per_s=1e6)
    assert (fast.faster, fast.pays_from_tokens) == ("load", 16)
    for speed in (0, -1, 1e6 + 1, True, "5", float("nan")):
        with pytest.raises(calculator.InvalidValueError, match="host_gb_per_s must be more than 0 and at most 1e"):
            calculator.host_tier(planned(), 100, host_gb_per_s=speed)


# A queue that is always full


def test_a_full_queue_of_requests_of_one_length():
    # prompts of 8, answers of 4, a block a token: in turns of four steps each holds 9, 10, 11, 12 tokens
    def queue(free, most=10**6, watermark=0.0):
        lengths = numpy.array([8]), numpy.array([4]), numpy.array([1.0])
        return settle(lambda tokens: tokens, free, *lengths, watermark, most, seed=1, steps=4_000)

    one = queue(12)
    assert (one.preemptions_per_request, one.deviation) == (0, 0)
    # two of 12 fit; a third is let in beside 8 + 8 tokens, and thrown out when they have grown
    assert queue(24, most=2).preemptions_per_request == 0
    assert queue(24).preemptions_per_request > 0
    assert queue(24, watermark=0.5).preemptions_per_request == 0


def test_steps_of_a_queue():
    # answers of 100: twenty thousand steps at most; what is left out is three tenths
    begin, end = steps_for(numpy.array([100]), numpy.array([1.0]))
    assert 0 < begin < end
    long_begin, long_end = steps_for(numpy.array([10_000]), numpy.array([1.0]))
    assert (long_begin > begin, long_end > end) == (True, True)


# What a pass reads and multiplies


def test_flops_of_attention_over_a_prompt():
    # 2 H (d_k + d_v) for each pair of tokens: half of P squared, or a window's
    llama = calculator.load_model("llama-3.1-8b")
    for tokens in (1, 100, 4_096):
        assert attention_flops(llama, tokens) == 32 * 2 * 32 * 256 * tokens**2 / 2
    windows = llama.with_windows([1_024] * 16 + [None] * 16)
    for tokens in (100, 1_024, 4_096):
        seen = min(tokens, 1_024)
        pairs = seen * tokens - seen**2 / 2
        assert attention_flops(windows, tokens) == 16 * 2 * 32 * 256 * (pairs + tokens**2 / 2)
    latent = calculator.load_model("deepseek-v2-lite")  # 27 layers, 16 heads of 128 + 64 and 128
    assert attention_flops(latent, 1_000) == 27 * 2 * 16 * (192 + 128) * 1_000**2 / 2


def test_bytes_that_a_step_reads_of_the_cache():
    for ranks, share in ((1, 1), (2, 2), (8, 8)):
        plan = planned(tensor_parallel_size=ranks)
        assert kv_bytes_read(plan, 3, 1_000) == 3 * 1_000 * 131_072 / share
    assert kv_bytes_read(planned(), 1, 0.2) == 131_072  # at least a token
    assert kv_bytes_read(planned(), 1, 10.4) == 10 * 131_072
    # a state is read and written
    mamba = calculator.plan(STATES, gpu="h100-sxm", seq_len=4_096)
    states = sum(group.count * group.spec.state_bytes(1) for group in mamba.model.groups)
    assert kv_bytes_read(mamba, 5, 1_000) == 5 * 2 * states


STATES = calculator.model_from_hf_config({
    "model_type": "mamba2", "num_hidden_layers": 4, "hidden_size": 2048, "num_heads": 64, "head_dim": 64,
    "state_size": 128, "n_groups": 8, "vocab_size": 32_000, "torch_dtype": "bfloat16",
})  # fmt: skip


def test_what_is_not_known_of_a_device_is_named():
    device = calculator.load_gpu("h100-sxm")
    for field, said in (("bandwidth_gb_per_s", "the bandwidth of H100 SXM is not known"),
                        ("bf16_tflops", "the 16 bit peak of H100 SXM is not known")):  # fmt: skip
        plan = calculator.plan("llama-3.1-8b", gpu=replace(device, id="mine", **{field: None}), seq_len=4_096)
        with pytest.raises(calculator.UnsupportedError, match=said):
            pace_of(plan, Lengths(1_000, 250))


def test_experts_that_tokens_pass_through():
    # of 8 experts 2 each: 1 - (3 / 4) ** n of them
    work = Work(0, 0, 0, 0, 8, 2)
    assert [work.touched(tokens) for tokens in (0, 1, 2, 0.5)] == pytest.approx([0, 0.25, 0.4375, 1 - 0.75**0.5])
    # Mixtral: 8 experts of three matrices of 4,096 x 14,336 in each of 32 layers, 16 bit
    found = work_of(calculator.load_model("mixtral-8x7b"), "bf16")
    assert (found.experts, found.experts_per_token) == (8, 2)
    assert found.expert_bytes == 32 * 8 * 3 * 4_096 * 14_336 * 2
    assert found.active_parameters == 12_879_925_248 - 32_000 * 4_096
    attention = 32 * (2 * 4_096 * 4_096 + 2 * 4_096 * 1_024) * 2
    assert found.attention_bytes == attention
    # beside: a router of 8 and two norms a layer, the last norm, the output
    assert found.dense_bytes == attention + 2 * (32 * (8 * 4_096 + 2 * 4_096) + 4_096 + 32_000 * 4_096)
    tied = work_of(calculator.load_model("llama-3.2-1b"), "bf16")
    assert tied.dense_bytes == 2 * 1_235_814_400  # a head that is the embedding is read
    assert tied.active_parameters == 1_235_814_400


def test_the_risk_by_the_expansion():
    # z + a (z^2 - 1) = x with a = k3 / (6 s^3 sqrt(N)): of 100 residents of 10, a deviation of 4 and k3 of 192 a is
    # 0.05; z = 2 is x = 2.15, 40 times which beyond 1,000; 1 - Phi(2) is 0.0227501, 1 - Phi(0) a half
    moments = (10.0, 16.0, 192.0 * 1.0)
    found = exceeding(moments, numpy.array([1_000 + 40 * 2.15, 1_000 - 40 * 0.05]), numpy.array([100, 100]))
    assert found.tolist() == pytest.approx([0.0227501319, 0.5], abs=1e-9)
    alike = exceeding((10.0, 0.0, 0.0), numpy.array([99.0, 100.0]), numpy.array([10, 10]))
    assert alike.tolist() == [1.0, 0.0]
