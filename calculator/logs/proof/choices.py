"""Whether the answers choose right: which of two set-ups serves a load better within a goal, and with how many at once.

A sweep is one set-up measured with several numbers of clients. At a goal of time per output token its measured tokens a
second and GPU, and the sequences that decode, are read between two of its points; the computed ones follow from the sum
alone: the number whose step takes the goal, over the goal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from math import exp, log
from typing import Any

from calculator.logs.proof.tables import quantile
from calculator.planning.answer import Plan
from calculator.planning.traffic.judged.accuracy import Measured, planned
from calculator.planning.traffic.timing.step import Lengths, step_of

GOALS_S = (0.015, 0.02, 0.03, 0.05)
FAR, VERY_FAR = 0.10, 0.50
"""How much two set-ups differ in tokens a second and GPU before a choice between them counts [-]."""
MOST = 4096.0


@dataclass(frozen=True)
class AtGoal:
    """One sweep at one goal.

    Attributes
    ----------
    load : tuple
        Model and lengths: what two sweeps must share to be compared.
    asked : mapping
        Keywords of its plan.
    goal_s : float
        The time per output token [s].
    measured, computed : float
        Tokens a second and GPU [1/s].
    sequences, computed_sequences : float
        Sequences that decode over all replicas [-].
    """

    load: tuple[Any, ...]
    asked: Mapping[str, Any]
    goal_s: float
    measured: float
    computed: float
    sequences: float
    computed_sequences: float

    @property
    def right(self) -> float:
        """Computed over measured sequences, less 1 [-]."""
        return self.computed_sequences / self.sequences - 1


@dataclass(frozen=True)
class Choice:
    """Two sweeps of the same load at the same goal.

    Attributes
    ----------
    apart : float
        By how much the better one gives more, as measured [-].
    right : bool
        Whether the computed ones are in the same order.
    layout_only : bool
        Whether they differ in tensor parallelism alone.
    """

    apart: float
    right: bool
    layout_only: bool


@cache
def at_goals() -> tuple[AtGoal, ...]:
    """Return every sweep at every goal that its points enclose."""
    sweeps: dict[tuple[Any, ...], list[tuple[Measured, Plan]]] = defaultdict(list)
    for row, plan in planned():
        if row.kind == "serve" and row.tpot_s and row.rate and row.decoding:
            sweeps[(*row.asked.items(), row.prompt_tokens, row.output_tokens)].append((row, plan))
    return tuple(one for points in sweeps.values() for one in _at_goals(points))


def _at_goals(points: Sequence[tuple[Measured, Plan]]) -> Iterator[AtGoal]:
    ordered = sorted(points, key=lambda point: point[0].tpot_s or 0.0)
    row, plan = ordered[0]
    asked = {name: value for name, value in row.asked.items() if name != "seq_len"}
    for goal in GOALS_S:
        for (before, _), (after, _) in pairwise(ordered):
            low, high = before.tpot_s or 0.0, after.tpot_s or 0.0
            if not low <= goal < high or (before.rate or 0) <= 0:
                continue
            share = (log(goal) - log(low)) / (log(high) - log(low))
            rate, sequences = (
                exp(log(getattr(before, name)) * (1 - share) + log(getattr(after, name)) * share)
                for name in ("rate", "decoding")
            )
            replicas, gpus = plan.request.data_parallel_size, plan.num_gpus
            each = _sequences_at(plan, row, goal)
            if each:
                load = (asked["model"], row.prompt_tokens, row.output_tokens)
                found = each * replicas
                yield AtGoal(load, asked, goal, rate / gpus, found / goal / gpus, sequences, found)
            break


def _sequences_at(plan: Plan, row: Measured, goal_s: float) -> float:
    """Return how many sequences of one replica take the goal for a token; 0 where one alone takes longer [-]."""

    def seconds(count: float) -> float:
        return step_of(plan, count, Lengths(row.prompt_tokens, row.output_tokens)).seconds

    low, high = 1.0, MOST
    if seconds(low) > goal_s:
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if seconds(middle) <= goal_s else (low, middle)
    return low


def choices() -> list[Choice]:
    """Return every pair of sweeps of one load at one goal."""
    groups: dict[tuple[Any, ...], list[AtGoal]] = defaultdict(list)
    for one in at_goals():
        groups[(*one.load, one.goal_s)].append(one)
    return [
        Choice(
            max(first.measured, second.measured) / min(first.measured, second.measured) - 1,
            (first.measured > second.measured) == (first.computed > second.computed),
            _differ_in(first.asked, second.asked) == {"tensor_parallel_size"},
        )
        for group in groups.values()
        for first, second in combinations(group, 2)
    ]


def _differ_in(first: Mapping[str, Any], second: Mapping[str, Any]) -> set[str]:
    return {name for name in {*first, *second} if first.get(name) != second.get(name)}


def choices_markdown() -> str:
    """Return the report of choices."""
    pairs = choices()
    some = [
        (f"pairs that differ by more than {FAR:.0%}", [one for one in pairs if one.apart > FAR]),
        (f"by more than {VERY_FAR:.0%}", [one for one in pairs if one.apart > VERY_FAR]),
        ("in tensor parallelism alone", [one for one in pairs if one.apart > FAR and one.layout_only]),
    ]
    lines = ["| which gives more tokens/s a GPU within a TPOT | pairs | right | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {len(rows)} | {sum(one.right for one in rows)} | {share(rows):.1%} |"
        for name, rows in some
        if rows
    ]
    errors = [one.right for one in at_goals()]
    sizes = [abs(error) for error in errors]
    found = (
        f"Sequences at once that meet the goal, {len(errors)} sweeps and goals: {quantile(sizes, 0.5):.1%} off in the "
        f"median, nine of ten within {quantile(sizes, 0.9):.1%}, signed {quantile(errors, 0.5):+.1%}."
    )
    return "\n".join([_ABOUT, *lines, "", found])


def share(some: Sequence[Choice]) -> float:
    """Return the share of choices that are right [-]."""
    return sum(one.right for one in some) / len(some)


_GOALS = ", ".join(f"{1e3 * goal:g}" for goal in GOALS_S)
_ABOUT = f"""
## Choices

Two layouts, GPUs or engines for the same model and lengths, at goals of {_GOALS} ms a token: which gives more tokens/s
a GPU. A sweep's measured figures are read between the two points of it that enclose the goal, on logarithmic scales;
the computed ones are the number of sequences whose step takes the goal, over the goal. Which of two degrees of tensor
parallelism alone gives more is the hardest to say.
"""
