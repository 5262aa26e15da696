"""Parts of engines by themselves, each number worked out here: pools, lines of memory, what is printed, refusals."""

from types import SimpleNamespace

import numpy as np
import pytest

import calculator
from calculator.architecture.caches import EveryToken, Recurrence, State, Window
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.limits import MAX_TOKENS
from calculator.engines import engine_class, engine_rules
from calculator.engines.llama_cpp.described import PRINTED, _values
from calculator.engines.llama_cpp.overheads import compute_buffer, without_flash_attention
from calculator.engines.llama_cpp.rules import (
    WholeSequences,
    _claim_every_token,
    _claim_state,
    _claim_window,
    last_layers,
)
from calculator.engines.overheads import (
    ACTIVATION,
    CUDA_GRAPH,
    NON_TORCH,
    Overhead,
    captured_graphs,
    context,
    estimate,
    forward_activation,
    none,
    with_given,
)
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.sglang.changes import READ
from calculator.engines.sglang.fraction import prefill_graph_sizes
from calculator.engines.sglang.groups import StatePools
from calculator.engines.sglang.overheads import in_use
from calculator.engines.tensorrt_llm.built import engine_memory
from calculator.engines.tensorrt_llm.overheads import non_torch as outside_torch
from calculator.engines.vllm.overheads import activation, non_torch, output_counts, with_encoder

GIB = 2**30


def gib(line):
    return tuple(pytest.approx(size / GIB, abs=1e-8) for size in (line.bytes, line.low, line.high))


def sizes(**named):
    """Stand for a model by the few sizes that a line of memory follows from."""
    return SimpleNamespace(**{"mlp_projections": 3, "moe_intermediate_size": 0, "num_experts_per_tok": 0, **named})


# Pools


@pytest.mark.parametrize(
    ("pool", "blocks", "longest"),
    [
        # 3 blocks whatever the length: with fewer none fits, with 3 any
        (Pool(1, (Claim(0, fixed=3),)), 2, 0), (Pool(1, (Claim(0, fixed=3),)), 3, MAX_TOKENS),
        (Pool(1, (Claim(16),)), 5, 80), (Pool(1, (Claim(16, fixed=2),)), 5, 48), (Pool(1, (Claim(16, fixed=2),)), 2, 0),
        (Pool(1, (Claim(16, fixed=2),)), 1, 0), (Pool(1, (Claim(16, weight=2),)), 5, 32),
        # a window of 32 tokens stops at 2 blocks; with 1 it holds 16 tokens
        (Pool(1, (Claim(16, 32),)), 2, MAX_TOKENS), (Pool(1, (Claim(16, 32),)), 1, 16),
        (Pool(1, (Claim(16, 32),)), 0, 0),
        # beside every token: 2 blocks of both, then one each: 2 x 2 + 3 = 7 for 5 x 16 tokens
        (Pool(1, (Claim(16), Claim(16, 32))), 7, 80), (Pool(1, (Claim(16), Claim(16, 32))), 3, 16),
        (Pool(1, (Claim(16), Claim(16, 32))), 4, 32),
        # blocks of 16 and of 32 tokens: 96 are 6 + 3
        (Pool(1, (Claim(16), Claim(32))), 9, 96), (Pool(1, (Claim(16), Claim(32))), 8, 80),
    ],
)  # fmt: skip
def test_the_longest_of_so_many_blocks(pool, blocks, longest):
    assert pool.longest(blocks) == longest


def test_what_a_pool_tells_of_itself():
    pool = Pool(10, (Claim(16),))
    assert (pool.held_back, pool.charged, pool.charged_blocks(33)) == (0, 0, 3)
    assert Pool(10, (Claim(16),), charged=2).charged_blocks(33) == 5
    one = Geometry((pool,), 16)
    # 105 bytes are 10 blocks; 33 tokens take 3
    assert (one.counts(105, 33), one.sequences(105, 33), one.room(105, 33)) == ((10,), 3, 10 / 3)
    assert (one.num_blocks(105, 33), one.bytes_of(33), one.allocated_bytes(105, 33)) == (10, 30, 100)
    assert one.longest(105, 2) == 5 * 16
    assert one.sequences_between(105, 205, 33) == (3, 6)
    assert one.concurrency(105, 160) == 1.0
    # nothing is taken of a pool: it holds as many as it has blocks
    assert Geometry((Pool(1, ()),), 16).sequences(7, 100) == 7
    two = Geometry((pool, Pool(20, (Claim(0, fixed=2),))), 16)
    # 10 blocks for 3 a sequence, 5 for 2
    assert (two.sequences(105, 33), two.room(105, 33), two.bytes_of(33)) == (2, 2.5, 70)
    assert two.allocated_bytes(105, 33) == 200
    assert [each.is_plain for each in (one, two)] == [True, False]
    for claim in (Claim(0), Claim(16, 32), Claim(16, weight=2), Claim(16, fixed=1), Claim(16, NO_LIMIT - 1)):
        assert not Geometry((Pool(1, (claim,)),), 16).is_plain


