"""Traces: what a row, a column, a time or a file may be, and what is said of one that is none."""

import json
import re
import subprocess
import sys
from decimal import Decimal

import numpy
import pandas
import pytest
from golden import ROOT
from loads import HUGE, refused, spelt, trace, traffic

import calculator
from calculator.planning.traffic import columns
from calculator.planning.traffic.columns import LATEST_S
from calculator.reading import strict_csv
from calculator.reading.strict_csv import MAX_LINE_BYTES

# Rows of a trace


@pytest.mark.parametrize(
    ("value", "text", "nearest"),
    [
        (0, "must be a whole number from 1 to 1,000,000,000, not 0", 1),
        (-7, "must be a whole number from 1 to 1,000,000,000, not -7", 1),
        (2.5, "must be a whole number from 1 to 1,000,000,000, not 2.5", 2),
        (10**9 + 1, "must be a whole number from 1 to 1,000,000,000, not 1000000001", 10**9),
        (HUGE, "must be a whole number from 1 to 1,000,000,000, not about 10^5000", 10**9),
        (float("inf"), "must be a whole number from 1 to 1,000,000,000, not inf", 10**9),
        (float("nan"), "is missing", None),
        (None, "is missing", None),
        (pandas.NA, "is missing", None),
        (pandas.NaT, "is missing", None),
    ],
    ids=spelt,
)
@pytest.mark.parametrize("title", ["input_tokens", "output_tokens"])
def test_a_length_that_is_none_is_named_by_row_and_column(title, value, text, nearest):
    lengths = {"input_tokens": [5, 6, 7], "output_tokens": [1, 2, 3]}
    lengths[title] = [5, value, 7]
    for table in (lengths, pandas.DataFrame(lengths, dtype=object)):
        error = refused(lambda table=table: calculator.workload_from_trace(table), f"trace: row 2, {title}: {text}")
        assert (error.what, error.nearest) == (title, nearest)


@pytest.mark.parametrize("value", [True, "5", b"5", 1j, [5], {}, pandas.Timestamp(0), pandas.Timedelta(5)])
def test_what_is_no_number_is_no_length(value):
    refused(lambda: trace([5, value], [1, 1]), "trace: ", "input_tokens", "number")


def test_how_many_rows_are_wrong_is_said_and_none_is_dropped():
    refused(lambda: trace([1, 0, 3, -1, float("nan")], [1] * 5), "row 2, input_tokens", "; 3 of 5 rows are so")
    assert trace([1, 2, 3], [4, 5, 6]).pairs(100).prompt_tokens.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "column",
    [
        pandas.Series([5, 6, 7], index=[9, 9, 1]),
        pandas.Series([5, 6, 7], dtype="Int64"),
        pandas.Series([5.0, 6.0, 7.0]),
        numpy.array([5, 6, 7], dtype=numpy.uint8),
        (5, 6, 7),
        [5, numpy.int64(6), Decimal(7)],
    ],
    ids=["index", "Int64", "float", "uint8", "tuple", "mixed"],
)
def test_numbers_of_every_type_are_read(column):
    assert trace(column, [1, 1, 1]).trace[0].tolist() == [5, 6, 7]


def test_what_is_masked_is_missing():
    masked = numpy.ma.array([5, 6, 7], mask=[False, True, False])
    refused(lambda: trace(masked, [1, 1, 1]), "row 2, input_tokens: is missing; 1 of 3 rows are so")
    assert trace(numpy.ma.array([5, 6, 7]), [1, 1, 1]).prompt_tokens == 6


@pytest.mark.parametrize("column", [5, "567", {1: 2}, {1, 2}, (n for n in [1]), [[1, 2]], [[1], [1, 2]], None])
def test_a_column_is_one_number_a_row(column):
    error = refused(lambda: trace(column, [1]), "trace: input_tokens must hold one number a row")
    assert error.what == "input_tokens"


@pytest.mark.parametrize("table", [None, 5, [], [{"input_tokens": 5}], b"trace.csv", {"input_tokens", "output_tokens"}])
def test_a_trace_is_a_table_or_a_path(table):
    error = refused(
        lambda: calculator.workload_from_trace(table), "a trace is a DataFrame or a mapping with the columns"
    )
    assert (error.what, error.allowed) == ("trace", ("input_tokens", "output_tokens", "timestamp_s"))


