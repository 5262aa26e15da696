"""Host memory as a second tier of the cache: what it holds, and whether a prefix loads faster than it is computed.

::

    load      = bytes on one GPU / link         each GPU of a replica has a link of its own
    recompute = FLOPs and all-reduces of the same tokens, which a hit saves: what follows the prefix still reads the
                weights and launches the kernels
    worth it from a hit rate h with  h (recompute − load) = (1 − h) store,  where storing hides behind nothing
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.catalogue.host_links import HostLink, host_link
from calculator.engines.pools import longest_by_bisection
from calculator.errors import InvalidValueError, UnsupportedError, friendly, shown
from calculator.messages import Message, phrase, say
from calculator.planning.traffic.inputs import check_plan
from calculator.planning.traffic.reuse.prefixes import prefix_reuse
from calculator.planning.traffic.timing.speed import PROMPT_RANGE, speed
from calculator.planning.traffic.workload import check_workload
from calculator.units import format_gib

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Workload

MOST_BYTES, MOST_GB_PER_S = 2**60, 1e6


@dataclass(frozen=True)
class HostTier:
    """A replica's cache with host memory behind it.

    Attributes
    ----------
    prompt_tokens : int
        The prefix that is loaded or computed [tokens].
    bytes_per_sequence : int
        What it takes of host memory, over all GPUs of a replica, copies included, in whole blocks [bytes].
    load_s, load_s_low, load_s_high : float
        Seconds to load it; all GPUs load at once [s].
    recompute_s, recompute_s_low, recompute_s_high : float
        Seconds to compute it again: what a hit saves (``Speed.prompt_compute_s``) [s].
    faster : str
        ``load`` or ``recompute`` where the ranges do not overlap, else ``open``.
    pays_from_tokens : int or None
        The shortest prefix that loads faster than it is computed, at the expected values; None for none up to the
        plan's longest sequence [tokens].
    pays_from_hit_rate : float or None
        The share of prefixes that must be found again, where storing them takes as long as loading and hides behind
        nothing; None where loading is not faster [-].
    sequences : int or None
        Such prefixes that the host memory holds; None where its size is not given [-].
    working_set_bytes : int or None
        What ``sequences_asked`` or the unique prefixes of a workload take of host memory [bytes].
    holds_working_set : bool or None
        Whether the host memory holds them; None where one of the two is not given.
    hit_rate_without, hit_rate_with : float or None
        Share of a workload's prompt tokens found in the pool alone, and with the host memory behind it, replayed; None
        without a workload of prefixes [-].
    link : str
        What is loaded over.
    source : str
        Where its speed is from.
    finding : Message
        All of it in a sentence.
    """

    prompt_tokens: int
    bytes_per_sequence: int
    load_s: float
    load_s_low: float
    load_s_high: float
    recompute_s: float
    recompute_s_low: float
    recompute_s_high: float
    faster: str
    pays_from_tokens: int | None
    pays_from_hit_rate: float | None
    sequences: int | None
    working_set_bytes: int | None
    holds_working_set: bool | None
    hit_rate_without: float | None
    hit_rate_with: float | None
    link: str
    source: str = field(repr=False)
    finding: Message = field(repr=False, compare=False)


@friendly
def host_tier(
    plan: Plan,
    prompt_tokens: int,
    host_memory_bytes: int | None = None,
    sequences: int | None = None,
    workload: Workload | None = None,
    host_gb_per_s: float | None = None,
) -> HostTier:
    """Return what host memory behind the cache of one replica holds, and whether it pays.

    Parameters
    ----------
    plan : Plan
        The plan of one replica [-].
    prompt_tokens : int
        A prefix that is found again [tokens].
    host_memory_bytes : int, optional
        Host memory for the cache of one replica, all its GPUs together [bytes].
    sequences : int, optional
        Prefixes that are to be kept: the working set [-].
    workload : Workload, optional
        In place of ``sequences``: traffic of a trace with ``hash_ids``, whose unique prefixes are the working set [-].
    host_gb_per_s : float, optional
        What is copied from the host to one GPU; by default as measured on the link of its generation [GB/s].

    Returns
    -------
    HostTier
        Bytes, seconds with their ranges, and from where on it pays.

    Raises
    ------
    CalculatorError
        If a number is out of bounds, or the link, bandwidth or FLOPs of the device are not known.

    Notes
    -----
    What is in the pool is in host memory too, so that the larger of the two decides what is found. A prefix is loaded
    in blocks as the engine keeps them, states of recurrent layers included. Loading that overlaps with computing, and a
    host that several replicas share, are left out: the range of the link is from copies that compete to the fastest
    seen. Time is proportional to bytes: neither what a copy costs to begin nor what a short prompt waits for launches
    and weights is in it.

    References
    ----------
    Measured links, each with its source, in ``calculator.catalogue.host_links``. A host smaller than the pool gains
    nothing: LMCache/LMCache issue 1109 (2025-07-21).
    """
    check_plan(plan)
    if workload is not None:
        check_workload(workload)
    prompt_tokens = _count("prompt_tokens", prompt_tokens, 1, MAX_TOKENS)
    if host_memory_bytes is not None:
        host_memory_bytes = _count("host_memory_bytes", host_memory_bytes, 0, MOST_BYTES)
    if sequences is not None:
        sequences = _count("sequences", sequences, 1, MAX_TOKENS)
        if workload is not None:
            raise InvalidValueError(
                say(
                    "host_tier.give_one_sequences_workload",
                    "give one of sequences and workload: each says what the working set is",
                )
            )
    link = _link(plan, host_gb_per_s)
    each = _bytes_per_sequence(plan, prompt_tokens)
    on_gpu = _bytes_per_gpu(plan, prompt_tokens)
    load = tuple(on_gpu / (rate * 1e9) for rate in (link.gb_per_s, link.gb_per_s_high, link.gb_per_s_low))
    computed = speed(plan, 1, prompt_tokens, None)
    recompute = tuple(computed.prompt_compute_s * factor for factor in (1.0, *PROMPT_RANGE))
    faster = "load" if load[2] < recompute[1] else "recompute" if load[1] > recompute[2] else "open"
    hit_rate = load[0] / recompute[0] if load[0] < recompute[0] else None
    working_set = sequences * each if sequences else None
    without = both = None
    if workload is not None:
        alone = prefix_reuse(workload, plan)
        if alone.unique_tokens is None:
            raise InvalidValueError(
                say(
                    "host_tier.this_workload_has_no",
                    "this workload has no hash_ids, which tell its prefixes apart: give sequences, or a "
                    "trace with them",
                ),
                what="workload",
            )
        a_token = each / prompt_tokens
        working_set = math.ceil(alone.unique_tokens * a_token)
        without = alone.hit_rate
        if host_memory_bytes is not None:
            tokens = max(plan.kv_pool_tokens, int(host_memory_bytes / a_token))
            both = prefix_reuse(workload, plan, cache_tokens=tokens).hit_rate
    held = None if host_memory_bytes is None else host_memory_bytes // each
    holds = None if host_memory_bytes is None or working_set is None else working_set <= host_memory_bytes
    return HostTier(
        prompt_tokens=prompt_tokens,
        bytes_per_sequence=each,
        load_s=load[0],
        load_s_low=load[1],
        load_s_high=load[2],
        recompute_s=recompute[0],
        recompute_s_low=recompute[1],
        recompute_s_high=recompute[2],
        faster=faster,
        pays_from_tokens=_pays_from(plan, link),
        pays_from_hit_rate=hit_rate,
        sequences=held,
        working_set_bytes=working_set,
        holds_working_set=holds,
        hit_rate_without=without,
        hit_rate_with=both,
        link=link.name,
        source=link.source,
        finding=_finding(prompt_tokens, each, load[0], recompute[0], faster, held),
    )


def _bytes_per_gpu(plan: Plan, tokens: int) -> int:
    """Return what a sequence takes on the GPU that holds most of it, in whole blocks [bytes]."""
    return max(stage.geometry.bytes_of(tokens) for stage in plan.stages)


def _bytes_per_sequence(plan: Plan, tokens: int) -> int:
    """Return the same on all GPUs that hold some of it [bytes]."""
    ranks = plan.request.tensor_parallel_size // plan.request.attention_replicas
    return ranks * sum(stage.geometry.bytes_of(tokens) for stage in plan.stages)


def _pays_from(plan: Plan, link: HostLink) -> int | None:
    """Return the shortest prefix, in whole blocks, that loads faster than it is computed [tokens]."""
    block = max(1, plan.request.block_size or 1)
    most = max(1, plan.request.seq_len // block)

    def slower(blocks: int) -> bool:
        tokens = blocks * block
        computed_s = speed(plan, 1, tokens, None).prompt_compute_s
        return _bytes_per_gpu(plan, tokens) / (link.gb_per_s * 1e9) >= computed_s

    blocks = longest_by_bisection(lambda middle: middle <= most and (middle == 0 or slower(middle)), 0) + 1
    return None if blocks > most else blocks * block


def _link(plan: Plan, host_gb_per_s: float | None) -> HostLink:
    gpu = plan.accelerator
    if host_gb_per_s is not None:
        number = isinstance(host_gb_per_s, int | float) and not isinstance(host_gb_per_s, bool)
        if not number or not 0 < host_gb_per_s <= MOST_GB_PER_S:
            raise InvalidValueError(
                say(
                    "host_tier.host_gb_per_s",
                    "host_gb_per_s must be more than 0 and at most {most_gb_per_s:g}, not {host_gb_per_s}",
                    most_gb_per_s=MOST_GB_PER_S,
                    host_gb_per_s=shown(host_gb_per_s),
                ),
                what="host_gb_per_s",
                asked=host_gb_per_s,
            )
        rate = float(host_gb_per_s)
        return HostLink(phrase("a link as given"), rate, rate, rate, phrase("given by hand"))
    found = host_link(gpu.id, gpu.generation)
    if found is None:
        raise UnsupportedError(
            say(
                "host_tier.how_fast_host_memory",
                "how fast host memory reaches {name} was not measured: give host_gb_per_s, copies to one GPU in GB/s",
                name=gpu.name,
            ),
            what="host_gb_per_s",
        )
    return found


def _count(name: str, value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidValueError(
            say(
                "host_tier.must_whole_number_from",
                "{name} must be a whole number from {least} to {most:,}, not {asked}",
                name=name,
                least=least,
                most=most,
                asked=shown(value),
            ),
            what=name,
            asked=value,
        )
    return value


def _finding(tokens: int, size: int, load: float, recompute: float, faster: str, held: int | None) -> Message:
    verdict = {
        "load": say("host_tier.load", "loading is faster over the whole range"),
        "recompute": say("host_tier.recompute", "computing is faster over the whole range"),
        "open": say("host_tier.open", "which is faster the ranges leave open"),
    }[faster]
    keeps = say("host_tier.not_given", "") if held is None else say("host_tier.held", "; it holds {held:,}", held=held)
    return say(
        "host_tier.finding",
        "A prefix of {tokens:,} tokens takes {size} of host memory{keeps}; it loads in {load:,.0f} ms and is computed "
        "in {recompute:,.0f} ms: {verdict}.",
        tokens=tokens,
        size=format_gib(size),
        keeps=keeps,
        load=1000 * load,
        recompute=1000 * recompute,
        verdict=verdict,
    )
