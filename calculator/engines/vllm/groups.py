"""How vLLM groups layers so that all share one pool of equal blocks.

References
----------
vLLM 0.33.0, ``v1/core/kv_cache_planning.py`` (grouping, page unification) and ``v1/kv_cache_interface.py``
(what a request takes of each kind), ``platforms/interface.py`` (block size beside states).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from calculator.architecture.caches import Cache, Keeps
from calculator.architecture.counts import NO_LIMIT
from calculator.engines.base import Cached
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.errors import UnsupportedError
from calculator.request import Cutting

BLOCK_SIZE = 16
LATENT_HYBRID_MULTIPLE = 128
FULL = (Keeps.ALL, Keeps.LATENT)
LOCAL = (Keeps.WINDOW, Keeps.CHUNK)


@dataclass(frozen=True, slots=True)
class Paged:
    """A kind of cache as blocks: its page, the tokens of one, and the layers of the model that keep it."""

    cache: Cache
    layers: int
    block_size: int
    page_bytes: int


def hybrid_block_size(caches: tuple[Cached, ...], size: int, alignment: int) -> int:
    """Return the block whose page of one attention layer covers the page of one state [tokens]."""
    rows = [cached.cache.bytes_per_token for cached in caches if cached.cache.keeps in (*FULL, *LOCAL)]
    page = max(cached.cache.state_bytes for cached in caches if cached.cache.keeps is Keeps.STATE)
    if not rows:
        return size
    multiple = max(BLOCK_SIZE, size)
    if any(cached.cache.keeps is Keeps.LATENT for cached in caches):
        multiple = max(multiple, LATENT_HYBRID_MULTIPLE)
    multiple = -(-multiple // alignment) * alignment if alignment > 1 else multiple
    return max(size, -(-page // (multiple * max(rows))) * multiple)


def vllm_geometry(
    caches: tuple[Cached, ...],
    stage_caches: tuple[Cached, ...],
    request: Cutting,
    *,
    in_flight: int,
    padding_factor: float,
    full_length: bool,
    state_pages: Mapping[str, int],
    row_multiple: int,
    held_back: int,
) -> Geometry:
    """Return the pool of one GPU of a stage: bytes of a block, and what a request takes.

    Layers are grouped over the whole model, so its caches count beside those of the stage.
    """
    kinds = {cached.cache.keeps for cached in caches}
    if full_length and Keeps.STATE in kinds and len(kinds) > 1:
        raise UnsupportedError("vLLM cannot serve states beside attention without its hybrid KV cache manager")
    full_length = full_length and bool(kinds & {*LOCAL}) and bool(kinds & {*FULL})
    size = request.block_size
    paged = [_paged(cached, size, row_multiple) for cached in _allocated(caches, full_length)]
    if not full_length and kinds == {Keeps.LATENT, Keeps.WINDOW} and not _can_be_equal(paged):
        full_length = True
        paged = [_paged(cached, size, row_multiple) for cached in _allocated(caches, full_length)]
    paged = _unified(paged)

    def claim(kind: Paged, groups: int) -> Claim:
        return _claim(kind, groups, request, in_flight, state_pages)

    if not paged:
        return Geometry((Pool(1, ()),), size)
    held = {cached.cache: cached.layers for cached in _allocated(stage_caches, full_length)}
    if _is_one_type(paged):
        block = sum(held.get(kind.cache, 0) * kind.page_bytes for kind in paged)
        return Geometry((Pool(max(1, block), (claim(paged[0], 1),), held_back),), size)
    most, fewest = max(kind.layers for kind in paged), min(kind.layers for kind in paged)
    group_size = most if most < fewest * padding_factor else fewest
    groups = {kind.cache: -(-kind.layers // group_size) for kind in paged}
    widest = max((-(-layers // groups[cache]) for cache, layers in held.items()), default=0)
    pool = Pool(
        max(1, widest * paged[0].page_bytes), tuple(claim(kind, groups[kind.cache]) for kind in paged), held_back
    )
    return Geometry((pool,), min(kind.block_size for kind in paged))


def pool_of_layers(
    stage_caches: tuple[Cached, ...],
    request: Cutting,
    *,
    in_flight: int,
    state_pages: Mapping[str, int],
) -> Pool:
    """Return what a request takes of each layer by itself, before layers are grouped, in bytes."""
    paged = [_paged(cached, request.block_size, 1) for cached in stage_caches]
    widest = max((kind.page_bytes for kind in paged), default=0)
    paged = [replace(kind, page_bytes=widest) if kind.cache.keeps is Keeps.STATE else kind for kind in paged]
    return Pool(
        1, tuple(_claim(kind, kind.layers * kind.page_bytes, request, in_flight, state_pages) for kind in paged)
    )


def _claim(kind: Paged, weight: int, request: Cutting, in_flight: int, state_pages: Mapping[str, int]) -> Claim:
    """Return what a request takes of a kind of cache, so many units for each of its blocks."""
    cache = kind.cache
    if cache.keeps is Keeps.STATE:
        return Claim(0, fixed=weight * state_pages[cache.variant])
    if cache.keeps is Keeps.ENCODER:
        return Claim(0, fixed=weight * -(-(request.encoder_seq_len or 0) // kind.block_size))
    if cache.keeps is Keeps.WINDOW:
        return Claim(kind.block_size, cache.window - 1 + in_flight, weight, weight)
    if cache.keeps is Keeps.CHUNK:
        return Claim(kind.block_size, cache.window + in_flight, weight)
    return Claim(kind.block_size * request.decode_context_parallel_size, NO_LIMIT, weight)


def _allocated(caches: tuple[Cached, ...], full_length: bool) -> tuple[Cached, ...]:
    """Return caches as they are allocated: windows as such, or as every token."""
    if not full_length:
        return caches
    counts: dict[Cache, int] = {}
    for cached in caches:
        cache = cached.cache
        if cache.keeps in LOCAL:
            cache = replace(cache, keeps=Keeps.ALL, window=NO_LIMIT)
        counts[cache] = counts.get(cache, 0) + cached.layers
    return tuple(Cached(cache, layers) for cache, layers in counts.items())


def _paged(cached: Cached, block_size: int, row_multiple: int) -> Paged:
    cache = cached.cache
    if cache.keeps is Keeps.STATE:
        return Paged(cache, cached.layers, block_size, cache.state_bytes)
    row = cache.bytes_per_token
    if cache.keeps is Keeps.LATENT:
        row = -(-row // (2 * row_multiple)) * 2 * row_multiple if row_multiple > 1 else row
    return Paged(cache, cached.layers, block_size, block_size * row)


def _is_one_type(paged: list[Paged]) -> bool:
    """Whether all layers need the same number of blocks, so that one group holds them all."""
    first = paged[0].cache
    if len({kind.block_size for kind in paged}) > 1:
        return False
    if all(kind.cache.keeps in FULL for kind in paged):
        return True
    if first.keeps in LOCAL:
        return all((kind.cache.keeps, kind.cache.window) == (first.keeps, first.window) for kind in paged)
    if first.keeps is Keeps.STATE:
        return all(kind.cache.keeps is Keeps.STATE and kind.page_bytes == paged[0].page_bytes for kind in paged)
    return len(paged) == 1


def _can_be_equal(paged: list[Paged]) -> bool:
    """Whether pages can be made equal: latent vectors cannot be padded."""
    page = max(kind.page_bytes for kind in paged)
    return all(page % kind.page_bytes == 0 for kind in paged if kind.cache.keeps is Keeps.LATENT)


def _unified(paged: list[Paged]) -> list[Paged]:
    """Give every kind the same page: a longer block where the smaller divides the larger, else padding."""
    if not paged or _is_one_type(paged):
        return paged
    if not _can_be_equal(paged):
        raise UnsupportedError("vLLM cannot make the pages of latent attention and of the other layers equal")
    page = max(kind.page_bytes for kind in paged)
    return [
        replace(kind, block_size=kind.block_size * (page // kind.page_bytes), page_bytes=page)
        if kind.cache.keeps is not Keeps.STATE and page % kind.page_bytes == 0
        else replace(kind, page_bytes=page)
        for kind in paged
    ]
