"""Prefixes that requests share: hits of a cache, by hand and against published traces, and what they save."""

from dataclasses import replace

import numpy
import pytest

import calculator
from calculator.planning.traffic.reuse.prefixes import prefix_reuse
from calculator.planning.traffic.timing.speed import speed


def trace(ids, block=10, tokens=None, **columns):
    """A trace of full blocks, by their hashes."""
    lengths = tokens or [block * len(row) for row in ids]
    table = {"input_tokens": lengths, "output_tokens": [1] * len(ids), "hash_ids": ids, **columns}
    return calculator.workload_from_trace(table, hash_block_tokens=block)


# share of prompt tokens that an unbounded cache holds, worked out from the files as published, and their blocks
@pytest.mark.parametrize(
    ("name", "share", "blocks"), [("mooncake-conversation", 0.374, 182_790), ("mooncake-synthetic", 0.651, 43_924)]
)
def test_hits_of_published_traces(name, share, blocks):
    table = calculator.workload(name)
    assert len(numpy.unique(table.prefixes.ids)) == blocks
    found = prefix_reuse(table)
    assert found.hit_rate == pytest.approx(share, abs=0.0005)
    assert found.computed_prompt_tokens == pytest.approx((1 - found.hit_rate) * table.prompt_tokens)
    # blocks of 512 tokens, of which only the last of a prompt can be cut short
    assert 512 * blocks - 511 * len(table.trace[0]) < found.unique_tokens <= 512 * blocks


def test_a_cache_keeps_the_blocks_used_last_and_the_head_of_a_prefix_longest():
    # 1 2 3, then 1 2 4: two hits; 7 8; then 1 2 4 again
    ids = [[1, 2, 3], [1, 2, 4], [7, 8], [1, 2, 4]]
    assert prefix_reuse(trace(ids)).hit_rate == pytest.approx((20 + 29) / 110)
    # room for four blocks: after 1 2 4 stay 1, 2, 4 and 3; 7 and 8 drive out 3 and 4; 1 and 2 are found
    assert prefix_reuse(trace(ids), cache_tokens=40).hit_rate == pytest.approx((20 + 20) / 110)
    # room for three: 7 and 8 leave the head of the prefix alone
    assert prefix_reuse(trace(ids), cache_tokens=39).hit_rate == pytest.approx((20 + 10) / 110)
    assert prefix_reuse(trace(ids), cache_tokens=0).hit_rate == 0


def test_a_hit_is_the_leading_blocks_and_never_the_last_token():
    assert prefix_reuse(trace([[1, 2], [1, 2]])).hit_rate == 19 / 40
    assert prefix_reuse(trace([[1, 2], [3, 2]])).hit_rate == 0
    assert prefix_reuse(trace([[1, 2], [1, 2]], tokens=[15, 15])).hit_rate == 14 / 30
    assert prefix_reuse(trace([[1], [1]], tokens=[15, 15])).hit_rate == 10 / 30  # the last block left out


def test_requests_are_replayed_as_they_came():
    # the second row came first and is longer: its blocks are what the first row finds
    assert prefix_reuse(trace([[1], [1, 2]], timestamp_s=[5.0, 0.0])).hit_rate == 9 / 30


def test_unique_tokens_are_kept_once():
    found = prefix_reuse(trace([[1, 2, 3], [1, 2, 4], [7, 8], [1, 2, 4]]), cache_tokens=0)
    assert found.unique_tokens == 60 + 1  # six blocks, and the last token of the prompt that was all there
    assert prefix_reuse(calculator.Workload(1, 100, 10)).unique_tokens is None


def test_what_is_stated_in_place_of_a_trace():
    lengths = {"input_tokens": [1000, 200], "output_tokens": [1, 1]}
    plain = calculator.workload_from_trace(lengths)
    assert prefix_reuse(plain).hit_rate == 0
    assert prefix_reuse(replace(plain, shared_prefix_tokens=400)).hit_rate == (400 + 199) / 1200
    assert prefix_reuse(replace(plain, prefix_hit_rate=0.25)).computed_prompt_tokens == 450


def test_the_pool_of_a_plan_is_the_cache_and_what_runs_takes_of_it():
    # a pool of 40 blocks of 16 and the one that is kept; prompts of 160 tokens and one of output hold 161
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8192, kv_cache_memory_bytes=41 * 16 * 131_072)
    traffic = trace([[number] * 1 + list(range(100 * number, 100 * number + 15)) for number in (1, 2, 1)], block=10)
    assert prefix_reuse(traffic, plan).cache_tokens == plan.kv_pool_tokens
    assert prefix_reuse(traffic, plan, running=2).cache_tokens == plan.kv_pool_tokens - 2 * 161
    assert prefix_reuse(traffic, plan, running=100).hit_rate == 0
    short = calculator.vary(plan, seq_len=101)
    assert prefix_reuse(traffic, short).prompt_tokens == pytest.approx(100)


def test_an_engine_without_prefix_caching_finds_nothing():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", enable_prefix_caching=False)
    assert prefix_reuse(trace([[1, 2], [1, 2]]), plan).computed_prompt_tokens == 20
    assert prefix_reuse(trace([[1, 2], [1, 2]]), calculator.vary(plan, enable_prefix_caching=True)).hit_rate == 19 / 40


