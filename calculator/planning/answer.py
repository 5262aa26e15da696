"""The answer to a request: what fits, of one GPU, a replica and all GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, reduce
from typing import Any

from calculator.architecture.caches import State
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import kv_heads_per_rank, kv_replication
from calculator.architecture.sums import Layout, caches_of, kv_bytes_of_sequence, kv_bytes_on_rank
from calculator.engines.base import Engine
from calculator.engines.beside.refusals import Refusal
from calculator.hardware import Accelerator
from calculator.planning import SCHEMA_VERSION as SCHEMA_VERSION
from calculator.planning.drafts import served
from calculator.planning.memory import batch_range, longest_asked
from calculator.planning.stage import Memory, Stage, distinct, tightest
from calculator.reading.html import table
from calculator.request import Request
from calculator.request.calibration import Calibration
from calculator.units import format_gib

MOST_NAMED = 3
"""Overheads that a plan's own text names, the largest first [-]."""


@dataclass(frozen=True, repr=False)
class Plan:
    """The answer: what fits, where the memory goes, and why.

    Attributes
    ----------
    model, accelerator, rules, request : ModelArchitecture, Accelerator, Engine, Request
        What was asked, defaults filled in, and the engine's rules.
    asked : dict
        The inputs as given, without defaults; ``capacity.vary`` starts from them.
    stages : tuple of Stage
        One GPU of each pipeline stage.
    stage : Stage
        The stage that decides: the one that exceeds its device most, else the one that holds the fewest sequences.
    fits : bool
        Whether ``batch_size`` sequences of ``seq_len`` tokens fit on one replica, and all else beside them.
    max_batch_size : int
        Sequences of ``seq_len`` tokens that one replica holds [-].
    num_blocks : int
        Blocks of the cache of one replica, of one GPU with attention data parallelism [-].
    refusals : tuple of Refusal
        What the engine does not start with, its own defaults among it.
    calibration : Calibration or None
        The machine as a log of it had it, where the plan goes by one.
    """

    model: ModelArchitecture
    accelerator: Accelerator
    rules: Engine
    request: Request
    asked: Mapping[str, Any]
    stages: tuple[Stage, ...]
    stage: Stage
    fits: bool
    max_batch_size: int
    num_blocks: int
    refusals: tuple[Refusal, ...] = ()
    calibration: Calibration | None = None

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Why the engine does not start with what was asked, though memory may hold it."""
        return tuple(refusal for refusal in self.refusals if not refusal.by_default)

    @cached_property
    def starts(self) -> bool:
        """Whether the engine starts with what was asked; what it does not start with does not fit.

        A ``max_num_seqs`` that was not given is the one that ``serve_command`` writes.
        """
        if self.refused or self.stage.exceeds:
            return False
        if self.max_batch_size or (self.rules.starts_short and self.kv_pool_bytes):
            return True
        printed = self.reported_max_context_len
        return printed is not None and self.request.seq_len <= printed

    @cached_property
    def _batch_range(self) -> tuple[int, int]:
        low, high = batch_range(self.stages, self.request.seq_len, self.request)
        return low * self.request.attention_replicas, high * self.request.attention_replicas

    @property
    def max_batch_size_low(self) -> int:
        """The fewest sequences that one replica holds over the range of its pools [-]."""
        return self._batch_range[0]

    @property
    def max_batch_size_high(self) -> int:
        """The most sequences that one replica holds over the range of its pools [-]."""
        return self._batch_range[1]

    @property
    def range_cause(self) -> str:
        """The overhead that makes most of the range, in words; empty where there is none."""
        low, high = self.stage.usable_range
        return "" if low == high else max(self.stage.overheads, key=lambda line: line.spread).line.cause

    @cached_property
    def max_context_len(self) -> int:
        """Tokens of the longest sequence, ``batch_size`` of them on one replica, by memory alone [tokens]."""
        follows = self.rules.follows_length and "max_num_batched_tokens" not in self.asked
        return longest_asked(
            self.model, self.accelerator, self.rules, self.request, self.stages, follows, self.calibration
        )

    @cached_property
    def kv_bytes_per_sequence(self) -> int:
        """KV cache of one sequence, summed over the GPUs of a replica, copies included [bytes]."""
        return kv_bytes_of_sequence(self.model.groups, self.request.seq_len, self._layout)

    @property
    def _layout(self) -> Layout:
        return Layout(self.request.storage, self.request.split, self.request.encoder_seq_len or 0)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know: assumptions, warnings, and why it does not fit."""
        from calculator.planning.said.notes import notes_on

        return tuple(notes_on(self))

    @cached_property
    def tightest(self) -> Stage:
        """The stage whose pools hold the fewest sequences, whether the device holds them or not; blocks are its own."""
        return tightest(self.stages, self.request.seq_len)

    @property
    def weights_from(self) -> str:
        """Where the bytes of the weights come from.

        ``given``: your own value; ``headers``, ``index``: read from the checkpoint's files; ``config``: its
        quantisation, module by module; ``format``: one format for all linear layers.
        """
        if self.request.checkpoint_bytes is not None:
            return "given"
        return self.model.weights_from if self.model.is_as_stored(self.request.weight_dtype) else "format"

    @property
    def per_gpu(self) -> Memory:
        """Memory of one GPU; with pipeline stages, of the one that decides."""
        return self.stage.memory

    @cached_property
    def per_replica(self) -> Memory:
        """Memory of one replica: all GPUs of all its stages."""
        times = Counter(map(id, self.stages))
        one = reduce(Memory.plus, (stage.memory.times(times[id(stage)]) for stage in distinct(self.stages)))
        return one.times(self.request.tensor_parallel_size)

    @cached_property
    def all_gpus(self) -> Memory:
        """Memory of all replicas."""
        return self.per_replica.times(self.request.data_parallel_size)

    @property
    def kv_pool_bytes(self) -> int:
        """KV pool of one GPU, before rounding to blocks [bytes]."""
        return self.per_gpu.kv_pool_bytes

    @property
    def kv_pool_bytes_low(self) -> int:
        """The same at the low end of its range [bytes]."""
        return self.stage.kv_pool_bytes_low

    @property
    def kv_pool_bytes_high(self) -> int:
        """The same at the high end of its range [bytes]."""
        return self.stage.kv_pool_bytes_high

    @property
    def kv_pool_tokens(self) -> int:
        """Tokens that the pools of one replica hold, in sequences of ``seq_len`` where windows or states share them."""
        if self.tightest.geometry.is_plain:
            request = self.request
            share = request.decode_context_parallel_size * request.attention_replicas
            return self.num_blocks * self.request.block_size * share
        return int(self.max_concurrency * self.request.seq_len)

    @property
    def reported_kv_tokens(self) -> int:
        """The token count that the engine's log shows [tokens]."""
        counted = self.tightest
        return self.rules.reported_tokens(counted.geometry, counted.memory.kv_pool_bytes, self.request)

    @cached_property
    def reported_max_context_len(self) -> int | None:
        """The longest sequence by the engine's own start-up check, None where it names none [tokens].

        It is of one sequence, whatever ``batch_size``; vLLM prints it as "the estimated maximum model length" where
        ``seq_len`` is longer.
        """
        return self.rules.reported_longest(
            served(self.model, self.request.speculative_config), self.request, distinct(self.stages)
        )

    @property
    def max_concurrency(self) -> float:
        """Sequences of ``seq_len`` tokens on one replica, unrounded, as vLLM prints it [-]."""
        counted = self.tightest
        concurrency = counted.geometry.concurrency(counted.memory.kv_pool_bytes, self.request.seq_len)
        return concurrency * self.request.attention_replicas

    @property
    def allocated_bytes_per_sequence(self) -> int:
        """What one sequence takes on one GPU of the stage that decides, as the engine allocates it [bytes]."""
        return self.stage.geometry.bytes_of(self.request.seq_len)

    @property
    def state_bytes_per_sequence(self) -> int:
        """Recurrent state of one sequence on one rank that serves it, over all stages [bytes]."""
        return self._states(self.model.groups)

    def _states(self, layers: tuple[LayerGroup, ...]) -> int:
        """Return the states of some layers as the engine keeps them, one a layer [bytes]."""
        request = self.request
        kept = caches_of(self.rules.as_kept(self.model, layers), request.storage, request.split)
        states = ((cached.layers, cached.cache) for cached in kept)
        return sum(n * self.rules.state_bytes(state, request) for n, state in states if isinstance(state, State))

    @property
    def kv_bytes_per_gpu(self) -> int:
        """KV cache of one sequence on one GPU of the stage that decides, before rounding to blocks [bytes]."""
        return kv_bytes_on_rank(self.stage.layers, self.request.seq_len, self._layout)

    @property
    def state_bytes_per_gpu(self) -> int:
        """Recurrent state of one sequence on one GPU of the stage that decides [bytes]."""
        return self._states(self.stage.layers)

    @property
    def kv_heads_per_gpu(self) -> int:
        """KV heads of a layer that one GPU holds [-]."""
        heads = self.model.num_key_value_heads
        return kv_heads_per_rank(heads, self.request.split.kv_head_ranks) if heads else 0

    @property
    def kv_replication(self) -> int:
        """GPUs of a replica that hold a copy of the same KV head [-]."""
        heads = self.model.num_key_value_heads
        return kv_replication(heads, self.request.split.kv_head_ranks) if heads else 1

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
            "starts": self.starts,
            "max_batch_size": self.max_batch_size,
            "max_batch_size_low": self.max_batch_size_low,
            "max_batch_size_high": self.max_batch_size_high,
            "range_cause": self.range_cause,
            "max_context_len": self.max_context_len,
            "reported_max_context_len": self.reported_max_context_len,
            "num_blocks": self.num_blocks,
            "block_size": self.request.block_size,
            "kv_pool_tokens": self.kv_pool_tokens,
            "kv_pool_bytes": self.kv_pool_bytes,
            "kv_pool_bytes_low": self.kv_pool_bytes_low,
            "kv_pool_bytes_high": self.kv_pool_bytes_high,
            "reported_kv_tokens": self.reported_kv_tokens,
            "max_concurrency": self.max_concurrency,
            "kv_heads_per_gpu": self.kv_heads_per_gpu,
            "kv_replication": self.kv_replication,
            "kv_bytes_per_sequence": self.kv_bytes_per_sequence,
            "allocated_bytes_per_sequence": self.allocated_bytes_per_sequence,
            "state_bytes_per_sequence": self.state_bytes_per_sequence,
            "num_gpus": self.num_gpus,
            "gpus_per_replica": self.gpus_per_replica,
            "total_max_batch_size": self.total_max_batch_size,
            "price_usd_per_hour": self.price_usd_per_hour,
            "price_usd_per_sequence_hour": self.price_usd_per_sequence_hour,
            "price_date": self.accelerator.price_date or None,
            "weights_from": self.weights_from,
            "per_gpu": self.per_gpu.as_dict(),
            "per_replica": self.per_replica.as_dict(),
            "all_gpus": self.all_gpus.as_dict(),
            "overheads": [line.as_dict() for line in self.stage.overheads],
            "request": asdict(self.request),
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        """The answer in ten lines."""
        return "\n".join([f"Plan: {self._title}", *(f"  {name}: {value}" for name, value in self._rows(False))])

    def _repr_html_(self) -> str:
        return table(self._title, [*self._rows(True), *(("Note", note) for note in self.notes)])

    @property
    def _title(self) -> str:
        return f"{self.model.name} on {self.num_gpus} × {self.accelerator.name}"

    def _rows(self, each_overhead: bool) -> list[tuple[str, str]]:
        request, memory = self.request, self.per_gpu
        overheads = [(f"{line.name}, one GPU", format_gib(line.bytes)) for line in self.stage.overheads]
        total = sum(line.bytes for line in self.stage.overheads)
        largest = [line.name for line in sorted(self.stage.overheads, key=lambda line: -line.bytes)]
        named = [*largest[:MOST_NAMED], *(["…"] if len(largest) > MOST_NAMED else [])]
        of = f" ({', '.join(named)})" if overheads else ""
        price = self.price_usd_per_hour
        return [
            ("Verdict", "fits" if self.fits else "does not fit"),
            (f"Sequences of {request.seq_len:,} tokens, one replica", f"{self.max_batch_size:,}"),
            ("Range", f"{self.max_batch_size_low:,} to {self.max_batch_size_high:,}"),
            ("KV cache of one sequence, one replica", format_gib(self.kv_bytes_per_sequence)),
            ("Weights, one GPU", format_gib(memory.weights_bytes)),
            *(overheads if each_overhead else [("Overheads, one GPU", f"{format_gib(total)}{of}")]),
            ("KV pool, one GPU", format_gib(memory.kv_pool_bytes)),
            ("Budget, one GPU", f"{format_gib(memory.requested_bytes)} of {format_gib(memory.total_bytes)}"),
            ("All GPUs", f"${price[0]:,.2f} to ${price[1]:,.2f} an hour" if price else "no price known"),
        ]
