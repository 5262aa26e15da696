"""Who holds how much: the same request by every engine."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.engines import ENGINES, engine_class
from calculator.errors import CalculatorError
from calculator.messages import joined, phrase, say
from calculator.planning.answer import Plan
from calculator.units import format_size
from calculator.views.base import ABSENT, Row, View, possible
from calculator.views.comparing.same_request import on_engine

NAME, TITLE = "engines", phrase("Engines")
SAME_SIZE = 0.05
"""Sizes of one sequence that differ by no more of the larger are not worth a sentence."""


@dataclass(frozen=True, eq=False)
class EngineRow(Row):
    """The answer of one engine.

    Attributes
    ----------
    engine : str
        Its name as people write it.
    this_plan : bool
        Whether it is the plan's own.
    refused : str
        Why it cannot serve the request; empty where it can.
    version : str
        The version of its rules.
    max_batch_size, max_batch_size_low, max_batch_size_high : int
        Sequences that all replicas hold, and the range of that [-].
    reported_kv_tokens : int
        The token count that its log shows [tokens].
    weights_bytes_per_gpu, overhead_bytes_per_gpu, kv_pool_bytes_per_gpu, kept_free_bytes_per_gpu : int
        Memory of one GPU, line by line [bytes].
    allocated_bytes_per_sequence : int
        What one sequence takes on one GPU, as it allocates it [bytes].
    budget, range_cause : str
        Its budget in words, and what makes most of the range.
    """

    engine: str
    this_plan: bool
    refused: str = ""
    version: str = ABSENT
    max_batch_size: int = ABSENT
    max_batch_size_low: int = ABSENT
    max_batch_size_high: int = ABSENT
    reported_kv_tokens: int = ABSENT
    weights_bytes_per_gpu: int = ABSENT
    overhead_bytes_per_gpu: int = ABSENT
    kv_pool_bytes_per_gpu: int = ABSENT
    kept_free_bytes_per_gpu: int = ABSENT
    allocated_bytes_per_sequence: int = ABSENT
    budget: str = ABSENT
    range_cause: str = ABSENT

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return self.engine


def engines_view(plan: Plan) -> View[EngineRow]:
    """Answer the same request by every engine.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row an engine: memory of one GPU line by line, sequences with their range, tokens, and the budget in words.
    """
    rows = [_row(plan, name) for name in ENGINES]
    return View(NAME, TITLE, _finding(plan, rows), plan, rows)


def _row(plan: Plan, name: str) -> EngineRow:
    title, own = engine_class(name).title, name == plan.request.engine
    try:
        other = on_engine(plan, name)
    except CalculatorError as error:
        return EngineRow(title, own, str(error))
    memory, replicas = other.per_gpu, other.request.data_parallel_size
    return EngineRow(
        engine=title,
        this_plan=own,
        version=other.rules.version,
        max_batch_size=other.total_max_batch_size,
        max_batch_size_low=other.max_batch_size_low * replicas,
        max_batch_size_high=other.max_batch_size_high * replicas,
        reported_kv_tokens=other.reported_kv_tokens,
        weights_bytes_per_gpu=memory.weights_bytes,
        overhead_bytes_per_gpu=memory.before_kv_bytes - memory.weights_bytes,
        kv_pool_bytes_per_gpu=memory.kv_pool_bytes,
        kept_free_bytes_per_gpu=memory.total_bytes - memory.before_kv_bytes - memory.kv_pool_bytes,
        allocated_bytes_per_sequence=other.allocated_bytes_per_sequence,
        budget=other.rules.budget_words(other.model, other.request),
        range_cause=other.range_cause,
    )


def _finding(plan: Plan, rows: list[EngineRow]) -> str:
    answered, tokens = possible(rows), plan.request.seq_len
    if not any(row.max_batch_size for row in answered):
        if plan.request.kv_cache_memory_bytes is None:
            return say(
                "engines.none",
                "No engine holds even one of the sequences of {tokens:,} tokens: weights and overheads leave too "
                "little.",
                tokens=tokens,
            )
        return say(
            "engines.none_in_pool",
            "No engine holds even one of the sequences of {tokens:,} tokens in the KV pool given, beside weights and "
            "overheads.",
            tokens=tokens,
        )
    most = max(answered, key=lambda row: row.max_batch_size)
    fewest = min(answered, key=lambda row: row.max_batch_size)
    if most.max_batch_size == fewest.max_batch_size:
        return say(
            "engines.same",
            "{names} hold the same, {most:,} sequences of {tokens:,} tokens.",
            names=joined(" and ", [row.engine for row in answered]),
            most=most.max_batch_size,
            tokens=tokens,
        )
    return say(
        "engines.most_and_fewest",
        "{first} holds the most, {most:,} sequences of {tokens:,} tokens, {last} the fewest, {fewest:,}: "
        "{first} takes {first_budget}, {last} {last_budget}{each}.",
        first=most.engine,
        most=most.max_batch_size,
        tokens=tokens,
        last=fewest.engine,
        fewest=fewest.max_batch_size,
        first_budget=most.budget,
        last_budget=fewest.budget,
        each=_each(most, fewest),
    )


def _each(most: EngineRow, fewest: EngineRow) -> str:
    """Say what one sequence takes on either, where that differs."""
    one, other = most.allocated_bytes_per_sequence, fewest.allocated_bytes_per_sequence
    if abs(one - other) <= SAME_SIZE * max(one, other):
        return ""
    return say(
        "engines.each",
        "; one sequence takes {one} of a GPU on {first} and {other} on {last}",
        one=format_size(one),
        first=most.engine,
        other=format_size(other),
        last=fewest.engine,
    )
