"""Claims that circulate, those that most people meet first in front, and found by words."""

from __future__ import annotations

from calculator.planning.heads.claims import Claim, circulating_claims

LEADING = (54, 50, 47, 49)
"""Numbers of the claims that are told first: which models have what, what is gained, and what copies undo."""


def leading_claims() -> tuple[Claim, ...]:
    """Return the claims that are told first."""
    return tuple(circulating_claims(number)[0] for number in LEADING)


def find_claims(text: str = "") -> tuple[Claim, ...]:
    """Return the claims in which every word of a text occurs: in what they say, in what holds, as topic or number.

    Parameters
    ----------
    text : str
        Words in any case and order; by default all claims [-].

    Returns
    -------
    tuple of Claim
        By number.
    """
    words = text.casefold().split()
    return tuple(
        claim
        for claim in circulating_claims()
        if all(
            word in f"{claim.number}. {claim.says} {claim.holds} {claim.topic} {claim.verdict}".casefold()
            for word in words
        )
    )
