"""The formula summed over the layers of a model, on one rank and over a replica."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from calculator.architecture.counts import Count
from calculator.architecture.model import LayerGroup
from calculator.architecture.split import Split
from calculator.formats.kv import StorageFormat

INT64_MAX = 2**63 - 1


class Layout(NamedTuple):
    """How a cache is laid out on one rank.

    Attributes
    ----------
    storage : StorageFormat
        Format of a row.
    split : Split
        How ranks share heads, tokens and sequences.
    encoder_tokens : int
        Tokens of the encoder, 0 without one [tokens].
    """

    storage: StorageFormat
    split: Split
    encoder_tokens: int = 0


def kv_bytes_on_rank(layers: Sequence[LayerGroup], seq_len: Count, layout: Layout) -> Count:
    """Return what grows, of one sequence on one rank that serves it: the sum over the groups of some layers [bytes]."""
    return _kept(layers, layout.split.tokens_on_rank(seq_len), layout)


def kv_bytes_of_sequence(layers: Sequence[LayerGroup], seq_len: Count, layout: Layout) -> Count:
    """Return what grows, of one sequence on all ranks that serve it, copies included [bytes]."""
    return _kept(layers, seq_len, layout) * layout.split.kv_head_ranks


def _kept(layers: Sequence[LayerGroup], tokens: Count, layout: Layout) -> Count:
    """Return what some layers keep of so many tokens on one rank [bytes]."""
    ranks, total = layout.split.kv_head_ranks, 0 * tokens
    for group in layers:
        total = total + group.count * group.spec.kv_bytes(tokens, layout.storage, ranks, layout.encoder_tokens)
    return total


def state_bytes_on_rank(layers: Sequence[LayerGroup], split: Split) -> int:
    """Return the recurrent state of one sequence on one rank that serves it [bytes]."""
    return sum(group.count * group.spec.state_bytes(split.state_ranks) for group in layers)
