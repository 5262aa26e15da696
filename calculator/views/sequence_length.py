"""How the memory of one GPU grows with the sequence, up to the model's longest context."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.architecture.limits import MAX_TOKENS
from calculator.messages import Message, phrase, say, template
from calculator.planning.answer import Plan
from calculator.planning.sweep.grid import sweep_arrays
from calculator.units import format_gib, format_size
from calculator.views.base import Row, View
from calculator.views.growth import in_blocks, kv_bytes_per_gpu

NAME, TITLE = "sequence-length", phrase("Sequence length")
LENGTH_POINTS = 96
SMALLEST_LENGTH = 256


@dataclass(frozen=True, eq=False)
class LengthRow(Row):
    """Memory of one GPU at one length, for the batch asked.

    Attributes
    ----------
    seq_len : int
        Length of every sequence [tokens].
    weights_bytes_per_gpu, overhead_bytes_per_gpu, kv_bytes_per_gpu : int
        Weights, overheads in the budget, and KV cache of the batch, of one GPU [bytes].
    max_batch_size : int
        Sequences of that length that one replica holds [-].
    fits : bool
        Whether these are as many as asked.
    """

    seq_len: int
    weights_bytes_per_gpu: int
    overhead_bytes_per_gpu: int
    kv_bytes_per_gpu: int
    max_batch_size: int
    fits: bool


def sequence_length_view(plan: Plan) -> View[LengthRow]:
    """Vary the sequence length up to the model's longest context.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        Weights, overheads and KV cache of one GPU at each length, for the batch asked.
    """
    request = plan.request
    longest = max(plan.model.max_position_embeddings, request.seq_len)
    smallest = min(SMALLEST_LENGTH, longest)
    steps = [smallest * (longest / smallest) ** (step / (LENGTH_POINTS - 1)) for step in range(LENGTH_POINTS)]
    lengths = {min(longest, max(1, round(step))) for step in steps} | {request.seq_len, longest}
    if 0 < plan.max_context_len <= longest:
        lengths.add(plan.max_context_len)
    asked = {name: value for name, value in plan.asked.items() if name not in ("model", "seq_len", "batch_size")}
    arrays = sweep_arrays(plan.model, {**asked, "seq_len": sorted(lengths)})
    names = ("seq_len", "weights_bytes_per_gpu", "overhead_bytes_per_gpu", "kv_bytes_per_gpu", "max_batch_size")
    on_rank = request.split.sequences_on_rank(request.batch_size)
    rows = [  # the batch beside the arrays, whose 64 bits its bytes may exceed
        LengthRow(tokens, weights, overhead, kv * on_rank, most, most >= request.batch_size)
        for tokens, weights, overhead, kv, most in zip(*(arrays[name].tolist() for name in names), strict=True)
    ]
    return View(NAME, TITLE, _finding(plan, longest), plan, rows)


def _finding(plan: Plan, longest: int) -> str:
    request = plan.request
    if not any(group.spec.grows_until for group in plan.model.groups):
        return say(
            "sequence_length.state_alone",
            "Nothing grows with the length: a sequence keeps a state of {state} on one GPU, however long it is.",
            state=format_size(plan.state_bytes_per_gpu),
        )
    text = template("At {tokens:,} tokens, {batch:,} sequences at once take {size} of one GPU{in_blocks}. {limit}")
    if request.batch_size == 1:
        text = template("At {tokens:,} tokens, one sequence takes {size} of one GPU{in_blocks}. {limit}")
    blocks = in_blocks(plan, request.split.sequences_on_rank(request.batch_size))
    return say(
        f"sequence_length.{'one' if request.batch_size == 1 else 'many'}",
        text,
        tokens=request.seq_len,
        batch=request.batch_size,
        size=format_gib(kv_bytes_per_gpu(plan)),
        in_blocks=say("sequence_length.in_blocks", ", {blocks}", blocks=blocks) if blocks else "",
        limit=_limit(plan, longest),
    )


def _limit(plan: Plan, longest: int) -> Message:
    """Say where the growth ends."""
    limit = plan.max_context_len
    if plan.stage.exceeds and plan.kv_pool_bytes:
        return say(
            "sequence_length.exceeds",
            "All that one GPU must hold at once exceeds it by {missing}, at any length.",
            missing=format_size(-plan.per_gpu.unused_bytes),
        )
    if not limit:
        return say("sequence_length.no_pool", "Nothing is left for a KV cache on one GPU, at any length.")
    if limit >= MAX_TOKENS // 2:
        return say(
            "sequence_length.no_limit",
            "The cache stops growing before the GPU's limit: memory would hold them at any length.",
        )
    if limit >= longest:
        return say(
            "sequence_length.beyond",
            "The limit is not reached by {longest:,} tokens; the memory would hold {limit:,} tokens each.",
            longest=longest,
            limit=limit,
        )
    return say("sequence_length.reached", "The cache reaches the GPU's limit at {limit:,} tokens each.", limit=limit)
