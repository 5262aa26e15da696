"""Latent attention (MLA): one compressed vector a token, for all heads, the same on every rank."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.architecture.caches import Cache, LatentVectors
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.layers import FullAttention, LayerSpec
from calculator.architecture.split import why_not
from calculator.formats.kv import StorageFormat
from calculator.messages import say


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
            return say("layers.sparse_shared", "sparse latent attention, shared indexer")
        if self.index_head_dim:
            return say("layers.sparse", "sparse latent attention")
        return say("layers.latent", "latent attention")

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
        bit with a 4 byte scale for each whole 128, whatever the format of the rest.

        References
        ----------
        vLLM 0.33.0, ``model_executor/layers/attention/mla_attention.py``, ``models/deepseek_v2.py``.
        """
        indexer = self.index_head_dim + self.index_head_dim // 128 * 4 if not self.shares_index else 0
        if storage.packs_latents or (self.index_head_dim and storage.is_fp8):
            return _scaled_bytes(self.kv_lora_rank) + 2 * self.qk_rope_head_dim + indexer
        return storage.row_bytes(self.kv_lora_rank + self.qk_rope_head_dim) + indexer

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return one cache of every token's vector, an indexer's key beside it."""
        row = self.bytes_per_token(storage, tensor_parallel_size)
        return (LatentVectors(row, sparse=self.index_head_dim > 0),)

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Query heads are split; the latent vector is copied to every rank."""
        return why_not(num_attention_heads, 1, tensor_parallel_size)

    def with_kv_heads(self, num_key_value_heads: int) -> LayerSpec:
        """Return heads of their own query and value size in place of the latent vector."""
        return FullAttention(num_key_value_heads, self.qk_head_dim, self.v_head_dim)

    def as_heads(self, num_attention_heads: int) -> LayerSpec:
        """Return a key and a value of every query head, the value padded to the size of the key."""
        return FullAttention(num_attention_heads, self.qk_head_dim, self.qk_head_dim)


def _scaled_bytes(elements: int) -> int:
    """Bytes of 8 bit elements with a 4 byte scale per 128."""
    return elements + -(-elements // 128) * 4


def as_latent(spec: LayerSpec) -> LayerSpec:
    """Return latent attention of DeepSeek-V2's proportions in place of heads; a layer of another kind as it is.

    References
    ----------
    arXiv 2405.04434, section 2.1.4: a compressed vector of 4 head sizes and a rotary key of half a head size.
    """
    if not isinstance(spec, FullAttention) or spec.state_bytes(1):
        return spec
    rope = spec.head_dim // 2
    return LatentAttention(4 * spec.head_dim, rope, qk_head_dim=spec.head_dim + rope, v_head_dim=spec.v_head_dim)
