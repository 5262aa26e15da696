"""The proof: what is compared with public start-up figures, and how far off it may be."""

import hashlib
from pathlib import Path

import pytest

from calculator.logs.compared import compare
from calculator.logs.proof import judged
from calculator.logs.proof.accuracy import Row, comparisons, log_of, markdown, quantile, summarise
from calculator.logs.proof.machines import machines
from calculator.logs.reading import StartupLog
from calculator.logs.reconciliation import reconcile

ROOT = Path(__file__).parents[1]
JUDGED = [one for one in comparisons() if one.capacity_error is not None]


def test_the_report_is_up_to_date():
    assert (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8") == markdown(), "run make accuracy"

    table = (ROOT / "calculator" / "catalogue" / "data" / "accuracy.json").read_text(encoding="utf-8")
    assert table == judged.written(judged.computed()), "run make accuracy"


def test_rows_are_told_apart_by_the_hash_of_their_id():
    for one in comparisons():
        assert one.calibrates == (hashlib.sha256(one.id.encode()).digest()[0] % 2 == 0)
    assert 0.3 < sum(one.calibrates for one in comparisons()) / len(comparisons()) < 0.7


def test_half_of_the_pools_are_within_one_percent():
    assert quantile((abs(one.capacity_error) for one in JUDGED), 0.5) <= 0.01
    held_out = [abs(one.capacity_error) for one in JUDGED if not one.calibrates]
    assert quantile(held_out, 0.5) <= 0.01


@pytest.mark.parametrize("one", JUDGED, ids=lambda one: one.id)
def test_a_pool_far_too_high_is_explained(one):
    if abs(one.capacity_error) > 0.05:
        assert one.row["explanation"]


@pytest.mark.parametrize("one", [one for one in comparisons() if one.tokens_exact is not None], ids=lambda one: one.id)
def test_the_printed_pool_holds_the_printed_tokens(one):
    assert one.tokens_exact or one.row["explanation"]


def test_a_wrong_figure_is_seen():
    one = next(one for one in JUDGED if one.is_close)
    off = Row(**{**vars(one), "capacity_error": 0.4, "device_error": 0.2, "in_range": False})
    summary = summarise("one", [off])
    assert (summary.close, summary.in_range, summary.errors) == (0, 0, (0.4,))
    assert f"- `{one.id}`: +40.0%. " in markdown([off])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 3), (0.9, 5), (0.2, 1)])
def test_quantile_is_the_nearest_rank(share, expected):
    assert quantile([5, 3, 1, 2, 4], share) == expected


def test_a_row_is_compared_as_its_log_is():
    # what the row says, as vLLM prints it
    one = next(one for one in JUDGED if one.id == "vllm-qweewqq-vllm_server")
    row = one.row
    log = (
        f"LLM engine (v{row['version']}) with config: model='{row['logged_model']}', "
        f"max_seq_len={row['max_model_len']}, dtype=torch.bfloat16, quantization=None, "
        f"gpu_memory_utilization={row['gpu_memory_utilization']}, "
        f"tensor_parallel_size=1, max_num_batched_tokens={row['max_num_batched_tokens']}\n"
        f"Model loading took {row['weights_gib']} GiB\nAvailable KV cache memory: {row['kv_pool_gib']} GiB\n"
        f"GPU KV cache size: {row['kv_tokens']:,} tokens\n"
        f"Maximum concurrency for {row['concurrency_at']:,} tokens per request: {row['max_concurrency']}x\n"
    )
    read, told = reconcile(log, gpu=row["gpu"]), reconcile(log_of(row), row["model"], row["gpu"])
    assert (read.plan.request, read.agrees) == (one.plan.request, one.in_range) == (told.plan.request, told.agrees)
    pool = {term.key: term for term in read.terms}["kv_pool"]
    assert one.capacity_error == pool.predicted / pool.reported - 1


def test_a_row_may_report_blocks_alone():
    # of Mixtral's 32 layers 4 KiB a token each: 16 tokens × 32 × 4 KiB = 2 MiB a block, 1 GiB in 512 of them
    log = StartupLog("vllm", {"num_blocks": 512}, {"engine_version": "0.7"}, 1, (), 0)
    compared = compare(log, "mixtral-8x7b", "h200", {})
    assert compared.printed_tokens == 512 * 16
    assert compared.reported_gib == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("starts", "expected"),
    # two starts of one machine: the nearest rank of two at one half is the smaller; close and held are of all
    [
        ([(0.02, 0.001, True), (-0.04, 0.002, True)], (0.02, True, True)),
        ([(0.02, 0.001, True), (0.20, 0.100, False)], (0.02, False, False)),
    ],
)
def test_all_starts_of_a_machine_are_judged_together(starts, expected):
    one = next(one for one in JUDGED if one.id == "llmd-sweep-1")
    names = ("capacity_error", "device_error", "in_range")
    rows = [Row(**{**vars(one), **dict(zip(names, start, strict=True))}) for start in starts]
    (machine,) = machines(rows)
    assert (machine.error, machine.is_close, machine.held) == expected
    assert machine.name == "llm-d-incubation/llm-d-planner h100-sxm"


def test_an_engine_without_a_pool_is_judged_by_all_that_it_takes():
    # Llama 3 8B at 8,192 cells on one GPU: 4,403.49 MiB of weights, 1,024 of cache, 560 of compute buffer are printed
    one = next(one for one in JUDGED if one.id == "lc-llama3-8b-h100")
    assert one.capacity.reported_gib == pytest.approx((4403.49 + 1024 + 560) / 1024, abs=1e-5)
    # the buffer is 4 × 512 × (8,192 × 32 + 8,192 + 4.5 × 4,096) = 564 MiB; of four devices each holds five masks more
    many = next(one for one in JUDGED if one.id == "lc-llama3-8b-a100x4")
    more = many.capacity.predicted_gib - one.capacity.predicted_gib
    assert more == pytest.approx(5 * 4 * 512 * 8192 / 2**30, abs=1e-9)


def test_what_is_stated_in_part_is_summed_up_apart():
    whole = summarise("all", comparisons())
    assert len(whole.errors) == sum(one.is_stated for one in JUDGED) < len(JUDGED)
