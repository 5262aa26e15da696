"""What a number can be: the ways to it, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.planning.heads.claims import Claim


@dataclass(frozen=True, slots=True)
class Mistake:
    """One way to a number.

    Attributes
    ----------
    key : str
        Which mistake of the stated list; empty for a right number.
    what : str
        The kind of number that it is: kv_cache, weights, total, saved_bytes, parameters, active, saving,
        speed or step_time.
    reading : str
        What the number is of: all sequences, one, a token, and so on.
    words : str
        The mistake in words.
    value : float
        What it gives, in the unit of the number.
    low, high : float or None
        The range of an estimate, in the same unit; None of what is exact.
    """

    key: str
    what: str
    reading: str
    words: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class NumberCheck:
    """What a number can be.

    Attributes
    ----------
    value : float
        The number.
    unit, what : str
        Its unit, and the kind of number that it is said to be; empty where all that its unit can mean is looked at.
    right : tuple of Mistake
        What it is right for, to the digits that were written, or within the range of an estimate; without a mistake.
    mistakes : tuple of Mistake
        Every single mistake of the list that gives it; none is picked.
    expected : tuple of Mistake
        The right numbers, in the same unit.
    looked_for : dict of str to str
        The stated list, by key.
    claims : tuple of Claim
        Claims that circulate which say that number, of whatever model.
    finding : str
        The same in words.
    """

    value: float
    unit: str
    what: str
    right: tuple[Mistake, ...]
    mistakes: tuple[Mistake, ...]
    expected: tuple[Mistake, ...]
    looked_for: dict[str, str]
    claims: tuple[Claim, ...]
    finding: str
