"""Two to four plans side by side: every number of each with its range, and how many times the first's it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from calculator.errors import CalculatorError, InvalidValueError
from calculator.messages import Message, say
from calculator.planning.answer import Plan
from calculator.planning.knobs import split_of
from calculator.planning.sizing.layouts import in_words
from calculator.planning.sizing.prices import price_of
from calculator.planning.traffic.timing.speed import Speed, speed
from calculator.request import OPTIONS
from calculator.units import format_size
from calculator.views.load.wording import milliseconds, rounded

if TYPE_CHECKING:
    import pandas

MOST = 4
LETTERS = "ABCD"
NOT_KNOWN = say("side.not_known", "not known")
SECONDS_AN_HOUR = 3_600
STATED = (
    "model", "gpu", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "engine", "engine_version",
    "weight_dtype", "kv_cache_dtype", "seq_len", "batch_size", "gpu_memory_bytes", "decode_context_parallel_size",
    "enable_expert_parallel", "enable_attention_dp",
)  # fmt: skip
"""Inputs that a row of its own says."""


class Cell(NamedTuple):
    """What a plan has in a row: as a number with its ends, where it is one, and as it is read."""

    value: float | None
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class Beside:
    """One row of several plans.

    Attributes
    ----------
    key, name, unit : str
        Its stable key, what it is, and its unit.
    cells : tuple of Cell
        One a plan.
    """

    key: str
    name: str
    unit: str
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Whether the plans do not all say the same."""
        return len({cell.text for cell in self.cells}) > 1

    def ratio(self, index: int) -> float | None:
        """Return how many times the first plan's number another's is; None where one of them is none [-]."""
        first, other = self.cells[0].value, self.cells[index].value
        return None if not first or other is None else other / first


