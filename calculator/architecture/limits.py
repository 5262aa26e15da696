"""Bounds on the numbers of an architecture, wide of any that is built; they keep hostile input small."""

from __future__ import annotations

MAX_LAYERS = 10_000


MAX_HEADS = 65_536


MAX_WIDTH = 16_777_216


MAX_TOKENS = 1_000_000_000


MOST_RANKS = 128
"""Ranks up to which degrees are tried for a model without query heads."""
