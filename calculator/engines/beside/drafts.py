"""The weights of what drafts tokens: a line of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.architecture.weights import bytes_on_rank
from calculator.engines.overheads import Line, Overhead
from calculator.formats.names import PLAIN
from calculator.formats.weights import weight_format
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.draft import Draft
    from calculator.architecture.matrices import WeightMatrix
    from calculator.request import Request

DRAFT = Line("draft", say("overheads.draft", "Drafter"), say("overheads.draft_cause", "the drafter"))


def drafter(draft: Draft, request: Request, expert_ranks: int, keeps_shared: bool) -> tuple[Overhead, ...]:
    """Return the line of a drafter's weights on one GPU, none where it has no weights.

    Parameters
    ----------
    draft : Draft
        What drafts [-].
    request : Request
        What is asked [-].
    expert_ranks : int
        Ranks that share the experts as wholes [-].
    keeps_shared : bool
        Whether the engine keeps embedding and head once more that are the model's [-].

    Notes
    -----
    Layers of the checkpoint's own are in its format, at the high end of the range in 16 bit, as many quantised
    checkpoints leave them. Beside pipeline stages the embedding is one of the drafter's own, on the last of them.
    """
    if draft.is_empty:
        return ()
    shared = draft.shared if keeps_shared else draft.shared[:1] if request.pipeline_parallel_size > 1 else ()

    def size(name: str, *weights: WeightMatrix) -> int:
        storage = weight_format(name)
        tp, ep, rest = request.tensor_parallel_size, expert_ranks, request.split.state_ranks
        groups = ((group.count, group.weights, group.spec.kv_heads) for group in draft.layers)
        held = sum(count * bytes_on_rank(kept, storage, heads, tp, ep, rest) for count, kept, heads in groups)
        return held + bytes_on_rank(weights, storage, 0, tp, ep, rest)

    own = draft.weight_dtype or request.weight_dtype
    central = size(own, *draft.own, *shared)
    is_sure = draft.weight_dtype is not None and not draft.perhaps
    high = central if is_sure else max(central, size(PLAIN, *draft.own, *shared, *draft.perhaps))
    source = draft.assumed or say(
        "overheads.drafter",
        "weights of {layers} and what joins them, in {weight_dtype}",
        layers=f"{draft.num_layers} layers" if draft.num_layers > 1 else "one layer",
        weight_dtype=own,
    )
    return (Overhead(DRAFT, central, source, central, high),)
