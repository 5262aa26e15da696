"""What ranks and stages hold: heads, tokens, matrices and layers, each division by hand."""

import pytest

import calculator
from calculator.architecture import blocks
from calculator.architecture.groups import LayerGroup, with_heads, with_spec
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import (
    ChunkedAttention,
    EncoderAttention,
    FullAttention,
    IndexedAttention,
    LayerSpec,
    NoCache,
    SharedCache,
    SlidingWindow,
)
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.per_layer import heads_by_layer, heads_of_all, listed, windows_by_layer
from calculator.architecture.split import (
    Split,
    check_degree,
    kv_heads_per_rank,
    kv_replication,
    layers_per_stage,
    not_possible,
    why_not,
)
from calculator.architecture.weights import bytes_on_rank, shape_on_rank
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format

FP16 = storage_format("fp16")


def test_how_a_stage_is_split():
    plain, context, apart = Split(), Split(8, 4), Split(8, 1, attention_dp=True)
    assert tuple(plain) == (1, 1, False)
    assert [each.kv_head_ranks for each in (plain, Split(8), context, Split(2, 4), apart)] == [1, 8, 2, 1, 1]
    assert [each.state_ranks for each in (plain, context, apart)] == [1, 8, 1]
    assert [each.replicas for each in (plain, context, apart)] == [1, 1, 8]
    assert [apart.sequences_on_rank(many) for many in (1, 8, 9)] == [1, 1, 2]
    assert [context.tokens_on_rank(many) for many in (1, 4, 5)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("heads", "ranks", "each", "copies"), [(8, 1, 8, 1), (8, 2, 4, 1), (8, 8, 1, 1), (8, 16, 1, 2), (1, 4, 1, 4)]
)
def test_kv_heads_of_a_rank(heads, ranks, each, copies):
    assert (kv_heads_per_rank(heads, ranks), kv_replication(heads, ranks)) == (each, copies)


@pytest.mark.parametrize(
    ("query", "heads", "ranks", "said"),
    [
        (32, 8, 8, None), (32, 8, 16, None), (32, 8, 3, "32 query heads do not divide by 3"), (24, 9, 3, None),
        (24, 8, 3, "8 KV heads do not divide by 3"), (24, 4, 6, "6 is not a multiple of the 4 KV heads"),
        (24, 3, 6, None), (6, 6, 6, None),
    ],
)  # fmt: skip
def test_which_ranks_can_share_heads(query, heads, ranks, said):
    found = why_not(query, heads, ranks)
    assert found is None if said is None else found.startswith(said)
    assert FullAttention(heads, 16, 16).why_not(query, ranks) == found
    assert EncoderAttention(query, heads).why_not(99, ranks) == found
    assert FullAttention(heads, 16, 16, query_heads=query).why_not(99, ranks) == found


def test_ranks_are_whole_and_the_nearest_is_named():
    check_degree(1)
    for bad in (0, -1, True, 2.0, "2", None):
        with pytest.raises(calculator.ParallelismError, match="a whole number of at least 1"):
            check_degree(bad)
    error = not_possible(3, "so", [1, 2, 4, 8])
    assert (error.nearest, error.allowed, error.asked) == (2, (1, 2, 4, 8), 3)
    assert not_possible(7, "so", [1, 2, 4, 8]).nearest == 8


@pytest.mark.parametrize(
    ("layers", "stages", "each"),
    # distributed/utils.py get_pp_indices: what is left over goes to the stages before the last, from the back
    [(8, 1, (8,)), (8, 2, (4, 4)), (9, 2, (5, 4)), (10, 4, (2, 3, 3, 2)), (11, 4, (3, 3, 3, 2)), (5, 5, (1,) * 5)],
)
def test_layers_of_a_stage(layers, stages, each):
    assert layers_per_stage(layers, stages) == each
    with pytest.raises(calculator.ParallelismError, match=f"the largest is {layers}") as caught:
        layers_per_stage(layers, layers + 1)
    assert caught.value.nearest == layers


# Matrices


def matrix(part="attention", how=Sharding.COPIED, outputs=12, inputs=10, copies=1, **more):
    return WeightMatrix(part, outputs, inputs, copies, copies, how, **more)


