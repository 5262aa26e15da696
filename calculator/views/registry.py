"""Every view that can be asked for, in the order in which a person asks: links, tabs, charts and files go by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from calculator.messages import phrase

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.views.base import View


@dataclass(frozen=True)
class Question:
    """A view that can be asked of any plan.

    Attributes
    ----------
    name : str
        What links, files and charts know it by.
    tab : str
        What it is called where there is little room.
    function : str
        What answers it, by its name in ``calculator.views``: it is imported when it is first asked.
    has_log_x : bool
        Whether its horizontal axis is a length, which can be logarithmic.
    part_of : str
        The tab that it shares with others, whose name links know; empty for one of its own.
    is_slow : bool
        Whether it takes seconds, so that it is asked only where it is wanted.
    """

    name: str
    tab: str
    function: str
    has_log_x: bool = False
    part_of: str = ""
    is_slow: bool = False

    @property
    def ask(self) -> Callable[..., View[Any]]:
        """Plan → View; what it takes besides has defaults."""
        found: Callable[..., View[Any]] = getattr(import_module(__package__), self.function)
        return found

    def __call__(self, plan: Plan, **asked: Any) -> View[Any]:
        """Ask it of a plan."""
        return self.ask(plan, **asked)


VIEWS = {
    question.name: question
    for question in (
        Question("sequence-length", phrase("Sequence length"), "sequence_length_view", has_log_x=True),
        Question("kv-heads", phrase("KV heads"), "kv_head_view"),
        Question("tensor-parallel", phrase("Tensor parallel"), "tensor_parallel_view"),
        Question("risk", phrase("Load"), "risk_view", part_of="load"),
        Question("resident-tokens", phrase("Load"), "resident_tokens_view", part_of="load"),
        Question("preemptions", phrase("Load"), "preemption_view", part_of="load", is_slow=True),
        Question("speed", phrase("Load"), "speed_view", part_of="load"),
        Question("step", phrase("Load"), "step_view", part_of="load"),
        Question("engines", phrase("Engines"), "engines_view"),
        Question("kv-in-use", phrase("KV in use"), "kv_in_use_view"),
        Question("parallelism", phrase("Ways to split"), "parallelism_view"),
    )
}
