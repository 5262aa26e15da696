"""Workloads, what is asked of them and prefixes at each bound: the last that is taken, the first that is refused."""

from inspect import Parameter, signature
from math import log, sqrt

import numpy
import pytest

import calculator
from calculator.errors import InvalidValueError
from calculator.planning.traffic import workload as of_workload
from calculator.planning.traffic.inputs import OF_MEANS, OF_RISK, OF_STEP, OF_TRACE
from calculator.planning.traffic.reuse.prefixes import (
    Prefixes,
    _ids,
    check_block_tokens,
    computed_of,
    computed_tokens,
    hit_tokens,
    prefix_reuse,
    prefixes_of,
    states_sharing,
)
from calculator.planning.traffic.workload import Pairs, Workload, check_workload

MOST = 1_000_000_000
"""The most tokens of anything."""


def caught(call, *given, **named):
    with pytest.raises(InvalidValueError) as error:
        call(*given, **named)
    return error.value


# Workloads


def test_a_workload_as_plain_values():
    found = Workload(2.0, 100, 10, 0.5, 0.25, 0.1, 7, 50, name="n", licence="l", source="s").as_dict()
    assert found == {
        "requests_per_second": 2.0, "prompt_tokens": 100, "output_tokens": 10, "prompt_cv": 0.5, "output_cv": 0.25,
        "correlation": 0.1, "shared_prefix_tokens": 7, "max_output_tokens": 50, "name": "n", "licence": "l",
        "source": "s", "dispersion": 1.0, "prefix_hit_rate": None, "num_requests": None,
    }  # fmt: skip
    plain = Workload(2.0, 100, 10)
    assert (plain.prompt_cv, plain.output_cv, plain.correlation, plain.shared_prefix_tokens) == (1, 1, 0, 0)
    assert (plain.name, plain.licence, plain.source, plain.dispersion) == ("", "", "", 1)
    assert Workload(1.0, 1, 1, trace=([1, 2], [3, 4])).as_dict()["num_requests"] == 2


def test_the_moments_of_a_trace():
    # 1 and 3: mean 2, deviation 1; 6 and 2: mean 4, deviation 2; the one falls as the other rises
    found = Workload(1.0, 1, 1, trace=([1, 3], [6, 2]))
    assert (found.prompt_tokens, found.output_tokens, found.prompt_cv, found.output_cv) == (2, 4, 0.5, 0.5)
    assert found.correlation == pytest.approx(-1, rel=1e-12)
    for trace in (([2, 2], [6, 2]), ([1, 3], [6, 6])):
        assert Workload(1.0, 1, 1, trace=trace).correlation == 0.0


@pytest.mark.parametrize("name", ["name", "licence", "source"])
def test_what_a_workload_is_called_is_text(name):
    error = caught(Workload, 1.0, 1, 1, **{name: 5})
    assert (error.what, error.asked) == (name, 5)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"times": numpy.array([1.0])}, "times"),
        ({"times": numpy.array([1.0]), "trace": ([1, 2], [1, 2])}, "times"),
        ({"prefixes": Prefixes(numpy.array([1]), numpy.array([1]), 512)}, "prefixes"),
        ({"prefixes": Prefixes(numpy.array([1]), numpy.array([1]), 512), "trace": ([1, 2], [1, 2])}, "prefixes"),
        ({"trace": ([1, 2],)}, "trace"), ({"trace": ([1], [1], [1])}, "trace"), ({"trace": 5}, "trace"),
        ({"trace": ([1, 2], [1])}, "output_tokens"),
    ],
)  # fmt: skip
def test_what_stands_beside_a_trace_is_of_its_requests(given, what):
    assert caught(Workload, 1.0, 1, 1, **given).what == what


def test_a_shared_prefix_is_no_longer_than_the_mean_prompt():
    assert Workload(1.0, 10.5, 1, shared_prefix_tokens=10).shared_prefix_tokens == 10
    assert Workload(1.0, 10, 1, shared_prefix_tokens=10).shared_prefix_tokens == 10
    error = caught(Workload, 1.0, 10.5, 1, shared_prefix_tokens=11)
    assert (error.what, error.asked, error.allowed, error.nearest) == ("shared_prefix_tokens", 11, (0, 10), 10)


