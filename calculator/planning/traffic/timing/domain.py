"""Where speeds were measured: the range of a set-up, and what of it lies outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.measured import BANDS, KINDS, MOST_GPUS, UNSEEN, architecture_kind, group_of
from calculator.engines.unmeasured import newer_than_measured, outside
from calculator.messages import joined, phrase, say
from calculator.planning.traffic.timing.clients import room, running

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.timing.step import Lengths


def range_of(plan: Plan, sequences: float, is_outside: bool) -> tuple[float, float]:
    """Return measured over computed, nine of ten, for a set-up inside or outside what was measured [-].

    A version newer than all that were measured has the wider range too: what it changed is not known.
    """
    low, high = BANDS[group_of(plan, sequences)]
    if is_outside or newer_than_measured(plan):
        return min(low, UNSEEN[0]), max(high, UNSEEN[1])
    return low, high


def why_not_checked(plan: Plan, sequences: float, lengths: Lengths, clients: float | None = None) -> str:
    """Say what of a set-up was not among those measured; empty where it was."""
    reasons: list[str] = []
    gpus = plan.gpus_per_replica
    if gpus > MOST_GPUS:
        reasons.append(
            say(
                "domain.gpus_replica_measured_were",
                "{gpus} GPUs a replica, measured were up to {most_gpus}",
                gpus=gpus,
                most_gpus=MOST_GPUS,
            )
        )
    held = room(plan, lengths)
    if not plan.fits:
        reasons.append(phrase("the plan does not fit"))
    elif sequences > held:
        reasons.append(
            say("domain.memory_holds_such_requests", "memory holds {held:,} such requests at once", held=held)
        )
    reasons += _refused(plan, sequences, lengths)
    if clients is not None:
        reasons += _queued(plan, clients, running(plan, lengths))
    if lengths.computed is not None and lengths.computed < lengths.prompt:
        reasons.append(phrase("no speed with hits in a prefix cache was measured"))
    reasons += outside(plan, lengths.prompt, lengths.output, sequences)
    return joined("; ", reasons) if reasons else ""


def _refused(plan: Plan, sequences: float, lengths: Lengths) -> list[str]:
    """Say what of it the engine does not take as it is set, and lengths beyond those measured."""
    request, reasons = plan.request, list[str]()
    longest = max(lengths.prompt + (lengths.output or 0.0), lengths.held)
    most = request.max_num_seqs * request.attention_replicas
    if longest > request.seq_len:
        reasons.append(
            say(
                "domain.requests_tokens_where_plan",
                "requests of {longest:,.0f} tokens, where the plan takes {seq_len:,}",
                longest=longest,
                seq_len=request.seq_len,
            )
        )
    if sequences > most:
        reasons.append(
            say(
                "domain.sequences_at_once_where",
                "{sequences:,.0f} sequences at once, where max_num_seqs lets {most:,} run",
                sequences=sequences,
                most=most,
            )
        )
    measured = plan.rules.speed.longest_sequence
    if measured and lengths.held > measured:
        reasons.append(
            say(
                "domain.sequences_tokens_measured_were",
                "sequences of {held:,.0f} tokens, measured were up to {measured:,}",
                held=lengths.held,
                measured=measured,
            )
        )
    return reasons


def _queued(plan: Plan, clients: float, most: int) -> list[str]:
    """Say what was not measured of more clients than run at once."""
    kind = architecture_kind(plan.model)
    longest = plan.rules.speed.longest_queue.get(kind, 1)
    if clients <= most * longest:
        return []
    return [
        say(
            "domain.clients_where_run_at",
            "{clients:,.0f} clients where {most:,} run at once: of {kinds} on {title} ",
            clients=clients,
            most=most,
            kinds=KINDS[kind],
            title=plan.rules.title,
        )
        + (
            phrase("no queue was described")
            if longest == 1
            else say("domain.up_times_many_were", "up to {longest:g} times as many were measured", longest=longest)
        )
    ]
