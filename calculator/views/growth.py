"""What the views of growth share: the bytes that one GPU serves."""

from __future__ import annotations

from calculator.planning.answer import Plan


def kv_bytes_per_gpu(plan: Plan) -> int:
    """Return the KV cache of what one GPU serves of the batch asked, before rounding to blocks [bytes].

    With pipeline stages, of the one that decides.
    """
    return plan.kv_bytes_per_gpu * plan.request.split.sequences_on_rank(plan.request.batch_size)
