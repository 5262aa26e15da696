"""Figures of a claim that follow from a plan: what a GPU keeps, what fits, how fast."""

from __future__ import annotations

from typing import Any

from calculator.architecture.weights import weight_bytes_per_rank
from calculator.catalogue.presets import load_gpu, load_model
from calculator.planning.answer import Plan
from calculator.planning.heads.intensity import ridge_of
from calculator.planning.heads.model_figures import token_bytes
from calculator.planning.heads.uptraining import uptraining
from calculator.planning.heads.variants import preset_with
from calculator.planning.plan import plan as make_plan
from calculator.planning.traffic.timing.speed import speed
from calculator.planning.traffic.timing.work import work_of


def weights_bytes(model: str, weight_dtype: str = "bf16") -> int:
    """Weights of a whole model on one GPU [bytes]."""
    return sum(weight_bytes_per_rank(load_model(model), weight_dtype))


def _planned(model: str, gpu: str, kv_heads: int | str | None = None, **asked: Any) -> Plan:
    return make_plan(preset_with(model, kv_heads), gpu=gpu, **asked)


def largest_batch(model: str, gpu: str, kv_heads: int | str | None = None, **asked: Any) -> int:
    """Sequences that one replica holds [-]."""
    return _planned(model, gpu, kv_heads, **asked).max_batch_size


def naive_batch(model: str, gpu: str, kv_heads: int | str | None = None, **asked: Any) -> int:
    """All memory over the KV cache of one sequence, weights and everything else forgotten [-]."""
    found = _planned(model, gpu, kv_heads, **asked)
    return found.per_replica.total_bytes // found.kv_bytes_per_sequence


def cache_on_gpu(model: str, gpu: str, kv_heads: int | str | None = None, **asked: Any) -> int:
    """KV cache of one sequence on one GPU [bytes]."""
    return _planned(model, gpu, kv_heads, **asked).kv_bytes_per_gpu


def copies(model: str, gpu: str, kv_heads: int | str | None = None, **asked: Any) -> int:
    """GPUs that keep a copy of the same KV head [-]."""
    return _planned(model, gpu, kv_heads, **asked).kv_replication


def block_bytes(model: str, gpu: str, kv_heads: int | str | None = None, **asked: Any) -> int:
    """One block of the engine's on one GPU [bytes]."""
    return _planned(model, gpu, kv_heads, **asked).tightest.geometry.pools[0].block_bytes


def memory_of(gpu: str) -> int:
    """What a program sees of a device [bytes]."""
    return load_gpu(gpu).memory_bytes


def tokens_of_weights(model: str, kv_cache_dtype: str = "fp16", weight_dtype: str = "bf16") -> int:
    """Tokens whose KV cache takes as much as the weights [tokens]."""
    return -(-weights_bytes(model, weight_dtype) // token_bytes(model, kv_cache_dtype))


def _bytes_per_s(gpu: str, gpus: int) -> float:
    bandwidth = load_gpu(gpu).bandwidth_gb_per_s
    assert bandwidth is not None
    return bandwidth * 1e9 * gpus


def weights_s(model: str, gpu: str, gpus: int = 1, weight_dtype: str = "bf16") -> float:
    """All weights over the nameplate bandwidth of so many GPUs [s]."""
    return weights_bytes(model, weight_dtype) / _bytes_per_s(gpu, gpus)


def weights_read_s(model: str, gpu: str, gpus: int = 1, weight_dtype: str = "bf16") -> float:
    """The same of the weights that a step reads, all but the input embedding: no step is shorter [s]."""
    return work_of(load_model(model), weight_dtype).dense_bytes / _bytes_per_s(gpu, gpus)


def rate_of_step(batch_size: int, milliseconds: float) -> float:
    """Tokens a second of so many sequences that each gain one in so many milliseconds [1/s]."""
    return batch_size / (milliseconds / 1e3)


def _speed(batch_size: int | None, answer: Plan) -> Any:
    return speed(answer, batch_size or answer.max_batch_size, answer.request.seq_len, None)


def tokens_per_second(
    model: str, gpu: str, batch: int | str | None = None, kv_heads: int | str | None = None, **asked: Any
) -> float:
    """Tokens a second of a batch, or of the largest one, each sequence ``seq_len`` tokens long [1/s].

    ``all`` is the largest batch with a KV head for each query head.
    """
    if isinstance(batch, str):
        batch = largest_batch(model, gpu, batch, **asked)
    return float(_speed(batch, _planned(model, gpu, kv_heads, **asked)).output_tokens_per_second)


def seconds_per_token(
    model: str, gpu: str, batch: int | None = None, kv_heads: int | str | None = None, **asked: Any
) -> float:
    """Seconds a token of a batch, or of the largest one [s]."""
    return float(_speed(batch, _planned(model, gpu, kv_heads, **asked)).time_per_output_token_s)


def ridge(gpu: str) -> float:
    """FLOP per byte at which a device's 16 bit arithmetic is as slow as its memory [-]."""
    found = ridge_of(load_gpu(gpu))
    assert found is not None
    return found


def uptraining_tokens(model: str, kv_heads: int, share: float, training_tokens: int) -> int:
    """Tokens of a conversion [tokens]."""
    return uptraining(model, kv_heads, share, training_tokens).tokens