@pytest.mark.parametrize(
    ("titles", "column", "nearest"),
    [
        (("prompt_tokens", "output_tokens"), "input_tokens", "prompt_tokens"),
        (("ContextTokens", "GeneratedTokens"), "input_tokens", "ContextTokens"),
        (("Input tokens", "output_tokens"), "input_tokens", "Input tokens"),
        (("input_token", "output_tokens"), "input_tokens", "input_token"),
        (("imput_tokens", "output_tokens"), "input_tokens", "imput_tokens"),
        (("input_tokens", "Response tokens"), "output_tokens", "Response tokens"),
        (("input_tokens", "output_length"), "output_tokens", "output_length"),
        (("a", "output_tokens"), "input_tokens", None),
        ((0, 1), "input_tokens", None),
        ((), "input_tokens", None),
    ],
)
def test_another_name_of_a_column_is_suggested(titles, column, nearest):
    table = {title: [1] for title in titles}
    hint = f"rename {nearest!r} to it" if nearest else f"there are {', '.join(repr(str(t)) for t in titles) or 'none'}"
    error = refused(lambda: calculator.workload_from_trace(table), f"trace: the column {column} is missing: {hint}")
    assert (error.what, error.nearest, error.asked) == (column, nearest, tuple(map(str, titles)))


# Azure, Vidur, Mooncake, BurstGPT, ShareGPT's readers and the benchmarks of vLLM, SGLang and TensorRT-LLM
OTHERS = {
    "input_tokens": "prompt_tokens contexttokens context_tokens input_length prompt_length num_prefill_tokens "
                    "num_prompt_tokens request_tokens prompt_len input_len isl",
    "output_tokens": "generatedtokens generated_tokens output_length response_length num_decode_tokens "
                     "num_output_tokens completion_tokens response_tokens output_len osl",
}  # fmt: skip


@pytest.mark.parametrize(("column", "names"), OTHERS.items())
def test_every_name_that_others_have_is_known(column, names):
    for title in names.split():
        columns = {"input_tokens": [1], "output_tokens": [1]}
        del columns[column]
        # two names that no spelling is near to stand before it
        with pytest.raises(calculator.InvalidValueError) as caught:
            calculator.workload_from_trace({"zz": [1], "qq": [2], **columns, title.upper(): [1]})
        assert caught.value.nearest == title.upper(), title


def test_columns_of_one_name_or_of_unlike_lengths_are_refused():
    twice = pandas.DataFrame([[1, 2, 3]], columns=["input_tokens", "input_tokens", "output_tokens"])
    refused(lambda: calculator.workload_from_trace(twice), "there are 2 columns input_tokens")
    refused(lambda: trace([1, 2], [1]), "2 rows of input_tokens stand beside 1 of output_tokens")
    refused(lambda: trace([1, 2], [1, 1], timestamp_s=[0]), "2 rows of input_tokens stand beside 1 of timestamp_s")
    refused(lambda: trace([], []), "input_tokens is empty: a trace has at least one request")


@pytest.mark.parametrize("pair", ["ab", ([1],), ([1], [2], [3]), ([1, 2], [1]), ([0], [1]), 5])
def test_the_pairs_of_a_workload_are_checked_as_well(pair):
    error = refused(lambda: traffic(trace=pair), "trace")
    assert error.what in ("trace", "input_tokens", "output_tokens")


def test_means_and_variation_are_those_of_the_trace_whatever_is_said():
    made = traffic(trace=([10, 30], [1, 3]), prompt_tokens="many", correlation=0.5)
    # 10 and 30: mean 20, deviation 10; 1 and 3: mean 2, deviation 1
    assert (made.prompt_tokens, made.output_tokens, made.prompt_cv, made.output_cv) == (20, 2, 0.5, 0.5)
    assert made.correlation == pytest.approx(1)


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([0, float("nan")], "row 2, timestamp_s: is missing"),
        ([0, float("inf")], "row 2, timestamp_s: must be seconds"),
        ([1.7e12, 1.7e12 + 5], "row 1, timestamp_s: must be seconds, a number from -1e+11 to 1e+11"),  # milliseconds
        (pandas.to_datetime(["2026-01-01", "2026-01-02"]), "row 1, timestamp_s: must be a number, not Timestamp"),
        (numpy.array([1, 2], dtype="timedelta64[s]"), "row 1, timestamp_s: must be a number, not "),
        (["0", "1"], "row 1, timestamp_s: must be a number, not '0'"),
        ([0, 1e-12], "requests_per_second must be at most 1,000,000,000"),
    ],
)
def test_times_are_seconds(times, text):
    refused(lambda: trace([5, 6], [1, 1], timestamp_s=times), text)


