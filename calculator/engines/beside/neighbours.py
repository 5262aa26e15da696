"""Other processes on the same GPU: a line of memory, counted as each engine counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calculator.engines.overheads import Line, Overhead
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.request import Request

OTHER_MEMORY = Line(
    "other_memory",
    say("overheads.other_memory", "Other processes"),
    say("overheads.other_memory_cause", "other processes"),
    "other_memory_bytes",
)
_BEFORE = say("overheads.other_memory_before", "your own value; taken from what is free before the engine starts")
_BESIDE = say("overheads.other_memory_beside", "your own value; the budget stays as it is beside it")


def neighbours(request: Request, in_slack: bool) -> tuple[Overhead, ...]:
    """Return the line of other processes, none where none is stated.

    Parameters
    ----------
    request : Request
        What is asked [-].
    in_slack : bool
        Whether the engine's budget is of the whole device, so that it takes nothing from the KV pool [-].
    """
    size = request.other_memory_bytes
    if not size:
        return ()
    return (Overhead(OTHER_MEMORY, size, _BESIDE if in_slack else _BEFORE, size, size, in_slack, given=True),)