def test_hashes_are_read_from_lists_and_from_text(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("input_tokens,output_tokens,hash_ids\n1500,5,0-2\n1500,5,0 7-8\n", encoding="utf-8")
    read = calculator.workload_from_trace(path)
    assert read.prefixes.ids.tolist() == [0, 1, 2, 0, 7, 8]
    path.write_text('input_tokens,output_tokens,hash_ids\n1500,5,"[0, 1, 2]"\n1500,5,"[0, 7, 8]"\n', encoding="utf-8")
    assert calculator.workload_from_trace(path).prefixes.ids.tolist() == [0, 1, 2, 0, 7, 8]
    assert prefix_reuse(read).hit_rate == 512 / 3000


@pytest.mark.parametrize(
    ("cell", "block"),
    [
        ("0-99999999999", 10), ("3-1", 10), ("1 2 x", 10), ("1", 10), ("1 2 3 4", 10), ([1, 2, 2.5], 10),
        ([1, -2, 3], 10), (None, 10), ([True, "a", 3], 10), ([1, 2, 2**63], 10), ("-1 2 3", 10), ([1, 2, 3], 512),
        (float("nan"), 10),
    ],
)  # fmt: skip
def test_hashes_that_are_none_are_refused_with_their_row(cell, block):
    table = {"input_tokens": [30, 30], "output_tokens": [1, 1], "hash_ids": [[1, 2, 3], cell]}
    if block != 10:
        table["hash_ids"][0] = [1]
    with pytest.raises(calculator.CalculatorError, match=r"row 2, hash_ids: must be the whole numbers of \d blocks"):
        calculator.workload_from_trace(table, hash_block_tokens=block)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (
            lambda: prefix_reuse(trace([[1]]), cache_tokens=-1),
            "cache_tokens must be a whole number of at least 0, not -1",
        ),
        (lambda: prefix_reuse(trace([[1]]), cache_tokens=1.5), "cache_tokens must be a whole number"),
        (lambda: prefix_reuse(trace([[1]]), running=float("nan")), "running must be a number from 0"),
        (lambda: trace([[1]], block=0, tokens=[5]), "hash_block_tokens must be a whole number from 1"),
        (
            lambda: calculator.workload_from_trace({"input_tokens": [5], "output_tokens": [1], "hash_ids": [[1], [2]]}),
            "2 hash_ids stand beside 1 input_tokens",
        ),
        (
            lambda: calculator.Workload(1, 10, 10, prefix_hit_rate=1.1),
            "prefix_hit_rate must be at most 1",
        ),
        (
            lambda: calculator.Workload(1, 10, 10, prefixes=trace([[1]]).prefixes),
            "prefixes must be of the requests of a trace",
        ),
        (lambda: replace(trace([[1]]), times=numpy.zeros(2)), "times must be of the requests of a trace"),
    ],
)
def test_bad_numbers_are_refused(ask, text):
    with pytest.raises(calculator.CalculatorError, match=text):
        ask()


def test_time_of_a_prompt_is_that_of_what_is_computed():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=32_768)
    peak = plan.accelerator.bf16_tflops * 1e12
    matrices = 2 * (8_030_261_248 - 128_256 * 4096)  # FLOPs of a token: all but the input embedding
    pairs = 32 * 2 * 32 * 256  # FLOPs of a pair of tokens: layers x 2 x heads x (128 + 128)
    half = speed(plan, 1, 20_000, 100, computed_prompt_tokens=10_000)
    # the last 10,000 tokens see the 10,000 before them: 20,000^2 / 2 - 10,000^2 / 2 pairs
    assert half.prompt_compute_s == pytest.approx(1.45 * (10_000 * matrices + pairs * 1.5e8) / peak, rel=1e-6)
    assert not half.checked
    assert "no speed with hits in a prefix cache was measured" in half.why
    whole = speed(plan, 1, 20_000, 100)
    assert speed(plan, 1, 20_000, 100, computed_prompt_tokens=20_000) == whole
    with pytest.raises(calculator.CalculatorError, match="is more than the 1000 prompt_tokens"):
        speed(plan, 1, 1000, 100, computed_prompt_tokens=1001)


def test_what_a_step_reads_follows_what_sequences_hold():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=32_768)
    kv = {term.name: term.seconds for term in speed(plan, 10, 1000, 250, resident_tokens=1405).terms}["kv"]
    assert kv == pytest.approx(1.1 * 10 * 1405 * 131_072 / (plan.accelerator.bandwidth_gb_per_s * 1e9))


def test_hashes_of_json_lines_are_read_as_those_of_csv(tmp_path):
    # two prompts of two blocks that share the first: 512 of 2,048 tokens are found
    lines = tmp_path / "trace.jsonl"
    lines.write_text(
        '{"input_tokens": 1024, "output_tokens": 5, "hash_ids": [7, 8]}\n'
        '{"input_tokens": 1024, "output_tokens": 5, "hash_ids": [7, 9]}\n'
    )
    table = tmp_path / "trace.csv"
    table.write_text("input_tokens,output_tokens,hash_ids\n1024,5,7 8\n1024,5,7 9\n")
    for path in (lines, table):
        assert calculator.prefix_reuse(calculator.workload_from_trace(path)).hit_rate == 512 / 2048
