"""How vLLM groups layers so that all share one pool of equal blocks.

References
----------
vLLM 0.33.0, ``v1/core/kv_cache_planning.py`` (grouping, page unification) and ``v1/kv_cache_interface.py``
(what a request takes of each kind), ``platforms/interface.py`` (block size beside states).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from calculator.architecture.caches import (
    Cache,
    Chunk,
    EncoderTokens,
    EveryToken,
    IndexKeys,
    LastColumns,
    LatentVectors,
    Recurrence,
    State,
    Window,
)
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.sums import Cached
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.errors import UnsupportedError
from calculator.messages import say
from calculator.request import Cutting

BLOCK_SIZE = 16
LATENT_HYBRID_MULTIPLE = 128
FULL, LOCAL = (EveryToken, LatentVectors, IndexKeys), (Window, Chunk)


class Paged(NamedTuple):
    """A kind of cache as blocks: its page, the tokens of one, and the layers of the model that keep it."""

    cache: Any
    layers: int
    block_size: int
    page_bytes: int


class Taking(NamedTuple):
    """What decides what a request takes: the request, tokens of all batches in flight, pages of each state."""

    request: Cutting
    in_flight: int
    state_pages: Mapping[Recurrence, int]


def _every_token(kind: Paged, weight: int, taking: Taking) -> Claim:
    return Claim(kind.block_size * taking.request.decode_context_parallel_size, NO_LIMIT, weight)


def _window(kind: Paged, weight: int, taking: Taking) -> Claim:
    return Claim(kind.block_size, kind.cache.window - 1 + taking.in_flight, weight, weight)


def _chunk(kind: Paged, weight: int, taking: Taking) -> Claim:
    return Claim(kind.block_size, kind.cache.window + taking.in_flight, weight)


def _encoder_tokens(kind: Paged, weight: int, taking: Taking) -> Claim:
    return Claim(0, weight=weight, fixed=weight * -(-(taking.request.encoder_seq_len or 0) // kind.block_size))


def _state(kind: Paged, weight: int, taking: Taking) -> Claim:
    return Claim(0, weight=weight, fixed=weight * taking.state_pages[kind.cache.recurrence])


CLAIMS: Mapping[type[Cache], Callable[[Paged, int, Taking], Claim]] = {
    EveryToken: _every_token,
    LatentVectors: _every_token,
    IndexKeys: _every_token,
    Window: _window,
    Chunk: _chunk,
    LastColumns: _window,
    EncoderTokens: _encoder_tokens,
    State: _state,
}
"""What a request takes of a kind of cache, so many units for each of its blocks."""


def hybrid_block_size(caches: tuple[Cached, ...], size: int, alignment: int) -> int:
    """Return the block whose page of one attention layer covers the page of one state [tokens]."""
    kept = [cached.cache for cached in caches]
    rows = [cache.bytes_per_token for cache in kept if isinstance(cache, (*FULL, *LOCAL))]
    page = max(cache.state_bytes for cache in kept if isinstance(cache, State))
    if not rows:
        return size
    multiple = max(BLOCK_SIZE, size)
    if any(isinstance(cache, LatentVectors) for cache in kept):
        multiple = max(multiple, LATENT_HYBRID_MULTIPLE)
    multiple = -(-multiple // alignment) * alignment
    return max(size, -(-page // (multiple * max(rows))) * multiple)


def vllm_geometry(
    caches: tuple[Cached, ...],
    stage_caches: tuple[Cached, ...],
    request: Cutting,
    *,
    in_flight: int,
    padding_factor: float,
    full_length: bool,
    state_pages: Mapping[Recurrence, int],
    row_multiple: int,
    held_back: int,
    charges_whole_passes: bool,
) -> Geometry:
    """Return the pool of one GPU of a stage: bytes of a block, and what a request takes.

    Layers are grouped over the whole model, so its caches count beside those of the stage.
    """
    kinds = {type(cached.cache) for cached in caches}
    if full_length and len(kinds) > 1 and State in kinds:
        raise UnsupportedError(
            say(
                "groups.vllm_cannot_serve_states",
                "vLLM cannot serve states beside attention without its hybrid KV cache manager",
            )
        )
    full_length = full_length and not kinds.isdisjoint(LOCAL) and not kinds.isdisjoint(FULL)
    size = request.block_size
    paged = [_paged(cached, size, row_multiple) for cached in _allocated(caches, full_length)]
    if not full_length and kinds == {LatentVectors, Window} and not _can_be_equal(paged):
        full_length = True
        paged = [_paged(cached, size, row_multiple) for cached in _allocated(caches, full_length)]
    paged = _unified(paged)

    taking = Taking(request, in_flight, state_pages)

    def claim(kind: Paged, groups: int) -> Claim:
        return CLAIMS[type(kind.cache)](kind, groups, taking)

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
    claims = tuple(claim(kind, groups[kind.cache]) for kind in paged)
    charged = 0
    if charges_whole_passes:
        passes = {kind.cache: -(-request.max_num_batched_tokens // kind.block_size) for kind in paged}
        encoder = [
            (kind, made) for kind, made in zip(paged, claims, strict=True) if isinstance(kind.cache, EncoderTokens)
        ]
        charged = sum(groups[kind.cache] * passes[kind.cache] - made.fixed for kind, made in encoder)
    pool = Pool(max(1, widest * paged[0].page_bytes), claims, held_back, charged)
    return Geometry((pool,), min(kind.block_size for kind in paged))


def pool_of_layers(
    stage_caches: tuple[Cached, ...],
    request: Cutting,
    *,
    in_flight: int,
    state_pages: Mapping[Recurrence, int],
) -> Pool:
    """Return what a request takes of each layer by itself, before layers are grouped, in bytes."""
    paged = [_paged(cached, request.block_size, 1) for cached in stage_caches]
    widest = max((kind.page_bytes for kind in paged), default=0)
    paged = [kind._replace(page_bytes=widest) if isinstance(kind.cache, State) else kind for kind in paged]
    taking = Taking(request, in_flight, state_pages)
    return Pool(1, tuple(CLAIMS[type(kind.cache)](kind, kind.layers * kind.page_bytes, taking) for kind in paged))


def _allocated(caches: tuple[Cached, ...], full_length: bool) -> tuple[Cached, ...]:
    """Return caches as they are allocated: windows as such, or as every token."""
    if not full_length:
        return caches
    counts: dict[Cache, int] = {}
    for cached in caches:
        cache = cached.cache
        if isinstance(cache, LOCAL):
            cache = EveryToken(cache.bytes_per_token)
        counts[cache] = counts.get(cache, 0) + cached.layers
    return tuple(Cached(cache, layers) for cache, layers in counts.items())


def _paged(cached: Cached, block_size: int, row_multiple: int) -> Paged:
    cache: Any = cached.cache
    if isinstance(cache, State):
        return Paged(cache, cached.layers, block_size, cache.state_bytes)
    if isinstance(cache, LastColumns):
        # models/inkling/nvidia/sconv_swa_attn.py: a block of the kernel's tokens, elements of a head to a power of 2
        row = 2 * cache.heads << (cache.head_elements - 1).bit_length()
        return Paged(cache, cached.layers, cache.window, cache.window * row)
    row = cache.bytes_per_token
    if isinstance(cache, LatentVectors):
        row = -(-row // (2 * row_multiple)) * 2 * row_multiple if row_multiple > 1 else row
    return Paged(cache, cached.layers, block_size, block_size * row)


def _is_one_type(paged: list[Paged]) -> bool:
    """Whether all layers need the same number of blocks, so that one group holds them all."""
    first = paged[0].cache
    if len(paged) == 1:
        return True
    if len({kind.block_size for kind in paged}) > 1:
        return False
    if all(isinstance(kind.cache, FULL) for kind in paged):
        return True
    if isinstance(first, LOCAL):
        return all(type(kind.cache) is type(first) and kind.cache.window == first.window for kind in paged)
    if isinstance(first, State):
        return all(isinstance(kind.cache, State) and kind.page_bytes == paged[0].page_bytes for kind in paged)
    return False


def _can_be_equal(paged: list[Paged]) -> bool:
    """Whether pages can be made equal: latent vectors cannot be padded."""
    page = max(kind.page_bytes for kind in paged)
    return all(page % kind.page_bytes == 0 for kind in paged if isinstance(kind.cache, LatentVectors))


def _unified(paged: list[Paged]) -> list[Paged]:
    """Give every kind the same page: a longer block where the smaller divides the larger, else padding."""
    if not paged or _is_one_type(paged):
        return paged
    if not _can_be_equal(paged):
        raise UnsupportedError(
            say(
                "groups.vllm_cannot_make_pages",
                "vLLM cannot make the pages of latent attention and of the other layers equal",
            )
        )
    page = max(kind.page_bytes for kind in paged)
    return [
        kind._replace(block_size=kind.block_size * (page // kind.page_bytes), page_bytes=page)
        if not isinstance(kind.cache, State) and page % kind.page_bytes == 0
        else kind._replace(page_bytes=page)
        for kind in paged
    ]
