"""Every view that can be asked for, in the order in which a person asks: links, tabs, charts and files go by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from calculator.messages import phrase
from calculator.planning.answer import Plan
from calculator.views import engines, kv_heads, kv_in_use, parallelism, sequence_length, tensor_parallel
from calculator.views.base import View
from calculator.views.load import preemptions, resident_tokens, risk, speed


@dataclass(frozen=True)
class Question:
    """A view that can be asked of any plan.

    Attributes
    ----------
    name : str
        What links, files and charts know it by.
    tab : str
        What it is called where there is little room.
    ask : callable
        Plan → View; what it takes besides has defaults.
    has_log_x : bool
        Whether its horizontal axis is a length, which can be logarithmic.
    part_of : str
        The tab that it shares with others, whose name links know; empty for one of its own.
    is_slow : bool
        Whether it takes seconds, so that it is asked only where it is wanted.
    """

    name: str
    tab: str
    ask: Callable[..., View[Any]]
    has_log_x: bool = False
    part_of: str = ""
    is_slow: bool = False

    def __call__(self, plan: Plan, **asked: Any) -> View[Any]:
        """Ask it of a plan."""
        return self.ask(plan, **asked)


VIEWS = {
    question.name: question
    for question in (
        Question(sequence_length.NAME, phrase("Sequence length"), sequence_length.sequence_length_view, has_log_x=True),
        Question(kv_heads.NAME, phrase("KV heads"), kv_heads.kv_head_view),
        Question(tensor_parallel.NAME, phrase("Tensor parallel"), tensor_parallel.tensor_parallel_view),
        Question(risk.NAME, phrase("Load"), risk.risk_view, part_of="load"),
        Question(resident_tokens.NAME, phrase("Load"), resident_tokens.resident_tokens_view, part_of="load"),
        Question(preemptions.NAME, phrase("Load"), preemptions.preemption_view, part_of="load", is_slow=True),
        Question(speed.NAME, phrase("Load"), speed.speed_view, part_of="load"),
        Question(speed.STEP_NAME, phrase("Load"), speed.step_view, part_of="load"),
        Question(engines.NAME, phrase("Engines"), engines.engines_view),
        Question(kv_in_use.NAME, phrase("KV in use"), kv_in_use.kv_in_use_view),
        Question(parallelism.NAME, phrase("Ways to split"), parallelism.parallelism_view),
    )
}
