"""Lengths of requests by hand: what is cut, what is drawn, and what a table of them may hold."""

from dataclasses import replace
from math import exp, log, sqrt

import numpy
import pytest

import calculator
from calculator.planning.traffic.tables import workload, workload_from_trace
from calculator.planning.traffic.workload import Workload


def trace_of(prompts, outputs, **more):
    return replace(workload_from_trace({"input_tokens": prompts, "output_tokens": outputs}), **more)


# Lengths: what is cut, what is drawn


def test_lengths_are_cut_as_an_engine_serves_them():
    pairs = trace_of([50, 99, 100, 5_000, 30], [20, 20, 20, 20, 500]).pairs(100)
    assert pairs.prompt_tokens.tolist() == [50, 99, 99, 99, 30]
    assert pairs.output_tokens.tolist() == [20, 1, 1, 1, 70]
    assert pairs.weights == pytest.approx([0.2] * 5)
    assert pairs.mean(pairs.output_tokens) == pytest.approx(93 / 5)
    assert trace_of([5], [5]).pairs(1).prompt_tokens.tolist() == [1]


@pytest.mark.parametrize(("prompt_cv", "output_cv"), [(0.0, 0.0), (1.0, 0.0), (0.0, 2.0), (0.3, 0.7)])
def test_a_lognormal_has_the_variation_asked_for(prompt_cv, output_cv):
    pairs = Workload(1.0, 20_000, 5_000, prompt_cv, output_cv).pairs(10**9)
    assert pairs.weights.sum() == pytest.approx(1)
    for values, mean, cv in ((pairs.prompt_tokens, 20_000, prompt_cv), (pairs.output_tokens, 5_000, output_cv)):
        assert pairs.mean(values) == pytest.approx(mean, rel=1e-4)
        assert sqrt(pairs.mean((values - pairs.mean(values)) ** 2)) == pytest.approx(cv * mean, rel=1e-3, abs=1e-3)
    if prompt_cv:  # its median is mean / sqrt(1 + cv^2), its 97.7th percentile e^(2 sigma) times that
        order = numpy.argsort(pairs.prompt_tokens)
        share = numpy.cumsum(pairs.weights[order])
        for deviate, below in ((0, 0.5), (2, 0.97725), (-2, 0.02275)):
            quantile = 20_000 / sqrt(1 + prompt_cv**2) * exp(deviate * sqrt(log(1 + prompt_cv**2)))
            found = pairs.prompt_tokens[order][numpy.searchsorted(share, below)]
            assert found == pytest.approx(quantile, rel=0.03)


@pytest.mark.parametrize(("correlation", "cvs"), [(-0.3, (1.0, 1.0)), (0.7, (0.5, 1.5)), (0.9, (1.0, 1.0))])
def test_a_lognormal_has_the_correlation_asked_for(correlation, cvs):
    pairs = Workload(1.0, 20_000, 5_000, *cvs, correlation).pairs(10**9)
    together = pairs.mean(pairs.prompt_tokens * pairs.output_tokens.astype(float)) - 20_000 * 5_000
    assert together / (20_000 * cvs[0] * 5_000 * cvs[1]) == pytest.approx(correlation, abs=0.005)


@pytest.mark.parametrize(
    ("cvs", "reached", "beyond"),
    # (e^(+-sp so) - 1) / (cp co) with s^2 = ln(1 + c^2): of 1 and 1 e^(ln 2), of 1 and 2 e^(sqrt(ln 2 ln 5)) = 2.875
    [
        ((1.0, 1.0), 0.999, None), ((1.0, 1.0), -0.499, -0.501), ((1.0, 2.0), 0.937, 0.939),
        ((1.0, 2.0), -0.325, -0.327),
    ],
)  # fmt: skip
def test_a_correlation_is_one_that_two_lognormals_can_have(cvs, reached, beyond):
    assert Workload(1.0, 10, 10, *cvs, reached).correlation == reached
    if beyond:
        with pytest.raises(calculator.InvalidValueError, match="is not possible: lognormal lengths") as caught:
            Workload(1.0, 10, 10, *cvs, beyond)
        assert caught.value.what == "correlation"
        assert caught.value.nearest == pytest.approx(reached, abs=0.002)


