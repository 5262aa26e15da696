"""Choices between measured set-ups: the aims, and the reading of a sweep by hand."""

from statistics import median

import pytest

from calculator.logs.proof.choices import FAR, VERY_FAR, at_goals, choices, choices_markdown, share
from calculator.planning.traffic.judged.accuracy import measured

pytestmark = pytest.mark.xdist_group("judged")


def test_the_better_of_two_set_ups_is_chosen():
    pairs = choices()
    far = [one for one in pairs if one.apart > FAR]
    very_far = [one for one in pairs if one.apart > VERY_FAR]
    assert len(far) > 1000
    assert share(far) >= 0.85
    assert share(very_far) >= 0.90
    assert share(very_far) > share(far) > share([one for one in far if one.layout_only]) > 0.5


def test_the_number_at_once_that_meets_a_goal():
    errors = [one.right for one in at_goals()]
    assert len(errors) > 500
    assert median(map(abs, errors)) <= 0.18


def test_a_goal_is_read_between_the_points_that_enclose_it():
    one = at_goals()[0]
    points = [
        row
        for row in measured()
        if row.kind == "serve"
        and row.tpot_s
        and (row.asked["model"], row.prompt_tokens, row.output_tokens) == one.load
        and {name: value for name, value in row.asked.items() if name != "seq_len"} == one.asked
    ]
    below = max((row for row in points if row.tpot_s <= one.goal_s), key=lambda row: row.tpot_s)
    above = min((row for row in points if row.tpot_s > one.goal_s), key=lambda row: row.tpot_s)
    gpus = one.asked["tensor_parallel_size"] * one.asked.get("pipeline_parallel_size", 1)
    gpus *= one.asked.get("data_parallel_size", 1)
    low, high = sorted((below.rate, above.rate))
    assert low <= one.measured * gpus <= high * (1 + 1e-9)
    assert min(below.decoding, above.decoding) <= one.sequences <= max(below.decoding, above.decoding) * (1 + 1e-9)


def test_the_report_says_what_was_found():
    pairs = [one for one in choices() if one.apart > FAR]
    right = sum(one.right for one in pairs)
    line = f"| pairs that differ by more than 10% | {len(pairs)} | {right} | {right / len(pairs):.1%} |"
    assert line in choices_markdown()
    assert share(pairs) == pytest.approx(right / len(pairs))
