"""Why vLLM does not start though memory may suffice.

References
----------
vLLM 0.33.0, ``v1/worker/utils.py`` ``request_memory`` and ``config/compilation.py``
``resolve_cudagraph_mode_and_sizes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from calculator.engines.beside.refusals import AT_ONCE, FRACTION, Refusal
from calculator.engines.vllm.groups import pool_of_layers
from calculator.engines.vllm.states import keeping, kept, state_pages
from calculator.messages import say
from calculator.units import format_bytes, format_gib

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.engines.vllm.rules import Vllm
    from calculator.planning.stage import Stage
    from calculator.request import Request


def not_free(request: Request, requested_bytes: int) -> Iterator[Refusal]:
    """Yield a refusal where other processes leave less than the budget free.

    Parameters
    ----------
    request : Request
        What is asked [-].
    requested_bytes : int
        The engine's budget [bytes].
    """
    total = request.gpu_memory_bytes
    free = total - (request.other_memory_bytes or 0)
    if free >= requested_bytes:
        return
    fraction = max(0, free) * 1000 // total / 1000
    shown = format_gib if format_gib(free) != format_gib(requested_bytes) else format_bytes
    yield Refusal(
        say(
            "vllm.not_free",
            "{free} of one GPU are free beside other processes, less than the {budget} that a utilisation of "
            "{fraction:g} asks for at start-up",
            free=shown(max(0, free)),
            budget=shown(requested_bytes),
            fraction=request.gpu_memory_utilization,
        ),
        FRACTION,
        say(
            "lever.fraction",
            "utilisation {fraction:g} instead of {now:g}",
            fraction=fraction,
            now=request.gpu_memory_utilization,
        ),
        say("lever.less_memory", "a smaller KV pool"),
        {"gpu_memory_utilization": fraction} if fraction else {},
    )


def too_few_states(request: Request, stages: tuple[Stage, ...], *, by_default: bool) -> Iterator[Refusal]:
    """Yield a refusal where CUDA graphs of ``max_num_seqs`` sequences need more states than the pool has blocks.

    Parameters
    ----------
    request : Request
        What is asked [-].
    stages : tuple of Stage
        One GPU of each stage [-].
    by_default : bool
        Whether ``max_num_seqs`` is the engine's own default [-].
    """
    blocks, asked = min(stage.num_blocks for stage in stages), request.max_num_seqs
    if not 0 < blocks < asked:
        return
    yield Refusal(
        say(
            "vllm.too_few_states",
            "max_num_seqs {asked:,} exceeds the {blocks:,} blocks for states: each sequence of a captured batch "
            "needs one",
            asked=asked,
            blocks=blocks,
        ),
        AT_ONCE,
        say("lever.at_once", "max_num_seqs {now:,} instead of {before:,}", now=blocks, before=asked),
        say("lever.fewer_at_once", "fewer sequences at once"),
        {"max_num_seqs": blocks},
        by_default,
    )


def longest_named(rules: Vllm, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
    """Return the longest sequence that the start-up check names, None where it names none [tokens].

    Parameters
    ----------
    rules : Vllm
        The rules of the version [-].
    model : ModelArchitecture
        The model, its drafter's layers behind its own [-].
    request : Request
        What is asked [-].
    stages : tuple of Stage
        One GPU of each stage [-].
    """
    if rules.start_check is None:
        return None
    cutting = request.cutting
    if rules.start_check == "layers":
        pools = []
        for stage in stages:
            how = keeping(request)
            layers = (*stage.layers, *stage.drafted)
            caches = kept(rules.caches_of_stage(model, layers, request.storage, request.split), how)
            pages = state_pages(rules, model, caches, request.enable_prefix_caching, how.drafted)
            pool = pool_of_layers(caches, cutting, in_flight=rules.in_flight(cutting), state_pages=pages)
            pools.append((pool, stage.usable_bytes))
    elif rules.start_check == "model":
        (pool,) = rules.geometry(model, model.groups, cutting).pools
        pools = [(pool, min(stage.usable_bytes for stage in stages))]
    else:
        pools = [(stage.geometry.pools[0], stage.usable_bytes) for stage in stages]
    withheld = 1 if rules.start_check_holds_back else 0
    return min(int(pool.longest(max(0, size // pool.block_bytes - withheld))) for pool, size in pools)
