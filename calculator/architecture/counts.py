"""Counts of tokens and sequences: plain integers, exact and of any size, or arrays of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    Count = TypeVar("Count", int, NDArray[int64])
else:
    Count = TypeVar("Count")


NO_LIMIT = 2**62


def at_most(num_tokens: Count, limit: int) -> Count:
    """Return ``min(num_tokens, limit)``, for integers and arrays."""
    if isinstance(num_tokens, int):
        return min(num_tokens, limit)
    return num_tokens.clip(max=limit)


def smaller(one: Any, other: Any) -> Any:
    """Return the smaller of two, for integers and arrays."""
    return one - (one - other) * (one > other)


def larger(one: Any, other: Any) -> Any:
    """Return the larger of two, for integers and arrays."""
    return one + (other - one) * (other > one)
