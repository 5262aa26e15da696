"""How often the range of a KV pool held on public start-ups of an engine, one start a machine."""

from __future__ import annotations

from functools import cache

from calculator.engines import engine_class
from calculator.logs.proof.accuracy import comparisons
from calculator.logs.proof.judged import FEWEST, proof
from calculator.logs.proof.machines import machines
from calculator.logs.proof.tables import quantile
from calculator.messages import Message, say


@cache
def by_machine(engine: str) -> tuple[tuple[float, bool], ...]:
    """Return for each machine of an engine's rows with a capacity its median error, and whether every range held.

    Parameters
    ----------
    engine : str
        The engine [-].

    Returns
    -------
    tuple of (float, bool)
        Median of the errors of its starts without their sign, and whether all ranges held.
    """
    found = machines(one for one in comparisons() if one.engine == engine and one.is_stated)
    return tuple((one.error, one.held) for one in found)


def how_often_it_held(engine: str) -> Message | None:
    """Say on how many machines the range of an engine's KV pool held; None where too few are known.

    Parameters
    ----------
    engine : str
        The engine [-].

    Returns
    -------
    Message or None
        A sentence.
    """
    found = proof().machines[engine]
    title = engine_class(engine).title
    if len(found) < FEWEST:
        return None
    return say(
        "logs.held",
        "the range held on {held} of {machines} machines whose starts of {engine} are public; half of them are within "
        "{median:.1%}",
        held=sum(held for _, held in found),
        machines=len(found),
        engine=title,
        median=quantile([error for error, _ in found], 0.5),
    )
