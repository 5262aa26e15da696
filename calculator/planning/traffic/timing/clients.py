"""A closed loop: how many of its clients decode at once, and for how many requests there is room."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from calculator.planning.memory import largest_batch
from calculator.planning.traffic.timing.step import Lengths, pace_of

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

ROUNDS, CLOSE = 60, 1e-6
"""Rounds of the search for the number that decodes, and the relative change at which it ends."""
FEWEST = 1e-3


def room(plan: Plan, lengths: Lengths) -> int:
    """Return for how many requests there is memory when more of them wait [-].

    Each is halfway through its output or holds what is said, and what the engine sets aside for it counts as well.

    Parameters
    ----------
    plan : Plan
        The plan of the replica [-].
    lengths : Lengths
        Mean lengths of a request [tokens].
    """
    request, admission = plan.request, plan.rules.admission
    output = lengths.output or 0.0
    held = lengths.held
    if admission.whole_context:
        held = float(request.seq_len)
    elif admission.whole_output:
        held = max(held, lengths.prompt + output)
    else:
        held += admission.reserve_ratio * min(output / 2, admission.reserve_most_tokens)
    free = (1 - admission.watermark) * largest_batch(plan.stages, max(1, math.ceil(held)), request)
    return int(free) * request.attention_replicas


def running(plan: Plan, lengths: Lengths) -> int:
    """Return how many requests run at once when more of them wait: what there is memory for, within the limit [-]."""
    request = plan.request
    return min(room(plan, lengths), request.max_num_seqs * request.attention_replicas)


def decoding(plan: Plan, clients: float, lengths: Lengths) -> float:
    """Return how many of the clients of a closed loop decode at once: ``N = clients × O t / (TTFT + O t)`` [-].

    Parameters
    ----------
    plan : Plan
        The plan of the replica; where it holds no request at all its memory is not looked at [-].
    clients : float
        Requests in flight at all times [-].
    lengths : Lengths
        Mean lengths of a request [tokens].
    """
    output = lengths.output or 1.0
    lengths = replace(lengths, output=output)
    most = running(plan, lengths) or clients
    count = min(clients, float(most))
    pace = pace_of(plan, lengths)
    for _ in range(ROUNDS):
        step_s = pace.seconds(count)
        first = plan.rules.speed.first_token(pace.prompt_s, count, step_s)
        answering = output * step_s
        found = min(float(most), max(FEWEST, clients * answering / (first + answering)))
        if abs(found - count) <= CLOSE * count:
            return found
        count = found
    return count
