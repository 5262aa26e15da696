"""What is asked of a plan: every input, checked, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from calculator.accelerator import CUSTOM, MAX_BYTES, Accelerator, custom_accelerator
from calculator.engines import engine_rules
from calculator.engines.rules import Engine
from calculator.errors import InvalidValueError
from calculator.kv_cache import encoder_tokens
from calculator.model import MAX_TOKENS, MOST_RANKS, ModelArchitecture
from calculator.parallelism import Split, not_possible
from calculator.pools import Cutting
from calculator.presets import load_gpu, named
from calculator.schema import Schema, count, flag, number, optional, text
from calculator.storage import StorageFormat, storage_format
from calculator.weights import weight_format, why_width_not

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


def resolve(model: ModelArchitecture, asked: Mapping[str, Any]) -> tuple[Accelerator, Engine, Request]:
    """Check every input and fill in the defaults, those of the engine at its version."""
    values = {**PLAN_DEFAULTS, **{name: value for name, value in asked.items() if name not in ("model", "gpu")}}
    values = _SCHEMA.validate(values)
    gpu, accelerator = _accelerator(asked.get("gpu"), values["gpu_memory_bytes"])
    rules = engine_rules(values["engine"], values["engine_version"])
    check_degree(model, values)
    rules.check(model, values)
    seq_len = values["seq_len"] or model.max_position_embeddings
    tokens, sequences = rules.batch_defaults(accelerator, seq_len)
    kv_dtype = storage_format(model.resolve_kv_dtype(values["kv_cache_dtype"]))
    values["max_num_batched_tokens"] = values["max_num_batched_tokens"] or tokens
    fraction = values["gpu_memory_utilization"] or rules.default_fraction(model, accelerator, values)
    split = Split(values["tensor_parallel_size"], values["decode_context_parallel_size"], values["enable_attention_dp"])
    filled = {
        **values,
        "model": named(model),
        "gpu": gpu,
        "gpu_memory_bytes": accelerator.memory_bytes,
        "seq_len": seq_len,
        "weight_dtype": weight_format(model.resolve_weight_dtype(values["weight_dtype"])).name,
        "kv_cache_dtype": kv_dtype.name,
        "gpu_memory_utilization": fraction,
        "encoder_seq_len": encoder_tokens(model, values["encoder_seq_len"]) or None,
        "engine": rules.name,
        "engine_version": rules.version,
        "block_size": rules.default_block_size(model, kv_dtype, split, values["block_size"], values),
        "max_num_seqs": values["max_num_seqs"] or sequences,
    }
    return accelerator, rules, Request(**filled)


_BEARS_ON_DEGREES = ("enable_attention_dp", "enable_expert_parallel")


def why_degree_not(model: ModelArchitecture, values: Mapping[str, Any]) -> str | None:
    """Say why layers cannot be split over the tensor-parallel ranks asked for, or None where they can.

    Attention data parallelism leaves attention whole, expert parallelism experts; what is split must divide.
    """
    degree = values["tensor_parallel_size"]
    reason = None if values["enable_attention_dp"] else model.why_not(degree)
    return reason or why_width_not(model, degree, whole_experts=values["enable_expert_parallel"])


def legal_degrees(model: ModelArchitecture, values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return every tensor-parallel degree that layers can be split into under some options, ascending [-]."""
    return model.remember(_legal_degrees, *(bool(values[name]) for name in _BEARS_ON_DEGREES))


def _legal_degrees(model: ModelArchitecture, *options: bool) -> tuple[int, ...]:
    asked = dict(zip(_BEARS_ON_DEGREES, options, strict=True))
    tried = range(1, MOST_RANKS + 1) if asked["enable_attention_dp"] else model.tensor_parallel_degrees
    return tuple(degree for degree in tried if not why_degree_not(model, {**asked, "tensor_parallel_size": degree}))


def check_degree(model: ModelArchitecture, values: Mapping[str, Any]) -> None:
    """Raise ``ParallelismError`` with the legal degrees where layers cannot be split so."""
    reason = why_degree_not(model, values)
    if reason:
        raise not_possible(values["tensor_parallel_size"], reason, legal_degrees(model, values))


def _accelerator(gpu: Accelerator | str | None, memory_bytes: int | None) -> tuple[str, Accelerator]:
    """Return what a GPU is called, and the GPU with the memory that is given by hand."""
    if gpu is None or gpu == CUSTOM:
        if memory_bytes is None:
            raise InvalidValueError("gpu is missing: name a GPU preset such as a100-80gb-sxm, or give gpu_memory_bytes")
        return CUSTOM, custom_accelerator(memory_bytes)
    accelerator = load_gpu(gpu)
    if memory_bytes is None:
        return named(accelerator), accelerator
    given = replace(accelerator, memory_bytes=memory_bytes, memory_source="given by hand", memory_verified=True)
    return named(accelerator), given
