"""Layers that keep a state of fixed size: their spec and their weights, by kind of block.

References
----------
vLLM 0.33.0, ``model_executor/layers/mamba/mamba_utils.py``: the shapes and the formats of the states.
transformers 5.23.0: the weights.
"""

from __future__ import annotations

from collections.abc import Callable

from calculator.architecture import blocks
from calculator.architecture.caches import Recurrence
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.recurrent import RecurrentState
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.traits import State, one_of, trait
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

StateLayer = tuple[RecurrentState, tuple[WeightMatrix, ...]]
STATE_BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "float32": 4}


def _count(keys: Keys, names: str) -> int:
    return one_of(keys, names, keys.count) or 0


def state_layer(keys: Keys, family: Family, hidden: int) -> StateLayer:
    """Return what a recurrent layer of the type keeps, and its weights.

    Raises
    ------
    UnsupportedError
        If the type has no recurrent layers.
    """
    if family.state is None:
        raise UnsupportedError(say("state_layers.this_model_type_has", "this model type has no recurrent layers"))
    return _BLOCKS[family.state.block](keys, family.state, hidden)


def _element_bytes(keys: Keys, key: str) -> int:
    """Bytes of an element of the state, in the format that a key names."""
    value = (keys.value(key) if key else None) or "auto"
    if not isinstance(value, str) or value.removeprefix("torch.") not in STATE_BYTES:
        raise UnsupportedError(
            say(
                "state_layers.must_one_not",
                "{key_} must be one of {names}, not {asked}",
                key_=key,
                names=", ".join(STATE_BYTES),
                asked=shown(value),
            )
        )
    return STATE_BYTES[value.removeprefix("torch.")]


def _is_named(keys: Keys, state: State) -> bool:
    """Whether the config itself names the format of the state."""
    return bool(state.dtype) and keys.has(state.dtype)