def test_slots_of_drafts_that_a_range_is_looked_at_by():
    """Slots of 10 bytes, each with two states of a draft; of half the memory, less padding and a draft."""
    pools = StatePools((Pool(1, (Claim(1),)), Pool(10, (Claim(0, fixed=1),))), 1, 1.0, 2, 4, 1, 1, 0)
    # (size / 2 - 10 x 3) // 30
    assert [pools._slots(size) for size in (60, 119, 120, 179, 180)] == [0, 0, 1, 1, 2]
    assert pools.drops(60, 200) == (120, 180)
    # at most 64 of them, of which each is 60 bytes behind the one before
    found = pools.drops(60, 100_000)
    assert (len(found), found[0], found[-1]) == (64, 120, 120 + 63 * 60)
    # 4 at once: (min(4, slots) + 1) x 2 states of drafts, the slots and one of padding
    assert pools.counts(180, 1) == (180 - (2 + 1 + 3 * 2) * 10, 2)
    assert pools.counts(1_000, 1) == (1_000 - (15 + 1 + 5 * 2) * 10, 15)


# Lines of memory


def test_a_line_in_figures():
    line = Overhead(ACTIVATION, 10, "measured", 4, 13)
    assert (line.times(3)[1], line.times(3).low, line.times(3).high) == (30, 12, 39)
    both = line.plus(Overhead(ACTIVATION, 1, "x", 2, 3))
    assert (both.bytes, both.low, both.high, both.source) == (11, 6, 16, "measured")
    assert (line.spread, line._replace(high=18).spread, line._replace(in_slack=True).spread) == (6, 8, 0)
    assert line.as_dict() == {
        "name": "Activations", "bytes": 10, "source": "measured", "low": 4, "high": 13, "in_slack": False,
    }  # fmt: skip
    nothing = none(CUDA_GRAPH, "none", in_slack=True)
    assert (nothing.bytes, nothing.low, nothing.high, nothing.in_slack, nothing.given) == (0, 0, 0, True, False)
    assert not none(CUDA_GRAPH, "none").in_slack
    # a value is given for both lines of one keyword, and stands in the first
    lines = (nothing, Overhead(NON_TORCH, 5, "a", 1, 9), Overhead(NON_TORCH, 6, "b", 2, 9))
    given = with_given(lines, {"non_torch_bytes": 7})
    assert [(each.bytes, each.low, each.high, each.given) for each in given] == [(0, 0, 0, False), (7, 7, 7, True)]
    assert with_given(lines, {}) == lines


@pytest.mark.parametrize(
    ("central", "low", "high"),
    # a half and twice, but no closer than 0.1 GiB, 107,374,182 bytes, and never less than nothing
    [(2 * GIB, GIB, 4 * GIB), (150_000_000, 150_000_000 - 107_374_182, 300_000_000), (10, 0, 10 + 107_374_182)],
)
def test_an_estimate_is_no_better_than_a_tenth_of_a_gib(central, low, high):
    line = estimate(ACTIVATION, central, "x", (0.5, 2.0))
    assert (line.low, line.high) == (low, high)


@pytest.mark.parametrize(
    ("ranks", "tenths"), [(1, 110), (2, 65), (3, 50), (4, 50), (8, 50)]
)  # 11, 6.5 and 5 of NVIDIA's aiconfigurator
def test_a_forward_pass_by_ranks(ranks, tenths):
    for wide, factor in ((0, 1), (64, 2)):
        line = forward_activation(sizes(hidden_size=4096, moe_intermediate_size=wide), ranks, 8_192)
        assert line.bytes == 2 * 8_192 * 4_096 * tenths * factor // 10
    least = forward_activation(sizes(hidden_size=64), ranks, 16, in_slack=True)
    assert (least.bytes, least.in_slack) == (70 * 2**20, True)
    assert "kept free" in least.source
    assert "kept free" not in line.source


