"""How vLLM cuts its pool: groups, pages, packed rows, states and block sizes, each by hand.

vLLM 0.33.0: v1/core/kv_cache_planning.py, v1/kv_cache_interface.py, model_executor/layers/mamba/mamba_utils.py.
"""

from types import SimpleNamespace

import pytest

import calculator
from calculator.architecture.caches import (
    Chunk,
    CompressedRows,
    EncoderTokens,
    EveryToken,
    IndexKeys,
    LastColumns,
    LatentVectors,
    Recurrence,
    RowsInPassing,
    State,
    Window,
)
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.sums import Cached
from calculator.engines.pools import Claim
from calculator.engines.vllm.block_size import kernel_block_size
from calculator.engines.vllm.groups import hybrid_block_size, pool_of_layers, vllm_geometry
from calculator.engines.vllm.packed import packed_geometry
from calculator.engines.vllm.states import Keeping, as_kept, checkpoint_block_alignment, keeping, kept, state_pages

M2, GDN, KIMI, LIGHTNING = Recurrence.MAMBA2, Recurrence.GATED_DELTA_NET, Recurrence.KIMI_DELTA, Recurrence.LIGHTNING
FULL, WINDOW, LATENT = EveryToken(64), Window(64, 100), LatentVectors(1152)


def state(kind=M2, conv=30, **more):
    return State(kind, conv, 2, 1_000, 4, conv_width=10, **more)


def request(**more):
    stated = {
        "block_size": 16,
        "decode_context_parallel_size": 1,
        "encoder_seq_len": None,
        "max_num_batched_tokens": 256,
    }
    return SimpleNamespace(**stated | more)


def cut(*caches, stage=None, asked=None, **more):
    rules = {
        "in_flight": 256, "padding_factor": 1.25, "full_length": False, "state_pages": {M2: 1, GDN: 1},
        "row_multiple": 1, "held_back": 1, "charges_whole_passes": False,
    }  # fmt: skip
    every = tuple(Cached(*pair) for pair in caches)
    here = every if stage is None else tuple(Cached(*pair) for pair in stage)
    return vllm_geometry(every, here, asked or request(), **rules | more)


def told(geometry):
    (pool,) = geometry.pools
    return pool.block_bytes, pool.claims, geometry.block_size


# Groups and pages


@pytest.mark.parametrize(
    ("caches", "block", "claims"),
    [
        # one kind: a block is 16 tokens of all its layers; a window keeps its tokens but one, those in flight, and one
        # block more, since it may begin within one
        (((FULL, 4),), 16 * 64 * 4, (Claim(16),)), (((WINDOW, 4),), 16 * 64 * 4, (Claim(16, 99 + 256, 1, 1),)),
        (((Chunk(64, 100), 4),), 16 * 64 * 4, (Claim(16, 100 + 256),)),
        # two rows that grow alike are one group
        (((FULL, 3), (IndexKeys(32), 2)), 16 * (3 * 64 + 2 * 32), (Claim(16),)),
        (((FULL, 3), (EveryToken(32), 2)), 16 * (3 * 64 + 2 * 32), (Claim(16),)),
        # 4 and 8 layers: groups of 4, one and two
        (((FULL, 4), (WINDOW, 8)), 4 * 1024, (Claim(16, NO_LIMIT, 1), Claim(16, 355, 2, 2))),
        # 4 is less than 1.25 times 4, and 5 is no more than that: groups of 5, padded
        (((FULL, 4), (WINDOW, 4)), 4 * 1024, (Claim(16, NO_LIMIT, 1), Claim(16, 355, 1, 1))),
        (((FULL, 9), (WINDOW, 10)), 10 * 1024, (Claim(16, NO_LIMIT, 1), Claim(16, 355, 1, 1))),
        (((FULL, 8), (WINDOW, 10)), 8 * 1024, (Claim(16, NO_LIMIT, 1), Claim(16, 355, 2, 2))),
        # a row half as wide has blocks twice as long
        (((FULL, 4), (Window(32, 100), 4)), 4 * 1024, (Claim(16, NO_LIMIT, 1), Claim(32, 355, 1, 1))),
        # a state's page is padded to the page, or the page to it
        (((EveryToken(512), 2), (state(), 2)), 2 * 8192, (Claim(16, NO_LIMIT, 1), Claim(0, fixed=1))),
        (((state(), 3),), 3 * 4060, (Claim(0, fixed=1),)),
        # columns of a kernel of 4 in blocks of 4: 3 heads x 64, the next power of two of 50, x 2 bytes; 384 a token
        (((EveryToken(384), 2), (LastColumns(3, 50, 4), 2)), 2 * 6144,
         (Claim(16, NO_LIMIT, 1), Claim(16, 3 + 256, 1, 1))),
        (((EncoderTokens(64), 2),), 2 * 1024, (Claim(0, fixed=0),)), ((), 1, ()),
    ],
)  # fmt: skip
def test_a_pool_of_layers(caches, block, claims):
    found = cut(*caches)
    assert told(found)[:2] == (block, claims)
    assert found.block_size == 16
    assert found.pools[0].held_back == (1 if caches else 0)


