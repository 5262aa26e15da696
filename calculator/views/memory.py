"""The memory of one GPU line by line, each line known by its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calculator.formats.weights import weight_format
from calculator.messages import say

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
    "given": "your own value, shared by the GPUs as the formula does",
    "headers": "exact, read from headers: {parameters:,} parameters, {stored_as}",
    "index": "exact in sum, read from the index of the files: {parameters:,} parameters, {stored_as}",
    "config": "{parameters:,} parameters as the checkpoint states them, {stored_as}: exact for these formats",
    "format": "{parameters:,} parameters in {weight_dtype}, exact",
    "uniform": "{parameters:,} parameters, all linear layers in {weight_dtype}: exact for this format, which a "
    "published checkpoint may keep for some of them alone",
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
