"""What the views of growth share: the bytes that one GPU serves."""

from __future__ import annotations

from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.units import format_size

MORE_IN_BLOCKS = 1.02
"""From so many times its formula on what an engine allocates for a sequence is said beside it [-]."""


def kv_bytes_per_gpu(plan: Plan) -> int:
    """Return the KV cache of what one GPU serves of the batch asked, before rounding to blocks [bytes].

    With pipeline stages, of the one that decides.
    """
    return plan.kv_bytes_per_gpu * plan.request.split.sequences_on_rank(plan.request.batch_size)


def in_blocks(plan: Plan, sequences: int = 1) -> str:
    """Say what an engine allocates on one GPU for some sequences, where that is more than the formula's bytes."""
    allocated = plan.allocated_bytes_per_sequence
    if allocated < MORE_IN_BLOCKS * (plan.kv_bytes_per_gpu + plan.state_bytes_per_gpu):
        return ""
    return say("growth.in_blocks", "{size} in the engine's blocks", size=format_size(allocated * sequences))
