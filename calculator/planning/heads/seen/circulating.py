"""Claims that circulate which say a number: found by the number and its unit, whatever model they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from calculator.catalogue.claims import claim_entries
from calculator.errors import CalculatorError
from calculator.planning.heads.claims import Claim, circulating_claims
from calculator.planning.heads.seen.stated import Stated, unit_of

_NUMBER = r"\d[\d,]{0,30}+(?:\.\d{1,30}+)?+"
_NAMED = r"(?:[A-Z]\w{0,30}+(?:-\d{1,4}+)?+\s)?"
_NUMBERS = rf"{_NUMBER}(?:\s{{0,2}}+(?:,|/|and|to|or|of|=)?\s{{0,2}}+{_NAMED}{_NUMBER}){{0,12}}+"
_RUN = re.compile(rf"(?P<numbers>{_NUMBERS})\s?(?P<unit>[KMGT]i?B\b|%|tokens/s|ms\b)", re.ASCII)
_COARSEST = Fraction(1, 20)
"""Of a number whose digits are cut off: beyond it nearly every number would be the same."""
_ONE = re.compile(r"(?<![\w.-])(\d[\d,]{0,30}+)(\.\d{1,30}+)?", re.ASCII)


def claims_of(stated: Stated) -> tuple[Claim, ...]:
    """Return the claims that say a number, in any unit of its kind, to the digits of the coarser of the two."""
    found = [entry.number for entry in claim_entries() if _says(entry.says, stated)]
    return tuple(claim for number in found for claim in circulating_claims(number))


def _says(text: str, stated: Stated) -> bool:
    for number, half, unit in _numbers(text):
        for kind, scale in unit_of(unit)[0].scales.items():
            if kind not in stated.unit.scales:
                continue
            said, own = number * scale, stated.number * stated.scale(kind)
            coarse = max(half * scale, stated.half * stated.scale(kind))
            if said == own or (abs(said - own) <= coarse <= _COARSEST * own):
                return True
    return False


def _numbers(text: str) -> Iterator[tuple[Fraction, Fraction, str]]:
    """Yield every number that a sentence says with a unit, with half of its last digit; a unit serves all before it."""
    for run in _RUN.finditer(text):
        for one in _ONE.finditer(run["numbers"]):
            digits = Decimal(one[1].replace(",", "") + (one[2] or ""))
            half = Fraction(Decimal(1).scaleb(-len((one[2] or ".")[1:]))) / 2
            try:
                unit_of(run["unit"])
            except CalculatorError:
                continue
            yield Fraction(digits), half, run["unit"]
