"""What one step of decode reads and computes: why K and V are what to save, and where a device's roofline bends.

::

    attention: 2 H (d_k + d_v) FLOPs and G (d_k + d_v) values for each token kept, a layer
    step:      2 × parameters × b FLOPs and the weights once, beside them
"""

from __future__ import annotations

from dataclasses import dataclass

from calculator.architecture.counts import at_most
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import FullAttention, LayerSpec
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import Layout, kv_bytes_of_sequence
from calculator.catalogue.presets import load_gpu, load_model
from calculator.errors import UnsupportedError, friendly
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.hardware import Accelerator
from calculator.messages import say
from calculator.planning.heads.attention import ELEMENT_BYTES, specs_with_heads
from calculator.planning.kv_cache import encoder_tokens
from calculator.planning.traffic.timing.work import work_of
from calculator.reading.schema import Schema
from calculator.request import OPTIONS

_SCHEMA = Schema("Step", {name: OPTIONS[name].field for name in ("seq_len", "batch_size")})


@dataclass(frozen=True)
class ArithmeticIntensity:
    """FLOPs and bytes of one step of decode, of a whole replica; each sequence gains one token.

    Attributes
    ----------
    attention : float
        FLOP for each byte of the KV cache that is read [-].
    step : float
        FLOP for each byte of weights and KV cache that is read [-].
    ridge : float or None
        FLOP for each byte at which a device's 16 bit arithmetic is as slow as its memory [-]; None without a GPU.
    attention_flops, matrix_flops : int
        FLOPs of scores and their sums over values, and of the weights [-].
    kv_bytes_read, weights_bytes_read : int
        What the step reads [bytes].
    query_bytes_per_layer : int
        Q of one token in the largest layer, gone after the step [bytes].
    kv_bytes_per_token_per_layer : int
        K and V of one token in the largest layer, kept and read again by every later step [bytes].
    query_bytes_per_token, kv_bytes_per_token : int
        The same of one token over all layers [bytes].
    """

    attention: float
    step: float
    ridge: float | None
    attention_flops: int
    matrix_flops: int
    kv_bytes_read: int
    weights_bytes_read: int
    query_bytes_per_layer: int
    kv_bytes_per_token_per_layer: int
    query_bytes_per_token: int
    kv_bytes_per_token: int


