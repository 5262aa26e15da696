"""What circulates about KV heads, set against computed figures: reproduced, refuted, or true under conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from calculator.catalogue.claims import ClaimEntry, claim_entries
from calculator.errors import InvalidValueError, friendly, shown, unknown_name
from calculator.messages import phrase, say
from calculator.planning.heads.figures import FIGURES
from calculator.reading.frozen import frozen
from calculator.units import GB, GIB, KIB

UNITS = {
    "GB": GB, "MB": 10**6, "GiB": GIB, "KiB": KIB, "%": 0.01, "ms": 1e-3, "billion": 10**9, "GFLOP": 10**9,
}  # fmt: skip
"""What a figure is shown in: it is divided by so many."""


@dataclass(frozen=True)
class Claim:
    """One claim that circulates, and what holds.

    Attributes
    ----------
    number : int
        What it is known by [-].
    topic : str
        What it is about: memory, speed, quality, conversion, models, parallelism, cost or choice.
    says : str
        The claim.
    verdict : str
        ``reproduced``, ``refuted``, or ``conditional``: true under the conditions that ``holds`` names.
    holds : str
        What holds, with its numbers.
    figures : dict of str to float
        Those numbers by name, in the unit that ``holds`` shows them in; computed, not typed.
    source : str
        Where published figures among them are printed; empty where all are computed from architectures.
    """

    number: int
    topic: str
    says: str
    verdict: str
    holds: str
    figures: Mapping[str, float]
    source: str


@friendly
def circulating_claims(number: int | None = None) -> tuple[Claim, ...]:
    """Return claims that circulate about MHA, GQA, MQA, MLA and the KV cache, each with what holds.

    Parameters
    ----------
    number : int, optional
        Only the claim of that number; by default all [-].

    Returns
    -------
    tuple of Claim
        By number.

    Raises
    ------
    InvalidValueError
        If there is no claim of that number.
    """
    entries = claim_entries()
    if number is None:
        return tuple(_claim(entry.number) for entry in entries)
    known = {entry.number for entry in entries}
    if type(number) is not int or number not in known:
        raise InvalidValueError(
            say(
                "claims.number_must_claim_from",
                "number must be that of a claim, from 1 to {max}, not {number}",
                max=max(known),
                number=shown(number),
            ),
            what="number",
            asked=number,
        )
    return (_claim(number),)


@cache
def _claim(number: int) -> Claim:
    entry = next(entry for entry in claim_entries() if entry.number == number)
    figures = {name: figure(spec) for name, spec in entry.figures.items()}
    return Claim(
        number=number,
        topic=entry.topic,
        says=say(f"claims.{number}.says", "{claim}", claim=phrase(entry.says)),
        verdict=str(entry.verdict),
        holds=_holds(entry, figures),
        figures=frozen(figures),
        source=entry.source,
    )


def _holds(entry: ClaimEntry, figures: Mapping[str, float]) -> str:
    return say(f"claims.{entry.number}.holds", entry.holds, **figures)


def figure(spec: Mapping[str, Any]) -> float:
    """Return the figure that data names: ``by`` a function with its arguments, set against another, in a unit.

    Parameters
    ----------
    spec : mapping
        ``by`` and the arguments of that function; ``less``, ``over`` or ``gain``, another figure that it is the
        difference to, the ratio to, or the ratio to less one; ``unit`` [-].

    Returns
    -------
    float
        The figure; a whole number stays one.

    Raises
    ------
    UnknownNameError
        If there is no such function or unit.
    """
    arguments = {name: value for name, value in spec.items() if name not in ("by", "unit", "less", "over", "gain")}
    if spec["by"] not in FIGURES:
        raise unknown_name("figure", spec["by"], FIGURES)
    value = FIGURES[spec["by"]](**arguments)
    if "less" in spec:
        value -= figure(spec["less"])
    if "over" in spec:
        value /= figure(spec["over"])
    if "gain" in spec:
        value = value / figure(spec["gain"]) - 1
    if "unit" not in spec:
        return value
    if spec["unit"] not in UNITS:
        raise unknown_name("unit", spec["unit"], UNITS)
    return value / UNITS[spec["unit"]]
