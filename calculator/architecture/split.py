"""Legal degrees of parallelism, KV heads on a rank, copies, and layers of a stage.

Tensor parallelism (TP) splits heads. With G KV heads, a rank holds G / TP of them while
TP <= G; beyond that every rank holds one head, and each head is kept TP / G times. KV
memory per GPU therefore stops falling at TP = G.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from calculator.errors import ParallelismError, shown
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.counts import Count


class Split(NamedTuple):
    """How the GPUs of one pipeline stage of a replica, its ranks, share a layer: its heads, tokens and sequences.

    Attributes
    ----------
    tensor_parallel_size : int
        Ranks of the stage [-].
    context_ranks : int
        Ranks that share a sequence's tokens: decode context parallelism [-].
    attention_dp : bool
        Whether every rank serves sequences of its own, attention copied.

    References
    ----------
    SGLang 0.5.23, ``runtime_context.py`` (attention's and linear attention's ranks), ``configs/model_config.py``
    ``get_num_kv_heads`` (TP // DCP); vLLM 0.33.0, ``v1/kv_cache_interface.py`` ``dcp_sharded`` (attention's tokens
    are shared, states are not).
    """

    tensor_parallel_size: int = 1
    context_ranks: int = 1
    attention_dp: bool = False

    @property
    def kv_head_ranks(self) -> int:
        """Ranks that a layer's KV heads are split over [-]."""
        return 1 if self.attention_dp else max(1, self.tensor_parallel_size // self.context_ranks)

    @property
    def state_ranks(self) -> int:
        """Ranks that recurrent states, and the weights outside MLPs and experts, are split over [-]."""
        return 1 if self.attention_dp else self.tensor_parallel_size

    @property
    def replicas(self) -> int:
        """Ranks that each serve sequences of their own; 1 where all serve the same [-]."""
        return self.tensor_parallel_size if self.attention_dp else 1

    def sequences_on_rank(self, batch_size: Count) -> Count:
        """Return the sequences of a replica's batch that the fullest rank serves [-]."""
        return -(-batch_size // self.replicas)

    def tokens_on_rank(self, seq_len: Count) -> Count:
        """Return the tokens of a sequence that the fullest rank keeps [tokens]."""
        return -(-seq_len // self.context_ranks)


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
        return say("split.query_heads_do_not", "{h} query heads do not divide by {tp}", h=h, tp=tp)
    if g >= tp and g % tp:
        return say("split.kv_heads_do_not", "{g} KV heads do not divide by {tp}", g=g, tp=tp)
    if g < tp and tp % g:
        return say(
            "split.not_multiple_kv_heads",
            "{tp} is not a multiple of the {g} KV heads, so they cannot be copied evenly",
            tp=tp,
            g=g,
        )
    return None


def check_degree(tensor_parallel_size: object) -> None:
    """Raise ``ParallelismError`` for what is no whole number of at least 1."""
    if type(tensor_parallel_size) is not int or tensor_parallel_size < 1:
        raise ParallelismError(
            say(
                "model.tensor_parallel_size_must",
                "tensor_parallel_size must be a whole number of at least 1, not {tensor_parallel_size}",
                tensor_parallel_size=shown(tensor_parallel_size),
            ),
            what="tensor_parallel_size",
            asked=tensor_parallel_size,
            nearest=1,
        )


def not_possible(tensor_parallel_size: int, reason: str, legal: Sequence[int]) -> ParallelismError:
    """Build the error for a degree that layers cannot be split into, with the legal ones and the nearest."""
    nearest = min(legal, key=lambda degree: (abs(degree - tensor_parallel_size), degree))
    return ParallelismError(
        say(
            "split.tensor_parallel_size_not",
            "tensor_parallel_size {tensor_parallel_size} is not possible: {reason}; legal are "
            "{names}, the nearest is {nearest}",
            tensor_parallel_size=tensor_parallel_size,
            reason=reason,
            names=", ".join(map(str, legal)),
            nearest=nearest,
        ),
        what="tensor_parallel_size",
        asked=tensor_parallel_size,
        allowed=tuple(legal),
        nearest=nearest,
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
            say(
                "split.pipeline_parallel_size_not",
                "pipeline_parallel_size {pipeline_parallel_size} is not possible: there are {num_layers} "
                "layers, one a stage at the least; the largest is {num_layers}",
                pipeline_parallel_size=pipeline_parallel_size,
                num_layers=num_layers,
            ),
            what="pipeline_parallel_size",
            asked=pipeline_parallel_size,
            nearest=num_layers,
        )
    base, rest = divmod(num_layers, pipeline_parallel_size)
    stages = [base] * pipeline_parallel_size
    for behind in range(2, rest + 2):
        stages[-behind] += 1
    return tuple(stages)
