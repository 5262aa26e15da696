"""Where a replica is run, by hand and by trying every number; layouts in words and whether their weights fit."""

from math import sqrt

import pytest

import calculator
from calculator.planning.sizing.layouts import Layout, in_words, weights_fit
from calculator.planning.sizing.operating import Goals, Lengths, Point, Replica, largest_within, most_in_service

TIMES = {
    "a line": lambda count: 10 + 2 * count, "flat": lambda _: 10.0, "a root": lambda count: 10 + sqrt(count),
    "a square": lambda count: 10 + count**2 / 50, "a step": lambda count: 10.0 if count < 37 else 90.0,
}  # fmt: skip


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("goal", [9.9, 10, 11, 12, 12.01, 20, 83.9, 84, 90, 1e9])
def test_the_largest_number_within_a_goal(times, goal):
    for most in (1, 2, 36, 37, 100):
        within = [count for count in range(1, most + 1) if times(count) <= goal]
        assert largest_within(times, goal, most) == (max(within) if within else 0)


@pytest.mark.parametrize("slots", [0.0, 1.0, 50.0, 1e5])
@pytest.mark.parametrize(("quantile", "dispersion"), [(2.326, 1.0), (2.326, 4.0), (0.0, 1.0), (1.0, 0.0), (1.0, -3.0)])
def test_the_mean_that_leaves_room_for_a_crowd(slots, quantile, dispersion):
    mean = most_in_service(slots, quantile, dispersion)
    assert mean + quantile * sqrt(max(0, dispersion) * mean) == pytest.approx(slots, abs=1e-6)


@pytest.mark.parametrize("name", ["max_ttft_s", "max_tpot_s"])
def test_goals_have_bounds(name):
    for value in (1e-9, 0.05, 1, 1e6):
        assert getattr(Goals(**{name: value}), name) == value
        assert Goals(**{name: value}).any
    for value in (0, -1, 1e6 + 1, float("nan"), float("inf"), True, "1"):
        with pytest.raises(
            calculator.InvalidValueError, match=f"{name} must be a number of seconds, more than 0"
        ) as no:
            Goals(**{name: value})
        assert (no.value.what, no.value.allowed) == (name, (0, 1e6))
    assert not Goals().any


@pytest.mark.parametrize(
    ("goals", "tpot", "ttft", "times"),
    [
        (Goals(), 9.0, 9.0, 1), (Goals(2.0, 0.05), 0.05, 2.0, 1), (Goals(2.0, 0.05), 0.2, 3.0, 4),
        (Goals(2.0, 0.05), 0.1, 7.0, 3.5), (Goals(2.0, 0.05), None, None, 1), (Goals(2.0), 9.0, 5.0, 2.5),
        (Goals(None, 0.05), 0.1, 99.0, 2),
    ],
)  # fmt: skip
def test_by_how_much_goals_are_missed(goals, tpot, ttft, times):
    assert goals.missed_by(tpot, ttft) == pytest.approx(times)


def replica(lengths, **asked):
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8192, max_num_batched_tokens=2048, **asked)
    return Replica(plan, lengths)


# prompts of 3,000 and answers of 1,000: each that decodes brings 3 tokens of prompt to a step, 4 with its own
LENGTHS = Lengths(3000.0, 1000.0, 3500.0)


@pytest.mark.parametrize(
    ("room", "asked", "lengths", "point"),
    [
        (600, {}, LENGTHS, Point(512, "prefill", True)), (512, {}, LENGTHS, Point(512, "memory", True)),
        (511, {}, LENGTHS, Point(511, "memory", True)), (0, {}, LENGTHS, Point(0, "memory", False)),
        (600, {"max_num_seqs": 100}, LENGTHS, Point(100, "max_num_seqs", True)),
        # of which a cache has 2,000: 2,048 // 2; of longer prompts than a step has tokens at least one decodes
        (9999, {}, Lengths(3000.0, 1000.0, 3500.0, 1000.0), Point(1024, "prefill", True)),
        (9999, {}, Lengths(3000.0, 1.0, 3500.0), Point(1, "prefill", True)),
        (9999, {}, Lengths(3000.0, None, 3500.0), Point(9999, "memory", True)),
        (9999, {"pipeline_parallel_size": 2}, LENGTHS, Point(1024, "prefill", True)),
    ],
)  # fmt: skip
def test_what_stops_a_replica(room, asked, lengths, point):
    assert replica(lengths, **asked).point(room, Goals()) == point


def test_a_goal_stops_it_where_one_more_would_miss_it():
    one = replica(LENGTHS)
    for name, reached in (("tpot", one.time_per_output_token_s), ("ttft", one.time_to_first_token_s)):

        def goals(seconds, name=name):
            return Goals(**{f"max_{name}_s": seconds})

        for bound in (400, 300, 500):  # what was found for one bound says it for others
            assert one.point(bound, goals(reached(50))) == Point(50, name, True)
            assert one.point(bound, goals(reached(51) * 0.999999)) == Point(50, name, True)
        assert one.point(40, goals(reached(50))) == Point(40, "memory", True)
        assert one.point(400, goals(reached(1) * 0.99)) == Point(1, name, False)
        assert one.point(400, goals(reached(1))).batch_size == 1


def test_rates_and_what_is_in_service_are_each_others_inverse():
    one = replica(LENGTHS)
    assert one.requests_per_second(64) == pytest.approx(64 / (1000 * one.time_per_output_token_s(64)))
    for count in (2.0, 17.5, 200.0):
        assert one.count_at(one.requests_per_second(count), 400) == pytest.approx(count, rel=1e-4)
    assert one.count_at(1e6, 400) == 400


@pytest.mark.parametrize(
    ("keywords", "words", "with_stages"),
    [
        ({}, "TP 1", "TP 1, PP 1"), ({"tensor_parallel_size": 4}, "TP 4", "TP 4, PP 1"),
        ({"tensor_parallel_size": 2, "pipeline_parallel_size": 3}, "TP 2, PP 3", "TP 2, PP 3"),
        ({"tensor_parallel_size": 8, "decode_context_parallel_size": 2}, "TP 8, DCP 2", "TP 8, PP 1, DCP 2"),
        ({"data_parallel_size": 8, "enable_expert_parallel": True}, "TP 1, DP 8, EP", "TP 1, PP 1, EP, DP 8"),
        ({"tensor_parallel_size": 8, "enable_attention_dp": True}, "TP 8, attention DP", "TP 8, PP 1, attention DP"),
    ],
)  # fmt: skip
def test_layouts_in_words(keywords, words, with_stages):
    assert (str(in_words(keywords)), str(in_words(keywords, stages=True))) == (words, with_stages)


def test_weights_fit_where_the_largest_rank_is_less_than_a_device():
    # LLaMA 3 70B in 16 bit: 141,107,412,992 bytes; of 80 layers over TP 2 a half of every matrix and all 161 norms
    model, norms = calculator.load_model("llama-3-70b"), 161 * 8192 * 2
    for keywords, held in (({}, 141_107_412_992), ({"tensor_parallel_size": 2}, (141_107_412_992 + norms) // 2)):
        layout = Layout(keywords)
        assert weights_fit(model, layout, "bf16", held + 1)
        assert not weights_fit(model, layout, "bf16", held)
    assert weights_fit(model, Layout({"tensor_parallel_size": 3}), "bf16", 1)  # which plan refuses
