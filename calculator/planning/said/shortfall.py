"""Why a plan does not fit: what is needed, what is available, and the largest value that would fit."""

from __future__ import annotations

from calculator.messages import Message, joined, phrase, say
from calculator.planning.answer import Plan
from calculator.planning.memory import keeps_nothing
from calculator.planning.plan import vary
from calculator.planning.stage import Memory, distinct
from calculator.units import GIB, format_bytes, format_gib, format_size, plural


def why_it_does_not_fit(answer: Plan) -> Message:
    """Say what is needed, what is available, and the largest value that would fit."""
    request, stage = answer.request, answer.stage
    if answer.refused:
        return say("shortfall.refused", "does not start: {why}", why=joined("; ", [one.why for one in answer.refused]))
    if stage.exceeds and stage.memory.kv_pool_bytes:
        return say("shortfall.device", "does not fit: {what}", what=_what_exceeds(answer))
    if stage.memory.kv_pool_bytes:
        stage = min(distinct(answer.stages), key=lambda one: one.geometry.sequences(one.usable_bytes, request.seq_len))
    memory = stage.memory
    lacking = memory.before_kv_bytes - memory.requested_bytes
    if lacking > 0 and request.kv_cache_memory_bytes is None:
        return say(
            "shortfall.weights",
            "does not fit: weights ({weights}) and overheads ({overheads}) of one GPU need {needed}, {lacking} more "
            "than there is: available are {budget}",
            weights=_size(memory.weights_bytes),
            overheads=_size(memory.before_kv_bytes - memory.weights_bytes),
            needed=_size(memory.before_kv_bytes),
            lacking=_size(lacking),
            budget=_budget(answer, memory),
        )
    if keeps_nothing(answer.stages):
        return say(
            "shortfall.at_once",
            "does not fit: nothing is kept of a sequence, and a pass of {batched:,} tokens reads {held} of {tokens:,} "
            "tokens at once, {most:,} at most; raise max_num_batched_tokens or max_num_seqs, or send them in turn",
            batched=request.max_num_batched_tokens,
            held=plural(answer.max_batch_size, "sequence"),
            tokens=request.seq_len,
            most=request.max_num_seqs,
        )
    needed = request.split.sequences_on_rank(request.batch_size) * stage.geometry.bytes_of(request.seq_len)
    held = stage.geometry.sequences(memory.kv_pool_bytes, request.seq_len)
    return say(
        "shortfall.kv_cache",
        "does not fit: the KV cache of {batch_size:,} × {tokens:,} tokens needs {needed} on one GPU, available are "
        "{available}{but}; {largest}",
        batch_size=request.batch_size,
        tokens=request.seq_len,
        needed=_size(needed),
        available=_available(answer, memory),
        but=_but(needed, memory.kv_pool_bytes, held),
        largest=_largest(answer),
    )


def _budget(answer: Plan, memory: Memory) -> Message:
    return say(
        "shortfall.budget",
        "{requested} of the {total} of one GPU ({engine}: {budget})",
        requested=_size(memory.requested_bytes),
        total=_size(memory.total_bytes),
        engine=answer.rules.title,
        budget=answer.rules.budget_words(answer.model, answer.request),
    )


def _available(answer: Plan, memory: Memory) -> Message:
    pool = _size(memory.kv_pool_bytes)
    if answer.request.kv_cache_memory_bytes is not None:
        return say("shortfall.pool_given", "{pool}, the KV pool given", pool=pool)
    budget = _budget(answer, memory)
    return say("shortfall.pool", "{pool} after weights and overheads, from {budget}", pool=pool, budget=budget)


def _but(needed: int, pool: int, held: int) -> str:
    """Say what two sizes that look alike, or the wrong way round, do not."""
    if needed <= pool:
        return say("shortfall.blocks", ", whose whole blocks hold {held}", held=plural(held, "such sequence"))
    if _size(needed) == _size(pool):
        return say("shortfall.less", ", {missing} less", missing=format_size(needed - pool))
    return ""