@pytest.mark.parametrize(
    ("made", "shape"),
    # 4 KV heads; 3 ranks share MLPs and experts' slices, 5 all else
    [
        (matrix(), (12, 10, 1)), (matrix(how=Sharding.COLUMNS), (3, 10, 1)), (matrix(how=Sharding.ROWS), (12, 2, 1)),
        (matrix("dense MLP", Sharding.COLUMNS), (4, 10, 1)), (matrix("shared experts", Sharding.ROWS), (12, 4, 1)),
        (matrix("experts", Sharding.COLUMNS, copies=8), (4, 10, 8)), (matrix(how=Sharding.KV_HEADS), (3, 10, 1)),
    ],
)  # fmt: skip
def test_a_matrix_on_a_rank(made, shape):
    assert shape_on_rank(made, 4, 3, 1, 5) == shape
    assert shape_on_rank(made, 4, 1, 1, 1) == (12, 10, made.copies)
    # whole experts over four ranks, the rest as before
    whole = (12, 10, 2) if made.part == "experts" else shape
    assert shape_on_rank(made, 4, 3, 4, 5) == whole


def test_bytes_of_matrices_on_a_rank():
    fp16, fp8 = weight_format("fp16"), weight_format("fp8")
    wide = matrix(how=Sharding.COLUMNS, quantised=False, value_bytes=4)
    experts = matrix("experts", Sharding.COLUMNS, copies=8)
    assert bytes_on_rank((matrix(), wide), fp16, 4, 1, 1, 1) == 2 * 120 + 4 * 120
    assert bytes_on_rank((matrix(), wide), fp8, 4, 1, 1, 3) == 120 + 4 + 4 * 40
    assert bytes_on_rank((experts,), fp16, 4, 3, 1, 1) == 2 * 4 * 10 * 8
    # padded to multiples of 16 of the hidden size, which are inputs here, and of 8 of the width
    assert bytes_on_rank((experts,), fp16, 4, 3, 1, 1, (16, 8)) == 2 * 8 * 16 * 8
    down = matrix("experts", Sharding.ROWS, copies=8)
    assert bytes_on_rank((down,), fp16, 4, 3, 1, 1, (16, 8)) == 2 * 16 * 8 * 8
    bias = matrix("experts", Sharding.COLUMNS, inputs=1, copies=8)
    assert bytes_on_rank((bias, matrix("dense MLP")), fp16, 4, 3, 1, 1, (16, 8)) == 2 * (4 * 8 + 120)
    assert (experts.elements, experts.num_parameters, matrix(is_parameter=False).num_parameters) == (960, 960, 0)
    assert matrix(is_parameter=False).num_active_parameters == 0
    assert WeightMatrix("experts", 12, 10, 8, 2, Sharding.ROWS).num_active_parameters == 240


# Layers


def layer(spec, heads=8, hidden=64, count=4):
    made = blocks.attention(hidden, heads, spec.kv_heads or 1, 16, 16)
    return LayerGroup(spec, count, (*made, *blocks.norms(hidden, 2)))


def test_a_layer_with_other_heads():
    group = layer(FullAttention(4, 16, 16))
    for heads in (1, 2, 8):
        now = with_heads(group, heads)
        assert (now.spec, now.count) == (FullAttention(heads, 16, 16), 4)
        assert [each.outputs for each in now.weights] == [128, heads * 16, heads * 16, 64, 64]
    # what was split by KV heads is copied where there are none
    latent = with_spec(group, LatentAttention(64, 8))
    assert [each.outputs for each in latent.weights] == [128, 64, 64, 64, 64]
    assert [each.sharding for each in latent.weights[1:3]] == [Sharding.COPIED] * 2
    back = with_spec(LayerGroup(LatentAttention(64, 8), 4, group.weights), FullAttention(2, 16, 16))
    assert [each.outputs for each in back.weights[1:3]] == [64, 64]
    assert [each.sharding for each in back.weights[1:3]] == [Sharding.COPIED] * 2
    window = with_spec(group, SlidingWindow(2, 16, 16, window=8))
    assert [(each.outputs, each.sharding) for each in window.weights[1:3]] == [(32, Sharding.KV_HEADS)] * 2
    # a latent vector becomes heads of 192 and values of 128, as 8 query heads read them
    weights = tuple(blocks.latent_attention(64, 8, 0, 64, 128, 64, 128))
    now = with_heads(LayerGroup(LatentAttention(64, 64), 4, (*weights, *blocks.norms(64, 2))), 2)
    assert now.spec == FullAttention(2, 192, 128)
    # and of a layer without matrices what it keeps alone
    assert with_heads(LayerGroup(LatentAttention(64, 64), 4), 2) == LayerGroup(FullAttention(2, 192, 128), 4)
    told = [(each.outputs, each.inputs) for each in now.weights if each.inputs > 1]
    assert told == [(8 * 192, 64), (2 * 192, 64), (2 * 128, 64), (64, 8 * 128)]


