"""Attention over a window of latent vectors and over older ones that are compressed, several tokens to a row."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.architecture.caches import Cache, CompressedRows, RowsInPassing
from calculator.architecture.counts import NO_LIMIT, Count, at_most
from calculator.architecture.layers import LayerSpec
from calculator.architecture.split import why_not
from calculator.formats.kv import StorageFormat
from calculator.messages import say

STATE_BYTES = 4
"""Bytes of an element before it is compressed: 32 bit."""


@dataclass(frozen=True, slots=True)
class CompressedAttention(LayerSpec):
    """A window of latent vectors, and a row for each so many tokens before it.

    Attributes
    ----------
    head_dim : int
        Elements of a latent vector [elements].
    rope_dim : int
        Elements of it that are rotated and stay 16 bit; the others are 8 bit, a scale to each 64 [elements].
    window : int
        Tokens of the window [tokens].
    tokens_per_row : int
        Tokens that are compressed into a row; 0 where none are [tokens].
    overlaps : bool
        Whether a row is made of its own tokens and of those before them, twice as many.
    index_head_dim : int
        Elements of the key by which rows are picked, kept beside each row; 0 where all are read [elements].

    References
    ----------
    vLLM 0.33.0, ``models/deepseek_v4/attention.py`` (448 bytes, 128 of the rotary part and 8 of scales a row),
    ``compressor.py`` (keys and scores of the tokens that are being compressed, in 32 bit).
    """

    head_dim: int
    rope_dim: int
    window: int
    tokens_per_row: int = 0
    overlaps: bool = False
    index_head_dim: int = 0

    @property
    def kind(self) -> str:
        """The kind in words."""
        if not self.tokens_per_row:
            return say("layers.latent_window", "a window of latent vectors")
        return say("layers.compressed", "latent vectors, {tokens} tokens to a row", tokens=self.tokens_per_row)

    @property
    def kv_heads(self) -> int:
        """One latent head [-]."""
        return 1

    @property
    def grows_until(self) -> int:
        """The window, or never where older tokens are compressed [tokens]."""
        return NO_LIMIT if self.tokens_per_row else self.window

    @property
    def row_bytes(self) -> int:
        """One latent row [bytes]."""
        plain = self.head_dim - self.rope_dim
        return plain + 2 * self.rope_dim + plain // 64 + 1

    @property
    def index_row_bytes(self) -> int:
        """One index key, with a 4 byte scale for each whole 128; 0 without [bytes]."""
        return self.index_head_dim + self.index_head_dim // 128 * 4

    def _passing(self) -> tuple[RowsInPassing, ...]:
        """Return what is kept of the last tokens: the window, and what is being compressed."""
        kept = [RowsInPassing(self.row_bytes, self.window)]
        if self.tokens_per_row:
            times = 2 if self.overlaps else 1
            sizes = (self.head_dim, self.index_head_dim) if self.index_head_dim else (self.head_dim,)
            span = times * self.tokens_per_row
            kept += [RowsInPassing(2 * times * size * STATE_BYTES, span, self.tokens_per_row) for size in sizes]
        return tuple(kept)

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:  # noqa: ARG002
        """Return what one more token adds in the long run, rounded up; without compression the window's [bytes]."""
        if not self.tokens_per_row:
            return self.row_bytes
        return -(-(self.row_bytes + self.index_row_bytes) // self.tokens_per_row)

    def kv_bytes(
        self,
        num_tokens: Count,
        storage: StorageFormat,  # noqa: ARG002
        tensor_parallel_size: int,  # noqa: ARG002
        encoder_tokens: int = 0,  # noqa: ARG002
    ) -> Count:
        """Return the compressed rows, and what is kept of the last tokens, of one sequence [bytes]."""
        total = 0 * num_tokens
        for passing in self._passing():
            total = total + at_most(num_tokens, passing.window) * passing.row_bytes
        if self.tokens_per_row:
            total = total + num_tokens // self.tokens_per_row * (self.row_bytes + self.index_row_bytes)
        return total

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:  # noqa: ARG002
        """Return the rows of the last tokens and the compressed ones."""
        if not self.tokens_per_row:
            return self._passing()
        compressed = [CompressedRows(self.row_bytes, self.tokens_per_row)]
        if self.index_head_dim:
            compressed.append(CompressedRows(self.index_row_bytes, self.tokens_per_row))
        return (*compressed, *self._passing())

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Query heads are split; the latent vector is copied to every rank."""
        return why_not(num_attention_heads, 1, tensor_parallel_size)
