"""Queues, replays and random numbers of requests step by step: each expected number is worked out in the comment."""

from math import exp, factorial

import numpy
import pytest

from calculator.planning.traffic import admission
from calculator.planning.traffic.admission import _quiet, _Tally, settle, steps_for
from calculator.planning.traffic.arrivals.compound import compound
from calculator.planning.traffic.arrivals.in_service import Load, _most
from calculator.planning.traffic.arrivals.replay import at_rate, replay

# A full queue


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        # 48 answers of so many tokens, at least 200 and at most 12,000 steps, 3 of 10 to warm up
        (4, (60, 200)), (5, (72, 240)), (249, (3_586, 11_952)), (250, (3_600, 12_000)), (251, (3_600, 12_000)),
        # but four answers at least to warm up and eight that count
        (900, (3_600, 12_000)), (901, (3_604, 12_004)), (1_050, (4_200, 12_600)), (1_051, (4_204, 12_612)),
    ],
)  # fmt: skip
def test_steps_follow_the_answers(output, expected):
    # shares need not sum to 1
    assert steps_for(numpy.array([output, output]), numpy.array([1.0, 3.0])) == expected


def test_the_answer_one_meets_is_longer_than_the_mean_one():
    # E[O] = (3 x 1 + 1 x 9,997) / 4 = 2,500; E[O^2] = (3 + 99,940,009) / 4 = 24,985,003: 9,994.0012 in a slot
    assert steps_for(numpy.array([1, 9_997]), numpy.array([3.0, 1.0])) == (39_976, 39_976 + 79_952)


def lengths(prompt, output):
    return (numpy.array([value]) for value in (prompt, output, 1.0))


def test_no_more_than_16_384_run():
    found = settle(lambda tokens: 0 * tokens, 0, *lengths(1, 8), 0.0, 20_000, seed=1, steps=1)
    assert found.running == 16_384


@pytest.mark.parametrize(("longest", "listed"), [(2**22, True), (2**22 + 1, False)])
def test_blocks_of_lengths_up_to_four_million_are_looked_up(longest, listed):
    asked = []

    def blocks(tokens):
        asked.append(numpy.size(tokens))
        return 0 * tokens

    settle(blocks, 0, *lengths(longest - 8, 8), 0.0, 1, seed=1, steps=1)
    assert (max(asked) == longest + 1) is listed


def test_a_queue_that_takes_too_many_steps_counts_from_half_of_them(monkeypatch):
    # One slot, three tokens each: three steps with one that runs and one in which it is done, 0 to 3, 4 to 7, 8 to 11;
    # the three are worked out as one. Of five that are worked out (0, 3, 4, 7, 8) the third is the first that counts:
    # steps 4 to 10 run 1, 1, 1, 0, 1, 1, 1
    monkeypatch.setattr(admission, "MOST_WORKED", 5)
    found = settle(lambda tokens: tokens, 99, *lengths(1, 3), 0.0, 1, seed=1, steps=100)
    assert found.running == pytest.approx(6 / 7, rel=1e-12)