def test_the_rate_of_a_trace_is_that_of_its_times_however_far_apart():
    # 10^11 s are n = 1.67 10^9 whole minutes; the first has two arrivals, one later has one, the last lies behind them:
    # mean 3 / n, mean square 5 / n, and 9 / n^2 is nothing beside it
    made = trace([5] * 4, [1] * 4, timestamp_s=[0, 1, 5e10, LATEST_S])
    assert made.requests_per_second == 3 / LATEST_S
    assert made.dispersion == pytest.approx(5 / 3, rel=1e-6)
    assert trace([5, 5], [1, 1], timestamp_s=[7, 7]).requests_per_second == 1.0


def test_a_trace_of_one_request():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4096)
    alone = trace([1000], [24])
    assert (alone.prompt_cv, alone.output_cv, alone.correlation) == (0, 0, 0)
    found = calculator.concurrency(plan, alone)
    # it holds 1,001 to 1,024 tokens: the mean of j = 1..24 is 12.5, the variance (24^2 - 1) / 12
    assert (found.mean_tokens, found.sd_tokens) == pytest.approx((1012.5, (575 / 12) ** 0.5))


def test_a_trace_that_varies_more_than_any_lognormal_is_taken_as_it_is():
    made = trace([1] * 20_000 + [10**9], [1] * 20_001)
    # one outweighs all: the variance is its square over n, the mean itself over n
    assert made.prompt_cv == pytest.approx(20_001**0.5, rel=1e-3)


# Files


def write(folder, text, name="trace.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("input_tokens,output_tokens\n5,1\n,1\n", "row 2, input_tokens: is missing"),
        ("input_tokens,output_tokens\n5,1\n6\n", "row 2, output_tokens: is missing"),
        ("input_tokens,output_tokens\n5,nan\n", "row 1, output_tokens: is missing"),
        ("input_tokens,output_tokens\n5,1\n6,x\n", "row 2, output_tokens: must be a number, not 'x'"),
        ("input_tokens,output_tokens\n5,1.5\n", "row 1, output_tokens: must be a whole number"),
        ("input_tokens,output_tokens\n5,-1\n", "row 1, output_tokens: must be a whole number from 1 "),
        (f"input_tokens,output_tokens\n{'9' * 400},1\n", "row 1, input_tokens: must be a whole number"),
        ("input_tokens,output_tokens\n1,000,250\n", "row 1 has 3 cells, the header has 2"),
        ('input_tokens,output_tokens\n"1,000",250\n', "row 1, input_tokens: must be a number, not '1,000'"),
        ("input_tokens;output_tokens\n5;1\n", "output_tokens'; columns are separated by commas"),
        ("input_tokens,output_tokens,input_tokens\n5,1,5\n", "there are 2 columns input_tokens"),
        ("input_tokens,output_tokens\n", "input_tokens is empty"),
        ("", "the column input_tokens is missing: there are none"),
        (b"input_tokens,output_tokens\n5,\xff\n", "line 2: not UTF-8 text"),
        ("input_tokens,output_tokens\n5,1\n".encode("utf-16"), "line 1: not UTF-8 text"),
        (b"\0" * 10**6, f"line 1: longer than {MAX_LINE_BYTES:,} bytes"),
        ('input_tokens,output_tokens\n5,"' + "x\n" * 10**5, "line "),
        ("input_tokens,output_tokens\r5,1\r", "line "),
    ],
    ids=lambda value: None if isinstance(value, tuple) else str(value)[:40].encode("unicode_escape").decode(),
)  # fmt: skip
def test_a_file_that_is_no_trace_is_refused(tmp_path, content, text):
    path = write(tmp_path, content)
    refused(lambda: calculator.workload_from_trace(path), f"{path}: ", text)


def test_lines_that_hold_nothing_are_left_out_and_other_columns_do_not_matter(tmp_path):
    path = write(tmp_path, '\ufeff# made by hand\n\n id , input_tokens,output_tokens\n\na,5,1\n# no\n"b, c", 7 ,3\n')
    made = calculator.workload_from_trace(path)
    assert [column.tolist() for column in made.trace] == [[5, 7], [1, 3]]
    assert made.name == "trace"


