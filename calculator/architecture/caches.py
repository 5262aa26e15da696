"""What of a sequence a layer keeps on one rank, as an engine's allocator sees it: a class for each kind.

Engines tell kinds apart by class, and refuse one that they do not know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from calculator.messages import phrase, say


class Recurrence(StrEnum):
    """What makes a state of fixed size; an engine has a layer of its own for each."""

    MAMBA1 = phrase("Mamba 1 state")
    MAMBA2 = phrase("Mamba 2 state")
    GATED_DELTA_NET = phrase("gated delta net")
    KIMI_DELTA = phrase("Kimi delta attention")
    LIGHTNING = phrase("lightning attention")
    SHORT_CONV = phrase("short convolution")

    @property
    def words(self) -> str:
        """The same as a text."""
        return say(f"recurrence.{self.name.lower()}", self.value)


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache of a layer on one rank; what every kind answers."""

    words: ClassVar[str]
    """What of a sequence it keeps."""

    @property
    def sparse(self) -> bool:
        """Whether a sparse-attention kernel reads it."""
        return False


@dataclass(frozen=True, slots=True)
class TokenRows(Cache):
    """A cache with a row for each token that it keeps.

    Attributes
    ----------
    bytes_per_token : int
        What one more token adds while it grows [bytes].
    """

    bytes_per_token: int


@dataclass(frozen=True, slots=True)
class EveryToken(TokenRows):
    """The keys and values of every token."""

    words: ClassVar[str] = say("caches.every_token", "keys and values of every token")


@dataclass(frozen=True, slots=True)
class LatentVectors(TokenRows):
    """One vector of every token, the same on every rank; it cannot be padded.

    Attributes
    ----------
    sparse : bool
        Whether a sparse-attention kernel reads it.
    """

    words: ClassVar[str] = say("caches.latent", "a latent vector of every token")

    sparse: bool = False


@dataclass(frozen=True, slots=True)
class IndexKeys(TokenRows):
    """A short key of every token, by which attention picks the tokens that it reads, the same on every rank."""

    words: ClassVar[str] = say("caches.index", "an index key of every token")


@dataclass(frozen=True, slots=True)
class CompressedRows(Cache):
    """A row for so many tokens at once, the same on every rank.

    Attributes
    ----------
    row_bytes : int
        One row [bytes].
    tokens_per_row : int
        Tokens that a row stands for [tokens].
    """

    words: ClassVar[str] = say("caches.compressed", "a compressed row for several tokens")

    row_bytes: int
    tokens_per_row: int


@dataclass(frozen=True, slots=True)
class RowsInPassing(Cache):
    """Rows of the last tokens that compression or a window reads, the same on every rank.

    Attributes
    ----------
    row_bytes : int
        The row of one token [bytes].
    window : int
        Tokens after which older ones can be dropped [tokens].
    tokens_per_row : int
        Tokens of a compressed row that they are made into; 1 for a window of its own [tokens].
    """

    words: ClassVar[str] = say("caches.passing", "rows of the last tokens, before they are compressed")

    row_bytes: int
    window: int
    tokens_per_row: int = 1


@dataclass(frozen=True, slots=True)
class Window(TokenRows):
    """The keys and values of the last tokens.

    Attributes
    ----------
    window : int
        Tokens after which older ones can be dropped [tokens].
    """

    words: ClassVar[str] = say("caches.window", "the tokens of a sliding window")

    window: int


@dataclass(frozen=True, slots=True)
class Chunk(TokenRows):
    """The keys and values of the current chunk.

    Attributes
    ----------
    window : int
        Tokens of a chunk [tokens].
    """

    words: ClassVar[str] = say("caches.chunk", "the tokens of the current chunk")

    window: int


@dataclass(frozen=True, slots=True)
class LastColumns(Cache):
    """The last columns of short convolutions around attention, kept head by head as a window of tokens.

    Attributes
    ----------
    heads : int
        KV heads of the layer on the rank, which share out the columns [-].
    head_elements : int
        Elements of a column that fall to a head [elements].
    window : int
        Columns that are read at a time [tokens].
    """

    words: ClassVar[str] = say("caches.columns", "the last columns of short convolutions")

    heads: int
    head_elements: int
    window: int


@dataclass(frozen=True, slots=True)
class EncoderTokens(TokenRows):
    """The keys and values of the encoder's tokens, whatever the length of the sequence."""

    words: ClassVar[str] = say("caches.encoder", "the encoder's tokens")


@dataclass(frozen=True, slots=True)
class State(Cache):
    """A recurrent state, which does not grow.

    Attributes
    ----------
    recurrence : Recurrence
        What makes it.
    conv_elements, state_elements : int
        Elements of its convolution and of the state itself [elements].
    conv_element_bytes, state_element_bytes : int
        Bytes of an element of either, as the model asks for [bytes].
    state_named : bool
        Whether the model names the format of its state.
    conv_width : int
        Elements of one column of its convolution [elements].
    """

    words: ClassVar[str] = say("caches.state", "a state that does not grow")

    recurrence: Recurrence
    conv_elements: int
    conv_element_bytes: int
    state_elements: int
    state_element_bytes: int
    state_named: bool = False
    conv_width: int = 0

    def with_columns(self, more: int) -> State:
        """Return the same state with more columns of its convolution."""
        return replace(self, conv_elements=self.conv_elements + more * self.conv_width)

    def in_formats(self, conv_element_bytes: int, state_element_bytes: int) -> State:
        """Return the same state in other formats, by the bytes of an element of each."""
        return replace(self, conv_element_bytes=conv_element_bytes, state_element_bytes=state_element_bytes)

    @property
    def state_bytes(self) -> int:
        """The state of one sequence, in the formats that the model asks for [bytes]."""
        return self.conv_elements * self.conv_element_bytes + self.state_elements * self.state_element_bytes
