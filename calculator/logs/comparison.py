"""A start-up log beside the plan of the set-up that it states: figure by figure, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from calculator.engines import engine_log
from calculator.engines.beside.logged import is_of_setup
from calculator.engines.log import Log, Taken
from calculator.engines.overheads import ACTIVATION, CUDA_GRAPH, LEAST_SPREAD, NON_TORCH, Line, Overhead
from calculator.engines.support import supports
from calculator.errors import CalculatorError
from calculator.logs.calibrating import of_start
from calculator.logs.questions import Question, ask_for_gpu
from calculator.logs.reading import StartupLog
from calculator.logs.setup import UNSTATED_MEMORY, is_elsewhere, kept_bytes
from calculator.messages import phrase, say, template
from calculator.planning.answer import Plan
from calculator.planning.plan import plan as make_plan
from calculator.planning.plan import vary
from calculator.request.calibration import Calibration
from calculator.units import GIB, gib_to_bytes

HALF_OF_THE_LAST_DIGIT = 0.005
"""What is lost of a figure that is printed to two places."""
TWO_PARTS = 2 * HALF_OF_THE_LAST_DIGIT
"""What is lost of a pool where keys and values are each printed to two places."""
SAME_TOKENS = 0.01
"""Predicted and reported tokens of a pool count as equal within this share."""
OF_THE_DEVICE = ("gpu", "gpu_memory_bytes", "non_torch_bytes")
SAME_SEQUENCES = 0.25
"""Sequences that a pool holds are those of other layers where they differ by more than this share."""


@dataclass(frozen=True)
class Term:
    """One figure: what is predicted, what the log shows.

    Attributes
    ----------
    key : str
        What it is, the same in every version.
    name, unit : str
        What it is in words, and in what.
    predicted, reported : float or int or None
        Either value; None where there is none.
    low, high : float or None
        The range of the prediction, where it has one.
    """

    key: str
    name: str
    unit: str
    predicted: float | None
    reported: float | None
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """Reported less predicted, None where one is missing."""
        if self.predicted is None or self.reported is None:
            return None
        return self.reported - self.predicted


@dataclass(frozen=True)
class Comparison:
    """A log and the plan of the same set-up.

    Attributes
    ----------
    log : StartupLog
        What was read.
    plan : Plan
        The plan of what the log states, in the weight format that its weights have.
    planned : Plan
        The plan before that format was taken.
    asked : dict
        Keywords of ``plan`` that the log states, and those that were given.
    assumed : tuple of str
        What the log does not state and was taken.
    """

    log: StartupLog
    plan: Plan
    planned: Plan
    asked: dict[str, Any]
    assumed: tuple[str, ...]

    @property
    def own(self) -> Log:
        """What the engine prints."""
        return engine_log(self.log.engine)

    @property
    def missing(self) -> tuple[Question, ...]:
        """What the log does not say and the comparison needs, what matters most first."""
        if not self.own.sizes_pool or is_elsewhere(self.log.flags):
            return ()
        if self.knows_device and ("gpu" in self.asked or self.in_range is not False):
            return ()  # memory alone does where the pool follows from it; rules by device may be what differs
        free = self.log.figures.get("free_at_start_gib", 0.0)
        if self.knows_device and not free:
            free = self.plan.per_gpu.total_bytes / GIB
        return (ask_for_gpu(str(self.log.flags.get("device", "")), free, self._off_on, self.runs_on),)

    def runs_on(self, gpu: str) -> bool:
        """Whether the engine is known to run the plan's formats on a device."""
        request = self.plan.request
        try:
            found = supports(request.engine, gpu, request.weight_dtype, request.kv_cache_dtype, request.engine_version)
        except CalculatorError:
            return False
        return found.ok

    def _off_on(self, gpu: str) -> float | None:
        """Return how far off the capacity is on another device, as a share of it, None where it has none [-]."""
        measured = self.own.measured(self.planned, self.log)  # beside an estimate that follows from the device
        left = (*OF_THE_DEVICE, *measured)
        asked = {name: value for name, value in self.plan.asked.items() if name not in left} | {"gpu": gpu}
        try:
            answer = make_plan(**asked)
            answer = vary(answer, **self.own.measured(answer, self.log)) if measured else answer
        except CalculatorError:
            return None
        return replace(self, plan=answer, asked=asked).off_by

    @property
    def calibration(self) -> Calibration | None:
        """What this start of the machine held beside what the rules expect of it, None where the log does not tell.

        Notes
        -----
        A pool is linear in what is held: by how much it falls with one GiB more says how much closes the difference.
        """
        reported = self.reported_gib
        if not self._is_predicted or not reported or self.plan.per_gpu.kv_pool_bytes == 0:
            return None
        held = self.plan.per_gpu.non_torch_bytes
        fall = (self.plan.kv_pool_bytes - vary(self.plan, non_torch_bytes=held + GIB).kv_pool_bytes) / GIB
        if fall <= 0:
            return None
        return of_start(self.plan, self.log, round((self.predicted_gib - reported) * GIB / fall), self.asked)

    @property
    def knows_device(self) -> bool:
        """Whether the memory of the device is known, so that a pool can be predicted."""
        return self.plan.per_gpu.total_bytes != UNSTATED_MEMORY

    @property
    def printed_pool_gib(self) -> float | None:
        """The KV pool of one GPU as printed [GiB]."""
        return self.log.figures.get("kv_pool_gib")

    @property
    def printed_tokens(self) -> float | None:
        """The tokens as printed, else those of the printed blocks [tokens]."""
        figures = self.log.figures
        if "kv_tokens" in figures:
            return figures["kv_tokens"]
        return figures["num_blocks"] * self.plan.request.block_size if "num_blocks" in figures else None

    @property
    def reported_gib(self) -> float | None:
        """The reported capacity as a KV pool of one GPU, None where the log has none [GiB]."""
        pool, tokens = self.printed_pool_gib, self.printed_tokens
        if pool is not None or not self.own.sizes_pool:
            return pool
        if tokens is None or not self.plan.reported_kv_tokens:
            return None
        return self.predicted_gib * tokens / self.plan.reported_kv_tokens

    @cached_property
    def predicted_gib(self) -> float:
        """The predicted KV pool of one GPU; where the engine sizes none, the cache of the sequences asked for [GiB]."""
        return self.plan.kv_pool_bytes / GIB if self.own.sizes_pool else self.own.asked_cache_gib(self.plan, self.log)

    @cached_property
    def range_gib(self) -> tuple[float, float]:
        """The range of the predicted KV pool, over what the log need not say as well [GiB]."""
        less, more = self.own.unsure_gib(self.asked)
        calibration = self.plan.calibration
        if (
            calibration is not None
            and calibration.in_use_bytes is not None
            and is_of_setup(calibration, self.plan.request)
        ):
            less, more = (min(end, LEAST_SPREAD / GIB) for end in (less, more))
        low, high = self.plan.kv_pool_bytes_low, self.plan.kv_pool_bytes_high
        if "activation_bytes" in self.plan.asked and "activation_bytes" not in self.planned.asked:
            line = line_of(self.planned, ACTIVATION)
            low, high = low - (line.bytes - line.low), high + (line.bytes - line.low)
        for changes in self.own.unstated(self.plan, self.asked):
            try:
                other = vary(self.plan, **changes)
            except CalculatorError:
                continue
            low, high = min(low, other.kv_pool_bytes_low), max(high, other.kv_pool_bytes_high)
        return low / GIB - less, high / GIB + more

    @property
    def _is_predicted(self) -> bool:
        return self.own.sizes_pool and self.knows_device

    @cached_property
    def capacity(self) -> Taken | None:
        """The KV pool, or where the engine sizes none, all that it takes; None where either side is missing."""
        if not self.own.sizes_pool:
            return self.own.taken(self.plan, self.log)
        reported = self.reported_gib
        if not self._is_predicted or reported is None:
            return None
        return Taken(reported, self.predicted_gib, *self.range_gib)

    @property
    def capacity_error(self) -> float | None:
        """Predicted over reported capacity, less 1; None where either is missing [-]."""
        found = self.capacity
        return found.predicted_gib / found.reported_gib - 1 if found and found.reported_gib > 0 else None

    @property
    def device_error(self) -> float | None:
        """The same difference as a fraction of the device's memory [-]."""
        if self.capacity is None or self.capacity_error is None or not self.knows_device:
            return None
        return (self.capacity.predicted_gib - self.capacity.reported_gib) * GIB / self.plan.per_gpu.total_bytes

    @property
    def off_by(self) -> float | None:
        """How far off the capacity is as a share of the device, None where either is missing [-]."""
        return None if self.device_error is None else abs(self.device_error)

    @property
    def in_range(self) -> bool | None:
        """Whether the reported capacity lies in its range, within its rounding; None where either is missing."""
        found = self.capacity
        if found is None:
            return None
        return found.low_gib - HALF_OF_THE_LAST_DIGIT <= found.reported_gib <= found.high_gib + HALF_OF_THE_LAST_DIGIT

    @property
    def cache_exact(self) -> bool | None:
        """Whether a cache that is as large as was asked for is the predicted one, within the rounding of its MiB."""
        pool = self.printed_pool_gib
        if self.own.sizes_pool or pool is None:
            return None
        return abs(self.predicted_gib - pool) <= 2 * TWO_PARTS / 1024

    @property
    def tokens_exact(self) -> bool | None:
        """Whether the printed pool holds what is printed of it, within its rounding; None where one is missing."""
        figures, pool = self.log.figures, self.printed_pool_gib
        if "needed_gib" in figures:
            needed = self.plan.allocated_bytes_per_sequence / GIB
            return abs(needed - figures["needed_gib"]) <= HALF_OF_THE_LAST_DIGIT + 1e-9
        if not self.own.sizes_pool:
            return self.cache_exact
        if pool is None or "kv_tokens" not in figures:
            return None
        return self.held_tokens(pool - TWO_PARTS) <= figures["kv_tokens"] <= self.held_tokens(pool + TWO_PARTS)

    @property
    def agrees(self) -> bool:
        """Whether the reported capacity lies within the range of the predicted one, and holds the tokens printed.

        Without a device no pool is predicted: then the printed pool must hold the printed tokens.
        """
        pool, tokens = self.printed_pool_gib, self.printed_tokens
        if not self.own.sizes_pool:
            return bool(self.cache_exact)
        if self.knows_device:
            return bool(self.in_range) and self.holds_what_is_printed
        return pool is not None and tokens is not None and self.holds_what_is_printed

    @property
    def holds_what_is_printed(self) -> bool:
        """Whether the printed pool holds the tokens and the sequences that are printed, where both are."""
        pool, tokens = self.printed_pool_gib, self.printed_tokens
        if pool is None or tokens is None:
            return True
        same = abs(self.held_tokens(pool) - tokens) <= self.tolerance(tokens, SAME_TOKENS)
        return same and self.sequences_held is None

    @property
    def may_ask_for_kv_format(self) -> bool:
        """Whether the log leaves the KV format to the checkpoint, and says nothing else that shares the pool."""
        stated = str(self.log.flags.get("kv_cache_dtype", "auto"))
        return stated == "auto" and "kv_cache_dtype" not in self.asked and not self.drafts_unmodelled

    @property
    def drafts_unmodelled(self) -> bool:
        """Whether the log's engine drafts tokens in a way whose memory is not among the plan's."""
        return self.log.flags.get("speculative") not in (None, "None") and "speculative_config" not in self.asked

    @property
    def sequences_held(self) -> float | None:
        """How many sequences the printed pool holds by the model's layers, None where as many are printed [-]."""
        pool, printed = self.printed_pool_gib, self.log.figures.get("max_concurrency")
        if not pool or not printed or self.log.figures.get("concurrency_at") != self.plan.request.seq_len:
            return None
        held = float(self.held(pool).max_concurrency)
        return held if abs(held - printed) > max(SAME_SEQUENCES * printed, 2 * HALF_OF_THE_LAST_DIGIT) else None

    def held(self, pool_gib: float, **changes: Any) -> Plan:
        """Return the plan with a given KV pool."""
        return vary(self.plan, kv_cache_memory_bytes=max(1, gib_to_bytes(f"{pool_gib:.6f}")), **changes)

    def held_tokens(self, pool_gib: float, **changes: Any) -> int:
        """Return the tokens that the engine would print for a pool [tokens]."""
        return self.own.held_tokens(self.held(pool_gib, **changes), self.log, pool_gib)

    def tolerance(self, tokens: float, share: float) -> float:
        """Return by how much a pool's tokens may differ: a share of them, a block, or what rounding hides [tokens]."""
        pool = self.printed_pool_gib or 0.0
        return max(share * tokens, self.plan.request.block_size, tokens * TWO_PARTS / pool if pool > 0 else 0.0)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Every figure that is predicted or reported."""
        return (*self._memory(), *(self._pool() if self.own.sizes_pool else self._cache()))

    def _memory(self) -> Iterator[Term]:
        memory, figures = self.plan.per_gpu, self.log.figures
        activation, outside, graphs = (line_of(self.plan, line) for line in (ACTIVATION, NON_TORCH, CUDA_GRAPH))
        for key, name, predicted, figure in (
            ("memory", phrase("Memory of the GPU"), memory.total_bytes, "memory_gib"),
            ("budget", phrase("Budget"), memory.requested_bytes, "requested_gib"),
        ):
            known = predicted / GIB if self.knows_device else None
            yield _gib(key, name, known, figures.get(figure))
        yield _gib("weights", phrase("Weights"), memory.weights_bytes / GIB, figures.get("weights_gib"))
        for key, line, figure in (
            ("activations", activation, "activation_gib"),
            ("outside", outside, "non_torch_gib"),
            ("graphs", graphs, "cuda_graph_gib"),
        ):
            yield _gib(key, line.name, line.bytes / GIB, figures.get(figure), line.low / GIB, line.high / GIB)
        if "consumed_gib" in figures:
            together = (memory.weights_bytes + kept_bytes(memory) + outside.bytes) / GIB
            yield _gib("consumed", phrase("Weights and outside the allocator"), together, figures["consumed_gib"])
        if "activation_and_graphs_gib" in figures:
            together = (activation.bytes + graphs.bytes) / GIB
            reported = figures["activation_and_graphs_gib"]
            yield _gib("activations_and_graphs", phrase("Activations and CUDA graphs"), together, reported)

    def _cache(self) -> Iterator[Term]:
        yield _gib("kv_cache", phrase("KV cache"), self.predicted_gib, self.printed_pool_gib)

    def _pool(self) -> Iterator[Term]:
        figures, request, pool = self.log.figures, self.plan.request, self.printed_pool_gib
        low, high = self.range_gib
        if self.knows_device:
            yield _gib("kv_pool", phrase("KV pool"), self.plan.per_gpu.kv_pool_bytes / GIB, pool, low, high)
        else:
            yield _gib("kv_pool", phrase("KV pool"), None, pool)
        if pool:
            held = self.held(pool)
            name = say("logs.term.held_tokens", "Tokens that the reported pool holds")
            yield Term("held_tokens", name, "tokens", self.held_tokens(pool), figures.get("kv_tokens"))
            if "max_concurrency" in figures:
                text = template("Sequences of {tokens:,} tokens that the reported pool holds")
                name = say("logs.term.held_sequences", text, tokens=request.seq_len)
                yield Term("held_sequences", name, "sequences", held.max_concurrency, figures["max_concurrency"])
            if "num_blocks" in figures:
                name = say("logs.term.held_blocks", "Blocks that the reported pool holds")
                yield Term("held_blocks", name, "blocks", held.num_blocks, figures["num_blocks"])
        if self.knows_device:
            name = say("logs.term.kv_tokens", "Tokens")
            yield Term("kv_tokens", name, "tokens", self.plan.reported_kv_tokens, self.printed_tokens)
        if "max_context_len" in figures and pool:
            name = say("logs.term.longest", "Longest sequence that the engine names for the reported pool")
            yield Term("longest", name, "tokens", held.reported_max_context_len, figures["max_context_len"])
        if "needed_gib" in figures:
            name = say("logs.term.sequence", "One sequence of {tokens:,} tokens", tokens=request.seq_len)
            yield Term("sequence", name, "GiB", self.plan.allocated_bytes_per_sequence / GIB, figures["needed_gib"])


def _gib(
    key: str, name: str, predicted: float | None, reported: float | None,
    low: float | None = None, high: float | None = None,
) -> Term:  # fmt: skip
    return Term(key, say(f"logs.term.{key}", name), "GiB", predicted, reported, low, high)


def line_of(plan: Plan, wanted: Line) -> Overhead:
    """Return a line of a plan's overheads."""
    return next(line for line in plan.stage.overheads if line.line.key == wanted.key)
