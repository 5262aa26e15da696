"""What a search for hardware found: options, near misses, and what was left out and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.messages import Message, joined, phrase, say, template
from calculator.planning import SCHEMA_VERSION
from calculator.planning.sizing.operating import Goals
from calculator.planning.sizing.service import Service
from calculator.reading.html import table
from calculator.units import dollars

if TYPE_CHECKING:
    import pandas

    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.sizing.loads import Load


TOO_MANY = "size.too_many"
"""The key of a reason: the load takes more GPUs than were asked for."""


@dataclass(frozen=True)
class Refused:
    """Hardware that was left out.

    Attributes
    ----------
    gpu, engine, weight_dtype, kv_cache_dtype : str
        What was tried.
    why : Message
        Why none of its layouts is an option; what must be told apart is told by its key.
    nearest : Service or None
        The layout that comes nearest, where one was answered.
    """

    gpu: str
    engine: str
    weight_dtype: str
    kv_cache_dtype: str
    why: Message
    nearest: Service | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Found:
    """What a search for hardware found.

    Attributes
    ----------
    model, load, goals : ModelArchitecture, Load, Goals
        What was asked.
    seq_len : int
        The longest sequence that plans were made for [tokens].
    options : tuple of Service
        Every layout that holds the load at the low end of the memory's range and meets the goals, cheapest first, by
        the low price, then the fewer GPUs, then the faster.
    nearly : tuple of Service
        Those that hold it with fewer GPUs at the centre of the range alone, in the same order.
    refused : tuple of Refused
        Hardware without an option, and why.
    tried, to_try : int
        Layouts that were tried, and all that there are [-].
    notes : tuple of Message
        What of the question was not used, such as prices of GPUs that are not searched.
    """

    model: ModelArchitecture
    load: Load
    goals: Goals
    seq_len: int
    options: tuple[Service, ...]
    nearly: tuple[Service, ...]
    refused: tuple[Refused, ...]
    tried: int
    to_try: int
    notes: tuple[Message, ...] = ()

    @property
    def best(self) -> Service | None:
        """The cheapest option; None where there is none."""
        return self.options[0] if self.options else None

    @property
    def complete(self) -> bool:
        """Whether every layout was tried; a search that was cut short shows what it has."""
        return self.tried == self.to_try

    @cached_property
    def pareto(self) -> tuple[Service, ...]:
        """The options that no other beats in both low price and mean time per output token, cheapest first."""
        front: list[Service] = []
        fastest = float("inf")
        known = [
            (round(price[0], 9), seconds, place)
            for place, option in enumerate(self.options)
            if (price := option.usd_per_hour) and (seconds := option.mean_time_per_output_token_s) is not None
        ]
        for _, seconds, place in sorted(known):
            if seconds < fastest:
                front.append(self.options[place])
                fastest = seconds
        return tuple(front)

    @property
    def nearest(self) -> Service | None:
        """Where no option meets the goals, the layout that misses them by the least; None where one does."""
        answered = [row.nearest for row in self.refused if row.nearest is not None and not row.nearest.meets]
        return min(answered, key=_missed_by, default=None)

    @cached_property
    def finding(self) -> Message:
        """The answer in a sentence."""
        said = self._answer()
        if self.complete:
            return said
        return say(
            "size.cut_short", "{said} The search was cut short: {tried:,} of {all:,} layouts were tried.",
            said=said, tried=self.tried, all=self.to_try,
        )  # fmt: skip

    def _answer(self) -> Message:
        if (best := self.best) is not None:
            price = best.usd_per_hour
            money = say("size.price", "{price} an hour", price=dollars(*price)) if price else ""
            return say(
                "size.best", "{gpus} × {gpu} ({split}{replicas}) at {money} hold it for the least.",
                gpus=best.num_gpus, gpu=best.plan.accelerator.name, split=best.split,
                replicas=say("size.replicas", ", {n} replicas", n=best.replicas) if best.replicas > 1 else "",
                money=money or say("size.no_price", "a price that is not known"),
            )  # fmt: skip
        more = [row.nearest for row in self.refused if row.nearest is not None and row.why.key == TOO_MANY]
        if more and not self.nearly:
            least = min(more, key=lambda one: one.num_gpus)
            return say(
                "size.more_gpus", "So many GPUs do not hold it: {gpus:,} × {gpu} ({split}) would.",
                gpus=least.num_gpus, gpu=least.plan.accelerator.name, split=least.split,
            )  # fmt: skip
        if (near := self.nearest) is not None:
            return say(
                "size.missed", "Nothing meets the goals. {gpus} × {gpu} ({split}) comes nearest: {reached}.",
                gpus=near.plan.gpus_per_replica, gpu=near.plan.accelerator.name, split=near.split,
                reached=reached(near),
            )  # fmt: skip
        if self.nearly:
            near = self.nearly[0]
            return say(
                "size.nearly",
                "Nothing holds it at the low end of the range; {gpus} × {gpu} ({split}) holds it at the centre.",
                gpus=near.num_gpus, gpu=near.plan.accelerator.name, split=near.split,
            )  # fmt: skip
        return say("size.nothing", "Nothing that was tried holds it: see why of each kind of hardware.")

    def frame(self) -> pandas.DataFrame:
        """Return the options as a DataFrame, one row each."""
        import pandas

        return pandas.DataFrame([option.row() for option in self.options]).convert_dtypes()

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys."""
        front = set(map(id, self.pareto))
        return {
            "schema_version": SCHEMA_VERSION,
            "model": self.model.id,
            "finding": str(self.finding),
            "seq_len": self.seq_len,
            "complete": self.complete,
            "tried": self.tried,
            "to_try": self.to_try,
            "notes": list(map(str, self.notes)),
            "options": [{**option.row(), "pareto": id(option) in front} for option in self.options],
            "nearly": [option.row() for option in self.nearly],
            "refused": [
                {
                    "gpu": row.gpu,
                    "engine": row.engine,
                    "weight_dtype": row.weight_dtype,
                    "kv_cache_dtype": row.kv_cache_dtype,
                    "reason": row.why.key,
                    "why": str(row.why),
                    "nearest": row.nearest.row() if row.nearest else None,
                }
                for row in self.refused
            ],
        }

    def _repr_html_(self) -> str:
        rows = [
            (f"{row.num_gpus} × {row.plan.accelerator.name} ({row.split})", _line(row)) for row in self.options[:20]
        ]
        return table(str(self.finding), rows)


def _missed_by(service: Service) -> float:
    return service.goals.missed_by(service.time_per_output_token_s, service.time_to_first_token_s)


def reached(service: Service) -> Message:
    """Say which goals one sequence alone misses there, and what would be met."""
    goals = service.goals
    parts = []
    for key, name, value, goal in (
        (
            "size.tpot",
            template("a token takes {value:.3g} ms, the goal is {goal:.3g} ms"),
            service.time_per_output_token_s,
            goals.max_tpot_s,
        ),
        (
            "size.ttft",
            template("the first token takes {value:.3g} ms, the goal is {goal:.3g} ms"),
            service.time_to_first_token_s,
            goals.max_ttft_s,
        ),
    ):
        if value and goal and value > goal:
            parts.append(say(key, name, value=1e3 * value, goal=1e3 * goal))
    return joined("; ", parts)


def _line(row: Service) -> str:
    price = row.usd_per_hour
    money = say("found.hour", "{dollars} an hour", dollars=dollars(*price)) if price else phrase("no price known")
    tpot = row.mean_time_per_output_token_s
    each = [say("found.ms_token", "{tpot:.3g} ms a token", tpot=1e3 * tpot)] if tpot else []
    return joined(", ", [money, *each])
