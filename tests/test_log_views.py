"""What the page of logs says: how much, which way, and where, from logs whose sums are worked by hand."""

import pytest

import calculator
from calculator.charts import reconciled_chart
from calculator.views.pages import bars, log
from calculator.views.pages.bars import Part

GIB = 2**30
WEIGHTS = 2 * 8_030_261_248 / GIB  # Llama 3.1 8B in bf16
OVERHEADS = {"activation_bytes": GIB, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
POOL = 32 - WEIGHTS - 1  # 0.8 of 40 GiB, less weights and 1 GiB of activations
LAYERS = 131_072  # bytes a token: 2 × 8 × 128 × 32 layers × 2


def reconciled(pool_gib, *lines, **given):
    text = (
        "Initializing a V1 LLM engine (v0.33.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        f"quantization=None, max_seq_len=8192, gpu_memory_utilization=0.8\nModel loading took {WEIGHTS:.4f} GiB\n"
        f"Available KV cache memory: {pool_gib:.2f} GiB\n" + "".join(f"{line}\n" for line in lines)
    )
    return calculator.reconcile(text, gpu_memory_bytes=40 * GIB, **{**OVERHEADS, **given})


@pytest.mark.parametrize(
    ("more", "verdict", "says"),
    [
        (0.0, log.Verdict.AGREES, f"kept {POOL:.1f} GiB for KV, as expected"),
        (-3.5, log.Verdict.OUTSIDE, "kept 3.5 GiB less for KV than expected"),
        (2.0, log.Verdict.OUTSIDE, "kept 2.0 GiB more for KV than expected"),
    ],
)
def test_the_headline_says_how_much_and_which_way(more, verdict, says):
    result = reconciled(POOL + more)
    assert log.verdict(result) is verdict
    assert log.headline(result) == f"LLaMA 3.1 8B on a GPU of 40.0 GiB: your engine {says}"
    assert log.detail(result).startswith(f"{POOL + more:.2f} GiB reported, {POOL:.2f} expected (")
    drawn = bars.bars(result)
    assert drawn.unexplained == pytest.approx(-more, abs=0.006)
    assert dict(drawn.expected) == pytest.approx({Part.WEIGHTS: WEIGHTS, Part.OVERHEADS: 1.0, Part.KV: POOL}, abs=1e-3)
    parts = dict(drawn.reported)
    assert parts.get(Part.UNEXPLAINED, 0) == pytest.approx(abs(more), abs=0.006)
    # less leaves the sum that was expected, more first takes the place of what was estimated, then comes on top
    assert sum(parts.values()) == pytest.approx(32 + max(0.0, more - 1), abs=0.02)
    figure = reconciled_chart(drawn)
    hatched = [trace for trace in figure.data if trace.marker.pattern.shape]
    assert [trace.x[0] for trace in hatched] == pytest.approx([abs(more)] if more else [], abs=0.006)


def test_a_printed_overhead_is_a_part_and_not_left_open():
    usage = (
        f"Actual usage is {WEIGHTS:.2f} GiB for weight, 3.00 GiB for peak activation, 0.00 GiB for non-torch memory, "
        "and 0.00 GiB for CUDAGraph memory."
    )
    result = reconciled(POOL - 2, usage)
    drawn = bars.bars(result)
    assert dict(drawn.reported)[Part.OVERHEADS] == pytest.approx(3.0, abs=0.01)
    assert Part.UNEXPLAINED not in dict(drawn.reported)
    rows = {row.name: row for row in log.rows(result)}
    assert (rows["Activations"].difference, rows["Activations"].stands_out) == ("+2.00", True)
    assert rows["Memory of the GPU"].reported == "not printed"


def test_tokens_that_the_pool_does_not_hold_are_said():
    held = int(POOL * GIB / LAYERS / 16) * 16
    assert f"Tokens agree with the pool: {held:,}." in log.detail(
        reconciled(POOL, f"GPU KV cache size: {held:,} tokens")
    )
    other = reconciled(POOL, f"GPU KV cache size: {3 * held:,} tokens")
    assert f"{3 * held:,} are printed." in log.detail(other)
    assert log.verdict(other) is log.Verdict.OTHER_TOKENS
    assert log.headline(other).endswith("the KV pool is as expected, the tokens in it are not")


def test_tokens_alone_are_a_capacity_and_a_cache_that_was_asked_for_is_no_pool():
    held = int(POOL * GIB / LAYERS / 16) * 16
    text = f"GPU KV cache size: {held - 16 * 1024:,} tokens\n"  # 2 GiB less: 16,384 × 128 KiB
    result = calculator.reconcile(
        text, "llama-3.1-8b", gpu_memory_bytes=40 * GIB, gpu_memory_utilization=0.8, **OVERHEADS
    )
    capacity = log.capacity_of(result)
    assert (capacity.is_printed, capacity.more) == (False, pytest.approx(-2.0, abs=0.01))
    assert log.detail(result).startswith(f"{held - 16 * 1024:,} tokens reported, which take {POOL - 2:.2f} GiB")