@dataclass(frozen=True)
class SideBySide:
    """Plans side by side, the first being what the others are set beside.

    Attributes
    ----------
    plans : tuple of Plan
        What is compared.
    """

    plans: tuple[Plan, ...]

    @cached_property
    def speeds(self) -> tuple[Speed | None, ...]:
        """How fast each serves the users that are asked of it; None where no speed is known."""
        return tuple(map(_speed, self.plans))

    @cached_property
    def rows(self) -> tuple[Beside, ...]:
        """Every row, in the order in which they are read."""
        return tuple(
            Beside(
                key, str(name), unit, tuple(of(plan, pace) for plan, pace in zip(self.plans, self.speeds, strict=True))
            )
            for key, name, unit, of in (*_ROWS, *_inputs(self.plans))
        )

    @property
    def differing(self) -> tuple[Beside, ...]:
        """The rows in which the plans differ."""
        return tuple(row for row in self.rows if row.differs)

    @property
    def same(self) -> tuple[Beside, ...]:
        """The rows in which they do not."""
        return tuple(row for row in self.rows if not row.differs)

    def row(self, key: str) -> Beside:
        """Return a row by its key."""
        return next(row for row in self.rows if row.key == key)

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame: what, unit, and of each plan the number, its ends and what is read."""
        import pandas

        lines = []
        for row in self.rows:
            line: dict[str, Any] = {"term": row.key, "name": row.name, "unit": row.unit}
            for letter, cell in zip(LETTERS, row.cells, strict=False):
                line |= {letter: cell.text, f"{letter}_value": cell.value, f"{letter}_low": cell.low}
                line[f"{letter}_high"] = cell.high
            lines.append(line)
        return pandas.DataFrame(lines)


def side_by_side(plans: Sequence[Plan]) -> SideBySide:
    """Set plans side by side.

    Parameters
    ----------
    plans : sequence of Plan
        Two to four of what ``plan`` answered [-].

    Returns
    -------
    SideBySide
        Rows, those that differ apart from those that do not.

    Raises
    ------
    InvalidValueError
        If they are fewer or more.
    """
    if not 2 <= len(plans) <= MOST:
        raise InvalidValueError(
            say(
                "side_by_side.two_plans_set_side",
                "two to {most} plans are set side by side, not {plans}",
                most=MOST,
                plans=len(plans),
            ),
            what="plans",
        )
    return SideBySide(tuple(plans))


def _speed(plan: Plan) -> Speed | None:
    """Return the step of all users that are asked of a replica, each with all of its tokens."""
    try:
        return speed(plan, plan.request.batch_size, plan.request.seq_len, None)
    except CalculatorError:
        return None


def users(plan: Plan) -> int:
    """Return the sequences at once that are asked of all replicas [-]."""
    return plan.request.batch_size * plan.request.data_parallel_size


def split(plan: Plan) -> str:
    """Say how the GPUs share the model, and the replicas: ``TP 4, DP 2``."""
    return in_words(split_of(plan))


_Of = Callable[[Plan, Speed | None], Cell]


def _said(of: Callable[[Plan], object]) -> _Of:
    return lambda plan, _: Cell(None, None, None, str(of(plan)))


def _counted(of: Callable[[Plan], int]) -> _Of:
    def cell(plan: Plan, _: Speed | None) -> Cell:
        return Cell(of(plan), None, None, f"{of(plan):,}")

    return cell


def _sized(of: Callable[[Plan], int]) -> _Of:
    return lambda plan, _: Cell(of(plan), None, None, format_size(of(plan)))


def _ranged(low: float, value: float, high: float, written: Callable[[float], str]) -> Cell:
    """Return a number with its range in one cell."""
    ends = f" ({written(low)}–{written(high)})" if written(low) != written(high) else ""
    return Cell(value, low, high, f"{written(value)}{ends}")


def _money(low: float, high: float) -> Cell:
    ends = [f"{value:,.2f}" for value in (low, high)]
    return Cell(low, low, high, "–".join(dict.fromkeys(ends)))


_UNKNOWN = Cell(None, None, None, str(NOT_KNOWN))


def _price(plan: Plan, _: Speed | None) -> Cell:
    return _money(*plan.price_usd_per_hour) if plan.price_usd_per_hour else _UNKNOWN


def _price_seen(plan: Plan, _: Speed | None) -> Cell:
    price = price_of(plan.accelerator)
    return Cell(None, None, None, str(price.words)) if price else _UNKNOWN


def _held(plan: Plan, _: Speed | None) -> Cell:
    count = plan.request.data_parallel_size
    ends = (plan.max_batch_size_low, plan.max_batch_size, plan.max_batch_size_high)
    low, value, high = (count * each for each in ends)
    return _ranged(low, value, high, lambda held: f"{held:,}")


def _pace(_: Plan, pace: Speed | None) -> Cell:
    if pace is None:
        return _UNKNOWN
    ends = pace.time_per_output_token_s_low, pace.time_per_output_token_s, pace.time_per_output_token_s_high
    return _ranged(*ends, milliseconds)


def _rate(plan: Plan, pace: Speed | None) -> Cell:
    if pace is None:
        return _UNKNOWN
    count = plan.request.data_parallel_size
    ends = pace.output_tokens_per_second_low, pace.output_tokens_per_second, pace.output_tokens_per_second_high
    low, value, high = (count * each for each in ends)
    return _ranged(low, value, high, rounded)


def _each_token(plan: Plan, pace: Speed | None) -> Cell:
    price = plan.price_usd_per_hour
    if pace is None or price is None:
        return _UNKNOWN
    millions = plan.request.data_parallel_size * pace.output_tokens_per_second * SECONDS_AN_HOUR / 1e6
    return _money(price[0] / millions, price[1] / millions)


_ROWS: tuple[tuple[str, Message, str, _Of], ...] = (
    ("model", say("side.model", "Model"), "-", _said(lambda plan: plan.model.name)),
    ("gpu", say("side.gpu", "GPU"), "-", _said(lambda plan: plan.accelerator.name)),
    ("num_gpus", say("side.gpus", "GPUs"), "-", _counted(lambda plan: plan.num_gpus)),
    ("split", say("side.sharing", "Split"), "-", _said(split)),
    ("engine", say("side.engine", "Engine"), "-", _said(lambda plan: f"{plan.rules.title} {plan.rules.version}")),
    ("weight_dtype", say("side.weights", "Weights"), "-", _said(lambda plan: plan.request.weight_dtype)),
    ("kv_cache_dtype", say("side.kv", "KV cache"), "-", _said(lambda plan: plan.request.kv_cache_dtype)),
    ("seq_len", say("side.tokens", "Tokens each"), "tokens", _counted(lambda plan: plan.request.seq_len)),
    ("users", say("side.users", "Users asked"), "-", _counted(users)),
    ("usd_per_hour", say("side.price", "Price, $ / h"), "USD/h", _price),
    ("price_seen", say("side.seen", "Price seen"), "-", _price_seen),
    ("held", say("side.held", "Users held"), "-", _held),
    ("time_per_output_token_s", say("side.pace", "ms a token"), "s", _pace),
    ("output_tokens_per_second", say("side.rate", "Tokens / s"), "1/s", _rate),
    ("usd_per_million_output_tokens", say("side.each", "$ / M tokens"), "USD", _each_token),
    ("kv_bytes_per_sequence", say("side.sequence", "KV, one user"), "bytes",
     _sized(lambda plan: plan.kv_bytes_per_sequence)),
    ("max_context_len", say("side.longest", "Longest, tokens"), "tokens",
     _counted(lambda plan: plan.max_context_len)),
    ("total_bytes", say("side.memory", "Memory, one GPU"), "bytes", _sized(lambda plan: plan.per_gpu.total_bytes)),
    ("weights_bytes", say("side.weights_bytes", "Weights, one GPU"), "bytes",
     _sized(lambda plan: plan.per_gpu.weights_bytes)),
    ("overhead_bytes", say("side.overheads", "Overheads, one GPU"), "bytes",
     _sized(lambda plan: plan.per_gpu.before_kv_bytes - plan.per_gpu.weights_bytes)),
    ("kv_pool_bytes", say("side.pool", "KV pool, one GPU"), "bytes", _sized(lambda plan: plan.kv_pool_bytes)),
)  # fmt: skip


def _inputs(plans: Sequence[Plan]) -> Iterator[tuple[str, Message, str, _Of]]:
    """Yield what else was asked in which the plans differ, by its keyword."""
    for name, option in OPTIONS.items():
        if name not in STATED and len({str(getattr(plan.request, name)) for plan in plans}) > 1:
            yield name, say("side.input", name), option.unit, _said(_reads(name))


def _reads(name: str) -> Callable[[Plan], object]:
    def read(plan: Plan) -> object:
        value = getattr(plan.request, name)
        is_count = isinstance(value, int) and not isinstance(value, bool)
        return f"{value:,}" if is_count else "-" if value is None else value

    return read
