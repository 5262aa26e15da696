"""Small tables for notebooks; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from calculator.units import format_gib

if TYPE_CHECKING:
    from calculator.answer import Plan


def table(caption: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a two-column table as HTML."""
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"<table><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>"


def plan_table(plan: Plan) -> str:
    """Return a plan as HTML: the verdict, the memory of one GPU, the notes."""
    request, memory = plan.request, plan.per_gpu
    rows = [
        ("Verdict", "fits" if plan.fits else "does not fit"),
        (f"Sequences of {request.seq_len:,} tokens, one replica", f"{plan.max_batch_size:,}"),
        ("KV cache of one sequence, one replica", format_gib(plan.kv_bytes_per_sequence)),
        ("Weights, one GPU", format_gib(memory.weights_bytes)),
        *((f"{line.name}, one GPU", format_gib(line.bytes)) for line in plan.stage.overheads),
        ("KV pool, one GPU", format_gib(memory.kv_pool_bytes)),
        ("Memory, one GPU", f"{format_gib(memory.requested_bytes)} of {format_gib(memory.total_bytes)}"),
        *(("Note", note) for note in plan.notes),
    ]
    return table(f"{plan.model.name} on {plan.num_gpus} × {plan.accelerator.name}", rows)
