"""The formula: each kind of layer knows how many bytes it keeps.

For uniform full attention the sum over all layers is ``2 × G × d_k × L × s × b × bytes``
(KV heads, head size, layers, tokens, sequences, bytes a value); the 2 stands for K and V.
Multi-head, grouped-query and multi-query attention are one kind with different G.

The same code takes plain integers (exact, of any size) and numpy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from calculator.architecture.caches import Cache, Chunk, EncoderTokens, EveryToken, IndexKeys, Window
from calculator.architecture.counts import NO_LIMIT, Count, at_most
from calculator.architecture.split import kv_heads_per_rank, why_not
from calculator.formats.kv import StorageFormat
from calculator.messages import say


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What every kind of layer answers; a caller sums and never asks which kind it holds.

    The answers here are those of a layer that keeps nothing.
    """

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.no_cache", "no cache")

    @property
    def kv_heads(self) -> int:
        """KV heads of the whole layer, 0 where it keeps none of its own [-]."""
        return 0

    @property
    def grows_until(self) -> int:
        """Tokens after which the layer keeps no more: ``NO_LIMIT`` where it never stops, 0 where it never grows."""
        return 0

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:  # noqa: ARG002
        """Return what one more token adds on one rank while the layer still grows [bytes]."""
        return 0

    def kv_bytes(
        self, num_tokens: Count, storage: StorageFormat, tensor_parallel_size: int, encoder_tokens: int = 0
    ) -> Count:
        """Return what grows, on one rank, for one sequence of ``num_tokens`` tokens [bytes]."""
        kept = at_most(num_tokens, self.grows_until) * self.bytes_per_token(storage, tensor_parallel_size)
        return kept + self.encoder_bytes(encoder_tokens, storage, tensor_parallel_size)

    def encoder_bytes(self, encoder_tokens: int, storage: StorageFormat, tensor_parallel_size: int) -> int:  # noqa: ARG002
        """Return what is kept of the encoder's tokens on one rank [bytes]."""
        return 0

    def state_bytes(self, tensor_parallel_size: int) -> int:  # noqa: ARG002
        """Return the recurrent state of one sequence on one rank [bytes]."""
        return 0

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:  # noqa: ARG002
        """Return what the layer keeps on one rank, cache by cache; none where it keeps nothing of its own."""
        return ()

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:  # noqa: ARG002
        """Say why the layer cannot be split over so many ranks, or None where it can."""
        return None

    def with_kv_heads(self, num_key_value_heads: int) -> LayerSpec:  # noqa: ARG002
        """Return the same layer with another number of KV heads; itself where it has none."""
        return self

    def without_window(self) -> LayerSpec:
        """Return the same layer without a window; itself where it has none."""
        return self

    def with_window(self, more: int) -> LayerSpec:  # noqa: ARG002
        """Return the same layer with a window so many tokens longer; itself where it has none."""
        return self

    def as_heads(self, num_attention_heads: int) -> LayerSpec:  # noqa: ARG002
        """Return the layer as it keeps a latent vector expanded to heads; itself where it has none."""
        return self


@dataclass(frozen=True, slots=True)
class NoCache(LayerSpec):
    """A layer without attention, or one whose attention keeps nothing."""


@dataclass(frozen=True, slots=True)
class EncoderAttention(LayerSpec):
    """Attention over all tokens of a text at once: nothing is kept from one forward pass to the next.

    Attributes
    ----------
    query_heads, num_key_value_heads : int
        Heads of the layer, which ranks share [-].
    """

    query_heads: int
    num_key_value_heads: int

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.encoder", "encoder attention, no cache")

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:  # noqa: ARG002
        """Say why the heads cannot be split over so many ranks, or None where they can."""
        return why_not(self.query_heads, self.num_key_value_heads, tensor_parallel_size)


@dataclass(frozen=True, slots=True)
class SharedCache(LayerSpec):
    """Attention over the cache of an earlier layer: no bytes of its own."""

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.shared", "shares an earlier layer's cache")


