"""What one request takes on each engine, in its blocks, beside what the architecture keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.sums import Layout, kv_bytes_on_rank
from calculator.engines import ENGINES, engine_class
from calculator.errors import CalculatorError
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.units import format_size
from calculator.views.base import ABSENT, Row, View, possible
from calculator.views.comparing.same_request import on_engine

NAME, TITLE = "kv-in-use", phrase("KV in use")
LENGTHS = 9
SHORTEST = 512
AS_KEPT = 1.01
"""Up to this many times what the layers keep, an engine allocates what they keep."""


@dataclass(frozen=True, eq=False)
class KvInUseRow(Row):
    """One sequence of one length on one engine.

    Attributes
    ----------
    engine : str
        The engine's name as people write it.
    seq_len : int
        Length of the sequence [tokens].
    this_length : bool
        Whether it is the length asked.
    architecture_bytes_per_gpu, allocated_bytes_per_gpu : int
        What the layers keep of it and what the engine allocates for it, on one GPU [bytes].
    blocks : int
        Blocks that it takes; None where the engine has none [-].
    block_size : int
        Tokens of a block [tokens].
    full_length : bool
        Whether the engine keeps windows at full length.
    refused : str
        Why the engine cannot serve the request; empty where it can.
    """

    engine: str
    seq_len: int = ABSENT
    this_length: bool = ABSENT
    architecture_bytes_per_gpu: int = ABSENT
    allocated_bytes_per_gpu: int = ABSENT
    blocks: int | None = None
    block_size: int = ABSENT
    full_length: bool = ABSENT
    refused: str = ""

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return self.engine


def kv_in_use_view(plan: Plan) -> View[KvInUseRow]:
    """Compare what one request takes on each engine, in its blocks, with what the architecture keeps.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row an engine and length: bytes and blocks of one sequence on one GPU, and the architecture's own bytes.
    """
    longest = max(plan.request.seq_len, plan.model.max_position_embeddings)
    ratio = (longest / min(SHORTEST, longest)) ** (1 / (LENGTHS - 1))
    lengths = {min(longest, round(min(SHORTEST, longest) * ratio**step)) for step in range(LENGTHS)}
    lengths.add(plan.request.seq_len)
    rows = [row for name in ENGINES for row in _rows(plan, name, sorted(lengths))]
    return View(NAME, TITLE, _finding(plan, rows), plan, rows)


def _rows(plan: Plan, name: str, lengths: Iterable[int]) -> Iterator[KvInUseRow]:
    title = engine_class(name).title
    try:
        other = on_engine(plan, name)
    except CalculatorError as error:
        yield KvInUseRow(title, refused=str(error))
        return
    geometry, request = other.stage.geometry, other.request
    layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
    for tokens in lengths:
        yield KvInUseRow(
            engine=title,
            seq_len=tokens,
            this_length=tokens == plan.request.seq_len,
            architecture_bytes_per_gpu=kv_bytes_on_rank(other.stage.layers, tokens, layout) + other.state_bytes_per_gpu,
            allocated_bytes_per_gpu=geometry.bytes_of(tokens),
            blocks=sum(pool.blocks(tokens) for pool in geometry.pools) if other.rules.in_blocks else None,
            block_size=request.block_size,
            full_length=not other.rules.keeps_windows(other.model),
        )


def _finding(plan: Plan, rows: list[KvInUseRow]) -> str:
    here = [row for row in possible(rows) if row.this_length]
    if not here:
        return say("kv_in_use.none", "No engine can serve the request.")
    kept = say(
        "kv_in_use.kept",
        "One sequence of {tokens:,} tokens keeps {size} of one GPU by its layers",
        tokens=plan.request.seq_len,
        size=format_size(max(row.architecture_bytes_per_gpu for row in here)),
    )
    over = [(row.allocated_bytes_per_gpu / max(1, row.architecture_bytes_per_gpu), row) for row in here]
    factor, worst = max(over, key=lambda pair: pair[0])
    if factor < AS_KEPT:
        return say(
            "kv_in_use.as_kept", "{kept}; every engine allocates that, but for the rest of its last block.", kept=kept
        )
    return say(
        "kv_in_use.more",
        "{kept}; {engine} allocates {size}, {factor:.2g} times as much, since {why}.",
        kept=kept,
        engine=worst.engine,
        size=format_size(worst.allocated_bytes_per_gpu),
        factor=factor,
        why=_why_more(plan, worst.full_length),
    )


def _why_more(plan: Plan, full_length: bool) -> str:
    windows = any(0 < group.spec.grows_until < NO_LIMIT for group in plan.model.groups)
    in_flight = say("kv_in_use.in_flight", "windows are charged for tokens in flight and whole blocks")
    charged = say("kv_in_use.full_length", "it keeps windows at full length") if full_length else in_flight
    states = say("kv_in_use.states", "a state takes whole pages, some of them for prefix caching")
    if windows and plan.state_bytes_per_sequence:
        return say("kv_in_use.both", "{windows} and {states}", windows=charged, states=states)
    if windows:
        return charged
    return states if plan.state_bytes_per_sequence else say("kv_in_use.blocks", "it takes whole blocks")