@pytest.mark.parametrize(
    ("most", "quiet"),
    # two of one token: 8 blocks of four hold 16 each, so that 15 steps are free and the 16th is not
    [(-1, 0), (0, 0), (1, 1), (14, 14), (15, 15), (16, 15), (17, 15), (1_000, 15)],
)
def test_steps_in_which_all_find_their_blocks(most, quiet):
    assert _quiet(lambda tokens: -(-tokens // 4), numpy.array([1, 1]), 8, most) == quiet


def test_a_pool_that_is_full_is_quiet_for_none():
    assert _quiet(lambda tokens: tokens, numpy.array([1, 1]), 2, 9) == 0


@pytest.mark.parametrize("width", [1, 3])
def test_the_deviation_is_that_of_eight_parts(width):
    # parts 0 to 7 with 0 to 7 thrown out and one done each: mean 3.5, squares of what is off sum to 42, times 8 / 7
    tally = _Tally(10, 10 + 8 * width)
    for part in range(8):
        tally.add(10 + part * width, preempted=part)
        tally.add(9 + (part + 1) * width, finished=1)
    tally.add(9, preempted=100, finished=100)  # before it counts
    tally.run(6, 6, 4)  # four from step 6 to 11, of which 10 and 11 count
    tally.run(5, 5, 9)
    tally.run(12, 3, 5)
    found = tally.settled(20)
    assert found.preemptions_per_request == 3.5
    assert found.deviation == pytest.approx(48**0.5 / 8, rel=1e-12)
    assert found.running == (2 * 4 + 3 * 5) / 10


def test_nobody_done_is_no_division_by_nothing():
    found = _Tally(3, 3).settled(3)
    assert (found.running, found.preemptions_per_request, found.deviation) == (0, 0, 0)


# A trace replayed


def test_a_replay_of_one_request_by_hand():
    # prefill 0 to 2, three tokens at 0.5 s until 3.5, nobody until 10: mean 0.35, 0.35 - 0.35^2 over it, decode 0.15
    found = replay([0.0, 10.0], [2.0, 9.0], [3.0, 9.0], [7.0, 0.5], 1.0)
    assert (found.requests, found.dispersion, found.decoding) == pytest.approx((0.35, 0.65, 0.15), rel=1e-12)


def test_a_replay_of_two_requests_that_share_steps_by_hand():
    # A: prefill 0 to 1, then four tokens. B comes at 1 with 2 s of prefill: steps of 0.5 + 0.25 carry 0.25 of it and a
    # token of A, which is done at 1 + 4 x 0.75 = 4; of B's prefill 2 - 3 / 3 = 1 s is left, alone until 5, two tokens
    # until 6. In service 1, 2, 1, 1 for 1, 3, 1 and 1 s of 20
    found = replay([0.0, 1.0, 20.0], [1.0, 2.0, 9.0], [4.0, 2.0, 9.0], [7.0, 0.5, 0.75], 0.25)
    mean = (1 + 6 + 1 + 1) / 20
    expected = mean, ((1 + 12 + 1 + 1) / 20 - mean**2) / mean, (3 + 1) / 20
    assert (found.requests, found.dispersion, found.decoding) == pytest.approx(expected, rel=1e-12)


def test_two_that_decode_share_a_step_and_prompts_stand_in_line():
    # A and B come together: prefill 0 to 1 and, beside A's steps of 0.5 + 0.5 s that carry 0.5 s of prefill, 1 to 3, in
    # which A writes two of three tokens. Steps of two take 1 s: A is done at 4; B wrote one, the other takes 0.5
    found = replay([0.0, 0.0, 9.0], [1.0, 1.0, 9.0], [3.0, 2.0, 9.0], [7.0, 0.5, 1.0], 0.5)
    mean = (2 * 4 + 0.5) / 9
    expected = mean, ((4 * 4 + 0.5) / 9 - mean**2) / mean, (2 * 1 + 1 * 2 + 0.5) / 9
    assert (found.requests, found.dispersion, found.decoding) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("count", "expected"),
    # one a second, in service for 0.5 s, the first two for 0.75: a twentieth of 40 are two, of 38 and 39 one
    [(40, 0.5), (38, (0.75 + 35 * 0.5) / 36), (39, (0.75 + 36 * 0.5) / 37)],
)
def test_the_first_twentieth_does_not_count(count, expected):
    prefill = [0.5, 0.5] + [0.25] * (count - 2)
    found = replay([float(time) for time in range(count)], prefill, [1.0] * count, [7.0, 0.25], 0.125)
    assert found.requests == pytest.approx(expected, rel=1e-12)
    assert found.decoding == pytest.approx(0.25, rel=1e-12)


def test_a_replay_of_no_time_has_nobody():
    found = replay([5.0, 5.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0], 1.0)
    assert (found.requests, found.dispersion, found.decoding) == (0.0, 1.0, 0.0)


def test_a_trace_at_its_own_rate_is_itself():
    # 100 requests over 198 s
    times = numpy.arange(100) * 2.0
    rows, come = at_rate(times, numpy.arange(100), 100 / 198)
    assert rows.tolist() == list(range(100))
    assert come.tolist() == times.tolist()
    assert at_rate(times[:99], numpy.arange(99), 99 / 196) is None


@pytest.mark.parametrize(("share", "rows"), [(0.5, range(900, 1_100)), (0.25, range(420, 580)), (0.04, None)])
def test_below_its_rate_rows_are_left_out(share, rows):
    # a binomial of 2,000: four deviations are 90 and 78; 80 are fewer than 100
    found = at_rate(numpy.arange(2_000.0), numpy.arange(2_000), share * 2_000 / 1_999)
    if rows is None:
        assert found is None
    else:
        assert len(found[0]) in rows
        assert found[1].tolist() == found[0].tolist()  # at their own times


def test_above_its_rate_each_comes_more_often_within_the_mean_gap():
    own = 1_000 / 1_998
    rows, come = at_rate(numpy.arange(1_000) * 2.0, numpy.arange(1_000), 3 * own)
    assert numpy.unique(rows, return_counts=True)[1].tolist() == [3] * 1_000
    late = come - 2.0 * rows
    assert 0 <= late.min() < 0.01 < 1.99 < late.max() < 1 / own
    assert (numpy.diff(come) >= 0).all()


def test_of_a_much_higher_rate_12_000_are_replayed_and_time_is_squeezed():
    # 240 times its rate: no more than 120 copies, of 12,000 / 120 rows, at half of their times
    own = 1_000 / 1_998
    rows, come = at_rate(numpy.arange(1_000) * 2.0, numpy.arange(1_000), 240 * own)
    assert numpy.unique(rows, return_counts=True)[1].tolist() == [120] * 100
    late = come - rows
    assert late.min() >= 0
    assert 0.99 / (2 * own) < late.max() < 1 / (2 * own)
    # four times: 3,000 rows of four copies
    many = numpy.arange(4_000) * 2.0
    rows, _ = at_rate(many, numpy.arange(4_000), 4 * 4_000 / 7_998)
    assert numpy.unique(rows, return_counts=True)[1].tolist() == [4] * 3_000


# A random number of requests


def one_kind(blocks, shares, free):
    return compound((numpy.array(blocks), numpy.array([1])), (numpy.array(shares), numpy.array([1.0])), free)


@pytest.mark.parametrize(("free", "size"), [(0, 16), (6, 16), (7, 32), (14, 32), (15, 64), (100, 256)])
def test_the_grid_is_the_power_of_two_beyond_twice_the_pool(free, size):
    found = one_kind([1], [1.0], free)
    assert (found.size, found.free) == (size, free)


@pytest.mark.parametrize(
    ("blocks", "shares", "alike", "as_shares"),
    # steps of two blocks: 6 is step 3, 7 half of it and half of the next, 65,537 half beyond the pool
    [
        ([6], [1.0], [3], [1.0]), ([7], [1.0], [3, 4], [0.5, 0.5]),
        ([7, 40_000], [0.5, 0.5], [3, 4, 20_000], [0.25, 0.25, 0.5]),
    ],
)  # fmt: skip
def test_of_large_pools_two_blocks_are_a_step(blocks, shares, alike, as_shares):
    wide, narrow = one_kind(blocks, shares, 65_536), one_kind(alike, as_shares, 32_768)
    assert (wide.size, wide.free) == (narrow.size, narrow.free) == (131_072, 32_768)
    assert numpy.abs(wide.decode - narrow.decode).max() < 1e-12


def tail(mean, most):
    """Return the odds of a Poisson number above so many, summed from there on."""
    return sum(exp(-mean) * mean**number / factorial(number) for number in range(most + 1, most + 60))


@pytest.mark.parametrize(("mean", "seen"), [(0.28, False), (0.3, True)])
def test_a_billionth_of_the_time_is_the_least_that_counts(mean, seen):
    # more than seven at a mean of 0.28: 0.73 billionths; at 0.3: 1.25
    odds = tail(mean, 7)
    assert 7e-10 < odds < 1.3e-9
    assert one_kind([1], [1.0], 7).exceeded(mean, 0.0, 1.0) == pytest.approx(odds if seen else 0.0, rel=1e-4)


def test_the_share_in_service_that_does_not_decode_yet():
    def load(requests, decoding):
        return Load(1.0, requests, decoding, 1.0, 1.0, 1.0).in_prefill

    assert (load(4.0, 3.0), load(0.0, 0.0), load(float("inf"), 3.0), load(0.5, 0.25)) == (0.25, 0.0, 0.0, 0.5)


def test_the_largest_load_that_holds_is_found_between_its_bounds():
    def load_at(rate):
        return Load(rate, rate, rate, 1.0, 1.0, 1.0)

    assert _most(load_at, lambda load: load.rate <= 5, 1e-9, 1e8).rate == pytest.approx(5, rel=1e-8)
    assert _most(load_at, lambda load: load.rate <= 5, 1e-9, 1e8).rate <= 5
    assert _most(load_at, lambda _: False, 1e-9, 1e8).rate == 1e-9
    # one halving of the logarithm: between 1 and 10,000 lies 100
    assert _most(load_at, lambda _: True, 1.0, 1e4, 1).rate == pytest.approx(100, rel=1e-12)
