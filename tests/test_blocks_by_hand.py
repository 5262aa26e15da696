"""Every block's matrices, one by one: shape, copies, how ranks split them, and whether they are quantised.

Shapes are those of transformers 5.23.0's classes, splits those of vLLM 0.33.0's layers: ColumnParallelLinear, the same
by heads of keys and values (QKVParallelLinear), RowParallelLinear, whose bias is whole, and ReplicatedLinear.
"""

import pytest

from calculator.architecture import blocks
from calculator.architecture.caches import Recurrence
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.latent import LatentAttention, as_latent
from calculator.architecture.layers import FullAttention
from calculator.architecture.matrices import Sharding
from calculator.architecture.recurrent import AttentionAndState, ConvolvedAttention, ConvolvedWindow, RecurrentState
from calculator.formats.kv import storage_format

FP16 = storage_format("fp16")

HOW = {Sharding.COLUMNS: "columns", Sharding.ROWS: "rows", Sharding.KV_HEADS: "heads", Sharding.COPIED: "whole"}


def told(weights):
    """Return matrices as ``part outputs x inputs split``, with copies and those in use, ``16`` bit, and wide ones."""
    rows = []
    for each in weights:
        copies = "" if (each.copies, each.active_copies) == (1, 1) else f" {each.copies}/{each.active_copies}"
        kept = "" if each.quantised else " 16"
        wide = f" {each.value_bytes} bytes" if each.value_bytes else ""
        rows.append(f"{each.part} {each.outputs}x{each.inputs} {HOW[each.sharding]}{copies}{kept}{wide}")
    return rows


def listed(text):
    return [row.strip() for row in text.strip().splitlines()]


