"""TensorRT-LLM: a fraction of what is free after loading, and a forward pass in PyTorch; one pool a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import Chunk, EveryToken, LatentVectors, TokenRows, Window
from calculator.architecture.counts import Count, smaller
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split
from calculator.engines.base import Admission, Change, DeviceDefaults, Engine
from calculator.engines.overheads import CUDA_GRAPH, forward_activation, none
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.tensorrt_llm.built import OUTSIDE, engine_memory
from calculator.engines.tensorrt_llm.overheads import non_torch
from calculator.errors import InvalidValueError
from calculator.messages import say
from calculator.request import Cutting

if TYPE_CHECKING:
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.request import Request


@dataclass(frozen=True, slots=True)
class PoolPerWindow(Geometry):
    """A pool for each window, sharing memory in the ratio of ``window × bytes a token``.

    Attributes
    ----------
    windows : tuple of int
        The window of each pool [tokens].
    """

    windows: tuple[int, ...] = ()

    def counts(self, pool_bytes: int, seq_len: Count) -> tuple[Any, ...]:
        """Return the blocks of each pool; no window is longer than the longest sequence [-]."""
        spans = [smaller(seq_len, window) for window in self.windows]
        whole: Any = 0 * seq_len
        for span, pool in zip(spans, self.pools, strict=True):
            whole = whole + span * pool.block_bytes
        return tuple(_share(pool_bytes, span, whole + (whole == 0)) for span in spans)


def _share(pool_bytes: int, part: Any, whole: Any) -> Any:
    """Return ``pool × part // whole``; in arrays the product may need more than their 64 bits."""
    if isinstance(part, int):
        return pool_bytes * part // whole
    return (pool_bytes * part.astype(object) // whole).astype(part.dtype)


def _all_tokens(cache: TokenRows) -> tuple[int, int]:
    return MAX_TOKENS, cache.bytes_per_token


def _window(cache: Window | Chunk) -> tuple[int, int]:
    return min(cache.window, MAX_TOKENS), cache.bytes_per_token


@dataclass(frozen=True)
class TensorRtLlm(Engine):
    """The rules of TensorRT-LLM.

    Attributes
    ----------
    fraction : float
        Default of ``free_gpu_memory_fraction`` [-].
    tokens_per_block : int
        Default tokens of a block [tokens].
    builds_engine : bool
        Whether it runs engines that were built before, not the PyTorch backend.
    """

    name: ClassVar[str] = "tensorrt-llm"
    title: ClassVar[str] = "TensorRT-LLM"
    oldest: ClassVar = (0, 11, 0)
    newest: ClassVar = (1, 3, 0)
    kv_cache_dtypes: ClassVar = ("fp16", "bf16", "fp8_e4m3", "nvfp4")
    weight_dtypes: ClassVar = ("fp8", "int8", "awq-int4", "gptq-int4", "nvfp4")
    only_here: ClassVar = ("enable_attention_dp",)
    claims: ClassVar = {EveryToken: _all_tokens, LatentVectors: _all_tokens, Window: _window, Chunk: _window}
    flags: ClassVar = {
        "model": "trtllm-serve",
        "seq_len": "--max_seq_len",
        "tensor_parallel_size": "--tp_size",
        "pipeline_parallel_size": "--pp_size",
        "gpu_memory_utilization": "--kv_cache_free_gpu_memory_fraction",
        "max_num_seqs": "--max_batch_size",
        "max_num_batched_tokens": "--max_num_tokens",
        "enable_expert_parallel": "--ep_size",
        "kv_cache_dtype": "--kv_cache_dtype",
    }
    changes: ClassVar = (
        Change(
            (0, 11, 0),
            {
                "fraction": 0.9,
                "tokens_per_block": 64,
                "builds_engine": True,
                "device_defaults": (DeviceDefaults(0, 8_192, 256),),
                "admission": Admission(whole_output=True),
            },
            "TensorRT-LLM, engines of trtllm-build: kvCacheManager.cpp calculateMaxNumBlocks (the fraction of free "
            "memory and of what is free in the pool of the runtime), docs/source/reference/memory.md; release notes "
            "of 0.11 (max_batch_size 256, max_num_tokens 8192)",
        ),
        Change(
            (0, 12, 0),
            {"device_defaults": (DeviceDefaults(0, 8_192, 2_048),)},
            "buffers of 2,048 sequences and blocks of 64 in a public log of November 2024 (TensorRT-LLM#1188)",
        ),
        Change((0, 20, 0), {"tokens_per_block": 32}, "blocks of 32 in a public log of June 2025 (TensorRT-LLM#5306)"),
        Change(
            (1, 0, 0),
            {"builds_engine": False},
            "TensorRT-LLM, PyTorch backend: _torch/pyexecutor/_util.py, resource_manager.py; "
            "kvCacheManager.cpp calculateWindowSizeToShare",
        ),
    )

    fraction: float = 0.0
    tokens_per_block: int = 0
    builds_engine: bool = False

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        fraction = values["gpu_memory_utilization"]
        if fraction is not None and fraction >= 1:
            raise InvalidValueError(
                say(
                    "rules.gpu_memory_utilization_must",
                    "gpu_memory_utilization must be less than 1 for TensorRT-LLM, not {fraction:g}",
                    fraction=fraction,
                ),
                what="gpu_memory_utilization",
                asked=fraction,
            )

    def default_block_size(
        self,
        model: ModelArchitecture,
        storage: StorageFormat,
        split: Split,
        asked: int | None,
        values: Mapping[str, Any],
    ) -> int:
        """Return the tokens of a block: a power of two above 1 [tokens]."""
        if asked and (asked < 2 or asked & (asked - 1)):
            nearest = min((2**power for power in range(1, 21)), key=lambda size: (abs(size - asked), size))
            raise InvalidValueError(
                say(
                    "rules.block_size_not_one",
                    "block_size {asked} is not one of TensorRT-LLM's: a power of two above 1; the nearest is {nearest}",
                    asked=asked,
                    nearest=nearest,
                ),
                what="block_size",
                asked=asked,
                nearest=nearest,
            )
        return asked or self.tokens_per_block

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return the default fraction of free memory [-]."""
        return self.fraction

    def overheads(
        self,
        model: ModelArchitecture,
        accelerator: Accelerator,
        request: Request,
        stage: int,
    ) -> tuple[Overhead, ...]:
        """Return activations, memory outside torch and graphs: all are in use when free memory is taken."""
        if self.builds_engine:
            graphs = none(CUDA_GRAPH, say("tensorrt.built_graphs", "none by default with a built engine"))
            return engine_memory(model, request), OUTSIDE, graphs
        return (
            forward_activation(model, request.tensor_parallel_size, request.max_num_batched_tokens),
            non_torch(request.tensor_parallel_size),
            none(CUDA_GRAPH, say("tensorrt.graphs", "captured within what was free during the forward pass")),
        )

    def requested_bytes(self, total_bytes: int, fraction: float, weights_bytes: int, overhead_bytes: int) -> int:
        """Return what is taken before and the fraction of what is then free, never more than there is [bytes].

        References
        ----------
        TensorRT-LLM, ``_torch/pyexecutor/_util.py`` ``_cal_max_memory``.
        """
        taken = min(total_bytes, weights_bytes + overhead_bytes)
        return taken + int((total_bytes - taken) * fraction)

    def geometry(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> Geometry:
        """Return a pool of blocks for each window."""
        size = request.block_size
        rows: dict[int, int] = {}
        for cached in self.caches_of_stage(model, layers, request.storage, request.split):
            window, row = self.claims[type(cached.cache)](cached.cache)
            rows[window] = rows.get(window, 0) + cached.layers * row
        windows = tuple(sorted(rows, reverse=True))
        pools = tuple(
            Pool(size * rows[window], (Claim(size, window, fixed=1 if window < MAX_TOKENS else 0),))
            for window in windows
        )
        if len(pools) < 2:
            return Geometry(pools or (Pool(1, ()),), size)
        return PoolPerWindow(pools, size, windows)

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the fraction is of."""
        if self.builds_engine:
            return say(
                "tensorrt.built_budget",
                "{fraction:g} of what is free once a built engine, its context and buffers are loaded",
                fraction=request.gpu_memory_utilization,
            )
        return say(
            "tensorrt.budget",
            "{fraction:g} of what is free after loading and a forward pass",
            fraction=request.gpu_memory_utilization,
        )
