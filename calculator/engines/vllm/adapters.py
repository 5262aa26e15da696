"""Buffers of LoRA adapters, as vLLM allocates them: beside every linear layer, and of some types the vocabulary.

References
----------
vLLM 0.33.0, ``lora/utils.py`` ``get_supported_lora_modules``, ``lora/layers``, ``config/lora.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.beside import adapters

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.engines.overheads import Overhead
    from calculator.request import Request

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# 0.33.0, model_executor/models: classes with embedding_modules
WITH_VOCABULARY = frozenset({
    "", "llama", "mistral", "mixtral", "qwen3", "qwen3_moe", "qwen3_5_text", "qwen3_5_moe_text", "cohere", "cohere2",
    "exaone4", "exaone_moe", "falcon_h1", "granite", "granitemoe", "granitemoehybrid", "jamba", "lfm2", "lfm2_moe",
    "minicpm", "nemotron", "nemotron_h", "nemotron-nas", "phimoe", "phi3", "glm",
})  # fmt: skip
"""Model types whose embedding and head adapters may change too; a model typed by hand counts as one."""
MOST_LORA_VOCABULARY = 258_048


def lora_buffers(model: ModelArchitecture, request: Request, expert_ranks: int, stage: int) -> tuple[Overhead, ...]:
    """Return the line of LoRA buffers of one GPU of a stage; the first and the last may have those of the vocabulary.

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
    """
    size = adapters.of_linear_layers(model.stages(request.pipeline_parallel_size)[stage], request, expert_ranks)
    if model.model_type in WITH_VOCABULARY:
        ends = (stage == 0) + (stage == request.pipeline_parallel_size - 1)
        size += ends * adapters.of_vocabulary(model, request)
    return (adapters.line(size, size, size, request),)
