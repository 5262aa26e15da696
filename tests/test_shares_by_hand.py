"""What one rank holds: matrices, formats, compressed and latent rows, and what a model remembers of it."""

from dataclasses import replace

import pytest

import calculator
from calculator.architecture.caches import CompressedRows, RowsInPassing
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.groups import LayerGroup, indivisible
from calculator.architecture.latent import LatentAttention, as_latent
from calculator.architecture.layers import FullAttention, NoCache
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.split import (
    Split,
    kv_heads_per_rank,
    kv_replication,
    layers_per_stage,
    not_possible,
    why_not,
)
from calculator.architecture.sums import Layout as LayoutOfRows
from calculator.architecture.sums import copied_bytes_on_rank, kv_bytes_of_sequence, kv_bytes_on_rank
from calculator.architecture.weights import bytes_on_rank, embedding_bytes, shape_on_rank, weight_bytes_per_rank
from calculator.formats.kv import storage_format
from calculator.formats.names import format_in_name, format_of_gguf
from calculator.formats.weights import weight_format

COLUMNS, ROWS, KV_HEADS, COPIED = Sharding.COLUMNS, Sharding.ROWS, Sharding.KV_HEADS, Sharding.COPIED


# Matrices on a rank


@pytest.mark.parametrize(
    ("part", "sharding", "ranks", "shape"),
    # 100 x 60 twelve times; ranks: those of MLPs, those that share whole experts, all others
    [
        ("attention", COLUMNS, (8, 1, 2), (50, 60, 12)), ("attention", ROWS, (8, 1, 7), (100, 9, 12)),
        ("dense MLP", COLUMNS, (8, 1, 2), (13, 60, 12)), ("shared experts", ROWS, (8, 1, 2), (100, 8, 12)),
        ("experts", COLUMNS, (8, 1, 1), (13, 60, 12)), ("experts", COLUMNS, (1, 2, 1), (100, 60, 6)),
        ("experts", ROWS, (1, 5, 1), (100, 60, 3)), ("shared experts", COLUMNS, (1, 2, 1), (100, 60, 12)),
        ("router", COPIED, (8, 1, 8), (100, 60, 12)), ("attention", KV_HEADS, (8, 1, 2), (40, 60, 12)),
        ("attention", KV_HEADS, (8, 1, 8), (20, 60, 12)),
    ],
)  # fmt: skip
def test_the_shape_of_a_matrix_on_a_rank(part, sharding, ranks, shape):
    # five KV heads of 20 outputs: on two ranks two of them, on eight one
    assert shape_on_rank(WeightMatrix(part, 100, 60, 12, 12, sharding), 5, *ranks) == shape


@pytest.mark.parametrize(
    ("part", "inputs", "sharding", "elements"),
    # outputs 100; the hidden size in 256s, the width in 64s: columns have the width as outputs, rows as inputs
    [
        ("experts", 300, COLUMNS, 128 * 512), ("experts", 300, ROWS, 256 * 320), ("experts", 2, COLUMNS, 128 * 256),
        ("experts", 2, ROWS, 256 * 64), ("experts", 1, COLUMNS, 100), ("experts", 1, ROWS, 100),
        ("dense MLP", 300, ROWS, 100 * 300),
    ],
)  # fmt: skip
def test_kernels_pad_matrices_of_experts_and_no_vectors(part, inputs, sharding, elements):
    matrix = WeightMatrix(part, 100, inputs, 3, 1, sharding)
    for name, size in (("bf16", 2), ("fp32", 4)):
        assert bytes_on_rank((matrix,), weight_format(name), 1, 1, 1, 1, (256, 64)) == 3 * elements * size
        wide = replace(matrix, value_bytes=8)
        assert bytes_on_rank((matrix, wide), weight_format(name), 1, 1, 1, 1, (256, 64)) == 3 * elements * (size + 8)