def test_what_layers_answer():
    none = LayerSpec()
    for spec in (none, NoCache(), SharedCache(), EncoderAttention(8, 8)):
        assert (spec.kv_heads, spec.grows_until, spec.bytes_per_token(FP16, 1), spec.state_bytes(1)) == (0, 0, 0, 0)
        assert (spec.kv_bytes(100, FP16, 1), spec.caches(FP16, 1), spec.with_kv_heads(3)) == (0, (), spec)
        assert (spec.with_window(3), spec.without_window(), spec.as_heads(3)) == (spec, spec, spec)
    full, window = FullAttention(4, 16, 8), SlidingWindow(4, 16, 8, window=32)
    assert full.bytes_per_token(FP16, 1) == 4 * (16 + 8) * 2
    assert full.bytes_per_token(FP16, 8) == (16 + 8) * 2
    assert [each.kv_bytes(100, FP16, 2) for each in (full, window)] == [100 * 96, 32 * 96]
    assert window.with_window(1) == SlidingWindow(4, 16, 8, window=33)
    assert window.without_window() == full
    assert ChunkedAttention(4, 16, 8, window=32).without_window() == full
    indexed = IndexedAttention(4, 16, 8, index_head_dim=128)
    assert indexed.bytes_per_token(FP16, 1) == 192 + 2 * 128
    assert [cache.bytes_per_token for cache in indexed.caches(FP16, 1)] == [192, 256]
    assert IndexedAttention(4, 16, 8).index_head_dim == 0


@pytest.mark.parametrize(
    ("change", "values", "said"),
    [
        (heads_by_layer, [4] * 3, "lists 3 layers, and there are 4"), (heads_by_layer, [4, 3, 4, 4], "layer 1:"),
        (heads_by_layer, [4, 4, 0, 4], "of layer 2 must be a whole number of at least 1, not 0"),
        (heads_by_layer, [4, True, 4, 4], "of layer 1 must be"), (heads_by_layer, [4, 4, 4, 2.0], "of layer 3 must"),
        (windows_by_layer, [None, 0, None, None], "of layer 1 must be a whole number of tokens from 1"),
        (windows_by_layer, [2**24 * 1000, None, None, None], "of layer 0 must be"),
        (windows_by_layer, [True] * 4, "of layer 0 must be"),
    ],
)  # fmt: skip
def test_a_layer_of_a_list_is_named(change, values, said):
    layers = (layer(FullAttention(4, 16, 16)),)
    with pytest.raises(calculator.InvalidValueError, match=said):
        change(layers, values, *([8] if change is heads_by_layer else []))


def test_layers_by_a_list():
    layers = (layer(FullAttention(4, 16, 16)),)
    found = heads_by_layer(layers, [4, 4, 8, 2], 8)
    assert [(group.spec.kv_heads, group.count) for group in found] == [(4, 2), (8, 1), (2, 1)]
    found = windows_by_layer(layers, [None, 1, 1, 7])
    assert [(type(group.spec).__name__, group.count) for group in found] == [
        ("FullAttention", 1), ("SlidingWindow", 2), ("SlidingWindow", 1),
    ]  # fmt: skip
    none = (LayerGroup(NoCache(), 2),)
    assert heads_by_layer(none, [0, 0], 8) == none
    for bad in (1, False, None):
        with pytest.raises(calculator.InvalidValueError, match="must be 0, not"):
            heads_by_layer(none, [0, bad], 8)
    with pytest.raises(calculator.InvalidValueError, match="must be None: a layer of the kind no cache has no window"):
        windows_by_layer(none, [None, 4])
    assert [group.spec.kv_heads for group in heads_of_all(layers, 2, 8)] == [2]
    for bad, said in ((0, "at least 1"), (True, "at least 1"), (3, "3"), (2.0, "at least 1")):
        with pytest.raises(calculator.InvalidValueError, match=said):
            heads_of_all(layers, bad, 8)
    with pytest.raises(calculator.UnsupportedError, match="where all layers have the same number"):
        heads_of_all((*layers, layer(FullAttention(2, 16, 16))), 2, 8)
    assert (listed((1, True)), listed([2.5]), listed(7), listed("x")) == ([1, True], [2.5], None, None)
