"""One GPU of each pipeline stage: its memory line by line, and what its KV pool holds."""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

from calculator.architecture.model import LayerGroup
from calculator.engines.base import Engine
from calculator.engines.overheads import Overhead
from calculator.engines.pools import Geometry


class Memory(NamedTuple):
    """Memory line by line, of the scope that its owner names: one GPU, a replica or all GPUs [bytes].

    Attributes
    ----------
    total_bytes : int
        What programs see of the devices.
    requested_bytes : int
        What the engine may use of that.
    weights_bytes : int
        What the weights take.
    kv_pool_bytes : int
        What is left for the KV cache, before rounding to blocks; 0 where nothing is left; a pool given outright as it
        was given, whether the device holds it or not.
    overheads : tuple of Overhead
        What is taken besides, each line with its range.
    """

    total_bytes: int
    requested_bytes: int
    weights_bytes: int
    kv_pool_bytes: int
    overheads: tuple[Overhead, ...]

    @property
    def lines(self) -> dict[str, Overhead]:
        """What is taken besides weights and KV cache, by the key of its line."""
        return {line.line.key: line for line in self.overheads}

    @property
    def activation_bytes(self) -> int:
        """The peak of activations [bytes]."""
        return self._given_by("activation_bytes")

    @property
    def non_torch_bytes(self) -> int:
        """What is held outside the engine's allocator [bytes]."""
        return self._given_by("non_torch_bytes")

    @property
    def cuda_graph_bytes(self) -> int:
        """The pool of CUDA graphs [bytes]."""
        return self._given_by("cuda_graph_bytes")

    @property
    def draft_bytes(self) -> int:
        """The weights of a drafter [bytes]."""
        return self._of_line("draft")

    @property
    def lora_bytes(self) -> int:
        """The buffers of adapters [bytes]."""
        return self._of_line("lora")

    @property
    def other_memory_bytes(self) -> int:
        """What other processes hold [bytes]."""
        return self._given_by("other_memory_bytes")

    def _given_by(self, keyword: str) -> int:
        """The lines in whose place a keyword of ``plan`` stands [bytes]."""
        return sum(line.bytes for line in self.overheads if line.line.keyword == keyword)

    def _of_line(self, key: str) -> int:
        """One line, 0 where it is not there [bytes]."""
        return sum(line.bytes for line in self.overheads if line.line.key == key)

    @property
    def in_slack_bytes(self) -> int:
        """How much of the overheads the engine takes from what it leaves free, not from its budget [bytes]."""
        return sum(line.bytes for line in self.overheads if line.in_slack)

    @property
    def before_kv_bytes(self) -> int:
        """What is taken from the budget before the KV cache [bytes]."""
        return self.weights_bytes + sum(line.bytes for line in self.overheads if not line.in_slack)

    @property
    def unused_bytes(self) -> int:
        """What all lines leave of the device; negative where they exceed it [bytes]."""
        return self.total_bytes - self.before_kv_bytes - self.kv_pool_bytes - self.in_slack_bytes

    def times(self, ranks: int) -> Memory:
        """Return the memory of so many times as many GPUs."""
        lines = tuple(line.times(ranks) for line in self.overheads)
        return Memory(
            ranks * self.total_bytes,
            ranks * self.requested_bytes,
            ranks * self.weights_bytes,
            ranks * self.kv_pool_bytes,
            lines,
        )

    def plus(self, other: Memory) -> Memory:
        """Return the memory of both; a line that both have is one."""
        lines = self.lines
        for key, line in other.lines.items():
            lines[key] = lines[key].plus(line) if key in lines else line
        return Memory(
            self.total_bytes + other.total_bytes,
            self.requested_bytes + other.requested_bytes,
            self.weights_bytes + other.weights_bytes,
            self.kv_pool_bytes + other.kv_pool_bytes,
            tuple(lines.values()),
        )

    def as_dict(self) -> dict[str, int]:
        """Return the lines under the documented JSON keys."""
        return {name: getattr(self, name) for name in _MEMORY_KEYS}


