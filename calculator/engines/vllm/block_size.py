"""Tokens of a block by the kernel that reads it; a size that the kernel does not have is refused with the nearest.

References
----------
vLLM 0.33.0, ``models/minimax_m3/common/sparse_attention.py`` and ``indexer.py`` (128), ``models/deepseek_v4`` (256).
"""

from __future__ import annotations

from calculator.architecture.caches import CompressedRows, IndexKeys, RowsInPassing
from calculator.architecture.sums import Cached, has
from calculator.engines.vllm.groups import BLOCK_SIZE
from calculator.engines.vllm.packed import PACKED_BLOCK_SIZE
from calculator.errors import InvalidValueError
from calculator.messages import say

SPARSE_BLOCK_SIZE, INDEXED_BLOCK_SIZE = 64, 128
SMALL_BLOCK_SIZES = (1, 8)


def kernel_block_size(name: str, caches: tuple[Cached, ...], asked: int | None) -> int:
    """Return the tokens of a block for what a model keeps, as asked or by default [tokens].

    Parameters
    ----------
    name : str
        The model's name, for what is refused [-].
    caches : tuple of Cached
        What is kept [-].
    asked : int or None
        Tokens that are asked for [tokens].

    Raises
    ------
    InvalidValueError
        If the kernel has no blocks of that size.
    """
    if asked and asked % BLOCK_SIZE and asked not in SMALL_BLOCK_SIZES:
        nearest = max(16, round(asked / 16) * 16)
        raise InvalidValueError(
            say(
                "block_size.block_size_not_one",
                "block_size {asked} is not one of vLLM's: 1, 8 or a multiple of 16; the nearest is {nearest}",
                asked=asked,
                nearest=nearest,
            ),
            what="block_size",
            asked=asked,
            nearest=nearest,
        )
    if has(caches, CompressedRows, RowsInPassing):
        if asked not in (None, PACKED_BLOCK_SIZE):
            raise _not_possible(
                name, asked, f"compressed attention has blocks of {PACKED_BLOCK_SIZE} tokens", PACKED_BLOCK_SIZE
            )
        return PACKED_BLOCK_SIZE
    if has(caches, IndexKeys):
        if asked and asked % INDEXED_BLOCK_SIZE:
            raise _not_possible(name, asked, f"index picks blocks of {INDEXED_BLOCK_SIZE} tokens", INDEXED_BLOCK_SIZE)
        return asked or INDEXED_BLOCK_SIZE
    sparse = any(cached.cache.sparse for cached in caches)
    if sparse and asked and asked % SPARSE_BLOCK_SIZE:
        nearest = max(1, round(asked / SPARSE_BLOCK_SIZE)) * SPARSE_BLOCK_SIZE
        raise _not_possible(name, asked, f"sparse attention has blocks of a multiple of {SPARSE_BLOCK_SIZE}", nearest)
    return asked or (SPARSE_BLOCK_SIZE if sparse else BLOCK_SIZE)


def _not_possible(name: str, asked: int | None, why: str, nearest: int) -> InvalidValueError:
    return InvalidValueError(
        say(
            "block_size.block_size_not_possible",
            "block_size {asked} is not possible for {name}: vLLM's {why}",
            asked=asked,
            name=name,
            why=why,
        ),
        what="block_size",
        asked=asked,
        nearest=nearest,
    )