def test_the_table_of_embeddings_has_its_share_of_a_checkpoint():
    # Llama 3.1 8B: 128,256 words x 4,096 of 8,030,261,248 parameters
    model, table = calculator.load_model("llama-3.1-8b"), 128_256 * 4_096
    assert embedding_bytes(model, "fp16") == 2 * table
    for given in (10**10, 10**10 + 1, 12_345_678_901):
        assert embedding_bytes(model, "fp16", given) == given * table // 8_030_261_248
        assert weight_bytes_per_rank(model, "fp16", checkpoint_bytes=given) == (given,)
        # in two: norms are whole on each rank, 65 of 4,096; rounded up
        held = (8_030_261_248 - 65 * 4_096) // 2 + 65 * 4_096
        (rank,) = weight_bytes_per_rank(model, "fp16", 2, checkpoint_bytes=given)
        assert rank == -(-given * held // 8_030_261_248)


def test_a_tied_head_is_held_again_by_a_last_stage():
    tied = replace(calculator.load_model("llama-3.1-8b"), tie_word_embeddings=True)
    plain = replace(tied, tie_word_embeddings=False)
    table = 2 * 128_256 * 4_096
    for stages in (1, 2, 4):
        one, other = (weight_bytes_per_rank(model, "bf16", 1, stages) for model in (tied, plain))
        assert one[:-1] == other[:-1]
        assert one[-1] - other[-1] == (table if stages > 1 else 0)


# Formats


@pytest.mark.parametrize(
    ("name", "size"),
    # 130 outputs x 300 inputs are 39,000 weights: scales of 3 groups of 128, of 10 of 32, of 19 of 16 an output,
    # of 2 x 3 blocks of 128 x 128
    [
        ("fp32", 156_000), ("fp16", 78_000), ("bf16", 78_000), ("fp8", 39_004), ("fp8-block", 39_000 + 24),
        ("int8", 39_000 + 260), ("awq-int4", 19_500 + 130 * 3 * 20 // 8), ("gptq-int4", 19_500 + 975),
        ("nvfp4", 19_500 + 130 * 19 + 4), ("mxfp4", 19_500 + 1_300), ("gptq-int8", 39_000 + 130 * 3 * 3),
        ("nf4", 20_120), ("q8_0", 41_438), ("q6_k", 31_993), ("q5_k_m", 27_806), ("q4_k_m", 23_861),
        ("q3_k_m", 19_481), ("q2_k", 15_402), ("awq-int4-g64", 19_500 + 130 * 5 * 20 // 8),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix(name, size):
    assert weight_format(name).bytes_of(130, 300) == size
    assert weight_format(name).is_plain == (name in ("fp32", "fp16", "bf16"))


def test_a_format_of_everything_leaves_vectors_alone():
    for inputs, quantised, everything, servers in ((1, True, False, True), (2, True, True, True), (2, False, True, 0)):
        matrix = WeightMatrix("router", 10, inputs, 1, 1, COPIED, quantised)
        assert weight_format("q8_0").applies_to(matrix) == everything
        assert weight_format("int8").applies_to(matrix) == bool(servers)
        assert not weight_format("mxfp4").applies_to(matrix)
        assert weight_format("mxfp4").applies_to(replace(matrix, part="experts")) == quantised


@pytest.mark.parametrize(
    ("name", "row", "bits"),
    [
        ("fp32", 512, 32), ("fp16", 256, 16), ("bf16", 256, 16), ("fp8_e4m3", 128, 8), ("fp8_e5m2", 128, 8),
        ("int8_per_token_head", 132, 8), ("fp8_per_token_head", 132, 8), ("int4_per_token_head", 68, 4),
        ("nvfp4", 72, 4.5), ("q8_0", 136, 8.5), ("q5_1", 96, 6), ("q5_0", 88, 5.5), ("q4_1", 80, 5),
        ("q4_0", 72, 4.5), ("iq4_nl", 72, 4.5),
    ],
)  # fmt: skip
def test_bytes_of_a_row_of_128(name, row, bits):
    form = storage_format(name)
    assert (form.row_bytes(128), form.bits_per_value) == (row, bits)
    assert form.is_fp8 == (name in ("fp8_e4m3", "fp8_e5m2"))
    if form.block_elements > 1:
        with pytest.raises(calculator.UnsupportedError) as no:
            form.row_bytes(129)
        assert (no.value.what, no.value.asked) == ("kv_cache_dtype", name)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("x-NVFP4", "nvfp4"), ("x-mxfp4", "mxfp4"), ("X-W8A8", "int8"), ("x-AWQ", "awq-int4"), ("x-GPTQ", "gptq-int4"),
        ("x-w4a16", "gptq-int4"), ("x-int4", "awq-int4"), ("x-bnb-4bit", "nf4"), ("x-FP8", "fp8"), ("x", None),
        ("x-int4-gptq", "gptq-int4"), ("x-int4-fp8", "awq-int4"),
    ],
)  # fmt: skip
def test_formats_in_names(name, form):
    assert format_in_name(name) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("x-BF16.gguf", "bf16"), ("x.f16.gguf", "fp16"), ("x-Q8_0", "q8_0"), ("x-Q6_K.gguf", "q6_k"),
        ("x-Q2_K.gguf", "q2_k"), ("x-Q3_K_M", "q3_k_m"), ("Q4_K - Medium", "q4_k_m"), ("q5_km", "q5_k_m"),
        ("q4_k", None), ("q4_k_s", None), ("xq8_0", None), ("q2_k_m", "q2_k"), ("q9_k_m", None),
    ],
)  # fmt: skip
def test_formats_of_gguf_files(text, form):
    assert format_of_gguf(text) == form


# Compressed rows


def test_what_compressed_attention_keeps():
    # a latent row of 512: 448 in 8 bit, 64 in 16 bit, 7 scales and 1 byte; an index key of 128 and its scale
    row, index = 448 + 128 + 7 + 1, 128 + 4
    window = CompressedAttention(512, 64, 128)
    each = storage_format("bf16")
    assert (window.row_bytes, window.bytes_per_token(each, 1), window.grows_until) == (row, row, 128)
    assert [window.kv_bytes(tokens, each, 1) for tokens in (1, 128, 129)] == [row, 128 * row, 128 * row]
    assert window.caches(each, 1) == (RowsInPassing(row, 128),)
    sparse = CompressedAttention(512, 64, 128, 4, True, 128)
    # what is being compressed: keys and scores of 2 x 4 tokens, twice as wide, 4 bytes an element
    passing = (RowsInPassing(row, 128), RowsInPassing(2 * 2 * 512 * 4, 8, 4), RowsInPassing(2 * 2 * 128 * 4, 8, 4))
    assert sparse.caches(each, 1) == (CompressedRows(row, 4), CompressedRows(index, 4), *passing)
    assert (sparse.index_row_bytes, sparse.bytes_per_token(each, 1)) == (index, (row + index) // 4)
    for tokens in (3, 4, 8, 9, 1_001):
        kept = min(tokens, 128) * row + min(tokens, 8) * (8_192 + 2_048) + tokens // 4 * (row + index)
        assert sparse.kv_bytes(tokens, each, 1) == kept
    plain = CompressedAttention(512, 64, 128, 128)
    assert plain.caches(each, 1) == (CompressedRows(row, 128), RowsInPassing(row, 128), RowsInPassing(4_096, 128, 128))
    assert (plain.index_row_bytes, plain.bytes_per_token(each, 1)) == (0, 5)
    # an index key of 192 has one whole 128; 5 rows of 584 bytes do not divide by 3
    assert CompressedAttention(512, 64, 128, 4, True, 192).index_row_bytes == 196
    assert plain.why_not(64, 3) is not None
    assert plain.why_not(64, 64) is None


# What a model remembers, and latent rows


def test_a_model_remembers_1024_answers():
    model = replace(calculator.load_model("llama-3.1-8b"), name="another")
    asked = []

    def derive(_, number):
        asked.append(number)
        return number + 1

    for number in range(1_024):
        assert model.remember(derive, number) == number + 1
    assert (len(model._remembered), model.remember(derive, 0), len(asked)) == (1_024, 1, 1_024)
    assert (model.remember(derive, -5), len(model._remembered), len(asked)) == (-4, 1, 1_025)
    assert (model.remember(derive, 0), len(model._remembered), len(asked)) == (1, 2, 1_026)


@pytest.mark.parametrize(
    ("spec", "form", "row"),
    # 8 bit with 4 bytes a 128 and 16 bit of what is rotated: 512 + 16 + 128; an index of 128 and its scale
    [
        (LatentAttention(512, 64), "bf16", 1_152), (LatentAttention(512, 64), "fp8_e4m3", 576),
        (LatentAttention(512, 64), "fp8_ds_mla", 656), (LatentAttention(512, 64, 128), "bf16", 1_152 + 132),
        (LatentAttention(512, 64, 128), "fp8_e4m3", 656 + 132), (LatentAttention(513, 64), "fp8_ds_mla", 661),
        (LatentAttention(512, 64, 255), "bf16", 1_152 + 259), (LatentAttention(512, 64, 256), "bf16", 1_152 + 264),
        (LatentAttention(512, 64, 128, shares_index=True), "bf16", 1_152),
        (LatentAttention(512, 64, 128, shares_index=True), "fp8_e4m3", 656),
    ],
)  # fmt: skip
def test_a_row_of_a_latent_vector(spec, form, row):
    assert [spec.bytes_per_token(storage_format(form), ranks) for ranks in (1, 8)] == [row, row]
    (cache,) = spec.caches(storage_format(form), 4)
    assert (cache.bytes_per_token, cache.sparse) == (row, spec.index_head_dim > 0)


def test_heads_and_latent_vectors_become_each_other():
    latent = LatentAttention(512, 64)
    assert latent.with_kv_heads(16) == FullAttention(16, 192, 128)
    assert latent.as_heads(16) == FullAttention(16, 192, 192)
    # four head sizes and half of one
    assert as_latent(FullAttention(8, 128, 96)) == LatentAttention(512, 64, qk_head_dim=192, v_head_dim=96)
    assert as_latent(NoCache()) == NoCache()
    assert (latent.kv_heads, latent.why_not(16, 3) is None, latent.why_not(16, 16)) == (1, False, None)


def test_layers_of_stages():
    for layers, stages, each in ((8, 3, (3, 3, 2)), (7, 3, (2, 3, 2)), (7, 7, (1,) * 7), (5, 1, (5,)),
                                 (10, 4, (2, 3, 3, 2)), (11, 4, (3, 3, 3, 2))):  # fmt: skip
        assert layers_per_stage(layers, stages) == each
    with pytest.raises(calculator.ParallelismError, match="the largest is 7") as no:
        layers_per_stage(7, 8)
    assert (no.value.what, no.value.asked, no.value.nearest) == ("pipeline_parallel_size", 8, 7)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "ranks", "kept", "copies", "legal"),
    [(32, 8, 4, 2, 1, True), (32, 8, 8, 1, 1, True), (32, 8, 16, 1, 2, True), (32, 8, 64, 1, 8, False),
     (12, 6, 4, 1, 1, False), (12, 4, 6, 1, 1, False), (12, 1, 12, 1, 12, True), (12, 3, 2, 1, 1, False)],
)  # fmt: skip
def test_heads_on_ranks(heads, kv_heads, ranks, kept, copies, legal):
    assert (kv_heads_per_rank(kv_heads, ranks), kv_replication(kv_heads, ranks)) == (kept, copies)
    assert (why_not(heads, kv_heads, ranks) is None) == legal


