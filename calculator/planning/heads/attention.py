"""Memory of prefill with and without a score matrix, and which query heads share which KV head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import FullAttention, LayerSpec
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import kv_heads_per_rank
from calculator.catalogue.presets import load_model
from calculator.engines import engine_rules
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError, friendly
from calculator.messages import say
from calculator.planning.heads.variants import keeps_latent, query_heads, with_heads
from calculator.reading.schema import Schema
from calculator.request import OPTIONS

ELEMENT_BYTES = 2
"""Of a value in flight, in 16 bit [bytes]."""
_TOKENS = OPTIONS["seq_len"].field
_SCHEMA = Schema("Attention", {"seq_len": _TOKENS, "batch_size": OPTIONS["batch_size"].field, "query_tokens": _TOKENS})
_DEGREE = Schema("Degree", {"tensor_parallel_size": OPTIONS["tensor_parallel_size"].field})


@friendly
def attention_memory(
    model: ModelArchitecture | str,
    seq_len: int,
    batch_size: int = 1,
    flash_attention: bool = True,
    query_tokens: int | None = None,
    engine: str | None = None,
) -> int:
    """Return what the attention of one layer holds in flight while a prompt is computed.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    seq_len : int
        Tokens of the prompt, all attended to [tokens].
    batch_size : int
        Prompts computed at once [-].
    flash_attention : bool
        Whether scores stay in the chip, block by block, and no score matrix is written [-].
    query_tokens : int, optional
        Tokens of the prompt computed at once, as in chunked prefill; by default all of it [tokens].
    engine : str, optional
        Whose values in flight count: 32 bit in llama.cpp, 16 bit in the others and by default [-].

    Returns
    -------
    int
        Q, K, V and output of the tokens computed, and the scores of all query heads [bytes].

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, or no layer of the model has heads.

    Notes
    -----
    ``2 b n (H d_k + G d_k + G d_v + H d_v)``, and without flash attention ``2 b H n s`` for the scores, in 16 bit: one
    layer in flight, the largest where they differ, one GPU. In 32 bit it is 4 in place of 2: llama.cpp's scores are
    ``4 × n_ubatch × n_ctx × H``. The scores depend on H and not on G. What decode reads of the cache is the same with
    either kernel. Latent attention is computed as heads in a prompt.

    References
    ----------
    arXiv 2205.14135, section 3.1; Dao et al.: memory linear, not quadratic, in the length.
    """
    architecture = load_model(model)
    asked = {"seq_len": seq_len, "batch_size": batch_size, "query_tokens": query_tokens or seq_len}
    checked = _SCHEMA.validate(asked)
    length, batch, computed = (int(checked[name]) for name in asked)
    if computed > length:
        raise InvalidValueError(
            say(
                "attention.query_tokens_more_than",
                "query_tokens {computed:,} is more than the {length:,} tokens of the prompt",
                computed=computed,
                length=length,
            ),
            what="query_tokens",
            asked=computed,
            allowed=length,
            nearest=length,
        )
    if not isinstance(flash_attention, bool):
        raise InvalidValueError(
            say("attention.flash_attention_must_true", "flash_attention must be true or false"), what="flash_attention"
        )
    each = ELEMENT_BYTES if engine is None else engine_rules(engine).in_flight_bytes
    held = []
    for spec in specs_with_heads(architecture):
        heads, kv_heads, key, value = _shape(spec, architecture.num_attention_heads)
        rows = heads * key + kv_heads * key + kv_heads * value + heads * value
        scores = 0 if flash_attention else heads * length
        held.append(each * batch * computed * (rows + scores))
    return max(held)


def specs_with_heads(model: ModelArchitecture) -> tuple[LayerSpec, ...]:
    """Return the kinds of layers of a model that attend to tokens with heads.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    found = tuple(group.spec for group in model.groups if isinstance(group.spec, FullAttention | LatentAttention))
    if not found:
        raise UnsupportedError(
            say("attention.has_no_layer_attention", "{name} has no layer with attention heads", name=model.name),
            what="model",
        )
    return found


def _shape(spec: LayerSpec, num_attention_heads: int) -> tuple[int, int, int, int]:
    """Return query heads, KV heads, and elements of a key and a value, as a prompt computes them."""
    if isinstance(spec, LatentAttention):
        return num_attention_heads, num_attention_heads, spec.qk_head_dim, spec.v_head_dim
    assert isinstance(spec, FullAttention)
    return spec.query_heads or num_attention_heads, spec.num_key_value_heads, spec.head_dim, spec.v_head_dim


@dataclass(frozen=True, slots=True)
class SharedHead:
    """One KV head: who reads it, and where it is kept.

    Attributes
    ----------
    kv_head : int
        Its place among the KV heads, from 0 [-].
    query_heads : tuple of int
        The query heads that read it, from 0 [-].
    gpus : tuple of int
        The GPUs of a stage that keep it, from 0; more than one where it is copied [-].
    """

    kv_head: int
    query_heads: tuple[int, ...]
    gpus: tuple[int, ...]


@friendly
def head_sharing(
    model: ModelArchitecture | str, num_key_value_heads: int | None = None, tensor_parallel_size: int = 1
) -> tuple[SharedHead, ...]:
    """Return which query heads share which KV head, and which GPUs keep it.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    num_key_value_heads : int, optional
        KV heads; by default the model's own [-].
    tensor_parallel_size : int
        GPUs that share every layer [-].

    Returns
    -------
    tuple of SharedHead
        One entry a KV head; a single one for latent attention, which every GPU keeps.

    Raises
    ------
    CalculatorError
        If query heads do not divide by so many, or heads cannot be split so.

    Notes
    -----
    Query head i reads KV head ``i // (H / G)``. Where a kernel has equal heads alone, K and V are expanded by repeating
    each for its query heads (``repeat_interleave``) for one computation; every copy holds the same numbers, so none but
    the G heads is ever kept.
    """
    architecture = load_model(model)
    heads = query_heads(architecture)
    ranks = int(_DEGREE.validate({"tensor_parallel_size": tensor_parallel_size})["tensor_parallel_size"])
    latent = num_key_value_heads is None and keeps_latent(architecture)
    varied = architecture if num_key_value_heads is None else with_heads(architecture, num_key_value_heads)
    counts = {each for each in varied.kv_heads_by_layer if each}
    if len(counts) > 1:
        raise UnsupportedError(
            say(
                "attention.layers_have_kv_heads",
                "layers of {name} have {min} to {max} KV heads: give num_key_value_heads",
                name=varied.name,
                min=min(counts),
                max=max(counts),
            ),
            what="num_key_value_heads",
        )
    varied.check_tensor_parallel(ranks)
    if ranks > heads:
        raise ParallelismError(
            say(
                "attention.tensor_parallel_size_more",
                "tensor_parallel_size {ranks} is more than the {heads} query heads",
                ranks=ranks,
                heads=heads,
            ),
            what="tensor_parallel_size",
            asked=ranks,
            nearest=heads,
        )
    return tuple(_shared(1 if latent else counts.pop(), heads, ranks, latent))


def _shared(kv_heads: int, heads: int, ranks: int, latent: bool) -> Iterator[SharedHead]:
    each, kept = heads // kv_heads, kv_heads_per_rank(kv_heads, ranks)
    copies = ranks if latent else max(1, ranks // kv_heads)
    for head in range(kv_heads):
        first = head // kept if copies == 1 else head * copies
        yield SharedHead(head, tuple(range(head * each, (head + 1) * each)), tuple(range(first, first + copies)))
