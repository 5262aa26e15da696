"""Pools of blocks: integers and arrays agree, and both ends of every answer are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.limits import MAX_TOKENS
from calculator.engines.pools import Claim, Geometry, Pool

claims = st.one_of(
    st.builds(Claim, st.sampled_from([16, 32, 48]), st.just(NO_LIMIT), st.integers(1, 5)),
    st.builds(Claim, st.sampled_from([16, 32, 48]), st.integers(1, 5_000), st.integers(1, 5), st.integers(0, 3)),
    st.builds(Claim, st.just(0), fixed=st.integers(1, 9)),
)
pools = st.builds(Pool, st.integers(1, 10_000), st.lists(claims, min_size=1, max_size=4).map(tuple), st.integers(0, 1))
geometries = st.builds(Geometry, st.lists(pools, min_size=1, max_size=2).map(tuple), st.just(16))


@given(geometries, st.integers(0, 10**9), st.integers(1, 20_000))
def test_the_largest_batch_fits_and_one_more_does_not(geometry, pool_bytes, seq_len):
    batch = geometry.sequences(pool_bytes, seq_len)
    for pool, count in zip(geometry.pools, geometry.counts(pool_bytes, seq_len), strict=True):
        assert batch * pool.blocks(seq_len) <= max(0, count - pool.held_back)
    assert any(
        (batch + 1) * pool.blocks(seq_len) > count - pool.held_back
        for pool, count in zip(geometry.pools, geometry.counts(pool_bytes, seq_len), strict=True)
    )


@given(geometries, st.integers(0, 10**9), st.integers(1, 50))
def test_the_longest_sequence_fits_and_one_token_more_does_not(geometry, pool_bytes, batch):
    longest = geometry.longest(pool_bytes, batch)
    if longest:
        assert geometry.sequences(pool_bytes, longest) >= batch
    if longest < MAX_TOKENS:
        assert geometry.sequences(pool_bytes, longest + 1) < batch


@given(geometries)
def test_arrays_answer_as_integers_do(geometry):
    lengths, batches, pool = [1, 15, 16, 17, 4_999, 100_000], [1, 2, 7, 1_000], 10**8
    assert geometry.sequences(pool, np.array(lengths)).tolist() == [geometry.sequences(pool, one) for one in lengths]
    assert geometry.longest(pool, np.array(batches)).tolist() == [geometry.longest(pool, one) for one in batches]


@pytest.mark.parametrize(
    ("claim", "tokens", "blocks"),
    [
        (Claim(16), 17, 2),
        (Claim(16, weight=3), 17, 6),
        (Claim(16, limit=32), 1_000, 2),
        (Claim(16, limit=33, fixed=1), 1_000, 4),
        (Claim(0, fixed=3), 10**6, 3),
    ],
)
def test_what_a_sequence_takes(claim, tokens, blocks):
    assert claim.blocks(tokens) == blocks


def test_a_block_held_back_is_not_handed_out():
    # vLLM's admission check: a request that needs exactly what is there is refused
    pool = Pool(1, (Claim(16),), held_back=1)
    assert [pool.sequences(count, 1_600) for count in (100, 101)] == [0, 1]
