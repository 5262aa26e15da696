"""The weight matrices of one layer, block by block: attention, MLP, experts, state layers, norms."""

from __future__ import annotations

from collections.abc import Iterator

from calculator.architecture.matrices import Sharding, WeightMatrix

Weights = Iterator[WeightMatrix]
MLPS = {"experts": "mlp.experts", "shared experts": "mlp.shared_experts"}
"""What checkpoints call the MLPs of a part; ``mlp`` for any other."""
CORRECTION = "mlp.gate.e_score_correction"
WIDE = 4
"""Of a value that engines keep in 32 bits [bytes]."""


def linear(
    part: str,
    outputs: int,
    inputs: int,
    sharding: Sharding,
    bias: bool = False,
    copies: int = 1,
    active: int = 1,
    quantised: bool = True,
    module: str = "",
    value_bytes: int = 0,
) -> Weights:
    """Yield a matrix and its bias; a bias behind split inputs is whole on every rank."""
    yield WeightMatrix(part, outputs, inputs, copies, active, sharding, quantised, module, value_bytes=value_bytes)
    if bias:
        kept = Sharding.COPIED if sharding is Sharding.ROWS else sharding
        yield WeightMatrix(part, outputs, 1, copies, active, kept, False, module)


def vector(
    part: str, length: int, copies: int = 1, sharding: Sharding = Sharding.COPIED, value_bytes: int = 0
) -> Weights:
    """Yield a vector that no weight format quantises."""
    if length and copies:
        yield WeightMatrix(part, length, 1, copies, copies, sharding, quantised=False, value_bytes=value_bytes)


def norms(length: int, copies: int, bias: bool = False) -> Weights:
    """Yield the gains of some norms, and their biases."""
    yield from vector("norms", length, copies * (2 if bias else 1))


def attention(
    hidden: int,
    heads: int,
    groups: int,
    head_dim: int,
    v_head_dim: int,
    qkv_bias: bool = False,
    output_bias: bool = False,
    gate: bool = False,
    keys_are_values: bool = False,
    queries_only: bool = False,
    gate_bias: bool = True,
) -> Weights:
    """Yield the projections of multi-head, grouped-query or multi-query attention; ``gate`` doubles the queries."""
    yield from linear("attention", heads * head_dim, hidden, Sharding.COLUMNS, qkv_bias, module="self_attn.q_proj")
    if gate:
        biased = qkv_bias and gate_bias
        yield from linear("attention", heads * head_dim, hidden, Sharding.COLUMNS, biased, module="self_attn.q_proj")
    if not queries_only:
        yield from linear(
            "attention", groups * head_dim, hidden, Sharding.KV_HEADS, qkv_bias, module="self_attn.k_proj"
        )
    if not queries_only and not keys_are_values:
        width = groups * v_head_dim
        yield from linear("attention", width, hidden, Sharding.KV_HEADS, qkv_bias, module="self_attn.v_proj")
    width = heads * v_head_dim
    yield from linear("attention", hidden, width, Sharding.ROWS, output_bias, module="self_attn.o_proj")


def latent_attention(
    hidden: int,
    heads: int,
    q_lora_rank: int,
    kv_lora_rank: int,
    nope: int,
    rope: int,
    v_head_dim: int,
    bias: bool = False,
) -> Weights:
    """Yield the projections of latent attention, its two inner norms included."""
    queries, at = heads * (nope + rope), "self_attn."
    if q_lora_rank:
        yield from linear("attention", q_lora_rank, hidden, Sharding.COPIED, bias, module=at + "q_a_proj")
        yield from norms(q_lora_rank, 1)
        yield from linear("attention", queries, q_lora_rank, Sharding.COLUMNS, module=at + "q_b_proj")
    else:
        yield from linear("attention", queries, hidden, Sharding.COLUMNS, module=at + "q_proj")
    kept, read = kv_lora_rank + rope, heads * (nope + v_head_dim)
    yield from linear("attention", kept, hidden, Sharding.COPIED, bias, module=at + "kv_a_proj_with_mqa")
    yield from norms(kv_lora_rank, 1)
    yield from linear("attention", read, kv_lora_rank, Sharding.COLUMNS, module=at + "kv_b_proj")
    yield from linear("attention", hidden, heads * v_head_dim, Sharding.ROWS, bias, module=at + "o_proj")


def indexer(hidden: int, q_lora_rank: int, heads: int, head_dim: int) -> Weights:
    """Yield the sparse-attention indexer, whole on every rank; keys and weights are projected as one, in 16 bit."""
    yield from linear("indexer", heads * head_dim, q_lora_rank, Sharding.COPIED, module="self_attn.indexer.wq_b")
    at = "self_attn.indexer."
    yield from linear("indexer", head_dim, hidden, Sharding.COPIED, quantised=False, module=at + "wk")
    yield from vector("norms", head_dim, 2, value_bytes=WIDE)
    yield from linear("indexer", heads, hidden, Sharding.COPIED, quantised=False, module=at + "weights_proj")


def mlp(
    hidden: int, width: int, gated: bool, bias: bool = False, part: str = "dense MLP", copies: int = 1, active: int = 1
) -> Weights:
    """Yield an MLP, or so many experts of which a token passes through ``active``."""
    at = MLPS.get(part, "mlp")
    for name in ("gate_proj", "up_proj") if gated else ("up_proj",):
        yield from linear(part, width, hidden, Sharding.COLUMNS, bias, copies, active, module=f"{at}.{name}")
    yield from linear(part, hidden, width, Sharding.ROWS, bias, copies, active, module=f"{at}.down_proj")