@dataclass(frozen=True, slots=True)
class FullAttention(LayerSpec):
    """Attention over all earlier tokens; every token keeps one key and one value a KV head.

    Attributes
    ----------
    num_key_value_heads : int
        KV heads of the layer, G [-].
    head_dim : int
        Elements of a key, d_k [elements].
    v_head_dim : int
        Elements of a value, d_v [elements].
    query_heads : int or None
        Query heads of the layer, where they differ from the model's [-].
    """

    num_key_value_heads: int
    head_dim: int
    v_head_dim: int
    query_heads: int | None = None

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.full", "full attention")

    @property
    def kv_heads(self) -> int:
        """KV heads of the whole layer [-]."""
        return self.num_key_value_heads

    @property
    def grows_until(self) -> int:
        """Never stops."""
        return NO_LIMIT

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:
        """Return ``heads on the rank × (key row + value row)`` [bytes].

        References
        ----------
        vLLM 0.33.0, ``v1/kv_cache_interface.py`` ``AttentionSpec``.
        """
        heads = kv_heads_per_rank(self.num_key_value_heads, tensor_parallel_size)
        return heads * (storage.row_bytes(self.head_dim) + storage.row_bytes(self.v_head_dim))

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return one cache of every token."""
        return (EveryToken(self.bytes_per_token(storage, tensor_parallel_size)),)

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Say why the heads cannot be split over so many ranks, or None where they can."""
        return why_not(self.query_heads or num_attention_heads, self.num_key_value_heads, tensor_parallel_size)

    def with_kv_heads(self, num_key_value_heads: int) -> LayerSpec:
        """Return the same layer with another number of KV heads."""
        return replace(self, num_key_value_heads=num_key_value_heads)


@dataclass(frozen=True, slots=True)
class IndexedAttention(FullAttention):
    """Attention over tokens that an index picks: beside keys and values every token keeps an index key.

    Attributes
    ----------
    index_head_dim : int
        Elements of an index key, 16 bit each and the same on every rank [elements].
    """

    index_head_dim: int = 0

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.indexed", "full attention with an index")

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:
        """Return keys, values and the index key [bytes]."""
        return FullAttention.bytes_per_token(self, storage, tensor_parallel_size) + 2 * self.index_head_dim

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return the cache of every token, and that of its index key."""
        row = FullAttention.bytes_per_token(self, storage, tensor_parallel_size)
        return EveryToken(row), IndexKeys(2 * self.index_head_dim)


@dataclass(frozen=True, slots=True)
class SlidingWindow(FullAttention):
    """Attention over the last ``window`` tokens; older keys and values are dropped.

    Attributes
    ----------
    window : int
        Tokens that are kept [tokens].
    """

    window: int = NO_LIMIT

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.window", "sliding window")

    @property
    def grows_until(self) -> int:
        """The window [tokens]."""
        return self.window

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return one cache of the last tokens."""
        return (Window(self.bytes_per_token(storage, tensor_parallel_size), self.window),)

    def with_window(self, more: int) -> LayerSpec:
        """Return the same layer with a window so many tokens longer."""
        return replace(self, window=self.window + more)

    def without_window(self) -> LayerSpec:
        """Return full attention of the same heads."""
        return FullAttention(self.num_key_value_heads, self.head_dim, self.v_head_dim, self.query_heads)


@dataclass(frozen=True, slots=True)
class ChunkedAttention(SlidingWindow):
    """Attention within a chunk of ``window`` tokens; the cache of earlier chunks is dropped."""

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.chunk", "chunked attention")

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return one cache of the current chunk."""
        return (Chunk(self.bytes_per_token(storage, tensor_parallel_size), self.window),)


@dataclass(frozen=True, slots=True)
class CrossAttention(FullAttention):
    """A decoder layer that attends to itself and to the encoder: one cache of each."""

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.cross", "full and cross attention")

    def encoder_bytes(self, encoder_tokens: int, storage: StorageFormat, tensor_parallel_size: int) -> int:
        """Return the cross-attention cache: a key and a value a head for each encoder token [bytes]."""
        return encoder_tokens * self.bytes_per_token(storage, tensor_parallel_size)

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return the cache of every token and that of the encoder's tokens."""
        row = self.bytes_per_token(storage, tensor_parallel_size)
        return EveryToken(row), EncoderTokens(row)
