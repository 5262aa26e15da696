"""Legal degrees of parallelism, KV heads on a rank, copies, and layers of a stage.

Tensor parallelism (TP) splits heads. With G KV heads, a rank holds G / TP of them while
TP <= G; beyond that every rank holds one head, and each head is kept TP / G times. KV
memory per GPU therefore stops falling at TP = G.
"""

from __future__ import annotations

from collections.abc import Sequence

from calculator.errors import ParallelismError


def kv_heads_per_rank(num_key_value_heads: int, tensor_parallel_size: int) -> int:
    """Return the KV heads that one rank holds: ``max(1, G // TP)`` [-].

    References
    ----------
    vLLM 0.33.0, ``config/model.py`` ``get_num_kv_heads``.
    """
    return max(1, num_key_value_heads // tensor_parallel_size)


def kv_replication(num_key_value_heads: int, tensor_parallel_size: int) -> int:
    """Return how many ranks hold a copy of the same KV head: ``max(1, TP // G)`` [-]."""
    return max(1, tensor_parallel_size // num_key_value_heads)


def why_not(num_attention_heads: int, num_key_value_heads: int, tensor_parallel_size: int) -> str | None:
    """Say why heads cannot be split over so many ranks, or None where they can.

    References
    ----------
    vLLM 0.33.0, ``config/model.py`` (query heads) and ``model_executor/models/llama.py`` (KV heads).
    """
    tp, g, h = tensor_parallel_size, num_key_value_heads, num_attention_heads
    if h % tp:
        return f"{h} query heads do not divide by {tp}"
    if g >= tp and g % tp:
        return f"{g} KV heads do not divide by {tp}"
    if g < tp and tp % g:
        return f"{tp} is not a multiple of the {g} KV heads, so they cannot be copied evenly"
    return None


def not_possible(tensor_parallel_size: int, reason: str, legal: Sequence[int]) -> ParallelismError:
    """Build the error for a degree that layers cannot be split into, with the legal ones and the nearest."""
    nearest = min(legal, key=lambda degree: (abs(degree - tensor_parallel_size), degree))
    return ParallelismError(
        f"tensor_parallel_size {tensor_parallel_size} is not possible: {reason}; "
        f"legal are {', '.join(map(str, legal))}, the nearest is {nearest}"
    )


def layers_per_stage(num_layers: int, pipeline_parallel_size: int) -> tuple[int, ...]:
    """Return the number of layers of each pipeline stage, first to last [-].

    Raises
    ------
    ParallelismError
        If there are more stages than layers.

    Notes
    -----
    A remainder goes to the stages before the last, from the back: the last one also holds the head.

    References
    ----------
    vLLM, ``distributed/utils.py`` ``get_pp_indices``.
    """
    if pipeline_parallel_size > num_layers:
        raise ParallelismError(
            f"pipeline_parallel_size {pipeline_parallel_size} is not possible: there are {num_layers} layers, "
            f"one a stage at the least; the largest is {num_layers}"
        )
    base, rest = divmod(num_layers, pipeline_parallel_size)
    stages = [base] * pipeline_parallel_size
    for behind in range(2, rest + 2):
        stages[-behind] += 1
    return tuple(stages)
