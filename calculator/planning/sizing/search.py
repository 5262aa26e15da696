"""One kind of hardware under a load: its layouts, which of them are options, which nearly, and why none is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.engines.base import Engine
from calculator.errors import CalculatorError
from calculator.messages import Message, say
from calculator.planning.plan import plan
from calculator.planning.sizing.found import TOO_MANY, Refused, reached
from calculator.planning.sizing.layouts import Layout, in_words, weights_fit
from calculator.planning.sizing.loads import Load
from calculator.planning.sizing.operating import Goals, known_speed
from calculator.planning.sizing.prices import Price
from calculator.planning.sizing.served import Sizing
from calculator.planning.sizing.service import Service

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.hardware import Accelerator


SURELY = 1 - 1e-5
"""Times are known to a millionth before they are worked out."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of hardware under one engine and formats."""

    gpu: Accelerator
    rules: Engine
    weight_dtype: str
    kv_cache_dtype: str
    price: Price | None

    def refused(self, why: Message, nearest: Service | None = None) -> Refused:
        """Return that no layout of it is an option."""
        return Refused(self.gpu.id, self.rules.name, self.weight_dtype, self.kv_cache_dtype, why, nearest)


def by_price(service: Service) -> tuple[Any, ...]:
    """Return the order of options: the low price, those without one last, GPUs, mean time per output token."""
    price, plan = service.usd_per_hour, service.plan
    return (
        price is None,
        round(price[0], 9) if price else 0.0,
        service.num_gpus,
        service.mean_time_per_output_token_s or 0.0,
        plan.accelerator.id,
        plan.request.engine,
        service.split,
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layout with as many replicas as the load needs; its numbers are worked out once it can win."""

    sizing: Sizing
    replicas: int
    num_gpus: int
    seconds: float

    def beats(self, other: Candidate) -> bool:
        """Whether it takes no more GPUs and no longer for a token, and less of one; of two alike the plainer does."""
        if self.num_gpus > other.num_gpus or SURELY * self.seconds > other.seconds:
            return False
        if self.num_gpus < other.num_gpus or self.seconds < SURELY * other.seconds:
            return True
        return bool(self.seconds) and self.plainness < other.plainness

    @property
    def plainness(self) -> tuple[int, int, str]:
        """What is plainer comes first: fewer stages, more replicas."""
        request = self.sizing.plan.request
        return request.pipeline_parallel_size, -self.replicas, in_words(self.sizing.plan.asked)


class Search:
    """The layouts of one kind of hardware under a load.

    Parameters
    ----------
    model, kind, load, goals : ModelArchitecture, Kind, Load, Goals
        What is asked [-].
    max_gpus : int
        GPUs at most [-].
    keywords : dict
        Keywords of ``plan`` that all layouts share [-].
    """

    def __init__(
        self,
        model: ModelArchitecture,
        kind: Kind,
        load: Load,
        goals: Goals,
        max_gpus: int,
        keywords: dict[str, Any],
    ) -> None:
        self.model, self.kind, self.load, self.goals = model, kind, load, goals
        self.max_gpus, self.keywords = max_gpus, keywords
        self.safe: list[Candidate] = []
        self.hoped: list[Candidate] = []
        self.missed: list[Sizing] = []
        self.too_many: list[Candidate] = []
        self.refusal = ""
        self.unknown: str | None = None
        self.fits = self.held_by_one = False

    def attempt(self, layout: Layout) -> None:
        """Try one layout, the fewest GPUs first."""
        if layout.num_gpus > self.kind.gpu.gpus_per_node and self.held_by_one:
            return
        kind = self.kind
        memory = self.keywords.get("gpu_memory_bytes") or kind.gpu.memory_bytes
        if not weights_fit(self.model, layout, kind.weight_dtype, memory, self.keywords.get("checkpoint_bytes")):
            return
        formats = {"weight_dtype": kind.weight_dtype, "kv_cache_dtype": kind.kv_cache_dtype}
        try:
            asked = {**self.keywords, **formats, **layout.keywords}
            answer = plan(self.model, kind.gpu, engine=kind.rules.name, **asked)
            if not answer.fits:
                return
            self.fits = True
            if self.unknown is None:
                self.unknown = known_speed(answer)
            self._sort_in(Sizing(answer, self.load, self.goals, kind.price, self.unknown))
        except CalculatorError as error:
            self.refusal = self.refusal or str(error)

    def _sort_in(self, sizing: Sizing) -> None:
        """Keep a layout that holds the load at the low end of its memory's range, or may do with fewer at its centre.

        Replicas are worked out where bounds of them do not say that the layout cannot win.
        """
        each = sizing.plan.gpus_per_replica
        fewest, most = sizing.needed_between(0)
        if fewest < most:
            if fewest > sizing.unit and self._beaten(sizing, fewest, most):
                return
            fewest = most = sizing.needed(0)
        if most:
            self.held_by_one = self.held_by_one or most == sizing.unit
            self._keep(sizing, most, self.safe)
        if self.safe:  # fewer at the centre count where that is fewer than any that holds it throughout
            least = min(one.num_gpus for one in self.safe)
            if sizing.unit * each >= least or sizing.needed_between(1)[0] * each >= least:
                return
        central = sizing.point(1)
        if not central.meets:
            self.missed += [sizing] if central.batch_size else []
            return
        hoped = sizing.needed(1)
        if hoped and hoped != most:
            self._keep(sizing, hoped, self.hoped)

    def _beaten(self, sizing: Sizing, fewest: int, most: int) -> bool:
        """Whether a layout is beaten by one that is kept, whatever number of replicas between two it takes."""
        gpus, seconds = fewest * sizing.plan.gpus_per_replica, self._seconds(sizing, most)
        return any(one.num_gpus <= gpus and one.seconds < SURELY * seconds for one in self.safe)

    def _seconds(self, sizing: Sizing, replicas: int) -> float:
        return 0.0 if self.unknown else sizing.replica.time_per_output_token_s(sizing.mean_batch_about(replicas))

    def _keep(self, sizing: Sizing, replicas: int, kept: list[Candidate]) -> None:
        seconds = self._seconds(sizing, replicas)
        found = Candidate(sizing, replicas, replicas * sizing.plan.gpus_per_replica, seconds)
        (kept if found.num_gpus <= self.max_gpus else self.too_many).append(found)

    @cached_property
    def options(self) -> list[Service]:
        """The layouts that hold the load, without those that another beats."""
        kept = [one for one in self.safe if not any(other.beats(one) for other in self.safe)]
        return [one.sizing.service(one.replicas) for one in kept]

    @cached_property
    def nearly(self) -> list[Service]:
        """The layouts that hold it at the centre of the range, on fewer GPUs than any that holds it throughout."""
        fewest = min((one.num_gpus for one in self.safe), default=self.max_gpus + 1)
        near = [one for one in self.hoped if one.num_gpus < fewest]
        kept = [one for one in near if not any(other.beats(one) for other in near)]
        return [one.sizing.service(one.replicas) for one in kept]

    def why_not(self) -> Refused:
        """Return why no layout of the kind is an option: the reason that comes nearest to one."""
        name, most = self.kind.gpu.name, self.max_gpus
        if near := self.nearly:
            why = say("size.at_the_centre", "{gpu} holds it only at the centre of the range", gpu=name)
            return self.kind.refused(why, min(near, key=by_price))
        if self.too_many:
            fewest = min(self.too_many, key=lambda one: (one.num_gpus, one.seconds))
            why = say(
                TOO_MANY, "{gpu} needs {needed:,} GPUs, more than max_gpus {most:,}",
                gpu=name, needed=fewest.num_gpus, most=most,
            )  # fmt: skip
            return self.kind.refused(why, fewest.sizing.service(fewest.replicas))
        if self.missed:
            missed = min(self.missed, key=Sizing.missed_by).service()
            why = say("size.goals", "{gpu} misses the goals: {reached}", gpu=name, reached=reached(missed))
            return self.kind.refused(why, missed)
        if self.fits and self.unknown:
            why = say("size.refused", "{gpu}: {why}", gpu=name, why=self.unknown)
        elif self.fits:
            why = say("size.none_held", "{gpu} has no room for one request at the risk that is asked", gpu=name)
        elif self.refusal:
            why = say("size.refused", "{gpu}: {why}", gpu=name, why=self.refusal)
        else:
            why = say(
                "size.does_not_fit",
                "{weights} weights and one sequence of {tokens:,} tokens do not fit on {gpu}, up to {most:,} of them",
                weights=self.kind.weight_dtype, tokens=self.keywords["seq_len"], gpu=name, most=most,
            )  # fmt: skip
        return self.kind.refused(why)
