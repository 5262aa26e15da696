"""The traits that a model type can have: the columns of the table in ``families``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Trait = bool | str


@dataclass(frozen=True)
class Experts:
    """How a mixture of experts is laid out.

    Attributes
    ----------
    width : str
        The key of an expert's width.
    dense : str
        How dense layers are told: ``none``, ``first``, ``step``, ``interleave``,
        ``period``, ``range``, ``any`` or ``switch``.
    dense_key : str
        The key of the number of leading dense layers, for ``first``.
    shared : str
        How shared experts are told: ``count`` (times the width), ``width`` (its own key), ``same`` or none.
    shared_width : str
        The key of the shared experts' width, for ``width``.
    shared_gate, shared_bias : bool or str
        Whether there is a gate for the shared expert, and a bias on shared experts.
    router_bias, correction, bias : bool
        Whether there is a bias on the router, a correction of its scores that is a parameter, and biases on experts.
    dense_width : str
        The key of the width of dense layers.
    latent_width : str
        The key of the width that experts work in where it is not the hidden size.
    idle : str
        The key of the number of experts that only route; the reference gives them a first projection too.
    beside : bool
        Whether the experts stand beside a dense MLP in the same layer, with a router that scales.
    in_attention : bool
        Whether queries and outputs of attention are a mixture of experts too.
    """

    width: str = "moe_intermediate_size"
    dense: str = "none"
    dense_key: str = "first_k_dense_replace"
    shared: str = ""
    shared_width: str = ""
    shared_gate: bool = False
    shared_bias: Trait = False
    router_bias: Trait = False
    correction: bool = False
    bias: bool = False
    dense_width: str = "intermediate_size"
    latent_width: str = ""
    idle: str = ""
    beside: bool = False
    in_attention: bool = False


@dataclass(frozen=True)
class State:
    """How a type's recurrent layers are built, and under which keys it states their sizes.

    Attributes
    ----------
    block : str
        The kind of block: ``mamba1``, ``mamba2``, ``gated_delta_net``, ``kimi_delta``, ``lightning`` or ``short_conv``.
    state, kernel, expand, heads, head_dim, groups, rank : str
        The keys of the state size, the convolution's kernel, the inner width over the hidden size, heads and
        their size, groups, and the rank of the time step.
    inner : str
        The key of the inner width itself; where it is empty or unset, the expansion tells.
    inner_is_heads : bool
        Whether the inner width is heads times their size.
    conv_bias, bias, output_bias : bool or str
        Biases of the convolution, the input and the output projection.
    gated_norm : bool or str
        Whether a norm stands before the output projection.
    inner_norms : bool
        Whether the time step and the two state projections have norms.
    dtype : str
        The key of the format that the state is kept in; 16 bit where it is empty or unset.
    """

    block: str
    state: str = "mamba_d_state"
    kernel: str = "mamba_d_conv"
    expand: str = "mamba_expand"
    heads: str = "mamba_n_heads"
    head_dim: str = "mamba_d_head"
    groups: str = "mamba_n_groups"
    rank: str = "mamba_dt_rank"
    inner: str = ""
    inner_is_heads: bool = False
    conv_bias: Trait = "mamba_conv_bias"
    bias: Trait = "mamba_proj_bias"
    output_bias: Trait = "mamba_proj_bias"
    gated_norm: Trait = True
    inner_norms: bool = False
    dtype: str = ""


@dataclass(frozen=True)
class Encoder:
    """How an encoder-decoder differs from a decoder.

    Attributes
    ----------
    layers, decoder_layers, heads, width, decoder_width : str
        The keys of the encoder's and the decoder's sizes.
    head_dim : str
        The key of the head size; hidden size over heads where it is empty.
    bias : bool
        Whether projections, norms and MLPs have biases.
    key_bias : bool
        Whether the key projection has one too.
    relative_positions : str
        Which layers have a table of relative positions: ``first``, ``every``, or none.
    position_offset : int
        Rows of the learned position tables beyond the longest context.
    positions : str
        The key of the decoder's learned positions, empty where it has none.
    source_positions : str
        The key of the encoder's learned positions; the decoder's where it is empty.
    embedding_norm, end_norm : bool
        Whether there is a norm after the embeddings, and one after the last layer, of encoder and decoder.
    convolutions : str
        The key of the channels that two convolutions turn into the encoder's input, empty without.
    always_tied : bool
        Whether the reference ties the head to the embedding whatever the config says.
    """

    layers: str = "encoder_layers"
    decoder_layers: str = "decoder_layers"
    heads: str = "encoder_attention_heads"
    decoder_heads: str = "decoder_attention_heads"
    width: str = "encoder_ffn_dim"
    decoder_width: str = "decoder_ffn_dim"
    head_dim: str = ""
    bias: bool = True
    key_bias: bool = True
    relative_positions: str = ""
    position_offset: int = 0
    positions: str = "max_position_embeddings"
    source_positions: str = ""
    embedding_norm: bool = False
    end_norm: bool = True
    convolutions: str = ""
    always_tied: bool = False


@dataclass(frozen=True)
class Family:
    """The traits of a model type; the defaults here are those of the most common block.

    Attributes
    ----------
    defaults : mapping
        What the reference has for keys that a config leaves out.
    gated, qkv_bias, output_bias, mlp_bias, head_bias, norm_bias, gate : bool or str
        Whether the MLP has a gate, where biases are, and whether attention gates its output.
    gate_bias : bool
        Whether the gate of attention has a bias where the queries have one.
    norms : int
        Norms a layer of the hidden size.
    has_norm_gain : bool
        Whether the last norm has a gain.
    qk_norm, qk_norm_if : str
        Norms on queries and keys: ``head``, ``head_bias``, ``width``, ``each_head``; the key that switches them.
    embedding_norm : bool
        Whether a norm follows the embedding.
    learned_positions : int or None
        Rows of the learned position table beyond the longest context, None without a table.
    copies_kv_heads : bool
        Whether vLLM's class of this type keeps copies of KV heads where there are more ranks than heads.
    sinks : str
        Which layers have a sink a head: ``all``, ``windowed``, or none.
    sub_norms : bool
        Whether norms stand before the output projections of attention and MLP.
    mlp_scalars : int
        Single parameters of an MLP's activation.
    mlp : bool
        Whether layers have an MLP at all.
    width_factor : int
        The MLP's width over the hidden size where the config gives none.
    all_windowed, pattern, pattern_key, pattern_period
        The schedule of windowed or recurrent layers: a key that makes all windowed, or the kind of the layers
        that are not full attention with the key of the period, or the period.
    pattern_full_first : bool
        Whether the first layer is full besides.
    pattern_full_last : str
        When the last layer is full besides: ``always``, ``if none`` other is, or never.
    single : bool
        Whether a layer is one block, attention, state, MLP or experts, and not a mixer and an MLP.
    kinds : mapping
        For a kind of layer, the keys that hold its own heads and sizes.
    windowed_groups_factor : int
        KV heads of windowed layers over those of full ones, where the config has no key for them.
    v_head_dim : bool
        Whether the value size has a key of its own.
    floor_head_dim : bool
        Whether the reference rounds hidden size over heads down.
    shared_cache : str
        The key by which later layers reuse a cache: ``num_kv_shared_layers`` or ``use_cla``.
    latent, indexer : bool
        Whether attention is latent, and has a sparse-attention indexer.
    state : State or None
        The recurrent layers.
    both : bool
        Whether a layer has attention and a recurrent block side by side.
    experts : Experts or None
        The mixture of experts.
    encoder : Encoder or None
        The encoder, for an encoder-decoder.
    required : mapping
        Keys, of the config or of a part of it (``part.key``), of which one value only is understood.
    harmless : tuple of str
        Keys of the type that look as if they bore on the cache, and do not.
    special : str
        A block or a schedule that no other type has.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    gated: Trait = True
    qkv_bias: Trait = False
    output_bias: Trait = False
    mlp_bias: Trait = False
    head_bias: Trait = False
    norms: int = 2
    norm_bias: Trait = False
    has_norm_gain: bool = True
    qk_norm: str = ""
    qk_norm_if: str = ""
    embedding_norm: bool = False
    learned_positions: int | None = None
    gate: Trait = False
    gate_bias: bool = True
    sinks: str = ""
    copies_kv_heads: bool = True
    sub_norms: bool = False
    mlp_scalars: int = 0
    mlp: bool = True
    width_factor: int = 0
    all_windowed: str = ""
    pattern: str = ""
    pattern_key: str = ""
    pattern_period: int = 0
    pattern_full_first: bool = False
    pattern_full_last: str = ""
    single: bool = False
    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    windowed_groups_factor: int = 1
    v_head_dim: bool = False
    floor_head_dim: bool = False
    shared_cache: str = ""
    latent: bool = False
    indexer: bool = False
    state: State | None = None
    both: bool = False
    experts: Experts | None = None
    encoder: Encoder | None = None
    required: Mapping[str, Any] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()
    special: str = ""