@pytest.mark.parametrize(
    ("name", "least", "most", "below", "above"),
    [
        ("requests_per_second", 1e-9, 1e9, 0, 1e9 + 1), ("prompt_tokens", 1, 10**9, 0.99, 10**9 + 1),
        ("output_tokens", 1, 10**9, 0.99, 10**9 + 1), ("prompt_cv", 0, 100, -0.01, 100.1),
        ("output_cv", 0, 100, -0.01, 100.1),
        ("shared_prefix_tokens", 0, 10, -1, 11), ("max_output_tokens", 1, 10**9, 0, 10**9 + 1),
    ],
)  # fmt: skip
def test_each_number_of_a_workload_has_its_bounds(name, least, most, below, above):
    given = {"requests_per_second": 1.0, "prompt_tokens": 10, "output_tokens": 10}
    for value in (least, most):
        assert getattr(Workload(**{**given, name: value}), name) == value
    for value in (below, above, True, "7", float("nan")):
        with pytest.raises(calculator.InvalidValueError, match=f"{name} must be ") as caught:
            Workload(**{**given, name: value})
        assert caught.value.what == name


# Tables


def written(tmp_path, text, name="mine.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_as_people_write_it(tmp_path):
    text = (
        "\ufeff# a note\n\nwhen, output_tokens ,input_tokens\n1,5,10\n# another\n  \n2, 7 ,30\n3,9,20\n"
    )  # fmt: skip
    traffic = workload_from_trace(written(tmp_path, text))
    assert [column.tolist() for column in traffic.trace] == [[10, 30, 20], [5, 7, 9]]
    assert (traffic.name, traffic.requests_per_second, traffic.dispersion) == ("mine", 1.0, 1.0)
    assert (traffic.prompt_tokens, traffic.output_tokens) == (20, 7)
    # deviations of -10, 10, 0 and -2, 0, 2: 200 / 3 and 8 / 3, together 20 / 3
    assert (traffic.prompt_cv, traffic.output_cv) == pytest.approx((sqrt(200 / 3) / 20, sqrt(8 / 3) / 7))
    assert traffic.correlation == pytest.approx(20 / 3 / sqrt(200 / 3 * 8 / 3))
    assert workload_from_trace(str(tmp_path / "mine.csv"), 2.5, 100).requests_per_second == 2.5
    assert workload_from_trace(str(tmp_path / "mine.csv"), 2.5, 100).max_output_tokens == 100


@pytest.mark.parametrize(("prompts", "outputs"), [([5, 5], [1, 2]), ([5, 6], [2, 2]), ([5], [5])])
def test_lengths_that_do_not_vary_have_no_correlation(prompts, outputs):
    assert trace_of(prompts, outputs).correlation == 0


@pytest.mark.parametrize(
    ("times", "rate", "dispersion"),
    [
        # seven in 180 s: 4, 1 and 1 of its whole minutes, and one at the end: mean 2, variance 2
        ([0, 10, 20, 59, 60, 179, 180], 6 / 180, 1.0),
        # whole minutes alone count: 1 and 3 of 150 s, the last two left out; mean 2, variance 1
        ([0, 60, 61, 119, 130, 150], 5 / 150, 0.5),
        # from the first on, in any order: 3 and 1
        ([1_119, 1_000, 1_059, 1_001, 1_120], 4 / 120, 0.5),
        ([0, 59], 1 / 59, 1.0), ([0, 119, 119, 119], 3 / 119, 1.0), ([7, 7, 7], 1.0, 1.0), ([7], 1.0, 1.0),
    ],
)  # fmt: skip
def test_arrivals_of_a_trace_by_hand(times, rate, dispersion):
    columns = {name: [1] * len(times) for name in ("input_tokens", "output_tokens")}
    traffic = workload_from_trace({**columns, "timestamp_s": times})
    assert (traffic.requests_per_second, traffic.dispersion) == pytest.approx((rate, dispersion))
    asked = workload_from_trace({**columns, "timestamp_s": times}, 9.0)
    assert (asked.requests_per_second, asked.dispersion) == pytest.approx((9.0, dispersion))


@pytest.mark.parametrize(
    ("title", "column"),
    # Azure, Mooncake, Vidur, vLLM's benchmarks
    [
        ("ContextTokens", "input_tokens"), ("GeneratedTokens", "output_tokens"), ("input_length", "input_tokens"),
        ("output_length", "output_tokens"), ("num_prefill_tokens", "input_tokens"),
        ("num_decode_tokens", "output_tokens"), ("prompt_len", "input_tokens"), ("output_len", "output_tokens"),
        ("Prompt Tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("ISL", "input_tokens"),
        ("OSL", "output_tokens"),
    ],
)  # fmt: skip
def test_what_others_call_a_column_is_named(title, column):
    columns = {"input_tokens": [1], "output_tokens": [1]}
    del columns[column]
    with pytest.raises(calculator.InvalidValueError, match=f"{column} is missing: rename '{title}' to it") as caught:
        workload_from_trace({**columns, title: [1]})
    assert caught.value.what == column


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"a": [1]}, "the column input_tokens is missing: there are 'a'"),
        ({}, "the column input_tokens is missing: there are none"),
        ({"input_tokens": [1, 2], "output_tokens": [1]}, "2 rows of input_tokens stand beside 1 of output_tokens"),
        ({"input_tokens": [1, 10**9 + 1], "output_tokens": [1, 1]}, "row 2, input_tokens: must be a whole number"),
        ({"input_tokens": [1, 1], "output_tokens": [0, 0]}, "row 1, output_tokens: .*not 0; 2 of 2 rows are so"),
        ({"input_tokens": [1, None], "output_tokens": [1, 1]}, "row 2, input_tokens: is missing"),
        ({"input_tokens": [1, {}], "output_tokens": [1, 1]}, "row 2, input_tokens: must be a number, not {}"),
        (
            {"input_tokens": [1], "output_tokens": [1], "timestamp_s": [float("inf")]},
            "row 1, timestamp_s: must be seconds, a number from",
        ),
        ({"input_tokens": [1], "output_tokens": [1], "timestamp_s": ["x"]}, "row 1, timestamp_s: must be a number"),
        ({"input_tokens": range(5_000_001), "output_tokens": [1]}, "5,000,001 rows; at most 5,000,000 are read"),
    ],
)
def test_a_table_that_is_no_trace_is_refused(columns, text):
    with pytest.raises(calculator.InvalidValueError, match=text):
        workload_from_trace(columns)


