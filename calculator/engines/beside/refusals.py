"""Why an engine does not start with what is asked, though memory may hold it, and what it starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calculator.messages import Message, say

AT_ONCE = say("knob.at_once", "Sequences at once")
FRACTION = say("knob.fraction", "Memory fraction")
LONGEST = say("knob.length", "Length")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why an engine does not start, and the change that mends it.

    Attributes
    ----------
    why : Message
        The reason.
    knob, label, cost : Message
        What to change, the change in words and what it costs.
    keywords : dict
        The keywords to change; none where no change is known.
    by_default : bool
        Whether the engine's own default is refused, in whose place its command line states another value.
    """

    why: Message
    knob: Message
    label: Message
    cost: Message
    keywords: Mapping[str, Any]
    by_default: bool = False


def too_long(engine: str, version: str, seq_len: int, longest: int, held: int) -> Refusal:
    """Return the refusal of a length that the pools of all pipeline stages hold, and that of one does not.

    Parameters
    ----------
    engine, version : str
        Whose start-up check it is [-].
    seq_len, longest, held : int
        What is asked, the longest that passes, and the longest that memory holds [tokens].
    """
    why = say(
        "refusals.too_long",
        "the engine itself prints {printed:,} as the longest sequence and does not start with {tokens:,}, though "
        "memory holds {held:,} tokens: the start-up check of {engine} {version} sets the layers of all pipeline stages "
        "against the pool of one",
        printed=longest, held=held, tokens=seq_len, engine=engine, version=version,
    )  # fmt: skip
    label = say("lever.length", "{tokens:,} tokens instead of {now:,}", tokens=longest, now=seq_len)
    keywords = {"seq_len": longest} if longest else {}
    return Refusal(why, LONGEST, label, say("lever.shorter", "shorter sequences"), keywords)
