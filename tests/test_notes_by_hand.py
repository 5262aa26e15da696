"""When a note is said, to the sequence and to the byte, and what each knob offers; pools are given outright."""

from dataclasses import replace

import pytest

import calculator
from calculator import plan
from calculator.hardware import Accelerator

GIB = 2**30
BLOCK = 16 * 131_072  # Llama 3.1 8B


def held(sequences, **asked):
    """Return a plan whose pool holds so many sequences of 8,192 tokens, and the block that vLLM keeps."""
    size = (sequences * 512 + 1) * BLOCK
    return plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8_192, kv_cache_memory_bytes=size, **asked)


def keys_of(answer):
    return {getattr(note, "key", "").removeprefix("notes.") for note in answer.notes}


@pytest.mark.parametrize(("limit", "said"), [(9, "fewer_at_once"), (10, None), (11, "more_at_once")])
def test_a_limit_of_sequences_beside_what_memory_holds(limit, said):
    answer = held(10, max_num_seqs=limit)
    assert answer.max_batch_size == 10
    assert keys_of(answer) & {"fewer_at_once", "more_at_once"} == ({said} if said else set())
    text = " ".join(answer.notes)
    if said == "fewer_at_once":
        assert "memory holds 10 sequences, but max_num_seqs 9 lets the engine run no more than that" in text
    if said == "more_at_once":
        assert "max_num_seqs 11 promises more than fits: memory holds 10 sequences of 8,192 tokens" in text


def test_a_default_that_promises_more_is_not_blamed():
    # an H100's own limit is 1,024
    assert not keys_of(held(10)) & {"fewer_at_once", "more_at_once"}


def test_ranks_with_sequences_of_their_own_run_their_limit_each():
    # 70,272 bytes a token; three sequences of 1,000 on each of eight ranks
    asked = {
        "gpu": "h200",
        "engine": "sglang",
        "tensor_parallel_size": 8,
        "enable_attention_dp": True,
        "seq_len": 1_000,
    }
    size = {"kv_cache_memory_bytes": 3 * 1_000 * 70_272, "weight_dtype": "fp8-block"}
    assert "fewer_at_once" in keys_of(plan("deepseek-v3", max_num_seqs=2, **asked, **size))
    assert not keys_of(plan("deepseek-v3", max_num_seqs=3, **asked, **size)) & {"fewer_at_once", "more_at_once"}
    assert "more_at_once" in keys_of(plan("deepseek-v3", max_num_seqs=4, **asked, **size))


@pytest.mark.parametrize(("tokens", "said"), [(8_191, False), (8_192, False), (8_193, True)])
def test_more_tokens_than_a_model_is_made_for(tokens, said):
    answer = plan("llama-3-8b", gpu="h100-sxm", seq_len=tokens)
    assert ("beyond_the_model" in keys_of(answer)) is said
    assert not said or any(
        "8,193 tokens are more than the 8,192 that LLaMA 3 8B is made for" in n for n in answer.notes
    )


@pytest.mark.parametrize(("ranks", "copies"), [(1, 1), (8, 1), (16, 2), (32, 4)])
def test_heads_that_are_copied_are_said_to_be(ranks, copies):
    answer = plan("llama-3.1-8b", gpu="h100-sxm", tensor_parallel_size=ranks)
    assert answer.kv_replication == copies
    said = [note for note in answer.notes if getattr(note, "key", "") == "notes.copies"]
    assert bool(said) is (copies > 1)
    assert not said or f"{ranks} GPUs share 8 KV heads, so each head is kept {copies} times" in said[0]


@pytest.mark.parametrize(("fraction", "said"), [(0.99, False), (0.9937, False), (0.9938, True), (0.999, True)])
def test_a_utilisation_that_leaves_no_room_for_a_context(fraction, said):
    # of 80 GiB less than half a GiB from 0.99375 on
    answer = plan("llama-3.1-8b", gpu_memory_bytes=80 * GIB, gpu_memory_utilization=fraction)
    assert ("no_room_for_contexts" in keys_of(answer)) is said
    given = plan("llama-3.1-8b", gpu_memory_bytes=80 * GIB, gpu_memory_utilization=fraction, kv_cache_memory_bytes=GIB)
    assert "no_room_for_contexts" not in keys_of(given)