def test_the_longest_table_and_the_longest_request_are_read():
    once = numpy.broadcast_to(numpy.int64(1), 5_000_000)
    assert workload_from_trace({"input_tokens": once, "output_tokens": once}).prompt_tokens == 1
    assert trace_of([1, 10**9], [10**9, 1]).trace[0].tolist() == [1, 10**9]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(calculator.FileFormatError, match=r"none\.csv: cannot be read: No such file"):
        workload_from_trace(tmp_path / "none.csv")
    with pytest.raises(calculator.FileFormatError, match=r"mine\.csv: line 1: not UTF-8 text"):
        workload_from_trace(written(tmp_path, b"input_tokens,\xff"))


def test_a_shipped_table_has_the_arrivals_of_the_published_trace():
    # computed from the published files: requests a second, and the dispersion of counts in minutes
    for name, rate, dispersion in (
        ("azure-2023-conversation", 5.53, 16.1), ("azure-2023-code", 2.57, 164), ("mooncake-conversation", 3.40, 2.9),
        ("mooncake-synthetic", 3.91, 1.2),
    ):  # fmt: skip
        traffic = workload(name)
        assert traffic.requests_per_second == pytest.approx(rate, abs=0.005)
        assert traffic.dispersion == pytest.approx(dispersion, rel=0.03)
    assert workload("vidur-arxiv-summarisation").requests_per_second == 1.0
    assert workload("azure-2023-code", 7.0, 300).max_output_tokens == 300
