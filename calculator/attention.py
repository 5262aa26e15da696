"""The formula: each kind of layer knows how many bytes it keeps.

For uniform full attention the sum over all layers is ``2 × G × d_k × L × s × b × bytes``
(KV heads, head size, layers, tokens, sequences, bytes a value); the 2 stands for K and V.
Multi-head, grouped-query and multi-query attention are one kind with different G.

The same code takes plain integers (exact, of any size) and numpy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from calculator.parallelism import kv_heads_per_rank, why_not
from calculator.storage import StorageFormat

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    Count = TypeVar("Count", int, NDArray[int64])
else:
    Count = TypeVar("Count")


NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What every kind of layer answers; a caller sums and never asks which kind it holds.

    The answers here are those of a layer that keeps nothing.
    """

    @property
    def kind(self) -> str:
        """The kind in words."""
        return "no cache"

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

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:  # noqa: ARG002
        """Say why the layer cannot be split over so many ranks, or None where it can."""
        return None

    def with_kv_heads(self, num_key_value_heads: int) -> LayerSpec:  # noqa: ARG002
        """Return the same layer with another number of KV heads; itself where it has none."""
        return self

    def as_latent(self) -> LayerSpec:
        """Return the same layer with latent attention in its place; itself where it has no heads."""
        return self

    def without_window(self) -> LayerSpec:
        """Return the same layer without a window; itself where it has none."""
        return self


def at_most(num_tokens: Count, limit: int) -> Count:
    """Return ``min(num_tokens, limit)``, for integers and arrays."""
    if isinstance(num_tokens, int | bool):
        return min(num_tokens, limit)
    return num_tokens.clip(max=limit)


def smaller(one: Any, other: Any) -> Any:
    """Return the smaller of two, for integers and arrays."""
    return one - (one - other) * (one > other)


@dataclass(frozen=True, slots=True)
class NoCache(LayerSpec):
    """A layer without attention, or one whose attention keeps nothing."""


@dataclass(frozen=True, slots=True)
class SharedCache(LayerSpec):
    """Attention over the cache of an earlier layer: no bytes of its own."""

    @property
    def kind(self) -> str:
        """The kind in words."""
        return "shares an earlier layer's cache"


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
        return "full attention"

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

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Say why the heads cannot be split over so many ranks, or None where they can."""
        return why_not(self.query_heads or num_attention_heads, self.num_key_value_heads, tensor_parallel_size)

    def with_kv_heads(self, num_key_value_heads: int) -> LayerSpec:
        """Return the same layer with another number of KV heads."""
        return replace(self, num_key_value_heads=num_key_value_heads)

    def as_latent(self) -> LayerSpec:
        """Return latent attention of four head sizes and a rotary key of half a head size in its place."""
        return LatentAttention(4 * self.head_dim, self.head_dim // 2)

    def without_window(self) -> LayerSpec:
        """Return full attention of the same heads."""
        return FullAttention(self.num_key_value_heads, self.head_dim, self.v_head_dim, self.query_heads)


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
        return "sliding window"

    @property
    def grows_until(self) -> int:
        """The window [tokens]."""
        return self.window


@dataclass(frozen=True, slots=True)
class ChunkedAttention(SlidingWindow):
    """Attention within a chunk of ``window`` tokens; the cache of earlier chunks is dropped."""

    @property
    def kind(self) -> str:
        """The kind in words."""
        return "chunked attention"


@dataclass(frozen=True, slots=True)
class CrossAttention(FullAttention):
    """A decoder layer that attends to itself and to the encoder: one cache of each."""

    @property
    def kind(self) -> str:
        """The kind in words."""
        return "full and cross attention"

    def encoder_bytes(self, encoder_tokens: int, storage: StorageFormat, tensor_parallel_size: int) -> int:
        """Return the cross-attention cache: a key and a value a head for each encoder token [bytes]."""
        return encoder_tokens * self.bytes_per_token(storage, tensor_parallel_size)


@dataclass(frozen=True, slots=True)
class LatentAttention(LayerSpec):
    """Multi-head latent attention: one compressed vector a token, the same on every rank, no separate value.

    Attributes
    ----------
    kv_lora_rank : int
        Elements of the compressed vector [elements].
    qk_rope_head_dim : int
        Elements of the shared rotary key [elements].
    index_head_dim : int
        Elements of the sparse-attention indexer's key, 0 without an indexer [elements].
    qk_head_dim, v_head_dim : int
        Elements of an uncompressed key and value, which are not kept [elements].
    shares_index : bool
        Whether the layer reuses the choice of an earlier layer's indexer and keeps no key of its own.
    """

    kv_lora_rank: int
    qk_rope_head_dim: int
    index_head_dim: int = 0
    qk_head_dim: int = 192
    v_head_dim: int = 128
    shares_index: bool = False

    @property
    def kind(self) -> str:
        """The kind in words."""
        if self.shares_index:
            return "sparse latent attention, shared indexer"
        return "sparse latent attention" if self.index_head_dim else "latent attention"

    @property
    def kv_heads(self) -> int:
        """One latent head [-]."""
        return 1

    @property
    def grows_until(self) -> int:
        """Never stops."""
        return NO_LIMIT

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:  # noqa: ARG002
        """Return ``row(kv_lora_rank + qk_rope_head_dim)``, and the indexer's row beside it [bytes].

        Notes
        -----
        Sparse attention keeps an 8 bit latent in the packed layout: the compressed part in 8 bit with a
        4 byte scale per 128, the rotary part in 16 bit (656 bytes for 512 + 64). The indexer's key is 8
        bit with a 4 byte scale per 128, whatever the format of the rest.

        References
        ----------
        vLLM 0.33.0, ``model_executor/layers/attention/mla_attention.py``, ``models/deepseek_v2.py``.
        """
        if not self.index_head_dim:
            return storage.row_bytes(self.kv_lora_rank + self.qk_rope_head_dim)
        indexer = 0 if self.shares_index else _scaled_bytes(self.index_head_dim)
        if storage.is_fp8:
            return _scaled_bytes(self.kv_lora_rank) + 2 * self.qk_rope_head_dim + indexer
        return storage.row_bytes(self.kv_lora_rank + self.qk_rope_head_dim) + indexer

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Query heads are split; the latent vector is copied to every rank."""
        return why_not(num_attention_heads, 1, tensor_parallel_size)

    def with_kv_heads(self, num_key_value_heads: int) -> LayerSpec:
        """Return heads of their own query and value size in place of the latent vector."""
        return FullAttention(num_key_value_heads, self.qk_head_dim, self.v_head_dim)