def test_a_pool_of_a_stage_is_grouped_over_the_whole_model():
    # of 4 and 8 layers in groups of 4 the stage has 1 and 4: of a group at most 2
    found = cut((FULL, 4), (WINDOW, 8), stage=((FULL, 1), (WINDOW, 4)))
    assert told(found) == (2 * 1024, (Claim(16, NO_LIMIT, 1), Claim(16, 355, 2, 2)), 16)
    assert told(cut((FULL, 4), (WINDOW, 8), stage=((FULL, 0), (WINDOW, 0))))[0] == 1
    # of one kind what the stage has of it
    assert told(cut((FULL, 4), stage=((FULL, 3),)))[0] == 3 * 1024
    assert told(cut((FULL, 4), (IndexKeys(32), 2), stage=((FULL, 2),)))[0] == 2 * 1024
    # a stage that keeps nothing has blocks of a byte, and no division by none
    assert told(cut((FULL, 4), stage=()))[0] == 1
    assert told(cut((FULL, 4), (WINDOW, 8), stage=()))[0] == 1


def test_windows_at_full_length_and_shared_contexts():
    assert told(cut((FULL, 4), (WINDOW, 8), full_length=True)) == (12 * 1024, (Claim(16),), 16)
    # windows alone stay windows
    assert told(cut((WINDOW, 8), full_length=True))[1] == (Claim(16, 355, 1, 1),)
    two = request(decode_context_parallel_size=2)
    assert told(cut((FULL, 4), asked=two))[1] == (Claim(32),)
    with pytest.raises(calculator.UnsupportedError, match="cannot serve states beside attention without"):
        cut((FULL, 4), (state(), 2), full_length=True)
    assert cut((state(), 2), full_length=True)


def test_latents_are_padded_in_rows_and_never_in_pages():
    # 576 elements of 2 bytes padded to multiples of 128 elements are 640
    assert told(cut((LATENT, 2), row_multiple=128))[0] == 2 * 16 * 1280
    assert told(cut((LATENT, 2)))[0] == 2 * 16 * 1152
    # a window of which a latent page is no divisor is kept at full length: one group of all
    assert told(cut((LATENT, 2), (Window(2000, 100), 2)))[1] == (Claim(16),)
    # one that is narrower is padded itself
    narrow = told(cut((LATENT, 2), (Window(1000, 100), 2)))
    assert narrow == (2 * 16 * 1152, (Claim(16, NO_LIMIT, 1), Claim(16, 355, 1, 1)), 16)
    fits = told(cut((LATENT, 2), (Window(2304, 100), 2)))
    assert fits == (2 * 16 * 2304, (Claim(32, NO_LIMIT, 1), Claim(16, 355, 1, 1)), 16)
    with pytest.raises(calculator.UnsupportedError, match="cannot make the pages of latent attention"):
        cut((LATENT, 2), (State(M2, 30, 2, 10_000, 4), 2))
    assert told(cut((LATENT, 2), (state(), 2)))[0] == 2 * 16 * 1152


def test_an_encoder_is_charged_by_whole_passes():
    # 100 tokens of an encoder are 7 blocks; a pass of 256 is 16, of which 9 are charged beyond
    asked = request(encoder_seq_len=100)
    found = cut((FULL, 2), (EncoderTokens(64), 2), asked=asked, charges_whole_passes=True)
    assert told(found)[1] == (Claim(16, NO_LIMIT, 1), Claim(0, fixed=7))
    assert found.pools[0].charged == 16 - 7
    assert cut((FULL, 2), (EncoderTokens(64), 2), asked=asked).pools[0].charged == 0


