"""The answer in words, the same on every face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.messages import Message, say
from calculator.units import format_size, plural
from calculator.views.fits.formula import formula, formula_steps
from calculator.views.growth import in_blocks
from calculator.views.memory import MemoryLine, memory_lines

if TYPE_CHECKING:
    from calculator.logs.comparison import Term
    from calculator.planning.answer import Plan

__all__ = [
    "LEFT_OUT",
    "NOT_MODELLED",
    "MemoryLine",
    "asked_users",
    "detail",
    "formula",
    "formula_steps",
    "hardware",
    "headline",
    "held",
    "memory_lines",
    "price",
    "spread",
    "term_cells",
]

LEFT_OUT = say(
    "words.left_out",
    "caches and profiling of vision and audio encoders, what adapters and drafters compute, KV "
    "connectors, and a first start with a cold compile cache, which can leave 1 to 2.5 GiB less",
)
NOT_MODELLED = say("words.not_modelled", "not modelled: {left_out}", left_out=LEFT_OUT)


def hardware(plan: Plan) -> str:
    """Name the GPUs of a plan: ``4 × A100 80GB SXM``."""
    return say("words.hardware", "{gpus:,} × {name}", gpus=plan.num_gpus, name=plan.accelerator.name)


def headline(plan: Plan, users: int | None = None) -> str:
    """Answer in one line: this model on these GPUs holds so many users of such a length, or what it does not.

    Parameters
    ----------
    plan : Plan
        The answer [-].
    users : int, optional
        Those that were asked for in all, where the replicas do not share them out evenly [-].

    Returns
    -------
    str
        The sentence.
    """
    request = plan.request
    named = {"model": plan.model.name, "gpus": hardware(plan)}
    if plan.per_gpu.kv_pool_bytes == 0:
        return say("words.no_pool", "{model} does not fit on {gpus}", **named)
    if plan.stage.exceeds and request.kv_cache_memory_bytes is not None:
        return say(
            "words.pool_exceeds",
            "{model} with a KV pool of {pool} does not fit on {gpus}",
            pool=format_size(plan.kv_pool_bytes),
            **named,
        )
    asked = asked_users(plan) if users is None else users
    named |= {"held": plural(plan.total_max_batch_size, "user"), "tokens": plural(request.seq_len, "token")}
    if plan.fits:
        return say("words.fits", "{model} on {gpus}: {held} of {tokens}", **named)
    if not plan.total_max_batch_size:
        return say("words.not_one", "{model} on {gpus}: not one user of {tokens}", **named)
    if plan.total_max_batch_size >= asked:
        return say("words.starts_not", "{model} on {gpus} does not start with {asked} of {tokens}",
                   asked=plural(asked, "user"), **named)  # fmt: skip
    return say("words.fits_not", "{model} on {gpus}: {held} of {tokens}, not {asked:,}", asked=asked, **named)


def asked_users(plan: Plan) -> int:
    """Return the users that all replicas are asked to hold [-]."""
    return plan.request.batch_size * plan.request.data_parallel_size


def detail(plan: Plan) -> str:
    """Say what one sequence takes and how long it could be."""
    takes = say("words.takes", "Each takes {size} of KV cache", size=format_size(plan.kv_bytes_per_sequence))
    if plan.state_bytes_per_sequence:
        state = format_size(plan.state_bytes_per_sequence * plan.request.split.state_ranks)
        takes = say("words.and_state", "{takes} and {state} of state that does not grow", takes=takes, state=state)
    if blocks := in_blocks(plan):
        on_gpu = format_size(plan.kv_bytes_per_gpu)
        takes = say("words.and_blocks", "{takes}: {size} of one GPU, {blocks}", takes=takes, size=on_gpu, blocks=blocks)
    if not plan.max_context_len:
        return say("words.size", "{takes}.", takes=takes)
    return say("words.size_and_length", "{takes}. {length}", takes=takes, length=_length(plan))


def _length(plan: Plan) -> str:
    """Say how long a sequence could be, and by whose limit."""
    request, own, memory = plan.request, plan.model.max_position_embeddings, plan.max_context_len
    who = say("words.one_alone", "One alone")
    if request.batch_size > 1:
        who = say("words.each_of", "With {batch_size:,} at once, each", batch_size=request.batch_size)
    values = {"who": who, "memory": memory, "own": own}
    if request.seq_len > own:
        return say(
            "words.beyond_the_model",
            "{who} could be {memory:,} tokens long by memory; the model is made for {own:,}.",
            **values,
        )
    if memory < own:
        return say(
            "words.limit_of_memory",
            "{who} could be {memory:,} tokens long: the memory's limit; the model's own is {own:,}.",
            **values,
        )
    return say(
        "words.limit_of_the_model",
        "{who} could be {own:,} tokens long: the model's own limit, not the memory's.",
        **values,
    )


def price(plan: Plan) -> str:
    """Say what the GPUs cost, as an example with its date; empty where no price is known."""
    hourly, each = plan.price_usd_per_hour, plan.price_usd_per_sequence_hour
    if not hourly:
        return ""
    return say(
        "words.price",
        "{hourly} per hour{each} (prices seen {date}; examples, not quotes)",
        hourly=_dollars(hourly),
        each=say("words.price_each", ", {each} per sequence and hour", each=_dollars(each)) if each else "",
        date=plan.accelerator.price_date or say("words.no_date", "without a date"),
    )


def _dollars(amount: tuple[float, float]) -> str:
    if amount[1] < 0.0001:
        return say("words.hardly_anything", "less than $0.0001")
    low, high = (f"${value:,.2f}" if value >= 0.1 else f"${value:,.4f}" for value in amount)
    return low if low == high else say("words.from_to", "{low} to {high}", low=low, high=high)


def spread(plan: Plan) -> str:
    """Say in what range the answer lies and why; empty where nothing is estimated."""
    if not plan.range_cause:
        return ""
    replicas = plan.request.data_parallel_size
    low, high = plan.max_batch_size_low * replicas, plan.max_batch_size_high * replicas
    if low == high:
        return say(
            "words.no_spread",
            "{low:,} over the whole range; what is estimated is {cause}",
            low=low,
            cause=plan.range_cause,
        )
    return say(
        "words.spread",
        "{low:,} to {high:,} sequences; the spread is {cause}",
        low=low,
        high=high,
        cause=plan.range_cause,
    )


def held(plan: Plan) -> Message | None:
    """Say how often the range of this engine's KV pool held on public start-ups; None where too few are known."""
    from calculator.logs.proof.held import how_often_it_held

    return how_often_it_held(plan.rules.name)


def term_cells(term: Term) -> tuple[str, str, str, str, str, str]:
    """Return a term of a reconciliation as the cells of a table."""

    def number(value: float | None, signed: bool = False) -> str:
        if value is None:
            return ""
        sign = "+" if signed else ""
        text = f"{value:{sign},.2f}" if term.unit in ("GiB", "sequences") else f"{value:{sign},.0f}"
        return text.replace("-", "\u2212")

    around = (
        say("words.parts", "{low} to {high}", low=number(term.low), high=number(term.high))
        if term.low is not None and term.low != term.high
        else ""
    )
    cells = (number(term.predicted), around, number(term.reported), number(term.difference, signed=True))
    return (term.name, term.unit, *cells)