@pytest.mark.parametrize(
    ("seq_len", "most", "prompts", "outputs"),
    [
        # prompts are cut at one less than the longest sequence, answers at what is left and at what is asked for
        (10, None, [9, 5, 9], [1, 5, 1]), (10, 2, [9, 5, 9], [1, 2, 1]), (100, None, [20, 5, 9], [3, 9, 9]),
        (1, None, [1, 1, 1], [1, 1, 1]), (2, None, [1, 1, 1], [1, 1, 1]), (21, None, [20, 5, 9], [1, 9, 9]),
    ],
)  # fmt: skip
def test_pairs_are_cut_at_the_longest_sequence(seq_len, most, prompts, outputs):
    found = Workload(1.0, 1, 1, max_output_tokens=most, trace=([20, 5, 9], [3, 9, 9])).pairs(seq_len)
    assert (found.prompt_tokens.tolist(), found.output_tokens.tolist()) == (prompts, outputs)
    assert found.weights.tolist() == [1 / 3] * 3


@pytest.mark.parametrize("cvs", [(0.5, 0.8), (0.0, 0.8), (0.5, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("correlation", [0.0, 0.6, -0.3])
def test_lognormal_lengths_have_the_means_and_the_spread_that_are_asked(cvs, correlation):
    if correlation and not all(cvs):
        error = caught(Workload, 1.0, 1e6, 2e6, *cvs, correlation)
        assert (error.what, error.asked, error.allowed, error.nearest) == ("correlation", correlation, (0, 0), 0)
        return
    pairs = Workload(1.0, 1e6, 2e6, *cvs, correlation).pairs(MOST)
    columns, deviations = (pairs.prompt_tokens, pairs.output_tokens), []
    for column, mean, cv in zip(columns, (1e6, 2e6), cvs, strict=True):
        assert pairs.mean(column) == pytest.approx(mean, rel=1e-6)
        deviations.append(sqrt(pairs.mean((column - mean) ** 2)))
        assert deviations[-1] / mean == pytest.approx(cv, rel=1e-5, abs=1e-6)
        # half of the lengths are no longer than exp(mu) = mean / sqrt(1 + cv^2)
        half = mean / sqrt(1 + cv * cv)
        assert float(pairs.weights[column <= half + 0.5].sum()) == pytest.approx(0.5 if cv else 1, abs=0.01)
    assert pairs.weights.sum() == pytest.approx(1, rel=1e-12)
    if all(cvs):
        together = pairs.mean((columns[0] - 1e6) * (columns[1] - 2e6))
        assert together / deviations[0] / deviations[1] == pytest.approx(correlation, abs=1e-5)


def test_no_length_is_less_than_one_token():
    one = Workload(1.0, 1, 1, 0.0, 0.0).pairs(100)
    assert (one.prompt_tokens.tolist(), one.output_tokens.tolist(), one.weights.tolist()) == ([1], [1], [1])


def test_the_grid_of_the_normal_goes_out_to_eight_deviations():
    deviates, share = of_workload._normal_grid()
    assert (len(deviates), deviates[0]) == (801, -8)
    assert deviates[-1] == pytest.approx(8, abs=1e-9)
    # the density at 1 over that at 0 is exp(-1/2)
    assert share[450] / share[400] == pytest.approx(0.6065306597, rel=1e-9)
    assert share.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    ("cvs", "low", "high"),
    # sigma^2 is ln 2 for a variation of 1: e^(-ln 2) - 1 and e^(ln 2) - 1; ln 5 for 2, ln 1.25 for a half
    [((1.0, 1.0), -0.5, 1.0), ((2.0, 0.5), 1 / 2.71828182845904523**0.599270, None)],
)
def test_a_correlation_reaches_as_far_as_lognormals_can(cvs, low, high):
    if high is None:
        reach = sqrt(log(5) * log(1.25))
        low, high = 2.718281828459045**-reach - 1, 2.718281828459045**reach - 1
    for inside in (low, low - 8e-10, high):
        assert Workload(1.0, 100, 10, *cvs, inside).correlation == inside
    for outside, nearest in ((low - 1.5e-9, low), (high + 1.5e-9, high)):
        if abs(outside) > 1:
            continue
        error = caught(Workload, 1.0, 100, 10, *cvs, outside)
        assert (error.what, error.asked) == ("correlation", outside)
        assert error.allowed == pytest.approx((low, high), rel=1e-9)
        assert error.nearest == pytest.approx(nearest, rel=1e-9)


def test_what_is_no_workload_is_refused():
    check_workload(Workload(1.0, 1, 1))
    error = caught(check_workload, {"prompt_tokens": 5})
    assert (error.what, error.asked, error.allowed) == ("workload", {"prompt_tokens": 5}, ("Workload",))


# The tables of what is asked, each with its last value that is taken and the first that is not

BOUNDS = [
    (OF_MEANS, "prompt_tokens", 1, 0.999), (OF_MEANS, "prompt_tokens", MOST, MOST + 1),
    (OF_MEANS, "output_tokens", 1, 0.999), (OF_MEANS, "output_tokens", MOST, MOST + 1),
    (OF_MEANS, "prompt_cv", 0, -0.001), (OF_MEANS, "prompt_cv", 100, 100.5),
    (OF_MEANS, "output_cv", 0, -0.001), (OF_MEANS, "output_cv", 100, 100.5),
    (OF_MEANS, "correlation", -1, -1.001), (OF_MEANS, "correlation", 1, 1.001),
    *((table, *row) for table in (OF_MEANS, OF_TRACE) for row in (
        ("requests_per_second", 10**9, 10**9 + 1), ("requests_per_second", 1e-9, 0),
        ("shared_prefix_tokens", 0, -1), ("shared_prefix_tokens", MOST, MOST + 1),
        ("max_output_tokens", 1, 0), ("max_output_tokens", MOST, MOST + 1),
        ("dispersion", 0, -0.001), ("dispersion", 10**7, 10**7 + 1),
        ("prefix_hit_rate", 0, -0.001), ("prefix_hit_rate", 1, 1.001),
    )),
    (OF_RISK, "risk", 1e-6, 0.9e-6), (OF_RISK, "risk", 0.5, 0.501),
    *((OF_STEP, name, *row) for row in ((MOST, MOST + 1), (1e-9, 0)) for name in (
        "batch_size", "clients", "prompt_tokens", "computed_prompt_tokens", "resident_tokens",
    )),
    (OF_STEP, "output_tokens", 1, 0.999), (OF_STEP, "output_tokens", MOST, MOST + 1),
]  # fmt: skip
NEEDED = {
    "Traffic": {"requests_per_second": 1, "prompt_tokens": 1, "output_tokens": 1},
    "Trace": {"requests_per_second": 1}, "Risk": {}, "Step": {},
}  # fmt: skip


@pytest.mark.parametrize(("table", "name", "taken", "refused"), BOUNDS)
def test_what_is_asked_of_traffic_within_its_bounds(table, name, taken, refused):
    needed = NEEDED[table.name] if hasattr(table, "name") else {}
    needed = needed or ({"requests_per_second": 1} if "dispersion" in table.fields else {})
    if "correlation" in table.fields:
        needed = NEEDED["Traffic"]
    assert table.validate({**needed, name: taken})[name] == taken
    assert caught(table.validate, {**needed, name: refused}).what == name


def test_what_is_left_out_of_traffic():
    # what the table says a face leaves out is what the functions take then
    for table, call in ((OF_MEANS, Workload), (OF_RISK, calculator.concurrency), (OF_STEP, calculator.speed)):
        taken = signature(call).parameters
        stated = {name: field.default for name, field in table.fields.items()}
        needed = {name for name, one in taken.items() if one.default is Parameter.empty}
        assert stated == {name: None if name in needed else taken[name].default for name in stated}


# Prefixes


@pytest.mark.parametrize(("tokens", "nearest"), [(0, 1), (-5, 1), (MOST + 1, MOST), (True, None), (1.0, None)])
def test_a_hashed_block_has_tokens(tokens, nearest):
    error = caught(check_block_tokens, tokens)
    assert (error.what, error.asked, error.allowed, error.nearest) == (
        "hash_block_tokens", tokens, (1, MOST), nearest,
    )  # fmt: skip


def test_hashed_blocks_up_to_their_bounds():
    for tokens in (1, MOST):
        check_block_tokens(tokens)


@pytest.mark.parametrize(
    ("cell", "most", "found"),
    [
        ("0 14-16", 4, [0, 14, 15, 16]), ("0 14-16", 5, [0, 14, 15, 16]), ("0 14-17", 4, None), ("[1, 2]", 2, [1, 2]),
        ("5-4", 9, None), ("5-5", 1, [5]), ("5", 0, None), ("a", 9, None), ("-1", 9, None), ("1-2-3", 9, None),
        ("9223372036854775807", 1, [2**63 - 1]), ("9223372036854775808", 1, None),
        ([1, 2], 2, [1, 2]), ([0], 1, [0]), ([-1], 1, None), ([2**63 - 1], 1, [2**63 - 1]), ([2**63], 1, None),
        ([1.5], 1, None), ([2.0], 1, [2]), (["x"], 1, None), (5, 1, None), ([float("inf")], 1, None), ("", 3, []),
    ],
)  # fmt: skip
def test_the_numbers_of_one_cell(cell, most, found):
    assert _ids(cell, most) == found


def test_hashes_of_prompts():
    # blocks of 512: 1,024 tokens are two, 1,025 three, of which the last may be missing
    tokens = numpy.array([1_024, 1_025, 1_025])
    found = prefixes_of(["1 2", "1 2 3", [1, 2]], tokens, 512, "t")
    assert (found.ids.tolist(), found.counts.tolist(), found.block_tokens) == ([1, 2, 1, 2, 3, 1, 2], [2, 3, 2], 512)
    for cells, row in ((["1", "1 2 3", [1, 2]], 1), (["1 2", "1 2 3 4", [1, 2]], 2), (["1 2", "1 2", [1]], 3)):
        error = caught(prefixes_of, cells, tokens, 512, "t")
        assert (error.what, error.asked) == ("hash_ids", cells[row - 1])
        assert f"row {row}," in str(error)
    assert "2 hash_ids stand beside 3" in str(caught(prefixes_of, ["1", "2"], tokens, 512, "t"))


def test_no_more_than_20_million_blocks_are_read():
    error = caught(prefixes_of, ["1"], numpy.array([20_000_001]), 1, "t")
    assert "20,000,001 blocks of prompts; at most 20,000,000" in str(error)
    # as many as that are not too many: the cell is what is wrong
    assert caught(prefixes_of, ["1"], numpy.array([20_000_000]), 1, "t").what == "hash_ids"


ROWS = Prefixes(numpy.array([1, 2, 3, 1, 2, 4, 1, 2, 3]), numpy.array([3, 3, 3]), 10)


@pytest.mark.parametrize(
    ("prompts", "cache", "times", "hits"),
    [
        # blocks of ten: 1 2 3, 1 2 4, 1 2 3; at most all but the last token
        ([30, 30, 30], None, None, [0, 20, 29]), ([30, 30, 35], None, None, [0, 20, 30]),
        # a prompt that was cut has fewer blocks: 15 tokens are two of them
        ([15, 30, 30], None, None, [0, 20, 20]), ([30, 30, 20], None, None, [0, 20, 19]),
        # room for three: 1 2 4 drives 3 out; for two no more than the head of one; for none nothing
        ([30, 30, 30], 30, None, [0, 20, 20]), ([30, 30, 30], 29, None, [0, 20, 20]),
        ([30, 30, 30], 19, None, [0, 10, 10]),
        ([30, 30, 30], 9, None, [0, 0, 0]), ([30, 30, 30], 40, None, [0, 20, 29]),
        # the third came first, the first second
        ([30, 30, 30], None, [2.0, 3.0, 1.0], [29, 20, 0]),
    ],
)  # fmt: skip
def test_what_of_prompts_a_cache_holds(prompts, cache, times, hits):
    seconds = None if times is None else numpy.array(times)
    assert hit_tokens(ROWS, numpy.array(prompts), cache, seconds).tolist() == hits


def test_what_a_cache_saves_of_a_trace():
    of_trace = Workload(1.0, 1, 1, trace=([30, 30, 30], [1, 1, 1]), prefixes=ROWS)
    found = prefix_reuse(of_trace)
    # 49 of 90 tokens are found; 41 are unique
    assert (found.hit_rate, found.prompt_tokens, found.unique_tokens) == (pytest.approx(49 / 90), 30, 41)
    assert (found.computed_prompt_tokens, found.cache_tokens) == (pytest.approx(41 / 3), None)
    small = prefix_reuse(of_trace, cache_tokens=30)
    assert (small.hit_rate, small.unique_tokens, small.cache_tokens) == (pytest.approx(40 / 90), 41, 30)
    # a rate that is stated stands above the hashes
    stated = Workload(1.0, 1, 1, trace=([30, 30, 30], [1, 1, 1]), prefixes=ROWS, prefix_hit_rate=0.25)
    assert (prefix_reuse(stated).hit_rate, prefix_reuse(stated).unique_tokens) == (pytest.approx(0.25), None)


def test_what_is_stated_of_prompts():
    pairs = Pairs(numpy.array([10, 40]), numpy.array([1, 1]), numpy.array([0.5, 0.5]))

    def traffic(**given):
        return Workload(1.0, 1, 1, trace=([10, 40], [1, 1]), **given)

    # 20 of 40 and 9 of 10, all but the last: 14.5 of 25
    assert computed_of(traffic(shared_prefix_tokens=20), pairs) == pytest.approx(10.5)
    assert computed_of(traffic(prefix_hit_rate=0.2), pairs) == pytest.approx(20)
    assert computed_of(traffic(prefix_hit_rate=1.0), pairs) == 1.0
    assert [states_sharing(traffic(**given)) for given in (
        {}, {"shared_prefix_tokens": 1}, {"prefix_hit_rate": 0.0}, {"shared_prefix_tokens": 0},
    )] == [False, True, True, False]  # fmt: skip


def test_hashes_stand_for_512_tokens_each_where_nothing_is_said():
    columns = {"input_tokens": [1_025, 1_024], "output_tokens": [1, 1], "hash_ids": ["1-3", "1 2"]}
    assert calculator.workload_from_trace(columns).prefixes.block_tokens == 512
    for tokens in (513, 1_024):
        caught(calculator.workload_from_trace, columns, hash_block_tokens=tokens)


@pytest.mark.parametrize(
    ("switch", "given", "computed", "rate"),
    [
        (None, {}, None, 0), (None, {"prefix_hit_rate": 0.2}, 20, 0.2), (True, {"prefix_hit_rate": 0.2}, 20, 0.2),
        (False, {"prefix_hit_rate": 0.2}, None, 0), (False, {}, None, 0), (True, {"shared_prefix_tokens": 5}, 20, 0.2),
    ],
)  # fmt: skip
def test_what_a_plan_computes_of_prompts_that_share(switch, given, computed, rate):
    # 25 tokens each: a fifth of them, or five, are found where prefixes are kept
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=512, enable_prefix_caching=switch)
    traffic = Workload(1.0, 1, 1, trace=([25, 25], [1, 1]), **given)
    assert computed_tokens(traffic, plan) == (None if computed is None else pytest.approx(computed))
    found = prefix_reuse(traffic, plan)
    assert found.hit_rate == pytest.approx(rate)
    assert found.computed_prompt_tokens == pytest.approx(25 * (1 - rate))
    # without a number of requests in service all of its pool is there, with four less 26 tokens each
    assert found.cache_tokens == plan.kv_pool_tokens
    assert prefix_reuse(traffic, plan, running=4).cache_tokens == plan.kv_pool_tokens - 4 * 26


@pytest.mark.parametrize("tokens", [-1, 2**63, 1.0, True])
def test_a_cache_of_no_whole_number_of_tokens_is_refused(tokens):
    error = caught(prefix_reuse, Workload(1.0, 10, 1), cache_tokens=tokens)
    assert (error.what, error.asked) == ("cache_tokens", tokens)


@pytest.mark.parametrize("running", [-0.1, MOST + 1, True, "1", float("nan")])
def test_requests_in_service_out_of_bounds_are_refused(running):
    error = caught(prefix_reuse, Workload(1.0, 10, 1), running=running)
    assert error.what == "running"


def test_a_cache_and_requests_up_to_their_bounds():
    traffic = Workload(1.0, 10, 1)
    for tokens in (0, 2**63 - 1):
        assert prefix_reuse(traffic, cache_tokens=tokens).cache_tokens == tokens
    for running in (0, MOST, 0.5):
        assert prefix_reuse(traffic, running=running).hit_rate == 0
    assert "a plan is what" in str(caught(prefix_reuse, traffic, 5))
    assert calculator.Workload is Workload