A, S, M = "attention", "state layers", "dense MLP"
BLOCKS = {
    "attention": (
        # 6 query heads and 2 of keys of 16, values of 8, a hidden size of 100
        lambda: blocks.attention(100, 6, 2, 16, 8),
        f"""{A} 96x100 columns
        {A} 32x100 heads
        {A} 16x100 heads
        {A} 100x48 rows""",
    ),
    "attention with biases and a gate": (
        lambda: blocks.attention(100, 6, 2, 16, 8, qkv_bias=True, output_bias=True, gate=True),
        f"""{A} 96x100 columns
        {A} 96x1 columns 16
        {A} 96x100 columns
        {A} 96x1 columns 16
        {A} 32x100 heads
        {A} 32x1 heads 16
        {A} 16x100 heads
        {A} 16x1 heads 16
        {A} 100x48 rows
        {A} 100x1 whole 16""",
    ),
    "a gate without a bias": (
        lambda: blocks.attention(100, 6, 2, 16, 8, qkv_bias=True, gate=True, gate_bias=False, keys_are_values=True),
        f"""{A} 96x100 columns
        {A} 96x1 columns 16
        {A} 96x100 columns
        {A} 32x100 heads
        {A} 32x1 heads 16
        {A} 100x48 rows""",
    ),
    "a gate where queries have no bias": (
        lambda: blocks.attention(100, 6, 2, 16, 8, gate=True, queries_only=True),
        f"""{A} 96x100 columns
        {A} 96x100 columns
        {A} 100x48 rows""",
    ),
    "latent attention": (
        # 6 heads of 16 + 4 and values of 8; 40 for queries, 24 + 4 kept
        lambda: blocks.latent_attention(100, 6, 40, 24, 16, 4, 8, bias=True),
        f"""{A} 40x100 whole
        {A} 40x1 whole 16
        norms 40x1 whole 16
        {A} 120x40 columns
        {A} 28x100 whole
        {A} 28x1 whole 16
        norms 24x1 whole 16
        {A} 144x24 columns
        {A} 100x48 rows
        {A} 100x1 whole 16""",
    ),
    "latent attention with whole queries": (
        lambda: blocks.latent_attention(100, 6, 0, 24, 16, 4, 8),
        f"""{A} 120x100 columns
        {A} 28x100 whole
        norms 24x1 whole 16
        {A} 144x24 columns
        {A} 100x48 rows""",
    ),
    "an indexer": (
        # deepseek_v2.py: wq_b quantised; keys and weights projected as one in 16 bit; a LayerNorm of the keys in 32
        lambda: blocks.indexer(100, 40, 3, 32),
        """indexer 96x40 whole
        indexer 32x100 whole 16
        norms 32x1 whole 2/2 16 4 bytes
        indexer 3x100 whole 16""",
    ),
    "an MLP": (
        lambda: blocks.mlp(100, 250, True, bias=True),
        f"""{M} 250x100 columns
        {M} 250x1 columns 16
        {M} 250x100 columns
        {M} 250x1 columns 16
        {M} 100x250 rows
        {M} 100x1 whole 16""",
    ),
    "an MLP without a gate": (lambda: blocks.mlp(100, 250, False), f"{M} 250x100 columns\n{M} 100x250 rows"),
    "experts": (
        lambda: blocks.mlp(100, 50, True, True, "experts", 8, 2),
        """experts 50x100 columns 8/2
        experts 50x1 columns 8/2 16
        experts 50x100 columns 8/2
        experts 50x1 columns 8/2 16
        experts 100x50 rows 8/2
        experts 100x1 whole 8/2 16""",
    ),
    "a router": (lambda: blocks.router(100, 8), "router 8x100 whole 16"),
    "a router in 32 bits": (
        lambda: blocks.router(100, 8, True, 4), "router 8x100 whole 16 4 bytes\nrouter 8x1 whole 16",
    ),
    "a correction": (lambda: blocks.correction(8, True), "router 8x1 whole 16 4 bytes"),
    "norms": (lambda: blocks.norms(100, 3), "norms 100x1 whole 3/3 16"),
    "norms with biases": (lambda: blocks.norms(100, 3, True), "norms 100x1 whole 6/6 16"),
    "no norms": (lambda: [*blocks.norms(100, 0), *blocks.norms(0, 3)], ""),
    "mamba 1": (
        # mamba_mixer.py: 64 inner channels, states of 16, a time step of rank 5, 4 columns; A in 32 bits, D
        lambda: blocks.mamba1(100, 64, 16, 5, 4, True, True),
        f"""{S} 128x100 columns
        {S} 128x1 columns 16
        {S} 64x4 columns 16
        {S} 64x1 columns 16
        {S} 37x64 rows
        {S} 64x5 columns
        {S} 64x1 columns 16
        {S} 1024x1 columns 16 4 bytes
        {S} 64x1 columns 16
        {S} 100x64 rows
        {S} 100x1 whole 16""",
    ),
    "mamba 1 without biases": (
        lambda: blocks.mamba1(100, 64, 16, 5, 4, False, False),
        f"""{S} 128x100 columns
        {S} 64x4 columns 16
        {S} 37x64 rows
        {S} 64x5 columns
        {S} 64x1 columns 16
        {S} 1024x1 columns 16 4 bytes
        {S} 64x1 columns 16
        {S} 100x64 rows""",
    ),
    "mamba 2": (
        # mamba_mixer2.py: 64 inner channels in 8 heads, 2 groups of states of 16: 64 + 2 x 2 x 16 are convolved
        lambda: blocks.mamba2(100, 64, 8, 2, 16, 4, True, True, True, True),
        f"""{S} 200x100 columns
        {S} 200x1 columns 16
        {S} 128x4 columns 16
        {S} 128x1 columns 16
        {S} 8x1 columns 16 4 bytes
        {S} 8x1 columns 2/2 16
        norms 64x1 columns 16
        {S} 100x64 rows
        {S} 100x1 whole 16""",
    ),
    "mamba 2, plain": (
        lambda: blocks.mamba2(100, 64, 8, 2, 16, 4, False, False, False, False),
        f"""{S} 200x100 columns
        {S} 128x4 columns 16
        {S} 8x1 columns 16 4 bytes
        {S} 8x1 columns 2/2 16
        {S} 100x64 rows""",
    ),
    "a gated delta net": (
        # qwen_gdn_linear_attn.py: 2 heads of keys of 8, 4 of values of 16
        lambda: blocks.gated_delta_net(100, 2, 4, 8, 16, 4),
        f"""{S} 160x100 columns
        {S} 8x100 columns
        {S} 96x4 columns 16
        {S} 4x1 columns 16
        {S} 4x1 columns 16 4 bytes
        norms 16x1 whole 16
        {S} 100x64 rows""",
    ),
    "a gated delta net with a narrow decay": (
        lambda: list(blocks.gated_delta_net(100, 2, 4, 8, 16, 4, narrow_decay=True))[3:5],
        f"{S} 4x1 columns 16\n{S} 4x1 columns 16",
    ),
    "Kimi's delta attention": (
        # kda.py: 4 heads of 8; convolutions, the decay and what is added to the time step in 32 bits
        lambda: blocks.kimi_delta_attention(100, 4, 8, 4),
        f"""{S} 96x100 columns
        {S} 96x4 columns 16 4 bytes
        {S} 8x100 whole
        {S} 32x8 columns
        {S} 8x100 whole
        {S} 32x8 columns
        {S} 4x100 columns
        {S} 36x1 columns 16 4 bytes
        norms 8x1 whole 16
        {S} 100x32 rows""",
    ),
    "Kimi's delta attention with a full gate": (
        lambda: blocks.kimi_delta_attention(100, 4, 8, 4, True),
        f"""{S} 96x100 columns
        {S} 96x4 columns 16 4 bytes
        {S} 32x100 columns
        {S} 8x100 whole
        {S} 32x8 columns
        {S} 4x100 columns
        {S} 36x1 columns 16 4 bytes
        norms 8x1 whole 16
        {S} 100x32 rows""",
    ),
    "lightning attention": (
        # minimax_text_01.py: queries, keys and values as one, a gate, a norm over all heads
        lambda: blocks.lightning_attention(100, 64, True, True),
        f"""{S} 192x100 columns
        {S} 192x1 columns 16
        {S} 64x100 columns
        norms 64x1 columns 16
        {S} 100x64 rows
        {S} 100x1 whole 16""",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("made", "expected"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_these_matrices(made, expected):
    assert told(made()) == listed(expected) if expected else not told(made())


def test_what_of_a_router_is_a_parameter():
    assert [next(blocks.correction(8, each)).is_parameter for each in (True, False)] == [True, False]
    assert next(blocks.correction(8, True)).module == "mlp.gate.e_score_correction"
    assert all(each.is_parameter for each in blocks.router(100, 8, True))


# What layers keep


def state(**more):
    stated = {
        "variant": Recurrence.MAMBA2, "conv_width": 64, "conv_columns": 3, "state_elements": 1_024,
        "state_element_bytes": 4, "divisible": 8,
    }  # fmt: skip
    return RecurrentState(**stated | more)


@pytest.mark.parametrize(
    ("spec", "ranks", "conv", "kept"),
    # channels x 3 columns x 2 bytes, and 1,024 elements x 4 bytes, over ranks; groups of 16 channels are split too, a
    # single one is copied
    [
        (state(), 1, 64 * 3, 64 * 3 * 2 + 1_024 * 4), (state(), 4, 16 * 3, 16 * 3 * 2 + 256 * 4),
        (state(groups=4, group_width=16), 1, 128 * 3, 128 * 3 * 2 + 1_024 * 4),
        (state(groups=4, group_width=16), 2, 64 * 3, 64 * 3 * 2 + 512 * 4),
        (state(groups=1, group_width=16), 4, 32 * 3, 32 * 3 * 2 + 256 * 4),
        (state(conv_element_bytes=4, state_element_bytes=2), 1, 64 * 3, 64 * 3 * 4 + 1_024 * 2),
    ],
)  # fmt: skip
def test_a_state_on_a_rank(spec, ranks, conv, kept):
    assert (spec.cache(ranks).conv_elements, spec.state_bytes(ranks)) == (conv, kept)
    assert (spec.cache(ranks).state_named, spec.cache(ranks).conv_width) == (False, conv // 3)
    assert [cache.state_bytes for cache in spec.caches(FP16, ranks)] == [kept]


def test_how_states_are_split():
    assert state().why_not(32, 8) is None
    assert "8 heads of the" in state().why_not(32, 3)
    assert "4 groups of the" in state(groups=4).why_not(32, 8)
    assert state(groups=1).why_not(32, 8) is None
    both = AttentionAndState(4, 16, 16, state=state(divisible=3))
    assert (both.why_not(8, 1), "3 heads of the" in both.why_not(8, 2)) == (None, True)
    assert both.state_bytes(1) == state().state_bytes(1)
    assert len(both.caches(FP16, 1)) == 2


@pytest.mark.parametrize("window", [None, 32])
def test_short_convolutions_beside_attention(window):
    # a kernel of 4: 3 columns of 2 heads x (16 + 8) and 100 channels more, 2 bytes each; a rank of two keeps half
    sizes = {"streams_width": 100, "kernel": 4}
    spec = ConvolvedWindow(2, 16, 8, window=window, **sizes) if window else ConvolvedAttention(2, 16, 8, **sizes)
    assert [spec.state_bytes(ranks) for ranks in (1, 2)] == [2 * 3 * (48 + 100), 3 * (48 + 100)]
    kept, columns = spec.caches(FP16, 1)
    assert kept.bytes_per_token == 2 * (16 + 8) * 2
    assert (columns.heads, columns.head_elements, columns.window) == (2, 16 + 8 + 50, 4)
    assert spec.caches(FP16, 2)[1].heads == spec.caches(FP16, 4)[1].heads == 1
    if window:
        assert spec.without_window() == ConvolvedAttention(2, 16, 8, **sizes)


@pytest.mark.parametrize(
    ("spec", "form", "row"),
    # 512 + 64 in 16 bit; 8 bit with a float32 for 128 and the rotary part in 16 bit: 512 + 16 + 128; an index key of
    # 128 with a float32
    [
        (LatentAttention(512, 64), "fp16", 1152), (LatentAttention(512, 64), "fp8", 576),
        (LatentAttention(512, 64), "fp8_ds_mla", 656), (LatentAttention(512, 64, 128), "fp16", 1152 + 132),
        (LatentAttention(512, 64, 128), "fp8", 656 + 132), (LatentAttention(512, 64, 64), "fp16", 1152 + 64),
        (LatentAttention(512, 64, 128, shares_index=True), "fp8", 656), (LatentAttention(500, 64), "fp8_ds_mla", 644),
        (LatentAttention(512, 64, 256), "fp16", 1152 + 264), (LatentAttention(512, 64, 127), "fp16", 1152 + 127),
        (LatentAttention(512, 64, 255), "fp16", 1152 + 255 + 4),
    ],
)  # fmt: skip
def test_a_latent_row(spec, form, row):
    assert spec.bytes_per_token(storage_format(form), 8) == row
    (cache,) = spec.caches(storage_format(form), 8)
    assert (cache.bytes_per_token, cache.sparse) == (row, spec.index_head_dim > 0)


def test_latent_heads_in_other_forms():
    spec = LatentAttention(512, 64)
    assert (spec.qk_head_dim, spec.v_head_dim, spec.kv_heads) == (192, 128, 1)
    assert spec.with_kv_heads(8) == FullAttention(8, 192, 128)
    assert spec.as_heads(16) == FullAttention(16, 192, 192)
    # one latent head is copied to any number of ranks that share the queries
    assert (spec.why_not(16, 8), spec.why_not(15, 5), spec.why_not(16, 3) is None) == (None, None, False)
    # DeepSeek-V2's proportions: four heads kept, half a head rotated
    assert as_latent(FullAttention(8, 128, 96)) == LatentAttention(512, 64, qk_head_dim=192, v_head_dim=96)
    assert as_latent(state()) == state()
    kinds = (spec, LatentAttention(1, 1, 128), LatentAttention(1, 1, 128, shares_index=True))
    assert [each.kind for each in kinds] == [
        "latent attention", "sparse latent attention", "sparse latent attention, shared indexer",
    ]  # fmt: skip


def test_rows_that_stand_for_several_tokens():
    # DeepSeek-V4: a row of 512, 64 of them rotated: 448 + 128 + 7 scales of 64 and one more; an index key of 128
    whole = CompressedAttention(512, 64, 128)
    assert (whole.row_bytes, whole.grows_until, whole.index_row_bytes) == (584, 128, 0)
    assert whole.bytes_per_token(FP16, 1) == 584
    assert (whole.kv_heads, whole.why_not(64, 8), whole.why_not(64, 3) is None) == (1, None, False)
    assert [whole.kv_bytes(tokens, FP16, 1) for tokens in (100, 128, 1_000)] == [58_400, 584 * 128, 584 * 128]
    four = CompressedAttention(512, 64, 128, 4, overlaps=True, index_head_dim=128)
    assert (four.index_row_bytes, four.bytes_per_token(FP16, 1)) == (132, (584 + 132) // 4)
    # of the last 8 tokens keys and scores, two of each as rows overlap, in 32 bit, of rows and of index keys
    passing = 8 * 2 * 2 * 4 * (512 + 128)
    assert four.kv_bytes(1_002, FP16, 1) == 128 * 584 + passing + 250 * (584 + 132)
    assert four.kv_bytes(5, FP16, 1) == 5 * 584 + passing * 5 // 8 + 584 + 132
    for width, scales in ((127, 0), (128, 4), (255, 4), (256, 8)):
        assert CompressedAttention(512, 64, 128, 4, index_head_dim=width).index_row_bytes == width + scales
    assert whole.why_not(15, 5) is None
    far = CompressedAttention(512, 64, 128, 128)
    assert far.kv_bytes(1_000, FP16, 1) == 128 * 584 + 128 * 2 * 4 * 512 + 7 * 584
    assert far.bytes_per_token(FP16, 1) == -(-584 // 128)
    assert [type(cache).__name__ for cache in four.caches(FP16, 1)] == ["CompressedRows"] * 2 + ["RowsInPassing"] * 3
    assert [type(cache).__name__ for cache in far.caches(FP16, 1)] == ["CompressedRows"] + ["RowsInPassing"] * 2
    assert [type(cache).__name__ for cache in whole.caches(FP16, 1)] == ["RowsInPassing"]
    assert [one.window for one in four.caches(FP16, 1)[2:]] == [128, 8, 8]