def _gated_delta_net(keys: Keys, state: State, hidden: int) -> StateLayer:
    heads = keys.optional_count("num_attention_heads") or 1
    k_heads = keys.optional_count("linear_num_key_heads") or heads
    v_heads = keys.optional_count("linear_num_value_heads") or heads
    k_dim = keys.optional_count("linear_key_head_dim") or max(1, 3 * hidden // (4 * k_heads))
    v_dim = keys.optional_count("linear_value_head_dim") or 2 * k_dim
    if v_heads % k_heads:
        raise InvalidValueError(
            say(
                "state_layers.linear_num_value_heads",
                "linear_num_value_heads {v_heads} does not divide by linear_num_key_heads {k_heads}",
                v_heads=v_heads,
                k_heads=k_heads,
            ),
            what="linear_num_value_heads",
            asked=v_heads,
        )
    kernel = keys.count("linear_conv_kernel_dim")
    spec = RecurrentState(
        variant=Recurrence.GATED_DELTA_NET,
        conv_width=2 * k_heads * k_dim + v_heads * v_dim,
        conv_columns=kernel - 1,
        state_elements=v_heads * k_dim * v_dim,
        state_element_bytes=_element_bytes(keys, state.dtype),
        divisible=k_heads,
        state_named=_is_named(keys, state),
    )
    return spec, tuple(blocks.gated_delta_net(hidden, k_heads, v_heads, k_dim, v_dim, kernel, state.narrow_decay))


def _mamba1(keys: Keys, state: State, hidden: int) -> StateLayer:
    size, kernel = _count(keys, state.state), _count(keys, state.kernel)
    given = keys.optional_count(state.inner) if state.inner else None
    inner = given or _count(keys, state.expand) * hidden
    rank = keys.value(state.rank)
    rank = -(-hidden // 16) if rank in (None, "auto") else _count(keys, state.rank)
    spec = RecurrentState(
        variant=Recurrence.MAMBA1,
        conv_width=inner,
        conv_columns=kernel - 1,
        state_elements=inner * size,
        state_element_bytes=_element_bytes(keys, state.dtype),
        divisible=inner,
        state_named=_is_named(keys, state),
    )
    conv_bias, bias = trait(keys, state.conv_bias), trait(keys, state.bias)
    weights = [*blocks.mamba1(hidden, inner, size, rank, kernel, conv_bias, bias)]
    if state.inner_norms:
        weights += [*blocks.norms(rank, 1), *blocks.norms(size, 2)]
    return spec, tuple(weights)


def _mamba2(keys: Keys, state: State, hidden: int) -> StateLayer:
    heads, groups = _count(keys, state.heads), _count(keys, state.groups)
    size, kernel = _count(keys, state.state), _count(keys, state.kernel)
    given = None if keys.value(state.head_dim) == "auto" else keys.optional_count(state.head_dim)
    expanded = keys.optional_count(state.inner) if state.inner else None
    if state.inner_is_heads and given:
        keys.ignore(*state.expand.split("|"))
        inner = heads * given
    else:
        inner = expanded or _count(keys, state.expand) * hidden
    head_dim = given or inner // heads
    if heads * head_dim != inner:
        raise InvalidValueError(
            say(
                "state_layers.do_not_make_state",
                "{heads} {heads_2} of {head_dim} {head_dim_2} do not make the state layers' inner width {inner}",
                heads=state.heads,
                heads_2=heads,
                head_dim=state.head_dim,
                head_dim_2=head_dim,
                inner=inner,
            )
        )
    if heads % groups:
        raise InvalidValueError(
            say(
                "state_layers.does_not_divide_by",
                "{heads} {heads_2} does not divide by {groups} {groups_2}",
                heads=state.heads,
                heads_2=heads,
                groups=state.groups,
                groups_2=groups,
            )
        )
    spec = RecurrentState(
        variant=Recurrence.MAMBA2,
        conv_width=inner,
        conv_columns=kernel - 1,
        state_elements=heads * head_dim * size,
        state_element_bytes=_element_bytes(keys, state.dtype),
        divisible=heads,
        groups=groups,
        group_width=2 * size,
        state_named=_is_named(keys, state),
    )
    weights = blocks.mamba2(
        hidden,
        inner,
        heads,
        groups,
        size,
        kernel,
        trait(keys, state.conv_bias),
        trait(keys, state.bias),
        trait(keys, state.output_bias),
        trait(keys, state.gated_norm),
    )
    return spec, tuple(weights)


def _kimi_delta(keys: Keys, state: State, hidden: int) -> StateLayer:
    nested = keys.nested("linear_attn_config")
    heads = (nested.optional_count("num_heads") if nested else None) or keys.optional_count("linear_num_heads")
    size = (nested.optional_count("head_dim") if nested else None) or keys.optional_count("linear_head_dim")
    heads, size = heads or keys.count("num_attention_heads"), size or keys.count("head_dim")
    kernel = nested.optional_count("short_conv_kernel_size") if nested else None
    full_gate = nested.flag("use_full_rank_gate") if nested else False
    kernel = kernel or keys.count("linear_conv_kernel_dim")
    keys.ignore("linear_num_heads", "linear_head_dim", "linear_conv_kernel_dim")
    spec = RecurrentState(
        variant=Recurrence.KIMI_DELTA,
        conv_width=3 * heads * size,
        conv_columns=kernel - 1,
        state_elements=heads * size * size,
        state_element_bytes=_element_bytes(keys, state.dtype) if keys.has(state.dtype) else 4,
        divisible=heads,
    )
    return spec, tuple(blocks.kimi_delta_attention(hidden, heads, size, kernel, full_gate))


def _lightning(keys: Keys, state: State, hidden: int) -> StateLayer:
    heads = keys.count("num_attention_heads")
    size = keys.optional_count("head_dim") or hidden // heads
    spec = RecurrentState(Recurrence.LIGHTNING, 0, 0, heads * size * size, _element_bytes(keys, state.dtype), heads)
    bias, output_bias = trait(keys, state.bias), trait(keys, state.output_bias)
    return spec, tuple(blocks.lightning_attention(hidden, heads * size, bias, output_bias))


def _short_conv(keys: Keys, state: State, hidden: int) -> StateLayer:
    kernel, bias = _count(keys, state.kernel), trait(keys, state.bias)
    width = keys.optional_count("conv_dim") or hidden
    if width != hidden:
        raise UnsupportedError(
            say(
                "state_layers.conv_dim_other_than",
                "conv_dim {width} other than hidden_size {hidden} is not understood",
                width=width,
                hidden=hidden,
            ),
            what="conv_dim",
            asked=width,
            allowed=hidden,
        )
    keys.ignore("conv_dim_out")
    weights = [
        *blocks.linear("state layers", 3 * hidden, hidden, Sharding.COLUMNS, bias),
        *blocks.linear("state layers", hidden, kernel, Sharding.COLUMNS, bias, quantised=False),
        *blocks.linear("state layers", hidden, hidden, Sharding.ROWS, bias),
    ]
    return RecurrentState(Recurrence.SHORT_CONV, hidden, kernel - 1, 0, 2, hidden), tuple(weights)


_BLOCKS: dict[str, Callable[[Keys, State, int], StateLayer]] = {
    "gated_delta_net": _gated_delta_net,
    "mamba1": _mamba1,
    "mamba2": _mamba2,
    "kimi_delta": _kimi_delta,
    "lightning": _lightning,
    "short_conv": _short_conv,
}
