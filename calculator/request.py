"""What is asked of a plan: every input, checked, defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.split import Split
from calculator.formats.kv import StorageFormat, storage_format
from calculator.hardware import MAX_BYTES
from calculator.reading.schema import Schema, count, flag, number, optional, text

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
    "engine_version": optional(text(60)),
    "async_scheduling": optional(flag()),
    "enable_prefix_caching": optional(flag()),
    "disable_hybrid_kv_cache_manager": flag(),
    "swa_full": flag(),
    "enable_attention_dp": flag(),
    "decode_context_parallel_size": count(65_536),
    "enforce_eager": flag(),
    "language_model_only": flag(),
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
    "disable_hybrid_kv_cache_manager": False,
    "swa_full": False,
    "enable_attention_dp": False,
    "decode_context_parallel_size": 1,
    "enforce_eager": False,
    "language_model_only": False,
}
FLAGS = tuple(name for name, field in PLAN_FIELDS.items() if field in (flag(), optional(flag())))
_SCHEMA = Schema(PLAN_FIELDS)


class Cutting(NamedTuple):
    """All of a request that bears on how an engine cuts its KV memory, under the names of ``Request``.

    An engine is shown nothing else, and what is remembered of a model is found by all of it.
    """

    kv_cache_dtype: str
    split: Split
    pipeline_parallel_size: int
    decode_context_parallel_size: int
    async_scheduling: bool | None
    enable_prefix_caching: bool | None
    disable_hybrid_kv_cache_manager: bool
    swa_full: bool
    block_size: int
    max_num_batched_tokens: int
    encoder_seq_len: int | None

    @property
    def storage(self) -> StorageFormat:
        """The storage format of the cache."""
        return storage_format(self.kv_cache_dtype)


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
    engine_version: str
    async_scheduling: bool | None
    enable_prefix_caching: bool | None
    disable_hybrid_kv_cache_manager: bool
    swa_full: bool
    enable_attention_dp: bool
    decode_context_parallel_size: int
    enforce_eager: bool
    language_model_only: bool
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_cache_memory_bytes: int | None
    activation_bytes: int | None
    non_torch_bytes: int | None
    cuda_graph_bytes: int | None

    @property
    def storage(self) -> StorageFormat:
        """The storage format of the cache."""
        return storage_format(self.kv_cache_dtype)

    @property
    def split(self) -> Split:
        """How the ranks of a replica share heads, tokens and sequences."""
        return Split(self.tensor_parallel_size, self.decode_context_parallel_size, self.enable_attention_dp)

    @property
    def cutting(self) -> Cutting:
        """All of it that bears on how the engine cuts its KV memory."""
        return Cutting._make(_CUTTING(self))

    @property
    def attention_replicas(self) -> int:
        """Ranks of a replica that each serve sequences of their own [-]."""
        return self.split.replicas

    @property
    def expert_parallel_size(self) -> int:
        """Ranks that share the experts as wholes: TP × DP with expert parallelism, else 1 [-]."""
        return self.tensor_parallel_size * self.data_parallel_size if self.enable_expert_parallel else 1


_CUTTING = attrgetter(*Cutting._fields)
