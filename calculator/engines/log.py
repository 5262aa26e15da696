"""What an engine prints at start-up, and what its figures mean: the questions that reading and comparing ask.

A class here has what most engines share; each engine's folder has its own, with its patterns and its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.engines.patterns import Pattern
from calculator.engines.versions import in_words, names_no_release
from calculator.formats.names import TORCH_CACHE
from calculator.messages import Message, say
from calculator.units import GIB

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.logs.reading import StartupLog
    from calculator.planning.answer import Plan

Argument = tuple[str, Callable[[str], Any]]
Assumption = tuple[Message, dict[str, Any]]
"""What could be otherwise than assumed, and the keywords of ``plan`` that say so."""

FAR = 0.1
"""No overhead that is not known takes such a share of a device [-]."""
MONTHS_IN_USE = 6
"""How long after the next one that was read a version is still tried, where a log has a date and names none."""
_BUILD = re.compile(r"dev|rc|[+]g[0-9a-f]")
"""A build between two releases."""


@dataclass(frozen=True)
class Taken:
    """A capacity as a log has it and as it is predicted.

    Attributes
    ----------
    reported_gib, predicted_gib : float
        Of one GPU where it is a pool, else of all [GiB].
    low_gib, high_gib : float
        The range of the prediction [GiB].
    """

    reported_gib: float
    predicted_gib: float
    low_gib: float
    high_gib: float


class Log:
    """What one engine prints."""

    patterns: ClassVar[tuple[Pattern, ...]]
    """Groups have the names of ``plan`` where it takes the same, else the figure's own."""
    arguments: ClassVar[Mapping[str, Argument]]
    """Its names of what ``plan`` takes, in its printed configuration and on its command line."""
    short_arguments: ClassVar[Mapping[str, str]] = {}
    telling: ClassVar[tuple[str, ...]]
    """A line without any of these, of any engine, is of nothing that is read."""
    served: ClassVar[re.Pattern[str] | None] = None
    """Where a command line names the model by its place alone."""
    begins: ClassVar[re.Pattern[str] | None] = None
    """A line that every start prints before anything of memory."""
    rank: ClassVar[re.Pattern[str] | None] = None
    """Which rank prints a line."""
    not_stated_after: ClassVar[str] = ""
    """What is printed after these words is what could be given, not what is."""

    describes: ClassVar[tuple[re.Pattern[str], ...]] = ()
    """Lines that print the metadata of the model's file: a name, and its value."""

    draft_from: ClassVar[re.Pattern[str] | None] = None
    """From such a line on, pools are those of a draft."""
    draft_after: ClassVar[str] = ""
    """After a line with this figure, pools are those of a draft."""
    pools: ClassVar[tuple[str, ...]] = ()
    """Figures that a draft model prints again for itself, after the model."""
    summed: ClassVar[tuple[str, ...]] = ()
    """Figures of parts: all of them together are the whole."""
    together: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Figures that are printed in parts of different names."""
    differs_beside: ClassVar[Mapping[str, str]] = {}
    """Figures that are printed for pools, not for ranks, where another figure is printed too."""

    kv_formats: ClassVar[Mapping[str, str]] = TORCH_CACHE
    quantisations: ClassVar[Mapping[str, str]] = {}
    """How its own names of weight formats end, beside those of checkpoints."""
    keeps_states_apart: ClassVar[bool] = False
    """Whether what it prints of tokens and their pool is of the layers that keep tokens, not of states."""
    prints_stored_dtype: ClassVar[bool] = False
    """Whether its dtype is that of weights which it says are not quantised, not what was asked for."""
    shapes: ClassVar[tuple[tuple[str, str | None, Message], ...]] = ()
    """Figures that only some versions print, the version that is then taken, None for the newest; first match wins."""
    built: ClassVar[Mapping[tuple[int, int, int], str]] = {}
    """When versions were built, by which a dated log that names none is told."""
    says_more: ClassVar[Message | None] = None
    """How a start is made to print more of its memory; None where that is not known."""
    weighs_tensors: ClassVar[bool] = True
    """Whether what it prints of weights is tensors alone, not what loading took of the device."""
    sizes_pool: ClassVar[bool] = True
    """Whether it takes what memory is left for its KV pool, not what the sequences asked for need."""

    def join(self, figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
        """Give the figures their common names, from one value of each and all values with ranks; return problems."""
        return []

    def described(self, log: StartupLog) -> ModelArchitecture | None:
        """Return the model whose metadata a log prints, None where it prints none or not all that decides its layers.

        Parameters
        ----------
        log : StartupLog
            What was read [-].

        Returns
        -------
        ModelArchitecture or None
            It.
        """
        return None

    def in_use(self, log: StartupLog, memory_bytes: int | None) -> dict[str, Any]:
        """Return what a log says of memory in use before the start, as keywords of ``plan``.

        Parameters
        ----------
        log : StartupLog
            What was read [-].
        memory_bytes : int or None
            What the device has, None where it is not known [bytes].

        Returns
        -------
        dict
            What it says.
        """
        return {}

    def estimates(self, log: StartupLog, model: ModelArchitecture, asked: dict[str, Any]) -> dict[str, Any]:
        """Return lines that a log says are otherwise than by the rules, as keywords of ``plan``.

        Parameters
        ----------
        log : StartupLog
            What was read [-].
        model : ModelArchitecture
            The model [-].
        asked : dict
            What else the log states [-].

        Returns
        -------
        dict
            What it says.
        """
        return {}

    def measured(self, plan: Plan, log: StartupLog) -> dict[str, Any]:
        """Return what a log says of an estimate that the plan of its set-up has, as keywords of ``plan``.

        Parameters
        ----------
        plan : Plan
            The plan of what the log states [-].
        log : StartupLog
            What was read [-].

        Returns
        -------
        dict
            What it says; the estimate's own spread stays.
        """
        return {}

    def unsure_gib(self, asked: dict[str, Any]) -> tuple[float, float]:
        """Return by how much a pool may be smaller and larger though what is in use is stated [GiB]."""
        return 0.0, 0.0

    def versions(self, plan: Plan, log: StartupLog) -> list[str]:
        """Return the versions whose rules may be those of a log that names no release, the nearest to the plan's first.

        Parameters
        ----------
        plan : Plan
            The plan of what the log states [-].
        log : StartupLog
            What was read [-].
        """
        stated = log.flags.get("engine_version")
        if stated is not None and not names_no_release(str(stated)) and not _BUILD.search(str(stated)):
            return []
        known = [change.since for change in plan.rules.changes]
        used = plan.rules.version
        place = next((i for i, since in enumerate(known) if in_words(since) == used), len(known) - 1)
        # a build between two releases is of one of them
        reach = len(known) if stated is None or names_no_release(str(stated)) else 1
        near = sorted((i for i in range(len(known)) if abs(i - place) <= reach), key=lambda i: abs(i - place))
        date = str(log.flags.get("date", ""))
        never = {in_words(version) for version in self._not_then(date)} if date else set()
        names = [in_words(known[i]) for i in near]
        return [name for name in names if name != used and name not in never and self.may_be(name, log)]

    def _not_then(self, date: str) -> Iterator[tuple[int, int, int]]:
        """Yield versions that hardly anybody ran on a day: not built yet, or replaced half a year before."""
        year, month, day = date.split("-")
        months = 12 * int(year) + int(month) - 1 - MONTHS_IN_USE
        before = f"{months // 12}-{months % 12 + 1:02}-{day}"
        for version, built in self.built.items():
            later = [other for other in self.built.values() if other > built]
            if built > date or (later and min(later) < before):
                yield version

    def may_be(self, version: str, log: StartupLog) -> bool:
        """Whether the shape of a log's lines may be that of a version."""
        return True

    def unstated(self, plan: Plan, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what may be otherwise in ways that a log need not say: the range of its pool spans them.

        Parameters
        ----------
        plan : Plan
            The plan of what the log states [-].
        asked : dict
            What it states [-].
        """
        yield from ()

    def usual_in_use_gib(self, plan: Plan) -> float:
        """Return what may be in use before the start though nothing else runs; 0 where that is not known [GiB]."""
        return 0.0

    def lengths(self, log: StartupLog) -> dict[str, Any]:
        """Return what a log says of the longest sequence and of the sequences, as keywords of ``plan``."""
        length = log.figures.get("concurrency_at") or log.flags.get("seq_len")
        return {"seq_len": int(length)} if length else {}

    def asked_cache_gib(self, plan: Plan, log: StartupLog) -> float:
        """Return what the cache of the sequences asked for takes on all GPUs [GiB]."""
        return plan.request.batch_size * plan.allocated_bytes_per_sequence / GIB

    def taken(self, plan: Plan, log: StartupLog) -> Taken | None:
        """Return all that is taken, where that is what to compare; None where the pool is, or the log lacks a part."""
        return None

    def held_tokens(self, held: Plan, log: StartupLog, pool_gib: float) -> int:
        """Return the tokens that the engine would print for a pool of a plan [tokens]."""
        return held.reported_kv_tokens

    def peculiarities(self, held: Plan, log: StartupLog) -> Iterator[Message]:
        """Yield what its words for a pool mean otherwise than they say, by a plan that has the printed pool."""
        yield from ()

    def far_fraction(self, plan: Plan, log: StartupLog) -> Iterator[float]:
        """Yield the fraction that gives the printed pool, where no overhead explains how far off the planned one is."""
        pool, planned = log.figures.get("kv_pool_gib", 0.0) * GIB, plan.kv_pool_bytes
        if pool > 0 and planned > 0:
            used = plan.request.gpu_memory_utilization
            fraction = round(used + (pool - planned) / plan.per_gpu.total_bytes, 2)
            if abs(fraction - used) >= FAR and 0 < fraction < 1:
                yield fraction

    def assumptions(self, plan: Plan, log: StartupLog) -> Iterator[Assumption]:
        """Yield what could be otherwise than assumed."""
        used = plan.request.gpu_memory_utilization
        if "gpu_memory_utilization" not in log.flags and "gpu_memory_utilization" in plan.rules.flags:
            for fraction in (0.8, 0.82, 0.85, 0.88, 0.9, *self.far_fraction(plan, log)):
                yield (
                    say(
                        "logs.cause.fraction", "a fraction of {other:g} in place of {used:g}", other=fraction, used=used
                    ),
                    {"gpu_memory_utilization": fraction},
                )