def test_what_a_start_sums_up_layer_by_layer():
    pool = pool_of_layers((Cached(FULL, 4), Cached(WINDOW, 2)), request(), in_flight=256, state_pages={})
    assert pool.claims == (Claim(16, NO_LIMIT, 4 * 1024), Claim(16, 355, 2 * 1024, 2 * 1024))
    # a state takes a page as wide as the widest
    pool = pool_of_layers((Cached(EveryToken(512), 2), Cached(state(), 3)), request(), in_flight=0, state_pages={M2: 2})
    assert pool.claims[0] == Claim(16, NO_LIMIT, 2 * 8192)
    assert (pool.claims[1].block_size, pool.claims[1].fixed) == (0, 3 * 8192 * 2)


@pytest.mark.parametrize(
    ("caches", "size", "alignment", "block"),
    # the state's page of 4,060 bytes by rows of 64: 63.4 tokens, in multiples of 16 that the alignment divides
    [
        ((FULL, state()), 16, 1, 64), ((FULL, state()), 32, 1, 64), ((FULL, state()), 128, 1, 128),
        ((FULL, state()), 16, 24, 72), ((state(),), 48, 1, 48), ((LatentVectors(64), state()), 16, 1, 128),
        ((EveryToken(4060), state()), 1, 1, 16), ((FULL, Window(128, 9), state()), 16, 1, 32),
    ],
)  # fmt: skip
def test_a_block_covers_a_state(caches, size, alignment, block):
    assert hybrid_block_size(tuple(Cached(cache, 1) for cache in caches), size, alignment) == block


# Packed rows


