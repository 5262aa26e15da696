"""Weights that the host holds in place of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from calculator.architecture.groups import LayerGroup
from calculator.architecture.weights import bytes_on_rank
from calculator.formats.weights import weight_format

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.request import Request


def by_layer(
    model: ModelArchitecture, request: Request, expert_ranks: int, stage: int, part: str = ""
) -> Iterator[tuple[int, int]]:
    """Yield the number of each layer of a stage and the bytes of its weights on one GPU, of one part or of all.

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    request : Request
        What is asked [-].
    expert_ranks : int
        Ranks that share the experts as wholes [-].
    stage : int
        The pipeline stage, from 0 [-].
    part : str
        The part of the model, empty for all [-].
    """
    stages = model.stages(request.pipeline_parallel_size)
    storage = weight_format(request.weight_dtype)
    as_stored = model.is_as_stored(request.weight_dtype)
    tp, ep, rest = request.tensor_parallel_size, expert_ranks, request.split.state_ranks

    def size(group: LayerGroup) -> int:
        weights = tuple(matrix for matrix in group.weights if not part or matrix.part == part)
        return bytes_on_rank(weights, storage, group.spec.kv_heads, tp, ep, rest, as_stored=as_stored)

    number = sum(group.count for groups in stages[:stage] for group in groups)
    for group in stages[stage]:
        each = size(group)
        for _ in range(group.count):
            yield number, each
            number += 1
