"""The answer to a request: what fits, and memory line by line, of one GPU, a replica and all GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from calculator.accelerator import Accelerator
from calculator.html import table
from calculator.kv_cache import Layout, sequence_bytes, state_bytes_on_rank
from calculator.model import LayerGroup, ModelArchitecture
from calculator.overheads import Overhead
from calculator.parallelism import kv_heads_per_rank, kv_replication
from calculator.request import Request
from calculator.units import format_gib

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory line by line, of the scope that its owner names: one GPU, a replica or all GPUs [bytes].

    Attributes
    ----------
    total_bytes : int
        What programs see of the devices.
    requested_bytes : int
        What the engine may use of that: total × utilisation.
    weights_bytes, activation_bytes, non_torch_bytes, cuda_graph_bytes : int
        What is taken before the KV cache.
    kv_pool_bytes : int
        What is left for the KV cache, before rounding to blocks; 0 where nothing is left.
    """

    total_bytes: int
    requested_bytes: int
    weights_bytes: int
    activation_bytes: int
    non_torch_bytes: int
    cuda_graph_bytes: int
    kv_pool_bytes: int

    @property
    def before_kv_bytes(self) -> int:
        """What is taken before the KV cache [bytes]."""
        return self.weights_bytes + self.activation_bytes + self.non_torch_bytes + self.cuda_graph_bytes

    @property
    def unused_bytes(self) -> int:
        """What the lines leave: the share outside the utilisation; negative where they exceed it [bytes]."""
        return self.total_bytes - self.before_kv_bytes - self.kv_pool_bytes


@dataclass(frozen=True, slots=True)
class Stage:
    """One GPU of one pipeline stage: its memory and the blocks that its pool holds."""

    layers: tuple[LayerGroup, ...]
    layout: Layout
    memory: Memory
    overheads: tuple[Overhead, ...]
    block_bytes: int

    @property
    def num_blocks(self) -> int:
        """Whole blocks in the pool [-]."""
        return self.memory.kv_pool_bytes // self.block_bytes

    @property
    def usable_bytes(self) -> int:
        """Bytes of the pool, 0 where memory is exceeded [bytes]."""
        return self.memory.kv_pool_bytes if self.memory.unused_bytes >= 0 else 0