def router(hidden: int, experts: int, bias: bool = False, value_bytes: int = 0) -> Weights:
    """Yield the router of a mixture of experts, whole on every rank and never quantised."""
    yield from linear(
        "router", experts, hidden, Sharding.COPIED, bias, quantised=False, module="mlp.gate", value_bytes=value_bytes
    )


def correction(experts: int, is_parameter: bool) -> Weights:
    """Yield what corrects the scores of a router, in 32 bits: a parameter of the reference, or a buffer."""
    yield WeightMatrix(
        "router", experts, 1, 1, 1, Sharding.COPIED, False, CORRECTION, value_bytes=WIDE, is_parameter=is_parameter
    )


def mamba1(hidden: int, inner: int, state: int, rank: int, kernel: int, conv_bias: bool, bias: bool) -> Weights:
    """Yield a Mamba 1 mixer."""
    yield from linear("state layers", 2 * inner, hidden, Sharding.COLUMNS, bias, module="mixer.in_proj")
    yield from linear(
        "state layers", inner, kernel, Sharding.COLUMNS, conv_bias, quantised=False, module="mixer.conv1d"
    )
    yield from linear("state layers", rank + 2 * state, inner, Sharding.ROWS, module="mixer.x_proj")
    yield from linear("state layers", inner, rank, Sharding.COLUMNS, bias=True, module="mixer.dt_proj")
    yield from vector("state layers", inner * state, sharding=Sharding.COLUMNS, value_bytes=WIDE)
    yield from vector("state layers", inner, sharding=Sharding.COLUMNS)
    yield from linear("state layers", hidden, inner, Sharding.ROWS, bias, module="mixer.out_proj")


def mamba2(
    hidden: int,
    inner: int,
    heads: int,
    groups: int,
    state: int,
    kernel: int,
    conv_bias: bool,
    bias: bool,
    output_bias: bool,
    norm: bool,
) -> Weights:
    """Yield a Mamba 2 mixer."""
    conv = inner + 2 * groups * state
    yield from linear("state layers", inner + conv + heads, hidden, Sharding.COLUMNS, bias, module="mixer.in_proj")
    yield from linear("state layers", conv, kernel, Sharding.COLUMNS, conv_bias, quantised=False, module="mixer.conv1d")
    yield from vector("state layers", heads, sharding=Sharding.COLUMNS, value_bytes=WIDE)
    yield from vector("state layers", heads, 2, Sharding.COLUMNS)
    if norm:
        yield from vector("norms", inner, sharding=Sharding.COLUMNS)
    yield from linear("state layers", hidden, inner, Sharding.ROWS, output_bias, module="mixer.out_proj")


def gated_delta_net(
    hidden: int, k_heads: int, v_heads: int, k_dim: int, v_dim: int, kernel: int, narrow_decay: bool = False
) -> Weights:
    """Yield a gated delta net mixer, its decay in 32 bits or as narrow as all else."""
    keys, values = k_heads * k_dim, v_heads * v_dim
    yield from linear(
        "state layers", 2 * keys + 2 * values, hidden, Sharding.COLUMNS, module="linear_attn.in_proj_qkvz"
    )
    yield from linear("state layers", 2 * v_heads, hidden, Sharding.COLUMNS, module="linear_attn.in_proj_ba")
    yield from linear(
        "state layers", 2 * keys + values, kernel, Sharding.COLUMNS, quantised=False, module="linear_attn.conv1d"
    )
    yield from vector("state layers", v_heads, sharding=Sharding.COLUMNS)
    yield from vector("state layers", v_heads, sharding=Sharding.COLUMNS, value_bytes=0 if narrow_decay else WIDE)
    yield from norms(v_dim, 1)
    yield from linear("state layers", hidden, values, Sharding.ROWS, module="linear_attn.out_proj")


def kimi_delta_attention(hidden: int, heads: int, head_dim: int, kernel: int, full_gate: bool = False) -> Weights:
    """Yield a Kimi delta attention mixer: a delta net whose gates go through a narrow waist, or but one of them."""
    width = heads * head_dim
    yield from linear("state layers", 3 * width, hidden, Sharding.COLUMNS, module="self_attn.qkv_proj")
    yield from linear("state layers", 3 * width, kernel, Sharding.COLUMNS, quantised=False, value_bytes=WIDE)
    if full_gate:
        yield from linear("state layers", width, hidden, Sharding.COLUMNS, module="self_attn.g_proj")
    for gate in ("f",) if full_gate else ("f", "g"):
        at = f"self_attn.{gate}"
        yield from linear("state layers", head_dim, hidden, Sharding.COPIED, module=f"{at}_a_proj")
        yield from linear("state layers", width, head_dim, Sharding.COLUMNS, module=f"{at}_b_proj")
    yield from linear("state layers", heads, hidden, Sharding.COLUMNS, module="self_attn.b_proj")
    yield from vector("state layers", width + heads, sharding=Sharding.COLUMNS, value_bytes=WIDE)
    yield from norms(head_dim, 1)
    yield from linear("state layers", hidden, width, Sharding.ROWS, module="self_attn.o_proj")


def lightning_attention(hidden: int, width: int, bias: bool, output_bias: bool) -> Weights:
    """Yield a lightning attention mixer: queries, keys, values, an output gate and a norm over all heads."""
    yield from linear("state layers", 3 * width, hidden, Sharding.COLUMNS, bias)
    yield from linear("state layers", width, hidden, Sharding.COLUMNS)
    yield from vector("norms", width, sharding=Sharding.COLUMNS)
    yield from linear("state layers", hidden, width, Sharding.ROWS, output_bias)
