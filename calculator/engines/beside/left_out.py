"""What a checkpoint of a named 4 bit format may leave in 16 bit: a line of memory that is none or more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.architecture.weights import SPLIT_APART, bytes_on_rank
from calculator.engines.overheads import Line, Overhead
from calculator.formats.weights import FORMATS, weight_format
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.architecture.split import Split
    from calculator.request import Request

LEFT_OUT = Line(
    "left_out",
    say("overheads.left_out", "Weights left in 16 bit"),
    say("overheads.left_out_cause", "weights that a checkpoint leaves in 16 bit"),
)
BITS = 4
SOURCE = say(
    "overheads.left_out_source",
    "public 4 bit checkpoints of models with experts or states take 0-31 % more than all linear layers in 4 bit: many "
    "leave attention in 16 or 8 bit; give the checkpoint, or checkpoint_bytes",
)


def left_out(model: ModelArchitecture, request: Request, expert_ranks: int, stage: int) -> tuple[Overhead, ...]:
    """Return the line of one GPU, none where the checkpoint's own bytes are known or the format leaves nothing open.

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

    Notes
    -----
    Up to all but experts and MLPs in 16 bit, of models that have experts or states. Of dense models the named formats
    are within 2 % of what is logged.

    References
    ----------
    Logged weights over the formula's: AWQ of Qwen3 30B-A3B 1.00, of Qwen3.5 27B 1.06, of Gemma 4 26B-A4B 1.16; NVFP4 of
    Gemma 4 26B-A4B 1.04, of Qwen3.5 35B-A3B 1.15, of Qwen3.5 27B 1.21 and 1.31 (``startup_figures.csv``; vLLM's
    recipes).
    """
    dtype = request.weight_dtype
    form = weight_format(dtype)
    if form.bits > BITS or not form.group_size or form.parts or request.checkpoint_bytes or model.is_as_stored(dtype):
        return ()
    size: int = model.remember(
        _most, dtype, request.split, request.tensor_parallel_size, expert_ranks,
        request.pipeline_parallel_size, stage,
    )  # fmt: skip
    return (Overhead(LEFT_OUT, 0, SOURCE, 0, size),) if size else ()


def _most(
    model: ModelArchitecture, dtype: str, split: Split, tp: int, ep: int, pipeline_parallel_size: int, stage: int
) -> int:
    """Return what all but experts and MLPs takes more in 16 bit, 0 without experts and states [bytes]."""
    has_experts = any(matrix.part == "experts" for group in model.layers for matrix in group.weights)
    if not has_experts and not any(group.spec.state_bytes(1) for group in model.groups):
        return 0
    plain, form = FORMATS["bf16"], weight_format(dtype)
    more = 0
    for group in model.stages(pipeline_parallel_size)[stage]:
        rest = tuple(matrix for matrix in group.weights if matrix.quantised and matrix.part not in SPLIT_APART)
        asked = group.spec.kv_heads, tp, ep, split.state_ranks
        more += group.count * (bytes_on_rank(rest, plain, *asked) - bytes_on_rank(rest, form, *asked))
    return more
