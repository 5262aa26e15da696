"""What was found of a number, in a sentence: whether it is right, what is, and which mistakes give it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from math import inf, log

from calculator.architecture.model import ModelArchitecture
from calculator.messages import Message, joined, say, template
from calculator.planning.heads.claims import Claim
from calculator.planning.heads.seen.answer import Mistake
from calculator.planning.heads.seen.stated import Stated

_MOST_SAID = 12
"""Mistakes that a sentence lists."""


def _nearest(number: float, expected: Sequence[Mistake], meant: Set[str]) -> list[Mistake]:
    """Return the nearest right number of the kinds that mistakes say are meant; else that of each kind, nearest first.

    What is saved in bytes counts only where it alone is meant.
    """

    def far(each: Mistake) -> float:
        return abs(log(each.value / number)) if number and each.value > 0 else inf

    of_meant = [each for each in expected if each.what in meant]
    if of_meant:
        return [min(of_meant, key=far)]
    others = sorted((each for each in expected if each.what != "saved_bytes"), key=far) or sorted(expected, key=far)
    first: dict[str, Mistake] = {}
    for each in others:
        first.setdefault(each.what, each)
    return list(first.values())


def finding_of(
    stated: Stated,
    right: Sequence[Mistake],
    wrong: Sequence[Mistake],
    expected: Sequence[Mistake],
    model: ModelArchitecture,
    never: Message | None,
    circulating: Sequence[Claim],
) -> Message:
    """Say what a number is right for or what is right in its place, who says it, and which mistakes give it."""
    number, unit = float(stated.number), stated.unit.name
    parts: list[str] = []
    if right:
        parts.append(say(
            "check.right" if right[0].low is None else "check.within",
            "{value:g} {unit} is right for {model}: {reading}." if right[0].low is None
            else "{value:g} {unit} is within what is estimated for {model}: {reading}.",
            value=number, unit=unit, model=model.name,
            reading=joined("; ", list(dict.fromkeys(each.reading for each in right))),
        ))  # fmt: skip
    else:
        near, *others = _nearest(number, expected, {each.what for each in wrong})
        parts.append(say(
            "check.wrong",
            "{value:g} {unit} is not right for {model}: {expected:,.6g} {unit} is, for {reading}{others}.",
            value=number, unit=unit, model=model.name, reading=near.reading, expected=near.value,
            others=joined("", [
                say("check.or", "; {expected:,.6g}, for {reading}", expected=each.value, reading=each.reading)
                for each in others
            ]),
        ) if near.low is None or near.high is None else say(
            "check.wrong_range",
            "{value:g} {unit} is not right for {model}: {expected:,.3g} {unit} is, {low:,.3g} to {high:,.3g}, for "
            "{reading}.",
            value=number, unit=unit, model=model.name, reading=near.reading, expected=near.value, low=near.low,
            high=near.high,
        ))  # fmt: skip
    if never:
        parts.append(never)
    if circulating:
        text = (
            template("It circulates: claim {numbers}.")
            if len(circulating) == 1
            else template("It circulates: claims {numbers}.")
        )
        parts.append(say("check.claims", text, numbers=joined(", ", [str(each.number) for each in circulating])))
    if wrong:
        ways = joined("; ", [say("check.way", "{words} ({reading})", words=each.words, reading=each.reading)
                             for each in wrong[:_MOST_SAID]])  # fmt: skip
        more = len(wrong) - _MOST_SAID
        text = template("One mistake gives it: {ways}.")
        if len(wrong) > 1:
            text = template("Any one of these mistakes gives it: {ways}.")
        parts.append(say("check.ways", text, ways=ways))
        if more > 0:
            parts.append(say("check.more", "And {more} more.", more=more))
    elif not right:
        parts.append(say("check.none", "No single mistake of the list gives it."))
    return joined(" ", parts)
