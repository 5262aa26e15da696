"""How vLLM packs layers whose rows stand for several tokens: groups of any page sizes beside each other in one block.

References
----------
vLLM 0.33.0, ``v1/core/kv_cache_planning.py`` (buckets of one type, groups of equal repeats, ``_approximate_gcd``),
``models/deepseek_v4/compressor.py`` (blocks of 4 and 8 tokens of what is being compressed), ``attention.py`` and
``sparse_mla.py`` (pages aligned to 576 bytes, a window's block of 64 tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from calculator.architecture.caches import Cache, CompressedRows, RowsInPassing
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.sums import Cached
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.errors import UnsupportedError
from calculator.messages import say

PACKED_BLOCK_SIZE = 256
WINDOW_BLOCK = 64
PASSING_BLOCKS = {4: 4, 128: 8}
ALIGNMENT = 576


class Bucket(NamedTuple):
    """Layers of one type: tokens of a block, tokens kept, and for each page size [bytes] how many layers have it."""

    block_size: int
    window: int
    pages: dict[int, int]

    @property
    def is_balanced(self) -> bool:
        """Whether there are as many layers of each page size."""
        return len(set(self.pages.values())) == 1

    def bytes_of_group(self, groups: int) -> int:
        """Return the pages of the widest of so many groups [bytes]."""
        return sum(-(-layers // groups) * page for page, layers in self.pages.items())


def packed_geometry(
    caches: tuple[Cached, ...], stage_caches: tuple[Cached, ...], block_size: int, in_flight: int, held_back: int
) -> Geometry:
    """Return the pool of one GPU of a stage; groups are those of the whole model."""
    buckets, here = _buckets(caches, block_size), _buckets(stage_caches, block_size)
    mixed = [max(one.pages.values()) for one in buckets.values() if one.is_balanced and len(one.pages) > 1]
    repeats = _repeats([max(one.pages.values()) for one in buckets.values() if one.is_balanced], max(mixed, default=0))
    claims, widest = [], 0
    for key, bucket in buckets.items():
        whole = not bucket.is_balanced or not repeats
        groups = 1 if whole else -(-max(bucket.pages.values()) // repeats)
        if key in here:
            widest = max(widest, here[key].bytes_of_group(groups))
        if bucket.window >= NO_LIMIT:
            claims.append(Claim(bucket.block_size, NO_LIMIT, groups))
        else:
            claims.append(Claim(bucket.block_size, bucket.window - 1 + in_flight, groups, groups))
    return Geometry((Pool(max(1, widest), tuple(claims), held_back),), block_size)


def _buckets(caches: tuple[Cached, ...], block_size: int) -> dict[tuple[int, int], Bucket]:
    """Return the layers by type: equal blocks and windows."""
    found: dict[tuple[int, int], Bucket] = {}
    for cached in caches:
        tokens, window, page = _page(cached.cache, block_size)
        bucket = found.setdefault((tokens, window), Bucket(tokens, window, {}))
        bucket.pages[page] = bucket.pages.get(page, 0) + cached.layers
    return found


def _page(cache: Cache, block_size: int) -> tuple[int, int, int]:
    """Return a block's tokens, the tokens kept, and its bytes."""
    if isinstance(cache, CompressedRows):
        return block_size, NO_LIMIT, _aligned(block_size // cache.tokens_per_row * cache.row_bytes)
    if isinstance(cache, RowsInPassing):
        tokens = WINDOW_BLOCK if cache.tokens_per_row == 1 else PASSING_BLOCKS.get(cache.tokens_per_row)
        if tokens is None:
            raise UnsupportedError(
                say(
                    "packed.vllm_compresses_tokens_row",
                    "vLLM compresses 4 or 128 tokens to a row, not {tokens_per_row}",
                    tokens_per_row=cache.tokens_per_row,
                ),
                what="compress_ratios",
            )
        return tokens, cache.window, _aligned(tokens * cache.row_bytes)
    raise UnsupportedError(
        say("packed.vllm_s_packed_blocks", "vLLM's packed blocks do not hold {words}", words=cache.words)
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _repeats(counts: Sequence[int], least: int) -> int:
    """Return the layers of a group that pad all buckets least, the larger of two that do; 0 for whole ones."""
    if not least or not counts:
        return 0
    return min(range(least, max(least, *counts) + 1), key=lambda size: (sum(-count % size for count in counts), -size))
