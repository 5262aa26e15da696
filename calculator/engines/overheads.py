"""What is taken besides weights and KV cache, as named lines: what engines share of them.

Weights and KV are exact; these lines are estimates, each with a central value and a range. Where
the figures come from, and how often the range held on public start-up logs, is in ``docs/accuracy.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from calculator.messages import Message, Unsaid, said, say
from calculator.units import GIB, gib_to_bytes

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.hardware import Accelerator

ACTIVATION_BYTES = 2
LARGE_GPU_BYTES = 70 * GIB
FULL_GRAPH_SIZES = 51
OWN_VALUE = say("overheads.own", "your own value")
LEAST_SPREAD = gib_to_bytes("0.1")
"""No estimate is said to be better than this."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of memory is of, the same in every engine that has it.

    Attributes
    ----------
    key : str
        Its key in ``plan.per_gpu.lines``.
    name, cause : str
        The line, and what makes a range where its own is the widest.
    keyword : str or None
        The keyword of ``plan`` that gives it, None where none does.
    """

    key: str
    name: str
    cause: str
    keyword: str | None = None


ACTIVATION = Line(
    "activation",
    say("overheads.activation", "Activations"),
    say("overheads.activation_cause", "activation memory"),
    "activation_bytes",
)
NON_TORCH = Line(
    "non_torch",
    say("overheads.non_torch", "Outside the allocator"),
    say("overheads.non_torch_cause", "memory outside the allocator"),
    "non_torch_bytes",
)
CUDA_GRAPH = Line(
    "cuda_graph",
    say("overheads.cuda_graph", "CUDA graphs"),
    say("overheads.cuda_graph_cause", "CUDA graphs"),
    "cuda_graph_bytes",
)


LINE_KEYS = frozenset({
    "activation", "non_torch", "cuda_graph", "other_memory", "left_out", "lora", "draft", "output_counts",
})  # fmt: skip
"""Every key that a line of any engine has."""


class Overhead(NamedTuple):
    """One line of memory that is neither weights nor KV cache.

    Attributes
    ----------
    line : Line
        What it is of.
    bytes, low, high : int
        The central estimate and the range that it is expected in [bytes].
    words : str or Unsaid
        Where its figure comes from, made or not yet made.
    in_slack : bool
        Whether it is taken from what the engine leaves free, and so takes nothing from the KV pool.
    given : bool
        Whether the user gave it.
    """

    line: Line
    bytes: int
    words: str | Unsaid
    low: int
    high: int
    in_slack: bool = False
    given: bool = False

    @property
    def name(self) -> str:
        """The line in words."""
        return self.line.name

    @property
    def source(self) -> str:
        """Where its figure comes from."""
        return said(self.words)

    @property
    def spread(self) -> int:
        """How far the KV pool can move with it [bytes]."""
        return 0 if self.in_slack else max(self.high - self.bytes, self.bytes - self.low)

    def times(self, ranks: int) -> Overhead:
        """Return the line over so many GPUs."""
        return self._replace(bytes=ranks * self.bytes, low=ranks * self.low, high=ranks * self.high)

    def plus(self, other: Overhead) -> Overhead:
        """Return the same line of two GPUs."""
        return self._replace(bytes=self.bytes + other.bytes, low=self.low + other.low, high=self.high + other.high)

    def as_dict(self) -> dict[str, Any]:
        """Return the line under the documented JSON keys."""
        names = ("name", "bytes", "source", "low", "high", "in_slack")
        return {name: getattr(self, name) for name in names}


def none(line: Line, source: str, in_slack: bool = False) -> Overhead:
    """Return a line that takes nothing; a value given in its place is taken from where the engine takes the line."""
    return Overhead(line, 0, source, 0, 0, in_slack)


def with_given(lines: tuple[Overhead, ...], given: Mapping[str, int]) -> tuple[Overhead, ...]:
    """Return lines with the user's values in place of estimates, each taken from where the engine takes the line.

    The value of a keyword is that of the first of its lines and holds what its other lines would take.
    """
    if not given:
        return lines
    kept: list[Overhead] = []
    done: set[str] = set()
    for line in lines:
        keyword = line.line.keyword
        value = given.get(keyword) if keyword else None
        if keyword is None or value is None:
            kept.append(line)
        elif keyword not in done:
            kept.append(line._replace(bytes=value, words=OWN_VALUE, low=value, high=value, given=True))
            done.add(keyword)
    return tuple(kept)


def estimate(
    line: Line, central: int, words: str | Unsaid, spread: tuple[float, float], in_slack: bool = False
) -> Overhead:
    """Return a line with its range as factors of the central value, at least ``LEAST_SPREAD`` to either side."""
    low = min(int(central * spread[0]), max(0, central - LEAST_SPREAD))
    return Overhead(line, central, words, low, max(int(central * spread[1]), central + LEAST_SPREAD), in_slack)


def logged(source: str, central: str, low: str, high: str) -> Overhead:
    """Return what is held outside the allocator as read off logs, in GiB as text."""
    return Overhead(NON_TORCH, gib_to_bytes(central), source, gib_to_bytes(low), gib_to_bytes(high))


_EAGER = tuple(
    none(CUDA_GRAPH, say("overheads.eager", "enforce_eager: none are captured"), in_slack) for in_slack in (False, True)
)


def graph_sizes(max_num_seqs: int) -> int:
    """Return how many batch sizes are captured: 1, 2, 4, steps of 8 to 256, of 16 to 512 [-].

    References
    ----------
    vLLM 0.33.0: sizes up to ``min(2 × max_num_seqs, 512)``.
    """
    largest = min(2 * max_num_seqs, 512)
    small = (largest >= 1) + (largest >= 2) + (largest >= 4)
    return small + min(largest, 248) // 8 + (largest - 240) // 16 * (largest >= 256)


def captured_graphs(
    accelerator: Accelerator, max_num_seqs: int, enforce_eager: bool = False, in_slack: bool = False
) -> Overhead:
    """Estimate the pool of CUDA graphs on one GPU [bytes].

    References
    ----------
    vLLM 0.19 on H100, 28 models: 0.51-1.85 GiB, mean 1.04; 0.2-0.8 GiB on cards of 24 to 96 GB;
    scaled with the number of captured sizes (logged 0.14 GiB at 64 sequences).
    """
    if enforce_eager:
        return _EAGER[in_slack]
    full = GIB if accelerator.memory_bytes >= LARGE_GPU_BYTES else GIB // 2
    return _captured(full, graph_sizes(max_num_seqs), in_slack)


@lru_cache(maxsize=256)
def _captured(full_bytes: int, captured: int, in_slack: bool) -> Overhead:
    """Return the line of so many captured sizes, of which there are no more than ``FULL_GRAPH_SIZES``."""
    source = say(
        "overheads.captured",
        "{captured} captured sizes; 1.0 GiB for {full} on large GPUs",
        captured=captured,
        full=FULL_GRAPH_SIZES,
    )
    source = _from_slack(source) if in_slack else source
    return estimate(CUDA_GRAPH, -(-full_bytes * captured // FULL_GRAPH_SIZES), source, (0.1, 1.9), in_slack)


def forward_activation(
    model: ModelArchitecture, tensor_parallel_size: int, max_num_batched_tokens: int, in_slack: bool = False
) -> Overhead:
    """Estimate the activations of one forward pass without a sampler's copies [bytes].

    Notes
    -----
    ``2 × T × H × d × c`` with c 11, 6.5, 5 and 5 on 1, 2, 4 and 8 ranks; twice that with experts.

    References
    ----------
    NVIDIA aiconfigurator 0.12.0, TensorRT-LLM backend.
    """
    tenths = {1: 110, 2: 65}.get(tensor_parallel_size, 50) * (2 if model.moe_intermediate_size else 1)
    peak = ACTIVATION_BYTES * max_num_batched_tokens * model.hidden_size * tenths // 10
    words = Unsaid(_of_a_pass, (max_num_batched_tokens, in_slack))
    return estimate(ACTIVATION, max(peak, 70 * 2**20), words, (0.5, 2.0), in_slack)


def _of_a_pass(tokens: int, in_slack: bool) -> Message:
    source = say("overheads.forward", "one forward pass of {tokens:,} tokens", tokens=tokens)
    return _from_slack(source) if in_slack else source


def _from_slack(source: Message) -> Message:
    return say("overheads.from_slack", "{source}; taken from what is kept free", source=source)


CONTEXT = (
    logged(say("overheads.context_alone", "0.23-0.56 GiB in use at start, logged on single GPUs"), "0.5", "0.2", "0.8"),
    logged(
        say("overheads.context_group", "1.18-2.61 GiB in use at start, logged in groups of GPUs"), "1.5", "0.8", "2.6"
    ),
)


def context(num_gpus: int) -> Overhead:
    """Estimate what is in use on a GPU before weights are loaded: the context, and channels to other GPUs [bytes].

    References
    ----------
    Total less free memory at start: 0.23-0.56 GiB on one GPU, 1.18-2.61 GiB in groups of GPUs.
    """
    return CONTEXT[num_gpus > 1]