@pytest.mark.parametrize(
    ("model", "engine", "asked", "said"),
    [
        # engines keep windows of the types that their source names; llama.cpp has no memory fraction
        ("gemma-3-27b", "sglang", {}, {"full_length"}), ("gpt-oss-20b", "sglang", {}, set()),
        ("llama-3.1-8b", "llama.cpp", {"gpu_memory_utilization": 0.9}, {"no_fraction"}),
        ("llama-3.1-8b", "vllm", {"gpu_memory_utilization": 0.9}, set()),
        ("llama-3.1-8b", "llama.cpp", {"kv_cache_dtype": "q8_0"}, set()),
        # vLLM's own class of Falcon keeps 16 bit
        ("falcon-7b", "vllm", {"kv_cache_dtype": "fp8"}, {"format_ignored"}),
        ("falcon-7b", "vllm", {"kv_cache_dtype": "bf16"}, set()),
        ("gemma-3-27b", "vllm", {}, {"encoder"}), ("gemma-3-27b", "vllm", {"language_model_only": True}, set()),
        ("gemma-3-27b", "llama.cpp", {}, {"encoders_apart"}),
    ],
)  # fmt: skip
def test_what_an_engine_does_otherwise_is_said(model, engine, asked, said):
    answer = plan(model, gpu="h100-sxm", engine=engine, seq_len=2_048, **asked)
    some = {"full_length", "no_fraction", "format_not_stored", "format_ignored", "encoder", "encoders_apart"}
    assert said <= keys_of(answer)
    assert keys_of(answer) & some <= said | ({"encoder"} if model.startswith("gemma") else set())


def test_a_memory_that_nobody_verified_is_said_to_be_so():
    gpu = calculator.load_gpu("h100-sxm")
    assert "memory_not_verified" not in keys_of(plan("llama-3.1-8b", gpu=gpu))
    guessed = replace(gpu, memory_verified=False)
    assert "memory_not_verified" in keys_of(plan("llama-3.1-8b", gpu=guessed))
    assert "memory_not_verified" not in keys_of(plan("llama-3.1-8b", gpu=guessed, gpu_memory_bytes=GIB * 79))


# What is lacking


@pytest.mark.parametrize(
    ("sequences", "text"),
    [
        (11, "11 × 8,192 tokens needs 11.00 GiB on one GPU, available are 10.00 GiB, the KV pool given; "
             "10 sequences of 8,192 tokens would fit or 11 sequences of 7,440 tokens would fit"),
        (5_121, "needs 5,121.00 GiB on one GPU, available are 10.00 GiB, the KV pool given; "
                "10 sequences of 8,192 tokens would fit"),
    ],
)  # fmt: skip
def test_a_pool_that_is_too_small_says_what_would_fit(sequences, text):
    # 5,120 blocks of 16: 465 each for 11, 7,440 tokens; one each for 5,120, none for 5,121
    answer = held(10, batch_size=sequences)
    assert not answer.fits
    assert any(note.endswith(text) for note in answer.notes), answer.notes
    assert held(10, batch_size=10).fits


def test_of_one_sequence_the_longest_is_named():
    answer = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8_192, kv_cache_memory_bytes=512 * BLOCK)
    assert not answer.fits
    # 511 of 512 blocks hold 8,176 tokens, though as many bytes as are needed are there
    note = answer.notes[0]
    assert "of 1 × 8,192 tokens needs 1.00 GiB on one GPU" in note
    assert ", whose whole blocks hold 0 such sequences; one sequence of 8,176 tokens would fit" in note


def test_not_even_a_block():
    note = plan("llama-3.1-8b", gpu="h100-sxm", seq_len=8_192, kv_cache_memory_bytes=BLOCK).notes[0]
    assert note.endswith("; not even one block would fit")