@dataclass(frozen=True)
class Plan:
    """The answer: what fits, where the memory goes, and why.

    Attributes
    ----------
    model, accelerator, request : ModelArchitecture, Accelerator, Request
        What was asked, defaults filled in.
    asked : dict
        The inputs as given, without defaults; ``capacity.vary`` starts from them.
    stages : tuple of Stage
        One GPU of each pipeline stage.
    fits : bool
        Whether ``batch_size`` sequences of ``seq_len`` tokens fit on one replica.
    max_batch_size : int
        Sequences of ``seq_len`` tokens that one replica holds [-].
    max_context_len : int
        Tokens of the longest sequence, ``batch_size`` of them on one replica, by memory alone [tokens].
    num_blocks : int
        Blocks of the cache of one replica; every GPU of it holds its part of each [-].
    kv_bytes_per_sequence : int
        KV cache of one sequence, summed over the GPUs of a replica, copies included [bytes].
    notes : tuple of str
        What the reader should know: assumptions, warnings, and why it does not fit.
    """

    model: ModelArchitecture
    accelerator: Accelerator
    request: Request
    asked: Mapping[str, Any]
    stages: tuple[Stage, ...]
    fits: bool
    max_batch_size: int
    max_context_len: int
    num_blocks: int
    kv_bytes_per_sequence: int
    notes: tuple[str, ...]

    @cached_property
    def stage(self) -> Stage:
        """The stage that decides: the one whose pool holds the fewest blocks."""
        return min(self.stages, key=lambda stage: (stage.num_blocks, -stage.memory.weights_bytes))

    @property
    def per_gpu(self) -> Memory:
        """Memory of one GPU; with pipeline stages, of the one that decides."""
        return self.stage.memory

    @cached_property
    def per_replica(self) -> Memory:
        """Memory of one replica: all GPUs of all its stages."""
        parts = [asdict(stage.memory) for stage in self.stages]
        ranks = self.request.tensor_parallel_size
        return Memory(**{name: ranks * sum(part[name] for part in parts) for name in parts[0]})

    @cached_property
    def all_gpus(self) -> Memory:
        """Memory of all replicas."""
        replicas = self.request.data_parallel_size
        return Memory(**{name: replicas * value for name, value in asdict(self.per_replica).items()})

    @property
    def kv_pool_bytes(self) -> int:
        """KV pool of one GPU, before rounding to blocks [bytes]."""
        return self.per_gpu.kv_pool_bytes

    @property
    def kv_pool_tokens(self) -> int:
        """Tokens that the blocks of one replica hold [tokens]."""
        return self.num_blocks * self.request.block_size

    @property
    def max_concurrency(self) -> float:
        """Sequences of ``seq_len`` tokens on one replica, unrounded, as vLLM prints it [-]."""
        stage = self.stage
        one = sequence_bytes(stage.layers, self.request.seq_len, stage.layout)
        return self.num_blocks * stage.block_bytes / (one or 1)

    @property
    def state_bytes_per_sequence(self) -> int:
        """Recurrent state of one sequence on one rank, over all stages [bytes]."""
        return state_bytes_on_rank(self.model.groups, self.request.tensor_parallel_size)

    @property
    def kv_heads_per_gpu(self) -> int:
        """KV heads of a layer that one GPU holds [-]."""
        heads = self.model.num_key_value_heads
        return kv_heads_per_rank(heads, self.request.tensor_parallel_size) if heads else 0

    @property
    def kv_replication(self) -> int:
        """GPUs of a replica that hold a copy of the same KV head [-]."""
        heads = self.model.num_key_value_heads
        return kv_replication(heads, self.request.tensor_parallel_size) if heads else 1

    @property
    def gpus_per_replica(self) -> int:
        """GPUs of one replica: TP × PP [-]."""
        return self.request.tensor_parallel_size * self.request.pipeline_parallel_size

    @property
    def num_gpus(self) -> int:
        """All GPUs: TP × PP × DP [-]."""
        return self.gpus_per_replica * self.request.data_parallel_size

    @property
    def total_max_batch_size(self) -> int:
        """Sequences of ``seq_len`` tokens that all replicas hold [-]."""
        return self.max_batch_size * self.request.data_parallel_size

    @property
    def price_usd_per_hour(self) -> tuple[float, float] | None:
        """Lowest and highest price seen for all GPUs [USD per hour], None where none is known."""
        price = self.accelerator.price_usd_per_hour
        return (price[0] * self.num_gpus, price[1] * self.num_gpus) if price else None

    @property
    def price_usd_per_sequence_hour(self) -> tuple[float, float] | None:
        """The same for each sequence that fits [USD per sequence and hour]."""
        price = self.price_usd_per_hour
        if not price or not self.total_max_batch_size:
            return None
        return price[0] / self.total_max_batch_size, price[1] / self.total_max_batch_size

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys."""
        return {
            "schema_version": SCHEMA_VERSION,
            "fits": self.fits,
            "max_batch_size": self.max_batch_size,
            "max_context_len": self.max_context_len,
            "num_blocks": self.num_blocks,
            "block_size": self.request.block_size,
            "kv_pool_tokens": self.kv_pool_tokens,
            "kv_pool_bytes": self.kv_pool_bytes,
            "max_concurrency": self.max_concurrency,
            "kv_heads_per_gpu": self.kv_heads_per_gpu,
            "kv_replication": self.kv_replication,
            "kv_bytes_per_sequence": self.kv_bytes_per_sequence,
            "state_bytes_per_sequence": self.state_bytes_per_sequence,
            "num_gpus": self.num_gpus,
            "gpus_per_replica": self.gpus_per_replica,
            "total_max_batch_size": self.total_max_batch_size,
            "price_usd_per_hour": self.price_usd_per_hour,
            "price_usd_per_sequence_hour": self.price_usd_per_sequence_hour,
            "price_date": self.accelerator.price_date or None,
            "per_gpu": asdict(self.per_gpu),
            "per_replica": asdict(self.per_replica),
            "all_gpus": asdict(self.all_gpus),
            "request": asdict(self.request),
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        request, memory = self.request, self.per_gpu
        rows = [
            ("Verdict", "fits" if self.fits else "does not fit"),
            (f"Sequences of {request.seq_len:,} tokens, one replica", f"{self.max_batch_size:,}"),
            ("KV cache of one sequence, one replica", format_gib(self.kv_bytes_per_sequence)),
            ("Weights, one GPU", format_gib(memory.weights_bytes)),
            *((f"{line.name}, one GPU", format_gib(line.bytes)) for line in self.stage.overheads),
            ("KV pool, one GPU", format_gib(memory.kv_pool_bytes)),
            ("Budget, one GPU", f"{format_gib(memory.requested_bytes)} of {format_gib(memory.total_bytes)}"),
            *(("Note", note) for note in self.notes),
        ]
        return table(f"{self.model.name} on {self.num_gpus} × {self.accelerator.name}", rows)
