"""``plan()``: the reference deployment, the engine's own answers, and boundaries that are exact."""

import math

import pytest
from golden import GIB, PRESETS, rows
from hypothesis import given
from hypothesis import strategies as st

import calculator
from calculator import UnsupportedError, plan, vary

ENGINE = rows("engine_plans.csv")
NO_OVERHEAD = {"activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}


@pytest.mark.parametrize(
    "row", ENGINE, ids=lambda row: f"{row['preset']}-tp{row['tp']}-{row['dtype']}-{row['max_model_len']}"
)
def test_blocks_tokens_and_concurrency_are_the_engines(row):
    answer = plan(
        row["preset"],
        gpu="h100-sxm",
        tensor_parallel_size=int(row["tp"]),
        kv_cache_dtype=row["dtype"],
        seq_len=int(row["max_model_len"]),
        kv_cache_memory_bytes=21_474_836_480,
    )
    assert answer.request.block_size == 16
    assert answer.num_blocks == int(row["num_blocks"])
    assert answer.kv_pool_tokens == int(row["kv_tokens"])
    assert answer.max_concurrency == float(row["max_concurrency"])
    assert answer.kv_heads_per_gpu == int(row["kv_heads_per_rank"])
    assert answer.kv_pool_bytes == 21_474_836_480


def test_the_reference_lies_in_the_fifties(reference):
    assert reference.fits is True
    assert 50 <= reference.max_batch_size < 60


def test_the_reference_without_overheads_is_62():
    # 0.9 x 80 GiB = 72 GiB; weights 70,553,706,496 x 2 / 4 = 32.86 GiB; 8,192 tokens take 0.625 GiB of a GPU: 62.6
    asked = {"tensor_parallel_size": 4, "seq_len": 8192, "gpu_memory_bytes": 80 * GIB, "gpu_memory_utilization": 0.9}
    assert plan("llama-3-70b", **asked, **NO_OVERHEAD).max_batch_size == 62


def test_the_pool_is_the_budget_less_the_lines(reference):
    memory = reference.per_gpu
    # 79.235 GiB (the middle of 79.14 and 79.33) x 0.92, rounded up
    assert memory.requested_bytes == math.ceil(reference.accelerator.memory_bytes * 0.92)
    taken = memory.weights_bytes + memory.activation_bytes + memory.non_torch_bytes + memory.cuda_graph_bytes
    assert memory.kv_pool_bytes == memory.requested_bytes - taken
    assert memory.unused_bytes + taken + memory.kv_pool_bytes == memory.total_bytes
    # a block: 16 tokens x 80 layers x 2 heads x 2 x 128 x 2 bytes
    assert reference.stage.geometry.pools[0].block_bytes == 1_310_720
    assert reference.num_blocks == memory.kv_pool_bytes // 1_310_720
    assert reference.max_batch_size == (reference.num_blocks - 1) // 512  # one block is held back
    assert reference.kv_bytes_per_sequence == 327_680 * 8192


def test_scopes_are_one_gpu_a_replica_and_all(reference):
    two = vary(reference, data_parallel_size=2)
    one = two.per_gpu.as_dict()
    assert two.per_gpu == reference.per_gpu
    assert two.per_replica.as_dict() == {name: 4 * value for name, value in one.items()}
    assert two.all_gpus.as_dict() == {name: 8 * value for name, value in one.items()}
    assert two.all_gpus.lines["activation"].high == 8 * two.per_gpu.lines["activation"].high
    assert two.all_gpus.unused_bytes == 8 * two.per_gpu.unused_bytes
    assert (two.gpus_per_replica, two.num_gpus) == (4, 8)
    assert two.max_batch_size == reference.max_batch_size
    assert two.total_max_batch_size == 2 * reference.max_batch_size


def test_price_is_of_all_gpus_with_its_date(reference):
    # hardware.csv: A100-80GB-SXM 0.8 to 3.0 USD an hour, seen 2026-05
    assert reference.price_usd_per_hour == pytest.approx((3.2, 12.0))
    low, high = reference.price_usd_per_sequence_hour
    assert (low * reference.max_batch_size, high * reference.max_batch_size) == pytest.approx((3.2, 12.0))
    assert reference.as_dict()["price_date"] == "2026-05"
    assert plan("llama-3.1-8b", gpu="mi355x").price_usd_per_hour is None


@pytest.mark.parametrize("preset", PRESETS)
def test_the_largest_batch_fits_and_one_more_does_not(preset):
    answer = plan(preset, gpu="mi355x", pipeline_parallel_size=8, seq_len=1024)
    most = answer.max_batch_size
    assert most >= 100
    assert vary(answer, batch_size=most).fits is True
    assert vary(answer, batch_size=most + 1).fits is False


@given(
    preset=st.sampled_from(PRESETS),
    pool=st.integers(2**30, 2**36),
    block=st.sampled_from([1, 8, 16, 32, 48, 64, 4096]),
    seq_len=st.integers(1, 10_000),
    batch=st.integers(1, 50),
)
def test_boundaries_are_exact_for_any_pool_and_block(preset, pool, block, seq_len, batch):
    asked = {
        "model": preset,
        "gpu_memory_bytes": 2**45,
        "kv_cache_memory_bytes": pool,
        "block_size": block,
        "seq_len": seq_len,
        "batch_size": batch,
    }
    answer = plan(**asked)
    per_sequence = math.ceil(seq_len / block)
    free = max(0, answer.num_blocks - 1)
    assert answer.max_batch_size == free // per_sequence
    assert answer.fits is (batch * per_sequence <= free)
    longest = answer.max_context_len
    assert plan(**{**asked, "seq_len": longest + 1}).fits is False
    if longest:
        assert plan(**{**asked, "seq_len": longest}).fits is True
        assert plan(**{**asked, "seq_len": longest}).max_batch_size >= batch


@given(pool=st.integers(1, 2**40))
def test_a_pool_holds_whole_blocks_only(pool):
    answer = plan("llama-3-8b", gpu_memory_bytes=2**45, kv_cache_memory_bytes=pool)
    block = 16 * 131_072
    assert answer.num_blocks * block <= pool < (answer.num_blocks + 1) * block


@pytest.mark.parametrize("name", ["seq_len", "activation_bytes", "non_torch_bytes", "cuda_graph_bytes"])
def test_more_of_what_takes_memory_never_holds_more(reference, name):
    values = [*(2**step for step in range(10, 29, 3)), 900_000_000]
    sizes = [vary(reference, **{name: value}).max_batch_size for value in values]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_more_memory_and_more_utilisation_never_hold_less(reference):
    by_memory = [vary(reference, gpu_memory_bytes=gib * GIB).max_batch_size for gib in range(30, 120, 5)]
    by_share = [vary(reference, gpu_memory_utilization=share / 20).max_batch_size for share in range(1, 21)]
    assert by_memory == sorted(by_memory)
    assert by_share == sorted(by_share)
    assert by_memory[0] == by_share[0] == 0
    assert min(by_memory[-1], by_share[-1]) > reference.max_batch_size


def test_the_stage_with_the_fewest_blocks_decides():
    answer = plan("llama-3.2-1b", gpu="l4", pipeline_parallel_size=3, seq_len=1024)
    # 16 layers over 3 stages: 5, 6, 5, of 2 x 8 x 64 x 2 = 2,048 bytes a token
    assert [stage.geometry.pools[0].block_bytes for stage in answer.stages] == [
        16 * 2048 * layers for layers in (5, 6, 5)
    ]
    assert answer.num_blocks == min(stage.num_blocks for stage in answer.stages)
    assert answer.per_gpu == min(answer.stages, key=lambda stage: stage.num_blocks).memory
    assert answer.per_replica.weights_bytes == sum(stage.memory.weights_bytes for stage in answer.stages)


def test_weights_that_do_not_fit_are_an_answer():
    answer = plan("llama-3-70b", gpu="a100-80gb-sxm", seq_len=8192)
    assert (answer.fits, answer.max_batch_size, answer.max_context_len, answer.num_blocks) == (False, 0, 0, 0)
    assert answer.kv_pool_bytes == 0
    # 70,553,706,496 x 2 / 2^30 = 131.42 GiB; 0.92 x 79.235 = 72.90 GiB
    assert answer.notes[0].startswith("does not fit: weights (131.42 GiB) and overheads (")
    budget = "available are 72.90 GiB of the 79.23 GiB of one GPU (vLLM: 0.92 of all memory, CUDA graphs inside)"
    assert answer.notes[0].endswith(budget)


def test_a_batch_that_does_not_fit_names_the_largest_that_would(reference):
    answer = vary(reference, batch_size=100)
    assert answer.fits is False
    assert answer.max_batch_size == reference.max_batch_size
    # 100 x 0.625 GiB
    assert "the KV cache of 100 × 8,192 tokens needs 62.50 GiB on one GPU" in answer.notes[0]
    assert f"{answer.max_batch_size} sequences of 8,192 tokens would fit" in answer.notes[0]
    assert f"100 sequences of {answer.max_context_len:,} tokens would fit" in answer.notes[0]


def test_a_pool_given_outright_ignores_the_weights_but_not_the_memory():
    given_pool = plan("llama-3-70b", gpu="a100-80gb-sxm", kv_cache_memory_bytes=20 * GIB, seq_len=8192)
    assert given_pool.num_blocks == 20 * GIB // (16 * 327_680)
    assert given_pool.fits is False
    assert given_pool.max_batch_size == 0
    text = "exceed the 79.23 GiB of one GPU; the largest pool would be 0.00 GiB"
    assert given_pool.notes[0].endswith(text)
    assert vary(given_pool, tensor_parallel_size=4).fits is True


def test_context_beyond_the_models_is_a_note_and_computed():
    answer = plan("llama-3-8b", gpu="h100-sxm", seq_len=8193)
    assert answer.fits is True
    assert answer.notes[0].startswith("8,193 tokens are more than the 8,192 that LLaMA 3 8B is made for")
    assert not any("is made for" in note for note in plan("llama-3-8b", gpu="h100-sxm", seq_len=8192).notes)


def test_max_num_seqs_is_a_note_and_no_cap():
    answer = plan("llama-3-8b", gpu="h100-sxm", seq_len=128, max_num_seqs=10)
    assert answer.max_batch_size > 1000
    assert any("max_num_seqs 10 lets the engine run no more than that at once" in note for note in answer.notes)


def test_a_utilisation_that_leaves_no_room_for_the_context_is_noted(reference):
    tight = vary(reference, gpu_memory_utilization=1)
    assert tight.per_gpu.requested_bytes == tight.per_gpu.total_bytes
    assert any("keeps 0.00 GiB free" in note for note in tight.notes)
    assert not any("free; a GPU's own context" in note for note in reference.notes)


def test_formats_that_the_engine_does_not_store_are_refused(reference):
    with pytest.raises(UnsupportedError, match="does not run a KV cache in q8_0; it does in bf16"):
        vary(reference, kv_cache_dtype="q8_0")


def test_vary_starts_from_what_was_asked(reference):
    assert vary(reference) == reference
    assert vary(vary(reference, tensor_parallel_size=8), tensor_parallel_size=4) == reference
    assert vary(reference, seq_len=4096).max_batch_size == (reference.num_blocks - 1) // 256
    assert vary(reference, gpu="h100-sxm").request.max_num_seqs == 1024  # defaults follow the device


def test_an_own_gpu_needs_its_memory_only():
    answer = calculator.plan("llama-3-8b", gpu_memory_bytes=48 * GIB)
    assert (answer.request.gpu, answer.per_gpu.total_bytes) == ("custom", 48 * GIB)
