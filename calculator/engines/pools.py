"""Pools of equal blocks, and what a sequence takes of them: how an engine hands out its KV memory.

The same code serves integers and numpy arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from calculator.architecture.counts import NO_LIMIT, Count, at_most, larger, smaller
from calculator.architecture.limits import MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Claim:
    """What one sequence takes of a pool for some of its layers.

    Attributes
    ----------
    block_size : int
        Tokens of one block, 0 where the claim does not grow [tokens].
    limit : int
        Tokens beyond which it takes no more [tokens].
    weight : int
        Blocks of the pool for each block of tokens [-].
    fixed : int
        Blocks taken whatever the length [-].
    """

    block_size: int
    limit: int = NO_LIMIT
    weight: int = 1
    fixed: int = 0

    @property
    def is_endless(self) -> bool:
        """Whether it grows with every token."""
        return self.block_size > 0 and self.limit >= MAX_TOKENS

    def blocks(self, seq_len: Count) -> Count:
        """Return the blocks that a sequence of so many tokens takes [-]."""
        if not self.block_size:
            return 0 * seq_len + self.fixed
        kept = at_most(seq_len, self.limit)
        return self.weight * -(-kept // self.block_size) + self.fixed


@dataclass(frozen=True, slots=True)
class Pool:
    """Blocks of one size and the claims of a sequence on them.

    Attributes
    ----------
    block_bytes : int
        One block on one GPU [bytes].
    claims : tuple of Claim
        What a sequence takes.
    held_back : int
        Blocks that the engine keeps for itself [-].
    charged : int
        Blocks beyond its claims that the engine counts a sequence for where it tells how many it holds [-].
    """

    block_bytes: int
    claims: tuple[Claim, ...]
    held_back: int = 0
    charged: int = 0

    def charged_blocks(self, seq_len: Count) -> Count:
        """Return the blocks that the engine counts a sequence for where it tells how many it holds [-]."""
        return self.blocks(seq_len) + self.charged

    def blocks(self, seq_len: Count) -> Count:
        """Return the blocks that a sequence of so many tokens takes [-]."""
        if len(self.claims) == 1:
            return self.claims[0].blocks(seq_len)
        total = 0 * seq_len
        for claim in self.claims:
            total = total + claim.blocks(seq_len)
        return total

    def sequences(self, num_blocks: Count, seq_len: Count) -> Count:
        """Return how many sequences of one length so many blocks hold; one that takes none counts as one block [-]."""
        taken = self.blocks(seq_len)
        free = num_blocks - self.held_back
        held: Count = free * (free > 0) // (taken + (taken == 0))
        return held

    def longest(self, blocks_each: Count) -> Count:
        """Return the longest sequence that takes no more than so many blocks, ``MAX_TOKENS`` for no limit [tokens]."""
        if len(self.claims) == 1 and self.claims[0].is_endless:
            claim = self.claims[0]
            left = blocks_each - claim.fixed
            return at_most(at_most(left * (left > 0) // claim.weight, MAX_TOKENS) * claim.block_size, MAX_TOKENS)
        sizes = {claim.block_size for claim in self.claims if claim.block_size}
        if len(sizes) > 1:
            return longest_by_bisection(lambda tokens: self.blocks(tokens) <= blocks_each, blocks_each)
        return self._longest_in_steps(blocks_each, next(iter(sizes), 1))

    def _longest_in_steps(self, blocks_each: Count, block_size: int) -> Count:
        """Walk from the shortest limit on, with claims whose blocks are of one size."""
        left: Any = blocks_each - sum(claim.fixed for claim in self.claims)
        active: Any = left >= 0
        steps, start = 0 * blocks_each, 0
        growing = [(-(-claim.limit // block_size), claim.weight) for claim in self.claims if claim.block_size]
        for limit in sorted({limit for limit, _ in growing}):
            slope = sum(weight for until, weight in growing if until >= limit)
            step = at_most(left // slope, limit - start) * active
            steps, left, active, start = steps + step, left - slope * step, active * (step == limit - start), limit
        longest: Count = at_most(at_most(steps, MAX_TOKENS) * block_size + active * MAX_TOKENS, MAX_TOKENS)
        return longest


def longest_by_bisection(fits: Callable[[Any], Any], like: Count) -> Count:
    """Return the greatest length for which ``fits`` holds, 0 for none, in the shape of ``like`` [tokens]."""
    low: Any = 0 * like
    high: Any = 0 * like + MAX_TOKENS
    for _ in range(MAX_TOKENS.bit_length()):
        middle = low + (high - low + 1) // 2
        good = fits(middle) * 1
        low, high = good * middle + (1 - good) * low, good * high + (1 - good) * (middle - 1)
    longest: Count = low
    return longest


@dataclass(frozen=True, slots=True)
class Geometry:
    """How one engine cuts the KV memory of one GPU: here, one pool of equal blocks.

    Attributes
    ----------
    pools : tuple of Pool
        The pools; the first is the one whose blocks are reported.
    block_size : int
        Tokens of one block of attention [tokens].
    """

    pools: tuple[Pool, ...]
    block_size: int

    def counts(self, pool_bytes: int, seq_len: Count) -> tuple[Any, ...]:
        """Return the blocks of each pool, of so many bytes on one GPU [-]."""
        return tuple([pool_bytes // pool.block_bytes for pool in self.pools])

    def sequences(self, pool_bytes: int, seq_len: Count) -> Count:
        """Return how many sequences of one length fit, the tightest pool deciding [-]."""
        counts = self.counts(pool_bytes, seq_len)
        if len(counts) == 1:
            held: Count = self.pools[0].sequences(counts[0], seq_len)
            return held
        fewest: Any = None
        for pool, count in zip(self.pools, counts, strict=True):
            held = pool.sequences(count, seq_len)
            fewest = held if fewest is None else smaller(fewest, held)
        result: Count = fewest
        return result

    def drops(self, low_bytes: int, high_bytes: int) -> tuple[int, ...]:
        """Return the sizes above ``low_bytes``, up to ``high_bytes``, that may hold less than one byte less does.

        There are none where every pool grows with the bytes. An engine that has many answers the first and the last
        of them, if what is held just before and just after a drop grows from one to the next.
        """
        return ()

    def sequences_between(self, low_bytes: int, high_bytes: int, seq_len: Count) -> tuple[Count, Count]:
        """Return the fewest and the most sequences that fit over all sizes between two [-].

        The ends alone do not bound them: a drop right after one end holds less than that end, and the bytes right
        before a drop hold more than those after it.
        """
        dropping: tuple[int, ...] = self.drops(low_bytes, high_bytes)
        sizes = (low_bytes, high_bytes, *dropping, *(size - 1 for size in dropping))
        held = [self.sequences(size, seq_len) for size in sizes]
        fewest: Count = reduce(smaller, held)
        most: Count = reduce(larger, held)
        return fewest, most

    def longest(self, pool_bytes: int, batch_size: Count) -> Count:
        """Return the longest sequence of which so many fit [tokens]."""
        if len(self.pools) == 1:
            pool = self.pools[0]
            free = max(0, pool_bytes // pool.block_bytes - pool.held_back)
            return pool.longest(free // batch_size)
        return longest_by_bisection(lambda tokens: self.sequences(pool_bytes, tokens) >= batch_size, batch_size)

    def concurrency(self, pool_bytes: int, seq_len: int) -> float:
        """Return how many sequences of one length fit, unrounded and with what the engine holds back [-]."""
        return float(self.room(pool_bytes, seq_len))

    def room(self, pool_bytes: int, seq_len: Count) -> Any:
        """Return the same for integers and arrays [-]."""
        fewest: Any = None
        for count, pool in zip(self.counts(pool_bytes, seq_len), self.pools, strict=True):
            taken = pool.charged_blocks(seq_len)
            held = count / (taken + (taken == 0))
            if fewest is not None:
                held = min(held, fewest) if isinstance(held, float) else held.clip(max=fewest)
            fewest = held
        return fewest

    @property
    def is_plain(self) -> bool:
        """Whether every token of a sequence takes its part of one pool, and nothing else does."""
        return len(self.pools) == 1 and all(
            claim.block_size and claim.limit >= NO_LIMIT and claim.weight == 1 and not claim.fixed
            for claim in self.pools[0].claims
        )

    def num_blocks(self, pool_bytes: int, seq_len: Count) -> Count:
        """Return the blocks as the engine counts them [-]."""
        blocks: Count = self.counts(pool_bytes, seq_len)[0]
        return blocks

    def bytes_of(self, seq_len: int) -> int:
        """Return what one sequence takes on one GPU, in whole blocks [bytes]."""
        return sum(pool.block_bytes * pool.blocks(seq_len) for pool in self.pools)

    def allocated_bytes(self, pool_bytes: int, seq_len: int) -> int:
        """Return what the blocks of all pools take of so many bytes [bytes]."""
        counts = self.counts(pool_bytes, seq_len)
        return sum(int(count) * pool.block_bytes for count, pool in zip(counts, self.pools, strict=True))