def test_a_row_far_down_is_named_by_its_number(tmp_path):
    rows = ["5,1\n"] * 100_000
    for number, cells, text in (
        (40_000, "x,1", "row 40,000, input_tokens: must be a number, not 'x'"),
        (70_000, "5", "row 70,000, output_tokens: is missing"),
        (99_999, "5,1,1", "row 99,999 has 3 cells"),
        (100_000, "5,0", "row 100,000, output_tokens: must be a whole number"),
    ):
        spoilt = [*rows[: number - 1], f"{cells}\n", *rows[number:]]
        path = write(tmp_path, "input_tokens,output_tokens\n" + "".join(spoilt))
        refused(lambda path=path: calculator.workload_from_trace(path), text)


def test_files_and_tables_beyond_what_is_read_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path, "input_tokens,output_tokens\n" + "5,1\n" * 10)
    monkeypatch.setattr(strict_csv, "MAX_ROWS", 9)
    refused(lambda: calculator.workload_from_trace(path), "more than 9 rows, the most that is read")
    monkeypatch.setattr(columns, "MAX_ROWS", 9)
    refused(lambda: trace([5] * 10, [1] * 10), "trace: 10 rows; at most 9 are read")
    monkeypatch.setattr(strict_csv, "MAX_TABLE_BYTES", 66)
    refused(lambda: calculator.workload_from_trace(path), "larger than 66 bytes, the most that is read")


@pytest.mark.parametrize("path", ["nowhere.csv", ".", "a\0b", "x" * 5000, ""])
def test_a_path_that_cannot_be_read_is_said(path):
    with pytest.raises(calculator.FileFormatError, match=re.escape(path[:20]) + ".*: cannot be read: "):
        calculator.workload_from_trace(path)


def test_a_device_without_end_is_not_read_to_its_end():
    refused(lambda: calculator.workload_from_trace("/dev/zero"), "/dev/zero: line 1: longer than ")


ROWS = 1_000_000
"""Lengths 1 to 1,000 a thousand times over, answers the other way round: prompt and answer sum to 1,001."""
READ = """
import json, sys
import calculator, numpy

def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4096)
calculator.concurrency(plan, calculator.workload_from_trace({"input_tokens": [1], "output_tokens": [1]}))
before = peak_bytes()
made = calculator.workload_from_trace(sys.argv[1])
found = calculator.concurrency(plan, made)
print(json.dumps({**made.as_dict(), "resident": found.mean_tokens, "peak_bytes": peak_bytes() - before}))
"""


def check_the_million(made):
    assert (made["num_requests"], made["prompt_tokens"], made["output_tokens"]) == (ROWS, 500.5, 500.5)
    # the variance of 1 to n is (n^2 - 1) / 12
    assert made["prompt_cv"] == pytest.approx((999_999 / 12) ** 0.5 / 500.5, rel=1e-12)
    assert made["correlation"] == pytest.approx(-1)
    assert made["requests_per_second"] == 1


def test_a_file_of_a_million_rows_is_read_in_little_memory(tmp_path):
    lines = "".join(f"{row % 1000 + 1},{1000 - row % 1000},{row}\n" for row in range(ROWS))
    path = write(tmp_path, "input_tokens,output_tokens,timestamp_s\n" + lines)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stderr == ""
    made = json.loads(done.stdout)
    check_the_million(made)
    # of a resident request P + (O + 1) / 2 tokens in the mean, P = 1,001 - O, and O is (2 x 1,000 + 1) / 3 = 667
    assert made["resident"] == pytest.approx(1001 - 667 + 668 / 2)
    # 3 columns of 8 bytes a row, a few times over while they are joined and checked; as text a row is over 200
    assert made["peak_bytes"] < 150 * ROWS


def test_a_million_rows_of_a_frame_are_left_as_they_are():
    lengths = numpy.tile(numpy.arange(1, 1001), ROWS // 1000)
    table = pandas.DataFrame({"input_tokens": lengths, "output_tokens": 1001 - lengths, "timestamp_s": range(ROWS)})
    before = table.copy()
    check_the_million(calculator.workload_from_trace(table).as_dict())
    pandas.testing.assert_frame_equal(table, before)
