"""Figures of a claim that follow from an architecture alone: bytes, heads, FLOPs."""

from __future__ import annotations

from typing import Any

from calculator.architecture.decoder import custom_model
from calculator.architecture.layers import FullAttention, SlidingWindow
from calculator.catalogue.presets import load_model
from calculator.planning.heads.attention import attention_memory
from calculator.planning.heads.intensity import arithmetic_intensity
from calculator.planning.heads.variants import divisors, preset_with
from calculator.planning.kv_cache import kv_cache_bytes


def cache_bytes(
    model: str,
    seq_len: int,
    batch_size: int = 1,
    kv_cache_dtype: str = "fp16",
    kv_heads: int | str | None = None,
    layers: int | None = None,
) -> int:
    """KV cache of a batch, one copy; of so many layers of the model where that is said [bytes]."""
    whole = preset_with(model, kv_heads)
    size = int(kv_cache_bytes(whole, seq_len, batch_size, kv_cache_dtype))
    return size if layers is None else size * layers // whole.num_layers


def token_bytes(model: str, kv_cache_dtype: str = "fp16", kv_heads: int | str | None = None) -> int:
    """KV cache of one token over all layers [bytes]."""
    return preset_with(model, kv_heads).kv_bytes_per_token(kv_cache_dtype)


def layer_token_bytes(model: str, kv_heads: int | str | None = None) -> int:
    """KV cache of one token in one layer of a model of equal layers, in 16 bit [bytes]."""
    varied = preset_with(model, kv_heads)
    return varied.kv_bytes_per_token("fp16") // varied.num_layers


def kept_share(model: str, kv_heads: int | str | None = None, kv_cache_dtype: str = "fp16") -> float:
    """KV cache of a token against that of multi-head attention in 16 bit [-]."""
    return token_bytes(model, kv_cache_dtype, kv_heads) / token_bytes(model, "fp16", "all")


def saved_share(model: str, kv_heads: int | str | None = None) -> float:
    """Share of the KV cache that is saved against multi-head attention [-]."""
    return 1 - kept_share(model, kv_heads)


def kept_of_heads(query_heads: int, kv_heads: int) -> float:
    """KV cache of a model with so many heads against the same with one KV head for each query head [-]."""
    sizes: dict[str, Any] = {
        "num_layers": 1, "num_attention_heads": query_heads, "head_dim": 64, "hidden_size": 64 * query_heads,
        "intermediate_size": 64, "vocab_size": 64, "max_position_embeddings": 64, "tie_word_embeddings": True,
    }  # fmt: skip
    few, many = (custom_model(**sizes, num_key_value_heads=count) for count in (kv_heads, query_heads))
    return few.kv_bytes_per_token("fp16") / many.kv_bytes_per_token("fp16")


def heads_of(model: str) -> int:
    """Query heads [-]."""
    return load_model(model).num_attention_heads


def kv_heads_of(model: str) -> int:
    """KV heads [-]."""
    return load_model(model).num_key_value_heads


def ratio_of(model: str) -> float:
    """Query heads a KV head [-]."""
    return heads_of(model) / kv_heads_of(model)


def layers_of(model: str) -> int:
    """Layers [-]."""
    return load_model(model).num_layers


def choices_of(model: str) -> int:
    """Numbers of KV heads that the query heads divide by [-]."""
    return len(divisors(load_model(model)))


def longest_of(model: str) -> int:
    """The longest context that a model is made for [tokens]."""
    return load_model(model).max_position_embeddings


def window_layers_of(model: str) -> int:
    """Layers with a window [-]."""
    return sum(group.count for group in load_model(model).groups if isinstance(group.spec, SlidingWindow))


def key_width(model: str, kv_heads: int | None = None) -> int:
    """Outputs of the key projection: ``G × d_k`` [elements]."""
    (group,) = preset_with(model, kv_heads).groups
    assert isinstance(group.spec, FullAttention)
    return group.spec.kv_heads * group.spec.head_dim


def parameters(model: str, kv_heads: int | str | None = None) -> int:
    """Parameters [-]."""
    return preset_with(model, kv_heads).num_parameters


def score_bytes(model: str, seq_len: int, kv_heads: int | str | None = None) -> int:
    """The score matrix of one layer in prefill, without flash attention [bytes]."""
    varied = preset_with(model, kv_heads)
    return attention_memory(varied, seq_len, flash_attention=False) - attention_memory(varied, seq_len)


def prefill_bytes(model: str, seq_len: int, kv_heads: int | str | None = None) -> int:
    """Q, K, V and output of one layer in prefill, with flash attention [bytes]."""
    return attention_memory(preset_with(model, kv_heads), seq_len)


def attention_flops(model: str, seq_len: int, kv_heads: int | str | None = None) -> int:
    """FLOPs of one new token's attention [-]."""
    return arithmetic_intensity(preset_with(model, kv_heads), 1, seq_len).attention_flops


def matrix_flops(model: str, kv_heads: int | str | None = None) -> int:
    """FLOPs of one token through the weights [-]."""
    return arithmetic_intensity(preset_with(model, kv_heads), 1, 1).matrix_flops


def attention_intensity(model: str, kv_heads: int | str | None = None) -> float:
    """FLOP per byte of decode attention with 16 bit KV [-]."""
    return arithmetic_intensity(preset_with(model, kv_heads), 1, 1, "fp16").attention


def step_intensity(model: str, batch_size: int, seq_len: int) -> float:
    """FLOP per byte of a whole step of decode [-]."""
    return arithmetic_intensity(load_model(model), batch_size, seq_len).step


def query_bytes(model: str) -> int:
    """Q of one token in one layer [bytes]."""
    return arithmetic_intensity(load_model(model), 1, 1).query_bytes_per_layer


def query_token_bytes(model: str) -> int:
    """Q of one token over all layers [bytes]."""
    return arithmetic_intensity(load_model(model), 1, 1).query_bytes_per_token


def layered_token_bytes(model: str, first: int, second: int) -> int:
    """KV cache of a token where the first half of the layers has some KV heads and the second half others [bytes]."""
    loaded = load_model(model)
    half = loaded.num_layers // 2
    counts = [first] * half + [second] * (loaded.num_layers - half)
    return loaded.with_kv_heads(counts).kv_bytes_per_token("fp16")
