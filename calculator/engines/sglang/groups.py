"""How SGLang divides memory between a pool of tokens and one of windows or of states."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from calculator.architecture.caches import Cache, Chunk, EveryToken, LatentVectors, State, Window
from calculator.architecture.counts import Count
from calculator.engines.pools import Geometry

MOST_DROPS = 64
"""Sizes of a range that are looked at."""


class Part(Enum):
    """The pool that a cache takes its part of."""

    TOKENS = auto()
    WINDOWS = auto()
    STATES = auto()


PARTS: Mapping[type[Cache], Part] = {
    EveryToken: Part.TOKENS,
    LatentVectors: Part.TOKENS,
    Window: Part.WINDOWS,
    Chunk: Part.WINDOWS,
    State: Part.STATES,
}
"""The pool that a request claims a kind of cache of."""


@dataclass(frozen=True, slots=True)
class WindowPools(Geometry):
    """A pool of tokens for full attention and one for windows, in a fixed ratio of tokens.

    Attributes
    ----------
    ratio : float
        Tokens of the window pool for each of the full pool [-].
    """

    ratio: float

    def counts(self, pool_bytes: int, seq_len: Count) -> tuple[Any, ...]:
        """Return the pages of both pools: ``full = bytes / (F + ratio × W)`` [-]."""
        full, window = self.pools
        cell = (full.block_bytes + self.ratio * window.block_bytes) / self.block_size
        tokens = int(pool_bytes // cell) // self.block_size * self.block_size
        return tokens // self.block_size, int(tokens * self.ratio) // self.block_size


@dataclass(frozen=True, slots=True)
class CountedPool(Geometry):
    """A pool whose tokens are counted at fewer bytes than they are allocated at; the rest comes from the slack.

    Attributes
    ----------
    counted_block_bytes : int
        One page as it is counted [bytes].
    """

    counted_block_bytes: int

    def counts(self, pool_bytes: int, seq_len: Count) -> tuple[Any, ...]:
        """Return the pages [-]."""
        return (pool_bytes // self.counted_block_bytes,)


@dataclass(frozen=True, slots=True)
class StatePools(Geometry):
    """A pool of tokens and one of states, in a fixed ratio of memory, or with so many states.

    Attributes
    ----------
    ratio : float
        Memory of states for each byte of the token pool [-].
    drafted, at_once, slots_each : int
        Tokens of a draft with the one that is checked, requests at once, and slots of each: a request in a draft
        keeps a state for every such token beside its slots [-].
    padding : int
        Slots that are kept besides and serve no request [-].
    slots : int
        Slots that are asked for, 0 where the ratio says how many [-].
    """

    ratio: float
    drafted: int
    at_once: int
    slots_each: int
    padding: int
    slots: int

    def counts(self, pool_bytes: int, seq_len: Count) -> tuple[Any, ...]:
        """Return the pages of tokens and the slots of states [-]."""
        tokens, states = self.pools
        slots = self._slots(pool_bytes)
        drafting = (min(self.at_once, slots // self.slots_each) + 1) * self.drafted
        rest = pool_bytes - (slots + self.padding + drafting) * states.block_bytes
        return max(0, rest) // tokens.block_bytes, slots

    def _slots(self, pool_bytes: int) -> int:
        slot = self.pools[1].block_bytes
        if self.slots:
            return max(0, int(min(self.slots, pool_bytes // slot - self.padding)))
        budget = pool_bytes * self.ratio / (1 + self.ratio)
        if not self.drafted:
            return max(0, int((budget - self.padding * slot) // slot))
        each = slot * (1 + self.drafted / self.slots_each)
        return max(0, int((budget - slot * (self.padding + self.drafted)) // each))

    def drops(self, low_bytes: int, high_bytes: int) -> tuple[int, ...]:
        """Return the first and the last size at which the bytes suffice for a slot more, which is taken from tokens.

        From one such size to the next slots grow by 1 and tokens by ``slot / ratio``, both before it and after it; with
        drafts, which every few slots need states more, every such size is one.
        """
        fewest, most = self._slots(low_bytes), self._slots(high_bytes)
        if fewest == most:
            return ()
        sizes = range(low_bytes, high_bytes + 1)
        steps = range(fewest + 1, min(most, fewest + MOST_DROPS) + 1) if self.drafted else (fewest + 1, most)
        return tuple(sizes[bisect_left(sizes, slots, key=self._slots)] for slots in steps)