def test_weights_that_exceed_the_budget_say_by_how_much():
    # 0.92 of 16 GiB less 14.957 GiB of weights and 1 GiB of activations
    own = {"activation_bytes": GIB, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
    note = plan("llama-3.1-8b", gpu_memory_bytes=16 * GIB, **own).notes[0]
    assert "weights (14.96 GiB) and overheads (1.00 GiB) of one GPU need 15.96 GiB, 1.24 GiB more than there is" in note
    assert "available are 14.72 GiB of the 16.00 GiB of one GPU" in note


# Knobs


def offered(answer, kind):
    return [lever.changes for lever in calculator.levers(answer) if lever.key == kind]


def test_lengths_of_half_and_twice_are_tried_up_to_the_model_s_own():
    short = plan("llama-3-8b", gpu="h100-sxm", seq_len=4_096)
    assert {change["seq_len"] for change in offered(short, "knob.length")} == {2_048, 8_192}
    long = plan("llama-3-8b", gpu="h100-sxm", seq_len=4_097)
    assert {change["seq_len"] for change in offered(long, "knob.length")} == {2_048}
    beyond = plan("llama-3-8b", gpu="h100-sxm", seq_len=16_384)
    assert {change["seq_len"] for change in offered(beyond, "knob.length")} == {8_192}


@pytest.mark.parametrize(("tokens", "tried"), [(2_048, False), (8_192, True)])
def test_fewer_tokens_in_a_pass_are_tried(tokens, tried):
    # so few sequences that the MLP of all tokens is the peak
    answer = plan("llama-3-8b", gpu="h100-sxm", max_num_batched_tokens=tokens, max_num_seqs=4, seq_len=1_024)
    assert bool(offered(answer, "knob.batched_tokens")) is tried


def test_formats_of_fewer_bits_are_tried():
    answer = plan("llama-3-8b", gpu="h100-sxm", weight_dtype="fp8", kv_cache_dtype="fp8")
    weights = {change["weight_dtype"] for change in offered(answer, "knob.weight_format")}
    assert {"awq-int4", "gptq-int4", "nvfp4"} <= weights
    assert not weights & {"fp8", "int8", "bf16"}
    cache = {change["kv_cache_dtype"] for change in offered(answer, "knob.kv_format")}
    assert cache
    assert not cache & {"fp8_e4m3", "fp8_e5m2", "int8_per_token_head", "bf16"}


def test_degrees_within_a_node_are_tried():
    answer = plan("llama-3-8b", gpu="h100-sxm", tensor_parallel_size=2)
    assert [change["tensor_parallel_size"] for change in offered(answer, "knob.gpus")] == [8, 4, 1]
    pairs = plan("llama-3-8b", gpu=replace(calculator.load_gpu("h100-sxm"), id="custom", gpus_per_node=4))
    assert {change["tensor_parallel_size"] for change in offered(pairs, "knob.gpus")} == {2, 4}


def test_a_pool_that_exceeds_the_device_is_tried_smaller():
    # 20 GiB less 14.957 of weights and nothing else
    own = {"activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
    answer = plan("llama-3.1-8b", gpu_memory_bytes=20 * GIB, kv_cache_memory_bytes=6 * GIB, seq_len=4_096, **own)
    assert not answer.fits
    assert offered(answer, "knob.kv_pool") == [{"kv_cache_memory_bytes": 20 * GIB - 2 * 8_030_261_248}]
    small = plan("llama-3.1-8b", gpu_memory_bytes=20 * GIB, kv_cache_memory_bytes=5 * GIB, seq_len=4_096, **own)
    assert offered(small, "knob.kv_pool") == []


# A device of one's own

DEVICE = {
    "id": "mine", "name": "Mine", "vendor": "", "memory_bytes": GIB, "memory_source": "read off",
    "memory_verified": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "fine", "beyond"),
    [
        ("memory_bytes", (1, 2**53), (0, 2**53 + 1)), ("label_gb", (1, 100_000), (0, 100_001)),
        ("reported_mib", (1, 100_000_000), (0, 100_000_001)), ("gpus_per_node", (1, 1_024), (0, 1_025)),
        ("bandwidth_gb_per_s", (0.1, 10**6), (0, 10**6 + 1)), ("bf16_tflops", (0.1, 10**6), (0, 10**6 + 1)),
        ("fp8_tflops", (0.1, 10**6), (0, 10**6 + 1)), ("fp4_tflops", (0.1, 10**6), (0, 10**6 + 1)),
        ("link_gb_per_s", (0.1, 10**6), (0, 10**6 + 1)),
        ("price_usd_per_hour", ((0.5, 0.5), (1, 10**5)), ((1,), (1, 2, 3), (1, 10**5 + 1))),
        ("program_gib", (("79.1", "79.2"),), (("79.1",), ("79.1", "79.2", "79.3"), ("7" * 21, "1"))),
        ("id", ("a" * 80, "a"), ("a" * 81, "")), ("name", ("a" * 80,), ("a" * 81, "")),
        ("vendor", ("", "a" * 40), ("a" * 41,)), ("generation", ("", "a" * 20), ("a" * 21,)),
        ("memory_source", ("", "a" * 200), ("a" * 201,)), ("sources", ("", "a" * 2_000), ("a" * 2_001,)),
        ("price_date", ("", "a" * 80), ("a" * 81,)), ("unverified", ((), ("a" * 80,)), (("a" * 81,), ("",))),
        ("memory_verified", (True, False), (1, "yes", None)),
    ],
)  # fmt: skip
def test_what_can_be_said_of_a_device_has_bounds(field, fine, beyond):
    for value in fine:
        assert getattr(Accelerator(**{**DEVICE, field: value}), field) == value
    for value in beyond:
        with pytest.raises(calculator.CalculatorError, match=field):
            Accelerator(**{**DEVICE, field: value})


@pytest.mark.parametrize(("link", "fast"), [(None, True), (128, False), (128.1, True), (64, False), (900, True)])
def test_a_link_is_fast_beyond_pcie_5(link, fast):
    assert Accelerator(**DEVICE, link_gb_per_s=link).has_fast_link is fast