def test_rows_of_several_tokens_are_packed():
    # 256 tokens: rows of 4 tokens of 584 bytes in pages of 64 rows, aligned to 576: 37,440; of 128 tokens 2 rows, 1,728
    far, near, local = CompressedRows(584, 128), CompressedRows(584, 4), RowsInPassing(584, 128)
    every = (Cached(far, 2), Cached(near, 2), Cached(local, 4))
    found = packed_geometry(every, every, 256, 64, 1)
    # the first two are one bucket of two repeats each; windows in blocks of 64: 37,440, two groups of two
    assert told(found) == (
        2 * (37_440 + 1_728), (Claim(256, NO_LIMIT, 1), Claim(64, 127 + 64, 2, 2)), 256,
    )  # fmt: skip
    assert found.pools[0].held_back == 1
    for tokens, block in ((4, 4), (128, 8)):
        passing = RowsInPassing(1_000, 8, tokens)
        (pool,) = packed_geometry((Cached(passing, 1),), (Cached(passing, 1),), 256, 0, 0).pools
        assert pool.block_bytes == -(-block * 1_000 // 576) * 576
        assert pool.claims == (Claim(block, 7, 1, 1),)
    with pytest.raises(calculator.UnsupportedError, match="compresses 4 or 128 tokens to a row, not 8"):
        packed_geometry((Cached(RowsInPassing(8, 8, 8), 1),), (), 256, 0, 0)
    with pytest.raises(calculator.UnsupportedError, match="packed blocks do not hold"):
        packed_geometry((Cached(FULL, 1),), (), 256, 0, 0)


# States


@pytest.mark.parametrize(
    ("made", "how", "conv", "own", "elements"),
    # bytes of an element of the convolution and of the state, and elements of the first: 3 columns of 10, one more for
    # each token of a draft
    [
        (state(), (0, "auto", "auto"), 2, 4, 30), (state(), (2, "auto", "auto"), 2, 4, 50),
        (state(), (0, "float32", "auto"), 4, 4, 30), (state(), (0, "bfloat16", "auto"), 2, 2, 30),
        (state(state_named=True), (0, "bfloat16", "auto"), 2, 4, 30), (state(), (0, "auto", "float16"), 2, 2, 30),
        (state(), (0, "float32", "bfloat16"), 4, 2, 30), (state(Recurrence.MAMBA1), (2, "auto", "auto"), 2, 4, 30),
        (state(GDN), (1, "auto", "auto"), 2, 4, 40), (state(KIMI), (1, "bfloat16", "auto"), 2, 4, 40),
        (state(KIMI), (0, "auto", "bfloat16"), 2, 2, 30), (state(LIGHTNING), (3, "float32", "bfloat16"), 4, 4, 30),
        (state(LIGHTNING), (0, "bfloat16", "auto"), 2, 2, 30), (state(LIGHTNING), (0, "auto", "float16"), 2, 4, 30),
        (state(Recurrence.SHORT_CONV), (1, "auto", "auto"), 2, 4, 40),
    ],
)  # fmt: skip
def test_a_state_in_the_formats_that_are_asked_for(made, how, conv, own, elements):
    found = as_kept(made, Keeping(*how))
    assert (found.conv_element_bytes, found.state_element_bytes, found.conv_elements) == (conv, own, elements)
    assert kept((Cached(made, 2), Cached(FULL, 1)), Keeping(*how)) == (Cached(found, 2), Cached(FULL, 1))


def test_a_state_of_kimi_has_no_float16():
    with pytest.raises(calculator.UnsupportedError, match="in float32 or bfloat16") as caught:
        as_kept(state(KIMI), Keeping(0, "auto", "float16"))
    assert (caught.value.nearest, caught.value.allowed) == ("bfloat16", ("auto", "float32", "bfloat16"))


def test_what_bears_on_a_state():
    asked = {"mamba_cache_dtype": "auto", "mamba_ssm_cache_dtype": "float32", "speculative_config": None}
    assert keeping(asked) == keeping(SimpleNamespace(**asked)) == (0, "auto", "float32")
    assert keeping(asked | {"speculative_config": SimpleNamespace(num_tokens=3)}) == (3, "auto", "float32")
    assert keeping(asked | {"speculative_config": SimpleNamespace(num_tokens=None)})[0] == 0


def pages(kind=M2, caching=True, drafted=0, beside=True, model_type="nemotron_h", **more):
    rules = SimpleNamespace(**{
        "caches_states": True, "attention_free": {"mamba2"}, "mode_follows_model": frozenset(), "version": "0.33",
        "pages_of_cached_state": 2, "checkpoint_alignment": {M2: 1, GDN: 64}, "no_checkpoints": {"olmo_hybrid"}, **more,
    })  # fmt: skip
    model = SimpleNamespace(model_type=model_type)
    caches = (Cached(state(kind), 2), *((Cached(FULL, 1),) if beside else ()))
    found = state_pages(rules, model, caches, caching, drafted)
    return found[kind], checkpoint_block_alignment(rules, model, found, drafted)


def test_pages_of_a_state():
    # two under prefix caching and one of a checkpoint, else one; one more for each token of a draft
    assert (pages(), pages(drafted=2), pages(GDN), pages(KIMI)) == ((3, 1), (5, 1), (3, 64), (2, 1))
    assert (pages(caching=False), pages(GDN, caching=False, drafted=2)) == ((1, 1), (3, 1))
    assert (pages(caching=None), pages(caching=None, caches_states=False)) == ((3, 1), (1, 1))
    assert pages(GDN, model_type="olmo_hybrid") == (2, 1)
    # of models that are known to have no attention caching stays off
    assert (pages(beside=False, model_type="mamba2"), pages(beside=False, model_type="")) == ((1, 1), (1, 1))
    assert pages(beside=False)[0] == 3
    assert state_pages(None, None, (Cached(FULL, 1),), True, 0) == {}
    with pytest.raises(calculator.UnsupportedError, match="depends on the model and is not known here"):
        pages(mode_follows_model=frozenset({M2}))
    assert pages(GDN, mode_follows_model=frozenset({M2}))[0] == 3


# Sizes of blocks


@pytest.mark.parametrize(
    ("cache", "asked", "size"),
    [
        (FULL, None, 16), (FULL, 1, 1), (FULL, 8, 8), (FULL, 48, 48), (FULL, 4, 16), (FULL, 20, 16), (FULL, 25, 32),
        (IndexKeys(8), None, 128), (IndexKeys(8), 256, 256), (IndexKeys(8), 64, 128), (IndexKeys(8), 8, 128),
        (LatentVectors(8, sparse=True), None, 64), (LatentVectors(8, sparse=True), 128, 128),
        (LatentVectors(8, sparse=True), 16, 64), (LatentVectors(8, sparse=True), 112, 128), (LATENT, None, 16),
        (CompressedRows(8, 4), None, 256), (CompressedRows(8, 4), 256, 256), (CompressedRows(8, 4), 128, 256),
        (RowsInPassing(8, 4), None, 256),
    ],
)  # fmt: skip
def test_blocks_by_the_kernel_that_reads_them(cache, asked, size):
    """Where what is asked is not taken, the size is the nearest."""
    caches = (Cached(cache, 1),)
    if asked in (None, size):
        assert kernel_block_size("a model", caches, asked) == size
        return
    with pytest.raises(calculator.InvalidValueError) as caught:
        kernel_block_size("a model", caches, asked)
    assert (caught.value.what, caught.value.asked, caught.value.nearest) == ("block_size", asked, size)