def _scaled_bytes(elements: int) -> int:
    """Bytes of 8 bit elements with a 4 byte scale per 128."""
    return elements + -(-elements // 128) * 4


@dataclass(frozen=True, slots=True)
class RecurrentState(LayerSpec):
    """A state of fixed size a sequence: Mamba 1 and 2, gated delta net, linear attention.

    Attributes
    ----------
    variant : str
        Which kind of state, in words.
    conv_width : int
        Channels of the convolution, split over ranks [-].
    conv_columns : int
        Columns of it that are kept: its kernel less one [-].
    state_elements : int
        Elements of the recurrent state, split over ranks [elements].
    state_element_bytes : int
        Bytes of an element of the recurrent state [bytes].
    divisible : int
        Heads or channels that ranks must divide into [-].
    conv_element_bytes : int
        Bytes of an element of the convolution's columns [bytes].
    groups, group_width : int
        Groups of channels of the convolution beside ``conv_width`` and the width of one; a single group
        is copied to every rank, more are split [-].
    """

    variant: str
    conv_width: int
    conv_columns: int
    state_elements: int
    state_element_bytes: int
    divisible: int
    conv_element_bytes: int = 2
    groups: int = 0
    group_width: int = 0

    @property
    def kind(self) -> str:
        """The kind in words."""
        return self.variant

    def state_bytes(self, tensor_parallel_size: int) -> int:
        """Return the convolution's columns and the recurrent state on one rank [bytes].

        References
        ----------
        vLLM 0.33.0, ``model_executor/layers/mamba/mamba_utils.py``.
        """
        groups = max(1, self.groups // tensor_parallel_size) if self.groups else 0
        width = self.conv_width // tensor_parallel_size + groups * self.group_width
        conv = width * self.conv_columns * self.conv_element_bytes
        return conv + self.state_elements * self.state_element_bytes // tensor_parallel_size

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:  # noqa: ARG002
        """Say why the heads of the state cannot be split over so many ranks, or None where they can."""
        if self.divisible % tensor_parallel_size:
            return f"{self.divisible} heads of the {self.variant} do not divide by {tensor_parallel_size}"
        if self.groups > 1 and self.groups % tensor_parallel_size:
            return f"{self.groups} groups of the {self.variant} do not divide by {tensor_parallel_size}"
        return None


@dataclass(frozen=True, slots=True)
class AttentionAndState(FullAttention):
    """A layer that has attention and a recurrent block side by side: a cache and a state.

    Attributes
    ----------
    state : RecurrentState
        What the recurrent block keeps.
    """

    state: RecurrentState = field(kw_only=True)

    @property
    def kind(self) -> str:
        """The kind in words."""
        return f"full attention and {self.state.variant}"

    def state_bytes(self, tensor_parallel_size: int) -> int:
        """Return the recurrent state on one rank [bytes]."""
        return self.state.state_bytes(tensor_parallel_size)

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Say why the heads of either cannot be split over so many ranks, or None where they can."""
        reason = FullAttention.why_not(self, num_attention_heads, tensor_parallel_size)
        return reason or self.state.why_not(num_attention_heads, tensor_parallel_size)
