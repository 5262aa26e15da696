"""Buffers of LoRA adapters: a line of memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from calculator.architecture.groups import LayerGroup
from calculator.architecture.weights import shape_on_rank
from calculator.engines.overheads import Line, Overhead
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.request import Request

LORA = Line("lora", say("overheads.lora", "LoRA adapters"), say("overheads.lora_cause", "LoRA adapters"))
RANK = 16
"""Largest rank where only the adapters are counted: vLLM 0.33.0 config/lora.py."""
VALUE_BYTES = 2
OF_ATTENTION = ("attention",)


def is_asked(request: Request) -> bool:
    """Whether adapters are served."""
    return bool(request.max_loras or request.max_lora_rank)


def slots(request: Request) -> int:
    """Return adapters × largest rank, in whose proportion every buffer grows [-]."""
    return (request.max_loras or 1) * (request.max_lora_rank or RANK)


def of_linear_layers(
    layers: Iterable[LayerGroup], request: Request, expert_ranks: int, parts: tuple[str, ...] | None = None
) -> int:
    """Return the buffers beside the linear layers of some layers on one GPU, of some parts or of all [bytes].

    Parameters
    ----------
    layers : iterable of LayerGroup
        The layers of a stage [-].
    request : Request
        What is asked [-].
    expert_ranks : int
        Ranks that share the experts as wholes [-].
    parts : tuple of str, optional
        The parts that adapters change; by default all [-].

    Notes
    -----
    ``adapters × rank × (inputs + outputs) × 2`` for each projection as a rank holds it: what reads the inputs is
    whole where the outputs are split, what writes the outputs where the inputs are.

    References
    ----------
    vLLM 0.33.0, ``lora/layers/base_linear.py``, ``column_parallel_linear.py``, ``fused_moe.py``.
    """
    tp, ep, rest = request.tensor_parallel_size, expert_ranks, request.split.state_ranks
    total = 0
    for group in layers:
        for matrix in group.weights:
            if matrix.inputs > 1 and (parts is None or matrix.part in parts):
                outputs, inputs, copies = shape_on_rank(matrix, group.spec.kv_heads, tp, ep, rest)
                total += group.count * copies * (outputs + inputs)
    return total * slots(request) * VALUE_BYTES


def of_vocabulary(model: ModelArchitecture, request: Request) -> int:
    """Return the buffers beside an embedding or a head, whole on every rank [bytes].

    References
    ----------
    vLLM 0.33.0, ``lora/layers/vocab_parallel_embedding.py`` and ``logits_processor.py``.
    """
    return slots(request) * (model.vocab_size + model.hidden_size) * VALUE_BYTES


def line(central: int, low: int, high: int, request: Request) -> Overhead:
    """Return the line of all buffers of one GPU [bytes]."""
    source = say(
        "overheads.lora_source",
        "buffers of {adapters} up to rank {rank} beside every linear layer",
        adapters=f"{request.max_loras or 1} adapters" if (request.max_loras or 1) > 1 else "one adapter",
        rank=request.max_lora_rank or RANK,
    )
    return Overhead(LORA, central, source, low, high)
