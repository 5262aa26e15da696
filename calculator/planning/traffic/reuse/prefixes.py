"""What prompts share: blocks of a trace by their hashes, and the share of prompt tokens that a prefix cache holds."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import say
from calculator.planning.traffic.inputs import check_plan
from calculator.planning.traffic.workload import check_workload

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Pairs, Workload

HASH_BLOCK_TOKENS = 512
"""Tokens of a hashed block in the traces of Mooncake (kvcache-ai/Mooncake, FAST25-release)."""
MOST_BLOCKS, LARGEST_ID = 20_000_000, 2**63 - 1
_RUN = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")


@dataclass(frozen=True)
class Prefixes:
    """The blocks of each prompt of a trace, from its first token on.

    Attributes
    ----------
    ids : array of int64
        Hashes of all blocks, request after request: equal where the block and all before it are equal [-].
    counts : array of int64
        Blocks of each request [-].
    block_tokens : int
        Tokens of a block; the last one of a prompt may be cut short [tokens].
    """

    ids: Any
    counts: Any
    block_tokens: int


@dataclass(frozen=True)
class PrefixReuse:
    """What a prefix cache saves of a workload.

    Attributes
    ----------
    hit_rate : float
        Share of all prompt tokens that are found in the cache [-].
    prompt_tokens, computed_prompt_tokens : float
        Tokens of a mean prompt, and those of them that must still be computed [tokens].
    unique_tokens : int or None
        Prompt tokens of the whole trace, each prefix stored once; None without a trace of prefixes [tokens].
    cache_tokens : int or None
        What the cache holds, None for no bound [tokens].
    """

    hit_rate: float
    prompt_tokens: float
    computed_prompt_tokens: float
    unique_tokens: int | None
    cache_tokens: int | None


@friendly
def prefix_reuse(
    workload: Workload, plan: Plan | None = None, cache_tokens: int | None = None, running: float = 0
) -> PrefixReuse:
    """Return the share of prompt tokens that a prefix cache holds, and what is left to compute.

    Parameters
    ----------
    workload : Workload
        Traffic with hashes of blocks, with a hit rate, with a shared prefix, or with nothing in common [-].
    plan : Plan, optional
        One replica, whose pool is the cache and whose ``seq_len`` cuts prompts; without prefix caching it finds
        nothing [-].
    cache_tokens : int, optional
        Tokens that the cache holds, in place of the plan's pool; without either it holds all [tokens].
    running : float, optional
        Requests in service, each of which takes its mean tokens from the plan's pool first [-].

    Returns
    -------
    PrefixReuse
        Of a trace with hashes by replay; else of the hit rate or the shared prefix as stated, which a cache is not
        asked about.

    Raises
    ------
    InvalidValueError
        If a number is out of bounds.

    Notes
    -----
    The cache keeps the blocks that were used last, the head of a prefix longer than its tail. A hit is the whole of
    the leading blocks that are there, at most ``P − 1`` tokens: the last is computed to answer. The engine's own
    blocks are often smaller than the trace's, so it finds somewhat more; a request that runs holds its prefix twice
    here, which understates what is left. Without a bound, Mooncake's conversations give 37.4 %, its synthetic trace
    65.1 %.

    References
    ----------
    Qin et al., Mooncake, FAST 2025 (traces and the meaning of ``hash_ids``).
    """
    check_workload(workload)
    if plan is not None:
        check_plan(plan)
    if cache_tokens is not None and (type(cache_tokens) is not int or not 0 <= cache_tokens <= LARGEST_ID):
        raise InvalidValueError(
            say(
                "prefixes.cache_tokens_must_whole",
                "cache_tokens must be a whole number of at least 0, not {cache_tokens}",
                cache_tokens=shown(cache_tokens),
            ),
            what="cache_tokens",
            asked=cache_tokens,
        )
    if isinstance(running, bool) or not isinstance(running, int | float) or not 0 <= running <= MAX_TOKENS:
        raise InvalidValueError(
            say(
                "prefixes.running_must_number_from",
                "running must be a number from 0 to {max_tokens:,}, not {running}",
                max_tokens=MAX_TOKENS,
                running=shown(running),
            ),
            what="running",
            asked=running,
        )
    pairs = workload.pairs(plan.request.seq_len if plan else MAX_TOKENS)
    mean = pairs.mean(pairs.prompt_tokens)
    if plan and cache_tokens is None:
        cache_tokens = max(0, plan.kv_pool_tokens - round(running * _resident_tokens(pairs)))
    found: Any
    unique = None
    if workload.prefixes is not None and workload.prefix_hit_rate is None:
        found = hit_tokens(workload.prefixes, pairs.prompt_tokens, cache_tokens, workload.times)
        whole = found
        if cache_tokens is not None:
            whole = hit_tokens(workload.prefixes, pairs.prompt_tokens, None, workload.times)
        unique = int((pairs.prompt_tokens - whole).sum())
    else:
        found = _stated(workload, pairs)
    hits = pairs.mean(found) if plan is None or caches_prefixes(plan) else 0.0
    return PrefixReuse(hits / mean, mean, mean - hits, unique, cache_tokens)


def caches_prefixes(plan: Plan) -> bool:
    """Whether an engine keeps what prompts share once: unless it is told not to."""
    return plan.request.enable_prefix_caching is not False


def computed_tokens(workload: Workload, plan: Plan) -> float | None:
    """Return what of a mean prompt is computed where its traffic states what prompts share; None for all [tokens].

    What hashes of a trace say depends on what the pool has left for them, and is not taken for stated.
    """
    if not states_sharing(workload) or not caches_prefixes(plan):
        return None
    return computed_of(workload, workload.pairs(plan.request.seq_len))


def states_sharing(workload: Workload) -> bool:
    """Whether traffic states what its prompts share, so that no cache is asked."""
    return workload.prefix_hit_rate is not None or workload.shared_prefix_tokens > 0


def computed_of(workload: Workload, pairs: Pairs) -> float:
    """Return what of a mean prompt a cache leaves to compute, by what is stated: the last token at least [tokens]."""
    return max(1.0, pairs.mean(pairs.prompt_tokens) - pairs.mean(_stated(workload, pairs)))


def _stated(workload: Workload, pairs: Pairs) -> Any:
    """Return the tokens of each prompt that a cache holds, as its traffic states it [tokens]."""
    import numpy

    if workload.prefix_hit_rate is not None:
        return workload.prefix_hit_rate * pairs.prompt_tokens
    return numpy.minimum(workload.shared_prefix_tokens, pairs.prompt_tokens - 1)


def _resident_tokens(pairs: Any) -> float:
    from calculator.planning.traffic.residence import residents

    some = residents(pairs)
    return some.moments(some.tokens)[0]


def hit_tokens(prefixes: Prefixes, prompt_tokens: Any, cache_tokens: int | None, times: Any = None) -> Any:
    """Return the tokens of each prompt that a cache of the blocks used last holds when it comes [tokens]."""
    import numpy

    size = prefixes.block_tokens
    counts = numpy.minimum(prefixes.counts, -(-prompt_tokens // size))
    starts = numpy.cumsum(prefixes.counts) - prefixes.counts
    order = range(len(counts)) if times is None else numpy.argsort(times, kind="stable").tolist()
    hits = numpy.zeros(len(counts), numpy.int64)
    room = None if cache_tokens is None else cache_tokens // size
    ids, kept = prefixes.ids.tolist(), OrderedDict[int, None]()
    first, many = starts.tolist(), counts.tolist()
    for row in order:
        blocks = ids[first[row] : first[row] + many[row]]
        there = 0
        for block in blocks:
            if block not in kept:
                break
            there += 1
        hits[row] = there
        if room is None:
            kept.update(dict.fromkeys(blocks[there:]))
            continue
        for block in reversed(blocks):  # the head of a prefix is what others share: it stays longest
            kept[block] = None
            kept.move_to_end(block)
        while len(kept) > room:
            kept.popitem(last=False)
    return numpy.minimum(hits * size, prompt_tokens - 1)


def check_block_tokens(block_tokens: Any) -> None:
    """Refuse what is no number of tokens of a hashed block."""
    if type(block_tokens) is not int or not 1 <= block_tokens <= MAX_TOKENS:
        raise InvalidValueError(
            say(
                "prefixes.hash_block_tokens_must",
                "hash_block_tokens must be a whole number from 1 to {max_tokens:,}, not {block_tokens}",
                max_tokens=MAX_TOKENS,
                block_tokens=shown(block_tokens),
            ),
            what="hash_block_tokens",
            asked=block_tokens,
            allowed=(1, MAX_TOKENS),
            nearest=min(MAX_TOKENS, max(1, block_tokens)) if type(block_tokens) is int else None,
        )


def prefixes_of(column: Any, prompt_tokens: Any, block_tokens: int, name: str) -> Prefixes:
    """Read the hashes of a trace: lists of whole numbers, or text such as ``0 14-27`` where a run is written short."""
    import numpy

    rows = list(column)
    if len(rows) != len(prompt_tokens):
        raise InvalidValueError(
            say(
                "prefixes.hash_ids_stand_beside",
                "{name}: {rows:,} hash_ids stand beside {prompt_tokens:,} input_tokens",
                name=name,
                rows=len(rows),
                prompt_tokens=len(prompt_tokens),
            )
        )
    wanted = -(-prompt_tokens // block_tokens)
    if int(wanted.sum()) > MOST_BLOCKS:
        raise InvalidValueError(
            say(
                "prefixes.blocks_prompts_at_most",
                "{name}: {sum:,} blocks of prompts; at most {most_blocks:,} are read",
                name=name,
                sum=int(wanted.sum()),
                most_blocks=MOST_BLOCKS,
            )
        )
    ids: list[int] = []
    counts = []
    for row, (cell, most, tokens) in enumerate(zip(rows, wanted.tolist(), prompt_tokens.tolist(), strict=True)):
        found = _ids(cell, most)
        # a last block that is not full is hashed in some traces and left out in others
        if found is None or len(found) not in (most, tokens // block_tokens):
            raise InvalidValueError(
                say(
                    "prefixes.row_hash_ids_must",
                    "{name}: row {row:,}, hash_ids: must be the whole numbers of {most:,} blocks of "
                    "{block_tokens:,} tokens for a prompt of {tokens:,}, the last may be missing, not "
                    "{cell}; other sizes of blocks are given by hash_block_tokens",
                    name=name,
                    row=row + 1,
                    most=most,
                    block_tokens=block_tokens,
                    tokens=tokens,
                    cell=shown(cell),
                ),
                what="hash_ids",
                asked=cell,
            )
        ids += found
        counts.append(len(found))
    return Prefixes(numpy.asarray(ids, numpy.int64), numpy.asarray(counts, numpy.int64), block_tokens)


def _ids(cell: Any, most: int) -> list[int] | None:
    """Return the numbers of one cell, None where they are none or more than there are blocks."""
    if isinstance(cell, str):
        found: list[int] = []
        for part in cell.strip("[] ").replace(",", " ").split():
            run = _RUN.fullmatch(part)
            if run is None:
                return None
            low, high = int(run[1]), int(run[2] or run[1])
            if not 0 <= high - low <= most - len(found) - 1 or high > LARGEST_ID:
                return None
            found += range(low, high + 1)
        return found
    try:
        values = [int(value) for value in cell]
        whole = all(value == given for value, given in zip(values, cell, strict=True))
    except (TypeError, ValueError, OverflowError):
        return None
    return values if whole and all(0 <= value <= LARGEST_ID for value in values) else None