def _largest(answer: Plan) -> Message:
    request, largest = answer.request, []
    if answer.max_batch_size:
        held = plural(answer.max_batch_size, "sequence")
        fewer = say("shortfall.fewer", "{held} of {tokens:,} tokens would fit", held=held, tokens=request.seq_len)
        largest.append(fewer)
    if answer.max_context_len:
        one = say("shortfall.one", "one sequence of {tokens:,} tokens would fit", tokens=answer.max_context_len)
        many = say(
            "shortfall.shorter", "{batch_size:,} sequences of {tokens:,} tokens would fit",
            batch_size=request.batch_size, tokens=answer.max_context_len,
        )  # fmt: skip
        largest.append(one if request.batch_size == 1 else many)
    longest = 0 if largest else vary(answer, batch_size=1).max_context_len
    if longest:
        largest.append(say("shortfall.one", "one sequence of {tokens:,} tokens would fit", tokens=longest))
    return joined(" or ", largest) if largest else say("shortfall.no_block", "not even one block would fit")


def _what_exceeds(answer: Plan) -> Message:
    """Say what of a plan exceeds its device, by how much, and what would not."""
    request, memory = answer.request, answer.per_gpu
    fixed = memory.before_kv_bytes + memory.in_slack_bytes
    missing = answer.stage.missing_bytes
    lacking = say("shortfall.are_missing", "{size} are missing", size=_size(missing))
    if missing == 1:
        lacking = say("shortfall.is_missing", "{size} is missing", size=_size(missing))
    if request.kv_cache_memory_bytes is not None:
        largest = max(0, memory.total_bytes - fixed)
        exact = say("shortfall.exact", " ({size})", size=format_bytes(largest))
        return say(
            "shortfall.with_pool",
            "{lacking}: weights and overheads ({fixed}) and the KV pool given ({pool}) exceed the {total} of one GPU; "
            "the largest pool would be {largest}{exact}",
            lacking=lacking,
            fixed=_size(fixed),
            pool=_size(memory.kv_pool_bytes),
            total=_size(memory.total_bytes),
            largest=_size(largest),
            exact=exact if largest else "",
        )
    fraction = _fraction_that_leaves_room(answer)
    enough = say("shortfall.fraction", "; gpu_memory_utilization {fraction:g} would leave them room", fraction=fraction)
    return say(
        "shortfall.outside_budget",
        "{lacking}: {what} of one GPU take at least {outside} outside the budget ({engine}: {budget}), which leaves "
        "{left}{enough}",
        lacking=lacking,
        what=_outside_words(answer),
        outside=_size(_least_outside(answer)),
        engine=answer.rules.title,
        budget=answer.rules.budget_words(answer.model, request),
        left=_size(memory.total_bytes - memory.requested_bytes),
        enough=enough if fraction else "",
    )


def _outside_words(answer: Plan) -> str:
    """Name what runs outside the budget."""
    others = answer.request.other_memory_bytes and answer.rules.budget_of_device
    return phrase("other processes, activations or CUDA graphs") if others else phrase("activations or CUDA graphs")


def _fraction_that_leaves_room(answer: Plan) -> float:
    """Return the largest fraction, in thousandths, that leaves room for what runs outside it; 0 for none [-]."""
    memory = answer.per_gpu
    in_budget = memory.before_kv_bytes - memory.weights_bytes
    for thousandths in range(int(answer.request.gpu_memory_utilization * 1000), 0, -1):
        fraction = thousandths / 1000
        budget = answer.rules.requested_bytes(memory.total_bytes, fraction, memory.weights_bytes, in_budget)
        if budget + _least_outside(answer) <= memory.total_bytes:
            return fraction
    return 0.0


def _least_outside(answer: Plan) -> int:
    """Return the least that runs outside the budget [bytes]."""
    return sum(line.low for line in answer.stage.overheads if line.in_slack)


def _size(num_bytes: int) -> str:
    """Show a size as GiB, a small one in the unit that does not make it 0."""
    return format_size(num_bytes) if 0 < num_bytes < GIB // 100 else format_gib(num_bytes)