@friendly
def arithmetic_intensity(
    model: ModelArchitecture | str,
    batch_size: int,
    seq_len: int,
    kv_cache_dtype: str = "auto",
    weight_dtype: str = "auto",
    gpu: Accelerator | str | None = None,
    encoder_seq_len: int | None = None,
) -> ArithmeticIntensity:
    """Return FLOP per byte of decode attention and of a whole step of decode.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    batch_size : int
        Sequences that decode at once [-].
    seq_len : int
        Tokens that each of them holds [tokens].
    kv_cache_dtype, weight_dtype : str
        Formats of cache and weights; ``auto`` for the checkpoint's own [-].
    gpu : Accelerator or str, optional
        A device, for its ridge [-].
    encoder_seq_len : int, optional
        Tokens of the encoder; required for an encoder-decoder, refused otherwise [tokens].

    Returns
    -------
    ArithmeticIntensity
        Both ratios, and the FLOPs and bytes that they are made of.

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, or a layer attends in a way that is not counted.

    Notes
    -----
    ``2 H (d_k + d_v) / (G (row(d_k) + row(d_v)))``: H / G with 16 bit KV, 2 H / G with 8 bit, whatever the length and
    the batch, since each sequence reads its own cache. FLOPs depend on H, not on G. Latent attention is computed on the
    vector itself: ``2 H (2 c + r) / row(c + r)``. The FLOPs of a step are twice the parameters that a token passes
    through, for each sequence; its bytes are the weights once, of experts those that the batch touches, and the cache.
    Layers that attend over another layer's cache, and recurrent states, are in the weights alone.

    References
    ----------
    arXiv 1911.02150, section 3 (memory over compute); arXiv 2405.04434, section 2.1.2 (absorbed projections).
    """
    architecture = load_model(model)
    asked = _SCHEMA.validate({"seq_len": seq_len, "batch_size": batch_size})
    length, batch = int(asked["seq_len"]), int(asked["batch_size"])
    encoder = encoder_tokens(architecture, encoder_seq_len)
    specs_with_heads(architecture)
    storage = storage_format(architecture.resolve_kv_dtype(kv_cache_dtype))
    dtype = weight_format(architecture.resolve_weight_dtype(weight_dtype)).name
    kept = kv_bytes_of_sequence(architecture.groups, length, Layout(storage, Split(), encoder))
    attention = sum(
        group.count * attention_flops_of_token(group.spec, architecture.num_attention_heads, length, encoder)
        for group in architecture.groups
    )
    work = work_of(architecture, dtype)
    weights = work.dense_bytes + round(work.expert_bytes * work.touched(batch))
    matrices = 2 * work.active_parameters
    queries = [
        (group.count, query_bytes(group.spec, architecture.num_attention_heads)) for group in architecture.groups
    ]
    rows = [group.spec.bytes_per_token(storage, 1) for group in architecture.groups]
    return ArithmeticIntensity(
        attention=attention / kept,
        step=batch * (attention + matrices) / (weights + batch * kept),
        ridge=_ridge(gpu),
        attention_flops=batch * attention,
        matrix_flops=batch * matrices,
        kv_bytes_read=batch * kept,
        weights_bytes_read=weights,
        query_bytes_per_layer=max(size for _, size in queries),
        kv_bytes_per_token_per_layer=max(rows),
        query_bytes_per_token=sum(count * size for count, size in queries),
        kv_bytes_per_token=architecture.kv_bytes_per_token(storage.name),
    )


def attention_flops_of_token(spec: LayerSpec, num_attention_heads: int, seq_len: int, encoder_tokens: int = 0) -> int:
    """Return the FLOPs of one new token's attention over what a layer keeps: ``2 H (d_k + d_v) × tokens`` [-].

    Raises
    ------
    UnsupportedError
        If the layer chooses the tokens that it attends to: what choosing costs is not counted.
    """
    tokens = at_most(seq_len, spec.grows_until)
    if isinstance(spec, LatentAttention):
        if spec.index_head_dim:
            raise UnsupportedError(
                say("intensity.what_sparse_indexer_reads", "what a sparse indexer reads and computes is not counted"),
                what="model",
            )
        return 2 * num_attention_heads * (2 * spec.kv_lora_rank + spec.qk_rope_head_dim) * tokens
    if isinstance(spec, FullAttention):
        heads = spec.query_heads or num_attention_heads
        over_encoder = encoder_tokens if spec.encoder_bytes(1, storage_format("fp16"), 1) else 0
        return 2 * heads * (spec.head_dim + spec.v_head_dim) * (tokens + over_encoder)
    return 0


def query_bytes(spec: LayerSpec, num_attention_heads: int) -> int:
    """Return the queries of one token in one layer, in 16 bit: ``H d_k`` values [bytes]."""
    if isinstance(spec, LatentAttention):
        return ELEMENT_BYTES * num_attention_heads * spec.qk_head_dim
    if isinstance(spec, FullAttention):
        return ELEMENT_BYTES * (spec.query_heads or num_attention_heads) * spec.head_dim
    return 0


def _ridge(gpu: Accelerator | str | None) -> float | None:
    return None if gpu is None else ridge_of(load_gpu(gpu))


def ridge_of(gpu: Accelerator) -> float | None:
    """Return the 16 bit FLOPs that a device computes while it reads a byte [-]; None where either is not known."""
    if not gpu.bf16_tflops or not gpu.bandwidth_gb_per_s:
        return None
    return gpu.bf16_tflops * 1e12 / (gpu.bandwidth_gb_per_s * 1e9)
