"""Why keys and values are what to save, and not queries: bytes and FLOPs of one step, computed."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.heads.intensity import ArithmeticIntensity, arithmetic_intensity
from calculator.planning.heads.variants import keeps_latent
from calculator.units import format_gib, format_size, plural
from calculator.views.load.wording import rounded

GFLOP = 1e9


def why_keys_and_values(plan: Plan) -> tuple[str, ...]:
    """Say why K and V are kept and Q is not, with the bytes and FLOPs of a step of this plan.

    Parameters
    ----------
    plan : Plan
        A plan; its batch and length are those of the step [-].

    Returns
    -------
    tuple of str
        A sentence or two for each of: what is kept, what a step reads, where it is bound, repeated heads, and split
        tokens.

    Raises
    ------
    CalculatorError
        If a layer attends in a way that is not counted.
    """
    request = plan.request
    found = arithmetic_intensity(
        plan.model, request.batch_size, request.seq_len, request.kv_cache_dtype, request.weight_dtype,
        plan.accelerator if plan.accelerator.bandwidth_gb_per_s else None, request.encoder_seq_len,
    )  # fmt: skip
    return tuple(_sentences(plan, found))


def _sentences(plan: Plan, found: ArithmeticIntensity) -> Iterator[str]:
    request = plan.request
    yield say(
        "why_kv.kept",
        "Q of a token takes {query} a layer and is gone after its step. K and V take {kept} a layer, and stay: each "
        "later step reads those of every earlier token.",
        query=format_size(found.query_bytes_per_layer), kept=format_size(found.kv_bytes_per_token_per_layer),
    )  # fmt: skip
    yield say(
        "why_kv.read",
        "A step with {users} of {tokens:,} tokens reads {kv} of K and V and {weights} of weights, and computes "
        "{attention} GFLOP of attention and {matrices} of matrices; its Q is {query}.",
        users=plural(request.batch_size, "user"), tokens=request.seq_len, kv=format_gib(found.kv_bytes_read),
        weights=format_gib(found.weights_bytes_read), attention=rounded(found.attention_flops / GFLOP),
        matrices=rounded(found.matrix_flops / GFLOP),
        query=format_size(request.batch_size * found.query_bytes_per_token),
    )  # fmt: skip
    if found.ridge:
        yield _roofline(plan, found, found.ridge)
    if not keeps_latent(plan.model):
        yield say(
            "why_kv.repeated",
            "Where a kernel knows equal heads alone, each KV head is repeated for its query heads (repeat_interleave), "
            "for one layer and one computation. Every copy holds the same numbers, so none is ever cached.",
        )
    yield say(
        "why_kv.tokens",
        "Splitting tokens over GPUs (context parallelism, Ring Attention) divides the {kept} of a sequence by their "
        "number, also where a single head is left. What a token takes stays the same.",
        kept=format_size(found.kv_bytes_read // request.batch_size),
    )


def _roofline(plan: Plan, found: ArithmeticIntensity, ridge: float) -> str:
    """Say where arithmetic becomes the limit: never for attention, for a step where its batch is large enough."""
    batch = plan.request.batch_size
    flops = (found.attention_flops + found.matrix_flops) / batch
    beyond = flops - ridge * found.kv_bytes_read / batch
    bend = (
        say(
            "why_kv.bend",
            "from {batch:,} users of this length on",
            batch=ceil(ridge * found.weights_bytes_read / beyond),
        )
        if beyond > 0
        else say("why_kv.never", "with no number of users of this length")
    )
    return say(
        "why_kv.roofline",
        "Decode attention computes {attention} FLOP for each byte of the cache, the whole step {step} a byte; "
        "{gpu} could compute {ridge} while it reads one. A step of such users would be bound by arithmetic {bend}.",
        attention=rounded(found.attention), step=rounded(found.step), gpu=plan.accelerator.name, ridge=rounded(ridge),
        bend=bend,
    )  # fmt: skip
