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
# 0.33.0, model_executor/models: embedding_modules of the class that the registry names for a type
WITH_VOCABULARY = frozenset({
    "", "llama", "llama4_text", "mixtral", "qwen3", "qwen3_moe", "qwen3_5_text", "qwen3_5_moe_text", "exaone",
    "exaone4", "exaone_moe", "falcon_h1", "granite", "granite_swa", "granitemoe", "granitemoe_swa", "granitemoeshared",
    "granitemoehybrid", "jamba", "lfm2", "lfm2_moe", "minicpm", "minicpm3", "nemotron", "nemotron_h", "nemotron-nas",
    "deci", "phimoe", "phi3", "ernie4_5", "hyperclovax", "internlm3", "apertus", "param2moe", "solar",
})  # fmt: skip
"""Model types whose embedding and head adapters may change too; a model typed by hand counts as one."""
WITH_EMBEDDING = frozenset({"cohere", "cohere2"})
"""Model types of which adapters may change the embedding, which is the head too."""
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
    first, last = stage == 0, stage == request.pipeline_parallel_size - 1
    ends = first * (model.model_type in WITH_VOCABULARY | WITH_EMBEDDING) + last * (model.model_type in WITH_VOCABULARY)
    size += ends * adapters.of_vocabulary(model, request)
    return (adapters.line(size, size, size, request),)
