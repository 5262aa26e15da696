"""The memory of one GPU: line by line, each line known by its key, and as a gauge of what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from calculator.formats.weights import weight_format
from calculator.messages import phrase, say, template
from calculator.units import format_gib, format_size, plural

if TYPE_CHECKING:
    from calculator.engines.overheads import Overhead
    from calculator.messages import Message
    from calculator.planning.answer import Plan


class MemoryLine(NamedTuple):
    """One line of the memory of one GPU.

    Attributes
    ----------
    name : Message
        What it is, in words; its key ends in ``key``.
    bytes : int
        Its size; negative where that much is missing [bytes].
    source : str
        Where the figure comes from, in words.
    """

    name: Message
    bytes: int
    source: str

    @property
    def key(self) -> str:
        """What it is, the same in every language."""
        return self.name.key.removeprefix("memory.")


def memory_lines(plan: Plan) -> list[MemoryLine]:
    """List the memory of one GPU line by line, with where each figure comes from; the lines sum to its total."""
    memory, request = plan.per_gpu, plan.request
    in_blocks = plan.stage.geometry.allocated_bytes(memory.kv_pool_bytes, request.seq_len)
    rounding = memory.kv_pool_bytes - in_blocks
    blocks = say(
        "memory.kv_cache_source",
        "{blocks:,} blocks of {block_size} tokens, exact",
        blocks=plan.stage.num_blocks,
        block_size=request.block_size,
    )
    lines = [MemoryLine(say("memory.weights", "Weights"), memory.weights_bytes, weights_source(plan))]
    lines += [
        MemoryLine(say(f"memory.{key}", "{name}", name=line.name), line.bytes, _source(line))
        for key, line in overhead_lines(plan)
    ]
    lines.append(MemoryLine(say("memory.kv_cache", "KV cache"), in_blocks, blocks))
    if rounding:
        cut = say("memory.rounding_source", "left over when the pool is cut into blocks")
        lines.append(MemoryLine(say("memory.rounding", "Less than a block"), rounding, cut))
    return [*lines, _rest(plan)]


def weights_source(plan: Plan) -> Message:
    """Say where the bytes of the weights come from, and whether they are exact."""
    request, model = plan.request, plan.model
    values = {
        "parameters": model.num_parameters,
        "weight_dtype": request.weight_dtype,
        "stored_as": model.stored_as or request.weight_dtype,
    }
    key = plan.weights_from
    if key == "format" and weight_format(request.weight_dtype).bits < 16:
        key = "uniform"
    return say(f"memory.weights_{key}", _WEIGHTS[key], **values)


_WEIGHTS = {
    "given": phrase("your own value, shared by the GPUs as the formula does"),
    "headers": template("exact, read from headers: {parameters:,} parameters, {stored_as}"),
    "index": template("exact in sum, read from the index of the files: {parameters:,} parameters, {stored_as}"),
    "config": template("{parameters:,} parameters as the checkpoint states them, {stored_as}: exact for these formats"),
    "format": template("{parameters:,} parameters in {weight_dtype}, exact"),
    "uniform": template(
        "{parameters:,} parameters, all linear layers in {weight_dtype}: exact for this format, "
        "which a published checkpoint may keep for some of them alone"
    ),
}


def overhead_lines(plan: Plan) -> list[tuple[str, Overhead]]:
    """Return the overheads of one GPU, each with its key."""
    return [(line.line.key, line) for line in plan.stage.overheads]


def _rest(plan: Plan) -> MemoryLine:
    """Return what is kept free, or missing."""
    left = plan.per_gpu.unused_bytes
    if left < 0:
        return MemoryLine(say("memory.missing", "Missing"), left, say("memory.missing_source", "more than the GPU has"))
    source = say("memory.pool_given", "the KV pool is given outright")
    if plan.request.kv_cache_memory_bytes is None:
        budget = plan.rules.budget_words(plan.model, plan.request)
        source = say("memory.budget", "the budget is {budget}", budget=budget)
    return MemoryLine(say("memory.kept_free", "Kept free"), left, source)


def _source(line: Overhead) -> str:
    """Say where an overhead comes from: an estimate, unless the request gives the value."""
    return line.source if line.given else say("memory.estimate", "estimate: {source}", source=line.source)


class Segment(NamedTuple):
    """A segment of the bar.

    Attributes
    ----------
    name, short : Message
        What it is, and the same for where there is little room.
    bytes : int
        Its size in the bar [bytes].
    details : tuple of str
        Of what it is made, or where the figure comes from.
    beyond_bytes : int
        What of it the GPU has no room for, which stands in ``missing`` [bytes].
    """

    name: Message
    short: Message
    bytes: int
    details: tuple[str, ...] = ()
    beyond_bytes: int = 0

    @property
    def whole_bytes(self) -> int:
        """What it takes, whether the GPU has room for it or not [bytes]."""
        return self.bytes + self.beyond_bytes

    @property
    def key(self) -> str:
        """What it is, the same in every language."""
        return self.short.key.removeprefix("gauge.")


def gauge(plan: Plan) -> list[Segment]:
    """Cut the memory of one GPU into segments, from left to right.

    Parameters
    ----------
    plan : Plan
        The answer [-].

    Returns
    -------
    list of Segment
        Those that take any memory. Their bytes sum to what a program sees of the GPU; where it does not fit, to what is
        needed, and ``missing`` is what is beyond the pool or the GPU.
    """
    return [one for one in _segments(plan) if one.whole_bytes > 0]


def _segments(plan: Plan) -> Iterator[Segment]:
    memory, users = plan.per_gpu, plan.request.batch_size
    left = memory.total_bytes
    overheads = tuple(
        say("gauge.part", "{name} {size}", name=line.name, size=format_size(line.bytes))
        for _, line in overhead_lines(plan)
    )
    taken = [
        Segment(
            say("gauge.weights_in_full", "Weights"), say("gauge.weights", "weights"), memory.weights_bytes,
            (weights_source(plan),),
        ),
        Segment(
            say("gauge.overheads_in_full", "Overheads"), say("gauge.overheads", "overheads"),
            sum(line.bytes for _, line in overhead_lines(plan)), overheads,
        ),
    ]  # fmt: skip
    asked, held = _asked(plan), memory.kv_pool_bytes
    taken += [
        Segment(
            say("gauge.kv_in_full", "KV of {users}", users=plural(users, "user")),
            say("gauge.kv", "KV"),
            min(asked, held),
            (say("gauge.of_pool", "of a KV pool of {pool}", pool=format_gib(held)),),
            max(0, asked - held),
        ),
        Segment(
            say("gauge.room_in_full", "Room for more users"), say("gauge.room", "room"), max(0, held - asked),
            (say("gauge.of_pool", "of a KV pool of {pool}", pool=format_gib(held)),),
        ),
    ]  # fmt: skip
    beyond = 0
    for one in taken:
        within = max(0, min(one.bytes, left))
        left -= within
        cut = one._replace(bytes=within, beyond_bytes=one.whole_bytes - within)
        beyond += cut.beyond_bytes
        yield cut
    if beyond:
        yield Segment(
            say("gauge.missing_in_full", "Does not fit"), say("gauge.missing", "does not fit"), beyond,
            (say("gauge.needed", "needed in all: {size}", size=format_gib(memory.total_bytes - left + beyond)),),
        )  # fmt: skip
    else:
        yield Segment(
            say("gauge.free_in_full", "Kept free"), say("gauge.free", "free"), left,
            (memory_lines(plan)[-1].source,),
        )  # fmt: skip


def _asked(plan: Plan) -> int:
    """Return what the batch that is asked takes of one GPU's pool, in whole blocks [bytes]."""
    request = plan.request
    asked = plan.allocated_bytes_per_sequence * request.split.sequences_on_rank(request.batch_size)
    holds = plan.max_batch_size >= request.batch_size
    return min(asked, plan.per_gpu.kv_pool_bytes) if holds else asked