_MEMORY_KEYS = (
    "total_bytes", "requested_bytes", "weights_bytes", "activation_bytes", "non_torch_bytes", "cuda_graph_bytes",
    "draft_bytes", "lora_bytes", "other_memory_bytes", "kv_pool_bytes",
)  # fmt: skip


class Budget(NamedTuple):
    """What an engine may use of one GPU, and what of that is its KV pool.

    Attributes
    ----------
    rules : Engine
        The engine's rules.
    fraction : float
        The fraction that it takes [-].
    total_bytes, weights_bytes : int
        What programs see of the device, and what the weights take [bytes].
    given_bytes : int or None
        The pool, where it is given outright [bytes].
    """

    rules: Engine
    fraction: float
    total_bytes: int
    weights_bytes: int
    given_bytes: int | None

    def __hash__(self) -> int:
        """Stand as a key by the numbers alone: rules hold tables, which have no hash."""
        return hash(self[1:])

    def requested_bytes(self, taken: int) -> int:
        """Return what the engine may use where overheads take so much of it [bytes]."""
        return self.rules.requested_bytes(self.total_bytes, self.fraction, self.weights_bytes, taken)

    def pool_bytes(self, taken: int) -> int:
        """Return the KV pool where overheads take so much [bytes]."""
        if self.given_bytes is not None:
            return self.given_bytes
        return max(0, self.requested_bytes(taken) - self.weights_bytes - taken)


class Stage(NamedTuple):
    """One GPU of one pipeline stage: its memory, how the engine cuts its KV pool, and what the device lacks for it.

    ``drafted`` are the layers of a drafter, whose caches stand beside those of ``layers``; ``hosted_bytes`` [bytes] the
    weights that the host holds in place of the GPU.
    """

    layers: tuple[LayerGroup, ...]
    memory: Memory
    geometry: Geometry
    budget: Budget
    num_blocks: int
    missing_bytes: int
    drafted: tuple[LayerGroup, ...] = ()
    hosted_bytes: int = 0

    @property
    def overheads(self) -> tuple[Overhead, ...]:
        """What is taken besides weights and KV cache."""
        return self.memory.overheads

    @property
    def kv_pool_bytes_low(self) -> int:
        """The KV pool at the low end of its range [bytes]."""
        lines = [line for line in self.overheads if not line.in_slack]
        more = isqrt(sum([(line.high - line.bytes) ** 2 for line in lines]))
        return self.budget.pool_bytes(sum([line.bytes for line in lines]) + more)

    @property
    def kv_pool_bytes_high(self) -> int:
        """The KV pool at the high end of its range [bytes]."""
        lines = [line for line in self.overheads if not line.in_slack]
        less = isqrt(sum([(line.bytes - line.low) ** 2 for line in lines]))
        return self.budget.pool_bytes(sum([line.bytes for line in lines]) - less)

    @property
    def exceeds(self) -> bool:
        """Whether the device cannot hold all at once."""
        return self.missing_bytes > 0

    @property
    def usable_bytes(self) -> int:
        """Bytes of the pool, 0 where memory is exceeded [bytes]."""
        return 0 if self.exceeds else self.memory.kv_pool_bytes

    @property
    def usable_range(self) -> tuple[int, int]:
        """The same at either end of the range [bytes]."""
        return self.usable_at(0), self.usable_at(1)

    def usable_at(self, end: int) -> int:
        """Return the same at the low (0) or the high end (1) of the range [bytes]."""
        if self.exceeds:
            return 0
        return self.kv_pool_bytes_high if end else self.kv_pool_bytes_low


def distinct(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Return each stage once, where equal ones are one object, first to last."""
    if len(stages) == 1:
        return stages
    return tuple(dict(zip(map(id, stages), stages, strict=True)).values())


def tightest(stages: tuple[Stage, ...], seq_len: int) -> Stage:
    """Return the stage whose pools hold the fewest sequences of a length: blocks of unlike pools do not compare."""
    if len(several := distinct(stages)) == 1:
        return stages[0]
    return min(
        several,
        key=lambda stage: (
            stage.geometry.concurrency(stage.memory.kv_pool_bytes, seq_len),
            -stage.memory.weights_bytes,
        ),
    )
