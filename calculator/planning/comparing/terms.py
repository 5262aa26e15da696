"""What two plans are compared by: one number of a plan each, with its unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.request import OPTIONS


class Term(NamedTuple):
    """One number of a plan: its stable key, what it is, its unit, and where it is read."""

    key: str
    name: Message
    unit: str
    of: Callable[[Plan], Any]


PRICE_UNIT, HELD = "USD/h", "max_batch_size"
SAID_ALREADY = ("gpu_memory_bytes",)
"""Inputs that another row states."""

ANSWERS = (
    Term(
        HELD,
        say("compare.held", "Sequences of the length asked, one replica"),
        "-",
        lambda plan: plan.max_batch_size,
    ),
    Term(
        "max_batch_size_low",
        say("compare.held_low", "The same, low end of the range"),
        "-",
        lambda plan: plan.max_batch_size_low,
    ),
    Term(
        "max_context_len",
        say("compare.context", "Longest context by memory"),
        "tokens",
        lambda plan: plan.max_context_len,
    ),
    Term(
        "reported_kv_tokens",
        say("compare.reported", "KV tokens as the engine's log counts them"),
        "tokens",
        lambda plan: plan.reported_kv_tokens,
    ),
    Term(
        "total_max_batch_size", say("compare.total", "Sequences, all replicas"), "-", lambda p: p.total_max_batch_size
    ),
    Term("num_gpus", say("compare.gpus", "GPUs"), "-", lambda plan: plan.num_gpus),
)
SEQUENCE = (
    Term(
        "kv_bytes_per_sequence",
        say("compare.sequence", "KV cache of one sequence, one replica"),
        "bytes",
        lambda plan: plan.kv_bytes_per_sequence,
    ),
    Term(
        "allocated_bytes_per_sequence",
        say("compare.allocated", "What one sequence takes of one GPU, as allocated"),
        "bytes",
        lambda plan: plan.allocated_bytes_per_sequence,
    ),
)
ONE_GPU = (
    Term("total_bytes", say("compare.memory", "Memory of one GPU"), "bytes", lambda plan: plan.per_gpu.total_bytes),
    Term(
        "requested_bytes",
        say("compare.budget", "What the engine may use of it"),
        "bytes",
        lambda plan: plan.per_gpu.requested_bytes,
    ),
    Term("weights_bytes", say("compare.weights", "Weights, one GPU"), "bytes", lambda plan: plan.per_gpu.weights_bytes),
)
LEFT = (Term("kv_pool_bytes", say("compare.pool", "KV pool, one GPU"), "bytes", lambda plan: plan.kv_pool_bytes),)
MONEY = (
    Term(
        "usd_per_hour_low",
        say("compare.price_low", "Lowest price seen, all GPUs"),
        PRICE_UNIT,
        lambda plan: plan.price_usd_per_hour and plan.price_usd_per_hour[0],
    ),
    Term(
        "usd_per_hour_high",
        say("compare.price_high", "Highest price seen, all GPUs"),
        PRICE_UNIT,
        lambda plan: plan.price_usd_per_hour and plan.price_usd_per_hour[1],
    ),
)


def terms_of(before: Plan, after: Plan) -> tuple[Term, ...]:
    """Return what two plans are compared by: answers, memory line by line, price, and the inputs that are not one."""
    lines = {key: line.name for plan in (before, after) for key, line in plan.per_gpu.lines.items()}
    overheads = tuple(
        Term(key, say("compare.overhead", "{line}, one GPU", line=name), "bytes", _line(key))
        for key, name in lines.items()
    )
    terms = (*ANSWERS, *SEQUENCE, *ONE_GPU, *overheads, *LEFT, *MONEY)
    inputs = tuple(
        Term(name, say("compare.input", name), "-" if option is None else option.unit, _input(name))
        for name, option in (("model", None), ("gpu", None), *OPTIONS.items())
        if name not in SAID_ALREADY and getattr(before.request, name) != getattr(after.request, name)
    )
    return (*terms, *inputs)


def _line(key: str) -> Callable[[Plan], Any]:
    def read(plan: Plan) -> int | None:
        line = plan.per_gpu.lines.get(key)
        return None if line is None else line.bytes

    return read


def _input(name: str) -> Callable[[Plan], Any]:
    return lambda plan: getattr(plan.request, name)
