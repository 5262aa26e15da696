"""What is asked of a plan: every input, checked, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from calculator import engines
from calculator.accelerator import Accelerator, custom_accelerator
from calculator.errors import InvalidValueError
from calculator.kv_cache import encoder_tokens
from calculator.model import MAX_TOKENS, ModelArchitecture
from calculator.presets import load_gpu
from calculator.schema import Schema, count, flag, number, optional, text
from calculator.storage import storage_format
from calculator.weights import weight_format

MAX_BYTES = 2**53

PLAN_FIELDS = {
    "batch_size": count(MAX_TOKENS),
    "seq_len": optional(count(MAX_TOKENS)),
    "tensor_parallel_size": count(65_536),
    "pipeline_parallel_size": count(65_536),
    "data_parallel_size": count(65_536),
    "weight_dtype": text(40),
    "kv_cache_dtype": text(40),
    "gpu_memory_utilization": optional(number(1)),
    "encoder_seq_len": optional(count(MAX_TOKENS)),
    "enable_expert_parallel": flag(),
    "engine": text(40),
    "block_size": optional(count(1_048_576)),
    "max_num_seqs": optional(count(1_048_576)),
    "max_num_batched_tokens": optional(count(16_777_216)),
    "gpu_memory_bytes": optional(count(MAX_BYTES)),
    "kv_cache_memory_bytes": optional(count(MAX_BYTES)),
    "activation_bytes": optional(count(MAX_BYTES, minimum=0)),
    "non_torch_bytes": optional(count(MAX_BYTES, minimum=0)),
    "cuda_graph_bytes": optional(count(MAX_BYTES, minimum=0)),
}
PLAN_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(PLAN_FIELDS),
    "batch_size": 1,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "weight_dtype": "auto",
    "kv_cache_dtype": "auto",
    "enable_expert_parallel": False,
    "engine": "vllm",
}
_SCHEMA = Schema(PLAN_FIELDS)


@dataclass(frozen=True, slots=True)
class Request:
    """Every input of a plan, defaults filled in, under the names of ``plan``.

    ``seq_len`` and ``max_num_batched_tokens`` are tokens, names in ``_bytes`` are bytes of one
    GPU, ``gpu_memory_utilization`` is a fraction, the rest counts; ``batch_size`` is of one replica.
    """

    model: str
    gpu: str
    gpu_memory_bytes: int
    seq_len: int
    batch_size: int
    tensor_parallel_size: int
    pipeline_parallel_size: int
    data_parallel_size: int
    weight_dtype: str
    kv_cache_dtype: str
    gpu_memory_utilization: float
    encoder_seq_len: int | None
    enable_expert_parallel: bool
    engine: str
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_cache_memory_bytes: int | None
    activation_bytes: int | None
    non_torch_bytes: int | None
    cuda_graph_bytes: int | None

    @property
    def expert_parallel_size(self) -> int:
        """Ranks that share the experts as wholes: TP × DP with expert parallelism, else 1 [-]."""
        return self.tensor_parallel_size * self.data_parallel_size if self.enable_expert_parallel else 1


def resolve(model: ModelArchitecture, asked: Mapping[str, Any]) -> tuple[Accelerator, Request]:
    """Check every input and fill in the defaults."""
    values = {**PLAN_DEFAULTS, **{name: value for name, value in asked.items() if name not in ("model", "gpu")}}
    values = _SCHEMA.validate(values)
    accelerator = _accelerator(asked.get("gpu"), values["gpu_memory_bytes"])
    rules = engines.engine_rules(values["engine"])
    defaults = rules.defaults_for(accelerator)
    model.check_tensor_parallel(values["tensor_parallel_size"])
    return accelerator, Request(
        model=model.id,
        gpu=accelerator.id,
        gpu_memory_bytes=accelerator.memory_bytes,
        seq_len=values["seq_len"] or model.max_position_embeddings,
        batch_size=values["batch_size"],
        tensor_parallel_size=values["tensor_parallel_size"],
        pipeline_parallel_size=values["pipeline_parallel_size"],
        data_parallel_size=values["data_parallel_size"],
        weight_dtype=weight_format(model.resolve_weight_dtype(values["weight_dtype"])).name,
        kv_cache_dtype=storage_format(model.resolve_kv_dtype(values["kv_cache_dtype"])).name,
        gpu_memory_utilization=values["gpu_memory_utilization"] or rules.gpu_memory_utilization,
        encoder_seq_len=encoder_tokens(model, values["encoder_seq_len"]) or None,
        enable_expert_parallel=values["enable_expert_parallel"],
        engine=rules.name,
        block_size=values["block_size"] or rules.block_size,
        max_num_seqs=values["max_num_seqs"] or defaults.max_num_seqs,
        max_num_batched_tokens=values["max_num_batched_tokens"] or defaults.max_num_batched_tokens,
        kv_cache_memory_bytes=values["kv_cache_memory_bytes"],
        activation_bytes=values["activation_bytes"],
        non_torch_bytes=values["non_torch_bytes"],
        cuda_graph_bytes=values["cuda_graph_bytes"],
    )


def _accelerator(gpu: Accelerator | str | None, memory_bytes: int | None) -> Accelerator:
    if gpu is None or gpu == "custom":
        if memory_bytes is None:
            raise InvalidValueError("gpu is missing: name a GPU preset such as a100-80gb-sxm, or give gpu_memory_bytes")
        return custom_accelerator(memory_bytes)
    accelerator = load_gpu(gpu)
    if memory_bytes is None:
        return accelerator
    return replace(accelerator, memory_bytes=memory_bytes, memory_source="given by hand", memory_verified=True)
