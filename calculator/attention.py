"""The formula: each kind of layer knows how many bytes it keeps.

For uniform full attention the sum over all layers is ``2 × G × d_k × L × s × b × bytes``
(KV heads, head size, layers, tokens, sequences, bytes a value); the 2 stands for K and V.
Multi-head, grouped-query and multi-query attention are one kind with different G.

The same code takes plain integers (exact, of any size) and numpy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from calculator.parallelism import kv_heads_per_rank
from calculator.storage import StorageFormat

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    Count = TypeVar("Count", int, NDArray[int64])
else:
    Count = TypeVar("Count")


class LayerSpec(Protocol):
    """What every kind of layer answers; a caller sums and never asks which kind it holds."""

    @property
    def kind(self) -> str:
        """The kind in words."""

    @property
    def num_key_value_heads(self) -> int:
        """KV heads of the whole layer [-]."""

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:
        """Bytes that one more token adds on one rank while the layer still grows [bytes]."""

    def kv_bytes(self, num_tokens: Count, storage: StorageFormat, tensor_parallel_size: int) -> Count:
        """Bytes kept on one rank for one sequence of ``num_tokens`` tokens [bytes]."""


@dataclass(frozen=True, slots=True)
class FullAttention:
    """Attention over all earlier tokens; every token keeps one key and one value a KV head.

    Attributes
    ----------
    num_key_value_heads : int
        KV heads of the layer, G [-].
    head_dim : int
        Elements of a key, d_k [elements].
    v_head_dim : int
        Elements of a value, d_v [elements].
    """

    num_key_value_heads: int
    head_dim: int
    v_head_dim: int

    @property
    def kind(self) -> str:
        """The kind in words."""
        return "full attention"

    def bytes_per_token(self, storage: StorageFormat, tensor_parallel_size: int) -> int:
        """Return ``heads on the rank × (key row + value row)`` [bytes].

        References
        ----------
        vLLM 0.33.0, ``v1/kv_cache_interface.py`` ``AttentionSpec``.
        """
        heads = kv_heads_per_rank(self.num_key_value_heads, tensor_parallel_size)
        return heads * (storage.row_bytes(self.head_dim) + storage.row_bytes(self.v_head_dim))

    def kv_bytes(self, num_tokens: Count, storage: StorageFormat, tensor_parallel_size: int) -> Count:
        """Return the bytes of ``num_tokens`` tokens of one sequence on one rank [bytes]."""
        return num_tokens * self.bytes_per_token(storage, tensor_parallel_size)
