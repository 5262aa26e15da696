"""Columns of a trace at each bound: titles, numbers and times, the last that is taken and the first that is refused."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest

from calculator.errors import InvalidValueError
from calculator.planning.traffic.columns import check_pairs, check_titles, lengths, numbers, times, titles_of
from calculator.planning.traffic.tables import _arrivals, given_workload

MOST = 1_000_000_000
"""The most tokens of anything."""


def caught(call, *given, **named):
    with pytest.raises(InvalidValueError) as error:
        call(*given, **named)
    return error.value


# Titles

# what public traces call their columns: Azure's LLM traces, Mooncake, vidur, BurstGPT, ShareGPT benchmarks and others
ALIASES = {
    "input_tokens": "prompt_tokens ContextTokens context_tokens input_length prompt_length num_prefill_tokens "
    "num_prompt_tokens Request_tokens prompt_len input_len ISL",
    "output_tokens": "GeneratedTokens generated_tokens output_length response_length num_decode_tokens "
    "num_output_tokens completion_tokens Response_tokens output_len OSL",
}


@pytest.mark.parametrize(("column", "title"), [(key, one) for key, names in ALIASES.items() for one in names.split()])
def test_what_other_traces_call_a_column_is_named(column, title):
    other = next(name for name in ALIASES if name != column)
    error = caught(check_titles, ["timestamp_s", other, "id", f" {title}"], "a trace")
    assert (error.what, error.nearest) == (column, f" {title}")
    assert error.allowed == ("input_tokens", "output_tokens", "timestamp_s")
    assert "rename" in str(error)


def test_a_column_that_only_sounds_alike_is_near():
    assert caught(check_titles, ["Input Tokens", "output_tokens"], "t").nearest == "Input Tokens"
    assert caught(check_titles, ["inputs_tokens", "output_tokens"], "t").nearest == "inputs_tokens"
    # of 12 and 9 letters eight are alike: 16 / 21 are less than four fifths
    assert caught(check_titles, ["in_tokens", "output_tokens"], "t").nearest == "in_tokens"
    assert caught(check_titles, ["tokens", "output_tokens"], "t").nearest is None
    assert caught(check_titles, ["Prompt Len", "output_tokens"], "t").nearest == "Prompt Len"
    check_titles(["input_tokens", "output_tokens"], "t")  # times are not needed


def test_titles_of_a_table_that_lacks_a_column():
    many = [f"c{number}" for number in range(12)]
    error = caught(check_titles, many, "t")
    assert (error.what, error.asked, error.nearest) == ("input_tokens", tuple(many[:8]), None)
    assert "c7" in str(error)
    assert "c8" not in str(error)
    assert "none" in str(caught(check_titles, [], "t"))
    assert caught(check_titles, ["input_tokens"], "t").what == "output_tokens"
    for mark in ";\t|":
        assert "separated by commas" in str(caught(check_titles, [f"a{mark}b"], "t"))
    assert "commas" not in str(caught(check_titles, ["ab"], "t"))
    assert "commas" not in str(caught(check_titles, ["a;b", "c"], "t"))
    assert "commas" not in str(caught(check_titles, ["input_length"], "t"))


@pytest.mark.parametrize("column", ["input_tokens", "output_tokens", "timestamp_s"])
def test_a_column_stands_there_once(column):
    there = ["input_tokens", "output_tokens", "timestamp_s"]
    check_titles(there, "t")
    error = caught(check_titles, [*there, column], "t")
    assert error.what == column
    assert "there are 2 columns" in str(error)


@pytest.mark.parametrize("table", [5, None, "input_tokens", ["input_tokens"], type("T", (), {"columns": ["a"]})()])
def test_what_is_no_table_is_refused(table):
    error = caught(titles_of, table, "t")
    assert (error.what, error.asked, error.allowed) == (
        "trace",
        table,
        ("input_tokens", "output_tokens", "timestamp_s"),
    )
    assert "input_tokens, output_tokens," in str(error)


def test_columns_of_unlike_lengths_are_refused():
    check_pairs([1, 2], [1, 2], "t")
    error = caught(check_pairs, [1, 2], [1], "t")
    assert (error.what, error.asked, error.allowed, error.nearest) == ("output_tokens", 1, 2, 2)
    assert caught(check_pairs, [1], [1, 2], "t", "timestamp_s").what == "timestamp_s"


# Numbers


@pytest.mark.parametrize(
    ("values", "row", "nearest"),
    [
        ([1, 0], 2, 1), ([1, MOST + 1], 2, MOST), ([1, 5, 2.6], 3, 3), ([-7], 1, 1), ([0.2, 3], 1, 1),
        ([1, float("inf")], 2, MOST), ([1, 10**400], 2, MOST), ([float("nan"), 1], 1, None), ([2, -(10**400)], 2, 1),
        ([2.0, float("-inf")], 2, 1),
    ],
)  # fmt: skip
def test_a_length_that_is_none_is_told_by_its_row(values, row, nearest):
    error = caught(lengths, values, "input_tokens", "t")
    assert (error.what, error.nearest) == ("input_tokens", nearest)
    assert error.allowed == (None if nearest is None else (1, MOST))
    assert error.asked == values[row - 1] or nearest is None
    assert f"row {row}, input_tokens" in str(error)
    assert (f"1 of {len(values)} rows are so" in str(error)) is (len(values) > 1)
    assert ("is missing" in str(error)) is (nearest is None)


def test_lengths_up_to_their_bounds_are_taken():
    found = lengths([1, MOST, Decimal(7), Fraction(14, 2), 3.0], "input_tokens", "t")
    assert found.tolist() == [1, MOST, 7, 7, 3]
    assert found.dtype == numpy.int64


def test_times_up_to_a_hundred_billion_seconds_are_taken():
    assert times([-1e11, 1e11], "timestamp_s", "t").tolist() == [-1e11, 1e11]
    for late in (1.0001e11, -1.0001e11, float("nan")):
        error = caught(times, [0.0, late, 5e11], "timestamp_s", "t")
        assert (error.what, error.allowed, error.nearest) == ("timestamp_s", None, None)
        assert "row 2" in str(error)


@pytest.mark.parametrize("column", ["12", b"12", {"a": 1}, 5, None, iter([1])])
def test_what_is_no_column_is_refused(column):
    error = caught(numbers, column, "input_tokens", "t")
    assert (error.what, error.asked) == ("input_tokens", column)


@pytest.mark.parametrize("column", [[], (), numpy.array([])])
def test_an_empty_column_is_refused(column):
    assert "is empty" in str(caught(numbers, column, "input_tokens", "t"))


def test_more_rows_than_are_read_are_refused():
    most = 5_000_000
    error = caught(numbers, range(most + 1), "input_tokens", "t")
    assert (error.what, error.asked, error.allowed, error.nearest) == ("input_tokens", most + 1, most, most)
    assert len(numbers(numpy.broadcast_to(numpy.array([1.0]), (most,)), "input_tokens", "t")) == most


@pytest.mark.parametrize("column", [[[1], [2, 3]], [[1], [2]], numpy.ones((2, 2))])
def test_rows_of_several_numbers_are_refused(column):
    assert "one number a row" in str(caught(numbers, column, "input_tokens", "t"))


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ([1, True], 2), ((1.5, False), 2), (numpy.array([True, False]), 1), ([1, "2"], 1), ([Decimal(1), "2"], 2),
        ([datetime(2026, 1, 1)], 1), (numpy.array(["2026-01-01"], "M8[s]"), 1), (numpy.array([5], "m8[s]"), 1),
        ([1 + 2j], 1), ([None, 1], 1), ([Decimal(1), None], 2),
    ],
)  # fmt: skip
def test_what_is_no_number_is_told_by_its_row(column, row):
    error = caught(numbers, column, "input_tokens", "t")
    assert f"row {row}, input_tokens" in str(error) or isinstance(column[0], int)
    assert error.what == "input_tokens"
    assert ("is missing" in str(error)) is (column[row - 1] is None)


def test_a_masked_number_is_missing():
    found = numbers(numpy.ma.masked_array([1.0, 2.0], [False, True]), "input_tokens", "t")
    assert found[0] == 1.0
    assert numpy.isnan(found[1])


# Arrivals of a trace


@pytest.mark.parametrize(
    ("seconds", "rate", "dispersion"),
    [
        ([5.0, 5.0], None, 1.0),  # of no time no rate
        ([7.0, 9.0], 1 / 2, 1.0),  # less than two whole minutes say nothing of their spread
        ([0.0, 1.0, 119.0], 2 / 119, 1.0),
        # minutes with 3 and 1, and what comes at the end of the second is not in one: mean 2, mean square 5
        ([10.0, 11.0, 12.0, 70.0, 130.0], 4 / 120, (5 - 4) / 2),
        # minutes with 2, none and 1: mean 1, mean square 5 / 3
        ([0.0, 59.0, 120.0, 180.0], 3 / 180, 5 / 3 - 1),
    ],
)
def test_the_rate_and_the_dispersion_of_arrivals(seconds, rate, dispersion):
    found = _arrivals(numpy.array(seconds) + 1e6)
    assert found[0] == (None if rate is None else pytest.approx(rate, rel=1e-9))
    assert found[1] == pytest.approx(dispersion, rel=1e-9)


def test_what_is_said_of_traffic():
    means = {"prompt_tokens": 100, "output_tokens": 10}
    assert given_workload(means).requests_per_second == 1.0
    found = given_workload({**means, "requests_per_second": 3, "shared_prefix_tokens": 5, "max_output_tokens": 7})
    assert (found.requests_per_second, found.shared_prefix_tokens, found.max_output_tokens) == (3, 5, 7)
    assert given_workload({"workload": "azure-2023-conversation", "requests_per_second": 3}).requests_per_second == 3
    for said, what in (
        ({}, "prompt_tokens"), ({"output_tokens": 5}, "prompt_tokens"), ({"prompt_tokens": 5}, "output_tokens"),
        ({"workload": "azure-2023-conversation", **means}, "prompt_tokens"),
        ({"trace": "x.csv", "prompt_cv": 1.0}, "prompt_cv"),
        ({"trace": "x.csv", "workload": "azure-2023-conversation"}, "workload"),
    ):  # fmt: skip
        error = caught(given_workload, said)
        assert (error.what, error.asked) == (what, said.get(what))
