"""The groups of columns of a row in ``families``: experts, recurrent layers, an encoder; and how a trait is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calculator.configs.keys import Keys
from calculator.errors import InvalidValueError, shown
from calculator.messages import say

Trait = bool | str
"""A constant, or the name of the key that decides; ``a or b`` is either of two, ``a|b`` two names of one.

``key=value`` is a key of that value, ``key=value|`` one that is of it or left out.
"""


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
    shared_each : str
        The key of the width of one of several shared experts, where it is not that of an expert.
    shared_gate, shared_bias : bool or str
        Whether there is a gate for the shared expert, and a bias on shared experts.
    router_bias, correction, bias : bool or str
        Whether there is a bias on the router, a correction of its scores, and biases on experts.
    correction_counts : bool
        Whether that correction is a parameter of the reference, not a buffer.
    wide_router : bool or str
        Whether engines keep the router in 32 bits.
    dense_width : str
        The key of the width of dense layers.
    latent_width : str
        The key of the width that experts work in where it is not the hidden size.
    idle : str
        The key of the number of experts that only route: they have rows of the router and no weights.
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
    shared_each: str = ""
    shared_gate: bool = False
    shared_bias: Trait = False
    router_bias: Trait = False
    correction: Trait = False
    correction_counts: bool = False
    wide_router: Trait = False
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
    narrow_decay : bool
        Whether engines keep the decay in the model's own format, not in 32 bits.
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
    narrow_decay: bool = False
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


def trait(keys: Keys, value: Trait) -> bool:
    """Return a trait that is a constant, or that a key decides, or either of two (``a or b``)."""
    if isinstance(value, bool):
        return value
    key, is_compared, wanted = value.partition("=")
    if is_compared:
        return (keys.value(key) or "") in wanted.split("|")
    return any([bool(one_of(keys, name, keys.flag)) for name in value.split(" or ")])  # noqa: C419


def one_of(keys: Keys, names: str, read: Callable[[str], int | None]) -> int | None:
    """Return what one of several names of the same thing gives (``a|b``), by default that of the first."""
    first, *others = names.split("|")
    given = {name: read(name) for name in (first, *others) if keys.has(name)}
    if len(set(given.values())) > 1:
        pairs = ", ".join(f"{name} {shown(found)}" for name, found in given.items())
        raise InvalidValueError(
            say(
                "traits.contradictory_names_same_thing",
                "contradictory: {pairs} are names of the same thing",
                pairs=pairs,
            ),
            what=first,
            asked=given,
        )
    return next(iter(given.values())) if given else read(first)