def test_the_nearest_of_what_divides():
    # of two as near the smaller one
    for heads, asked, near in ((12, 5, 4), (32, 3, 2), (32, 6, 4), (32, 7, 8), (9, 2, 1), (32, 99, 32)):
        error = indivisible(heads, asked)
        assert (error.nearest, error.asked, error.what) == (near, asked, "num_key_value_heads")
        assert error.allowed == tuple(each for each in range(1, heads + 1) if heads % each == 0)
    for asked, legal, near in ((3, (1, 2, 4), 2), (7, (1, 2, 4, 8), 8), (3, (1, 5), 1), (9, (1, 2), 2)):
        error = not_possible(asked, "why", legal)
        assert (error.nearest, error.allowed, error.asked) == (near, legal, asked)


def test_what_a_rank_keeps_beyond_its_share():
    each = storage_format("bf16")
    heads, latent = FullAttention(8, 128, 128), LatentAttention(512, 64)
    # a head of 512 bytes a token; two heads on a rank of 4, one on each of 16 of which two keep the same
    for spec, ranks, copied in (
        (heads, 4, 0), (heads, 8, 0), (heads, 16, 10 * 512 // 2), (heads, 32, 10 * 512 * 3 // 4), (latent, 1, 0),
        (latent, 4, 10 * 1_152 * 3 // 4), (NoCache(), 4, 0),
    ):  # fmt: skip
        layers = (LayerGroup(spec, 1), LayerGroup(spec, 2))
        assert copied_bytes_on_rank(layers, 10, LayoutOfRows(each, Split(ranks))) == 3 * copied
    # a sequence shared among two ranks: half of its tokens, eight heads on 8 / 2
    shared = LayoutOfRows(each, Split(8, 2))
    assert kv_bytes_on_rank((LayerGroup(heads, 3),), 11, shared) == 3 * 6 * 2 * 512
    assert kv_bytes_of_sequence((LayerGroup(heads, 3),), 11, shared) == 3 * 11 * 2 * 512 * 4