def test_graphs_by_device_and_captured_sizes():
    small, large = (SimpleNamespace(memory_bytes=size) for size in (70 * GIB - 1, 70 * GIB))
    # 51 sizes take all of it, 19 of 64 sequences their share; 0.1 to 1.9 times
    assert [captured_graphs(each, 256).bytes for each in (small, large)] == [GIB // 2, GIB]
    assert captured_graphs(large, 64).bytes == -(-GIB * 19 // 51)
    line = captured_graphs(large, 256, in_slack=True)
    assert (line.low, line.high, line.in_slack) == (int(0.1 * GIB), int(1.9 * GIB), True)
    assert [captured_graphs(large, 256, True, slack).in_slack for slack in (False, True)] == [False, True]
    assert captured_graphs(large, 256, enforce_eager=True).bytes == 0
    assert gib(context(1)) == (0.5, 0.2, 0.8)
    assert gib(context(2)) == gib(context(8)) == (1.5, 0.8, 2.6)


# vLLM


def vllm_activation(model, tp=1, last=True, stay=True, tokens=100, sequences=10):
    return activation(model, 37, stay, tp, sequences, tokens, last, (0.5, 1.8)).bytes


def test_the_peak_of_a_dense_model_by_hand():
    # an MLP: 2 x 100 tokens x (3 x 300 / ranks + 4.3 x 128); the sampler: 3.7 x 4 x 10 sequences x 1,000 words, and
    # 2 x 100 x 128 of hidden states
    model = sizes(hidden_size=128, intermediate_size=300, vocab_size=1000)
    for tp in (1, 2):
        assert vllm_activation(model, tp) == 2 * 100 * (3 * 300 * 10 + 43 * 128 * tp) // (10 * tp)
    assert vllm_activation(model, last=False) == 2 * 100 * (9_000 + 43 * 128) // 10 + 4 * 100 * 128
    many = sizes(hidden_size=128, intermediate_size=300, vocab_size=10_000)
    assert vllm_activation(many) == 37 * 4 * 10 * 10_000 // 10 + 2 * 100 * 128
    # where both are alike, the words of the sampler
    line = activation(many, 37, True, 1, 10, 100, True, (0.5, 1.8))
    assert "10 sequences" in line.source
    assert "100 tokens" in activation(model, 37, True, 1, 10, 100, True, (0.5, 1.8)).source


@pytest.mark.parametrize(
    ("tp", "experts"),
    # 2 x 100 tokens x 4 experts x (max(2 x 96 / ranks, 128) + 96 / ranks)
    [(1, 2 * 100 * 4 * (192 + 96)), (2, 2 * 100 * 4 * (128 + 48)), (4, 2 * 100 * 4 * (128 + 24))],
)
def test_the_peak_of_experts_by_hand(tp, experts):
    model = sizes(
        hidden_size=128, intermediate_size=300, moe_intermediate_size=96, num_experts_per_tok=4, vocab_size=10_000
    )
    mlp, sampler = 2 * 100 * 43 * 128 // 10, 37 * 4 * 10 * 10_000 // 10 + 2 * 100 * 128
    assert vllm_activation(model, tp) == sampler + experts
    assert vllm_activation(model, tp, stay=False) == max(sampler, mlp + experts)
    assert vllm_activation(model, tp, last=False) == mlp + experts + 4 * 100 * 128


def test_counts_of_outputs_and_an_encoder_by_hand():
    # four bytes of each word, and two bits in whole words of 32
    assert output_counts(151_936, 256).bytes == 256 * (4 * 151_936 + 2 * 4 * 4_748)
    assert output_counts(33, 1).bytes == 4 * 33 + 2 * 4 * 2
    plain = estimate(ACTIVATION, 2 * GIB, "x", (0.5, 2.0))
    assert gib(with_encoder(plain)) == (2.2, 1.0, 7.5)


@pytest.mark.parametrize(
    ("gpu", "ranks", "version", "figures"),
    # as logged [GiB]: by version on one GPU, on linked ones, over PCIe; MI300X 2.8 and 0.75 for each more, one less to
    # one and a half more
    [
        ("h100-sxm", 1, "0.6", (0.1, 0, 1.8)), ("h100-sxm", 2, "0.6", (0.5, 0.1, 3.6)),
        ("l40s", 2, "0.6", (0.5, 0.1, 3.6)), ("h100-sxm", 1, "0.8", (0.13, 0, 0.6)),
        ("h100-sxm", 2, "0.17", (0.5, 0.1, 1.5)), ("l40s", 4, "0.17", (0.5, 0.1, 1.5)),
        ("h100-sxm", 1, "0.18", (0.25, 0, 0.8)), ("h100-sxm", 8, "0.33", (2.1, 1.2, 2.6)),
        ("l40s", 2, "0.33", (0.6, 0.2, 2.1)), ("gb10", 1, "0.33", (1.5, 0, 6)), ("gb10", 2, "0.33", (2.1, 0.6, 16)),
        ("mi300x", 1, "0.33", (2.8, 1.8, 4.3)), ("mi300x", 8, "0.33", (8.05, 7.05, 9.55)),
    ],
)  # fmt: skip
def test_memory_outside_the_allocator_of_vllm(gpu, ranks, version, figures):
    known = engine_rules("vllm", version).non_torch
    assert gib(non_torch(calculator.load_gpu(gpu), ranks, known)) == figures


# SGLang


@pytest.mark.parametrize(
    ("gpu", "alone", "of_eight", "of_two"),
    # as logged [GiB], with 0.12 that loading leaves, at most 0.5; between one and eight GPUs a seventh for each more,
    # on AMD's all at once
    [
        ("gb10", (7.82, 3, 12.5), (7.82, 3, 12.5), (7.82, 3, 12.5)),
        ("mi355x", (0.72, 0.2, 2), (6.92, 4, 10.5), (6.92, 4, 10.5)),
        ("rtx-4090", (1.12, 0.4, 2.1), (1.72, 0.6, 3.1), (1.12 + 0.6 / 7, 0.4 + 0.2 / 7, 2.1 + 1 / 7)),
        ("h100-sxm", (0.67, 0.2, 1.6), (2.52, 1.2, 3.7), (0.67 + 1.85 / 7, 0.2 + 1 / 7, 1.6 + 2.1 / 7)),
        ("l40s", (0.67, 0.2, 1.6), (2.52, 1.2, 3.7), (0.67 + 1.85 / 7, 0.2 + 1 / 7, 1.6 + 2.1 / 7)),
    ],
)  # fmt: skip
def test_memory_in_use_before_sglang_loads(gpu, alone, of_eight, of_two):
    device = calculator.load_gpu(gpu)
    for ranks, figures in ((1, alone), (2, of_two), (8, of_eight), (9, of_eight), (16, of_eight)):
        assert gib(in_use(device, ranks)) == tuple(pytest.approx(each, abs=1e-7) for each in figures), ranks


def test_a_device_is_small_below_35_gib():
    small, large = (
        SimpleNamespace(memory_bytes=size, is_unified=False, vendor="NVIDIA") for size in (35 * GIB - 1, 35 * GIB)
    )
    assert [in_use(each, 1).low for each in (small, large)] == [round(0.4 * GIB), round(0.2 * GIB)]
    # of AMD's the large ones alone
    old = SimpleNamespace(memory_bytes=70 * GIB - 1, is_unified=False, vendor="AMD")
    assert gib(in_use(old, 1)) == (0.67, 0.2, 1.6)


@pytest.mark.parametrize(
    ("largest", "many"),
    # 4 to 32 by 4: 8; 48 to 256 by 16: 14; 288 to 512 by 32: 8; 576 to 1,024 by 64: 8; 1,280 to 4,096 by 256: 12; on by
    # 512 from 4,608
    [
        (3, 0), (4, 1), (7, 1), (8, 2), (32, 8), (47, 8), (48, 9), (63, 9), (64, 10), (256, 22), (287, 22), (288, 23),
        (319, 23), (320, 24), (512, 30), (575, 30), (576, 31), (639, 31), (640, 32), (1535, 39), (1536, 40), (5119, 51),
        (1024, 38), (1279, 38), (1280, 39), (2048, 42), (4096, 50), (4607, 50), (4608, 51), (5120, 52), (8192, 58),
        (16_384, 74),
    ],
)  # fmt: skip
def test_sizes_of_prompts_that_are_captured(largest, many):
    assert prefill_graph_sizes(largest) == many


def test_rules_begin_at_releases_that_were_read():
    for name in ("vllm", "sglang", "tensorrt-llm", "llama.cpp"):
        since = [change.since for change in engine_class(name).changes]
        assert since == sorted(set(since))
    assert {change.since for change in engine_class("sglang").changes} <= set(READ)
    minors = [(0, minor, 0) for minor in (6, 7, 8, 11, 12, 14, 15, 17, 18, *range(20, 30), 32, 33)]
    assert [change.since for change in engine_class("vllm").changes] == sorted([*minors, (0, 9, 1)])


# TensorRT-LLM


def test_a_built_engine_by_hand():
    # the context: 2 bytes x 8,192 tokens x 3.4 x 2 x 11,008 / ranks; buffers: 7.2 x 4 x 256 sequences x 32,000
    asked = SimpleNamespace(max_num_batched_tokens=8_192, max_num_seqs=256, tensor_parallel_size=1)
    model = sizes(hidden_size=4096, intermediate_size=11_008, vocab_size=32_000)
    context_bytes, buffers = 2 * 8_192 * (2 * 11_008 * 34 // 10), 72 * 4 * 256 * 32_000 // 10
    line = engine_memory(model, asked)
    assert line.bytes == context_bytes + buffers
    # 0.7 to 1.6 of the one, 0.85 to 1.3 of the other
    assert line.low == pytest.approx(0.7 * context_bytes + 0.85 * buffers, abs=2)
    assert line.high == pytest.approx(1.6 * context_bytes + 1.3 * buffers, abs=2)
    # on eight ranks four hidden rows are more than their share
    asked.tensor_parallel_size = 8
    assert engine_memory(model, asked).bytes == 2 * 8_192 * 4 * 4_096 + buffers
    # the experts of a token where they are wider; at least 40 MiB
    asked.tensor_parallel_size = 1
    experts = sizes(
        hidden_size=64, intermediate_size=9, moe_intermediate_size=5_000, num_experts_per_tok=8, vocab_size=9
    )
    assert engine_memory(experts, asked).bytes == 2 * 8_192 * (2 * 40_000 * 34 // 10) + 72 * 4 * 256 * 9 // 10
    asked.max_num_batched_tokens = 1
    assert engine_memory(experts, asked).bytes == 40 * 2**20 + 72 * 4 * 256 * 9 // 10
    plan = calculator.plan("llama-2-7b", "h100-sxm", engine="tensorrt-llm", engine_version="0.21")
    assert gib(plan.per_gpu.lines["non_torch"]) == (1.0, 0.3, 3.2)
    assert plan.per_gpu.lines["cuda_graph"].bytes == 0


def test_memory_outside_torch_of_tensorrt_llm():
    assert gib(outside_torch(1)) == (2.1, 1.0, 3.5)
    assert gib(outside_torch(2)) == gib(outside_torch(8)) == (2.5, 1.4, 3.9)


@pytest.mark.parametrize(("asked", "nearest"), [(1, 2), (3, 2), (5, 4), (6, 4), (7, 8), (48, 32), (100, 128)])
def test_blocks_of_tensorrt_llm_are_powers_of_two(asked, nearest):
    with pytest.raises(calculator.InvalidValueError, match="a power of two above 1") as caught:
        calculator.plan("llama-3-8b", "h100-sxm", engine="tensorrt-llm", block_size=asked)
    assert (caught.value.nearest, caught.value.what) == (nearest, "block_size")
    assert calculator.plan("llama-3-8b", "h100-sxm", engine="tensorrt-llm", block_size=nearest).request.block_size


def test_a_fraction_of_tensorrt_llm_is_less_than_one():
    for fraction, is_taken in ((0.999, True), (1.0, False)):
        asked = {"gpu": "h100-sxm", "engine": "tensorrt-llm", "gpu_memory_utilization": fraction}
        if is_taken:
            assert calculator.plan("llama-3-8b", **asked).fits
        else:
            with pytest.raises(calculator.InvalidValueError, match="must be less than 1 for TensorRT-LLM, not 1"):
                calculator.plan("llama-3-8b", **asked)


# llama.cpp


def test_compute_buffers_of_llama_cpp_by_hand():
    # 4 bytes x 512 x (1,000 words + 64): 0.3 to 2 times, at least a tenth of a GiB
    model = sizes(vocab_size=1000, hidden_size=64, num_attention_heads=8)
    assert compute_buffer(model, 512).bytes == 4 * 512 * 1064
    wide = sizes(vocab_size=10**6, hidden_size=0)
    assert [compute_buffer(wide, 512).low, compute_buffer(wide, 512).high] == [int(0.3 * 2048e6), 2 * 2_048_000_000]
    # scores of 8 heads and a mask over 4,096 cells, 4.5 hidden rows; of several devices five masks more
    whole = 4 * 512 * 4_096 * (8 + 1) + 4 * 512 * 64 * 45 // 10
    assert without_flash_attention(model, 512, 4_096) == whole
    assert without_flash_attention(model, 512, 4_096, 2) == whole + 5 * 4 * 512 * 4_096
    assert without_flash_attention(model, 512, 1) == 4 * 512 * 1064


# src/llama-model.cpp print_info, and ssm_* of the same, beside the key of the metadata that each prints
PRINTED_AS = """
n_ctx_train context_length, n_embd embedding_length, n_layer block_count, n_head attention.head_count,
n_head_kv attention.head_count_kv, n_embd_head_k attention.key_length, n_embd_head_v attention.value_length,
n_ff feed_forward_length, n_expert expert_count, n_expert_used expert_used_count, n_vocab vocab_size,
n_swa attention.sliding_window, ssm_d_conv ssm.conv_kernel, ssm_d_inner ssm.inner_size, ssm_d_state ssm.state_size,
ssm_dt_rank ssm.time_step_rank, ssm_n_group ssm.group_count
"""


def test_sizes_that_llama_cpp_prints_once_more():
    pairs = dict(pair.split() for pair in PRINTED_AS.replace("\n", " ").split(", "))
    assert dict(PRINTED) == pairs
    said = {"arch": "llama", **{name: str(100 + place) for place, name in enumerate(pairs)}}
    values = _values(said)
    assert values.pop("general.architecture") == "llama"
    assert values == {f"llama.{key}": 100 + place for place, key in enumerate(pairs.values())}
    # a nought stands for none, what the metadata say holds, and a list that is cut off says nothing
    said = {
        "arch": "llama", "n_expert": "0", "n_head": "7", "llama.attention.head_count": "u32 = 9",
        "llama.attention.head_count_kv": "arr[i32,3] = [8, 8, 4]", "llama.x.y": "arr[i32,99] = [8, 8, ...",
        "llama.flag.a": "bool = true", "llama.flag.b": "bool = false", "llama.rope.base": "f32 = 10000.5",
    }  # fmt: skip
    assert _values(said) == {
        "general.architecture": "llama", "llama.attention.head_count": 9, "#llama.attention.head_count_kv": 3,
        "llama.attention.head_count_kv": [8, 8, 4], "#llama.x.y": 99, "llama.flag.a": True, "llama.flag.b": False,
        "llama.rope.base": "10000.5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said", "nearest"),
    [
        ({"tensor_parallel_size": 2}, "pipeline_parallel_size 2 and tensor_parallel_size 1", 1),
        ({"tensor_parallel_size": 4, "pipeline_parallel_size": 2}, "give pipeline_parallel_size 8", 1),
        ({"block_size": 128}, "has no blocks, it pads cells to 256", 256),
        ({"n_gpu_layers": 0}, "there is nothing to plan", 2), ({"n_gpu_layers": 1}, "nothing to plan", 2),
        ({"n_gpu_layers": 4, "pipeline_parallel_size": 2}, "over several GPUs is not known here", None),
    ],
)  # fmt: skip
def test_what_llama_cpp_does_not_do(asked, said, nearest):
    with pytest.raises(calculator.CalculatorError, match=said) as caught:
        calculator.plan("llama-3-8b", "rtx-3090", engine="llama.cpp", weight_dtype="q8_0", **asked)
    assert (caught.value.what, caught.value.nearest) == (next(iter(asked)), nearest)


def test_layers_and_experts_that_the_host_holds():
    asked = {"gpu": "b200", "engine": "llama.cpp", "weight_dtype": "fp16", "seq_len": 1_024}
    whole = calculator.plan("mixtral-8x7b", **asked).per_gpu.weights_bytes
    # Mixtral: 8 experts of 3 x 4,096 x 14,336 in 16 bit in each of 32 layers; beside them attention of
    # 2 x 4,096 x (4,096 + 1,024), a router of 8 x 4,096 and two norms, the last two wide
    experts = 8 * 3 * 4_096 * 14_336 * 2
    for many in (1, 5, 32, 99):
        held = calculator.plan("mixtral-8x7b", n_cpu_moe=many, **asked).per_gpu.weights_bytes
        assert whole - held == min(many, 32) * experts
    layer = experts + 2 * 4_096 * (4_096 + 1_024) * 2
    for many in (2, 11, 33, 34):
        # the output counts as the last of 33
        held = calculator.plan("mixtral-8x7b", n_gpu_layers=many, **asked).per_gpu.weights_bytes
        assert whole - held == pytest.approx(max(0, 33 - many) * layer, rel=2e-4)
    both = calculator.plan("mixtral-8x7b", n_gpu_layers=11, n_cpu_moe=25, **asked).per_gpu.weights_bytes
    assert whole - both == pytest.approx(22 * layer + 3 * experts, rel=2e-4)


def test_cells_of_llama_cpp():
    # cells of 256 tokens; a window and the tokens at once, 612, are 3 of them; states in 32 bit whatever they are in
    assert _claim_every_token(EveryToken(64), 2, 512) == Claim(256, NO_LIMIT, 256 * 2 * 64)
    assert _claim_window(Window(64, 100), 2, None) == Claim(256, NO_LIMIT, 256 * 2 * 64)
    assert _claim_window(Window(64, 100), 2, 512) == Claim(256, 768, 256 * 2 * 64)
    assert _claim_window(Window(64, 256), 2, 512).limit == 768
    assert _claim_window(Window(64, 257), 2, 512).limit == 1_024
    assert _claim_state(State(Recurrence.MAMBA2, 30, 2, 1_000, 2), 3, 512) == Claim(0, fixed=3 * 4 * 1_030)
    # 1,000 bytes of 2 a token, in cells of 256 tokens: one sequence of 300 takes 2 of them, 1,024 bytes
    pools = WholeSequences((Pool(1, (Claim(256, weight=512),)),), 256)
    assert [pools.num_blocks(size, 300) for size in (1_023, 1_024, 2_048)] == [0, 2, 4]
    model = calculator.load_model("gemma-3-27b")
    whole = [(group.spec, group.count) for group in model.layers]
    for many in (0, 1, 2, 7, 62, 63, 99):
        layers = last_layers(model, many)
        assert sum(group.count for group in layers) == min(62, max(0, many - 1))
    assert {spec for spec, _ in whole} == {group.spec for group in last_layers(model, 63)}
    (one,) = last_layers(model, 2)
    assert (one.count, one.spec) == (1, whole[-1][0])


def test_what_llama_cpp_takes_of_a_device():
    asked = {"gpu": "rtx-3090", "engine": "llama.cpp", "weight_dtype": "q8_0"}
    for stages, said in ((1, "all but a margin of 1,024 MiB"), (2, "1,024 MiB, whole layers on each GPU")):
        plan = calculator.plan("llama-3-8b", pipeline_parallel_size=stages, **asked)
        assert plan.rules.budget_words(plan.model, plan.request).endswith(said)
        assert plan.per_gpu.requested_bytes == plan.request.gpu_memory_bytes - 2**30
    rules = plan.rules
    assert [rules.requested_bytes(total, 0.9, 0, 0) for total in (2**30 - 1, 2**30, 2**31)] == [0, 0, 2**30]


def test_claims_of_integers_and_arrays():
    ends = (Claim(16), Claim(16, MAX_TOKENS), Claim(16, MAX_TOKENS - 1), Claim(0, fixed=3))
    assert [claim.is_endless for claim in ends] == [True, True, False, False]
    lengths = np.array([1, 16, 17, 100])
    for claim, blocks in (
        (Claim(0, fixed=3), [3] * 4), (Claim(16), [1, 1, 2, 7]), (Claim(16, 32, 2, 1), [3, 3, 5, 5]),
    ):  # fmt: skip
        assert claim.blocks(lengths).tolist() == blocks
        assert [claim.blocks(int(each)) for each in lengths] == blocks
    pool = Pool(10, (Claim(16), Claim(0, fixed=1)), held_back=2)
    assert pool.blocks(lengths).tolist() == [2, 2, 3, 8]
    assert [pool.sequences(count, 17) for count in (1, 2, 5, 8)] == [0, 0, 1, 2]
    assert pool.sequences(np.array([1, 2, 5, 8]), 17).tolist() == [0, 0, 1, 2]
    assert Geometry((pool,), 16).room(100, lengths).tolist() == [5, 5, 10 / 3, 10 / 8]
