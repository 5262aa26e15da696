"""From the keys of a config and the traits of its type: the layers, what each keeps, and its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from calculator import blocks
from calculator.attention import (
    ChunkedAttention,
    FullAttention,
    LatentAttention,
    LayerSpec,
    NoCache,
    RecurrentState,
    SlidingWindow,
)
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.families import Experts, Family, Trait
from calculator.hf_keys import Keys
from calculator.model import LayerGroup, Sharding, WeightMatrix

Layer = tuple[LayerSpec, tuple[WeightMatrix, ...]]

LAYER_TYPES = {
    "full_attention": "full_attention",
    "attention": "full_attention",
    "full": "full_attention",
    "global": "full_attention",
    "indexed_attention": "full_attention",
    "sliding_attention": "sliding_attention",
    "local": "sliding_attention",
    "chunked_attention": "chunked_attention",
    "linear_attention": "linear_attention",
    "mamba": "linear_attention",
    "recurrent": "linear_attention",
}
WINDOWED = ("sliding_attention", "chunked_attention")


def trait(keys: Keys, value: Trait) -> bool:
    """Return a trait that is a constant, or that a key decides."""
    return keys.flag(value) if isinstance(value, str) else value


def layer_kinds(keys: Keys, family: Family, num_layers: int) -> list[str]:
    """Return the kind of every layer, by the config's own list or by the type's schedule."""
    listed = keys.names("layer_types", num_layers)
    schedule = _SCHEDULES.get(family.pattern)
    derived = schedule(keys, family, num_layers) if schedule else ["full_attention"] * num_layers
    if listed is not None:
        unknown = sorted(set(listed) - set(LAYER_TYPES))
        if unknown:
            raise UnsupportedError(f"layer_types names {shown(unknown[0])}, a kind of layer that is not understood")
        kinds = [LAYER_TYPES[kind] for kind in listed]
        linear = family.linear or "linear_attention" not in kinds
        windowed = family.pattern or family.all_windowed or not any(kind in WINDOWED for kind in kinds)
        if not linear or not windowed:
            raise UnsupportedError("layer_types names a kind of layer that this model type does not have")
        return kinds
    if family.all_windowed and keys.optional_count(family.all_windowed):
        return ["sliding_attention"] * num_layers
    return derived


def _every(keys: Keys, family: Family, num_layers: int) -> list[str]:
    """All but each n-th layer are of the pattern's kind, which is full attention."""
    period = keys.count(family.pattern_key) if family.pattern_key else family.pattern_period
    return ["full_attention" if (index + 1) % period == 0 else family.pattern for index in range(num_layers)]


def _from_max_window_layers(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """With ``use_sliding_window``, layers from ``max_window_layers`` on keep a window."""
    first = keys.optional_count("max_window_layers", minimum=0)
    used, window = keys.flag("use_sliding_window"), keys.optional_count("sliding_window", minimum=0)
    if not used or not window:
        return ["full_attention"] * num_layers
    start = num_layers if first is None else first
    return ["sliding_attention" if index >= start else "full_attention" for index in range(num_layers)]


def _no_rope_layers(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Layers with rotary embeddings attend within chunks; each fourth has none, unless a list says otherwise."""
    listed = keys.numbers("no_rope_layers")
    interval = keys.optional_count("no_rope_layer_interval") or 4
    if listed and len(listed) != num_layers:
        raise InvalidValueError(f"no_rope_layers has {len(listed):,} entries for {num_layers:,} layers")
    rope = listed or [int((index + 1) % interval != 0) for index in range(num_layers)]
    chunked = keys.optional_count("attention_chunk_size")
    return ["chunked_attention" if has_rope and chunked else "full_attention" for has_rope in rope]


def _attn_layer_period(keys: Keys, family: Family, num_layers: int) -> list[str]:  # noqa: ARG001
    """Each n-th layer from an offset on is attention, the others keep a state."""
    period, offset = keys.count("attn_layer_period"), keys.count("attn_layer_offset", minimum=0)
    return ["full_attention" if index % period == offset else "linear_attention" for index in range(num_layers)]


_SCHEDULES: dict[str, Callable[[Keys, Family, int], list[str]]] = {
    "sliding_attention": _every,
    "linear_attention": _every,
    "from_max_window_layers": _from_max_window_layers,
    "no_rope_layers": _no_rope_layers,
    "attn_layer_period": _attn_layer_period,
}


def heads_of(keys: Keys, family: Family, hidden: int) -> tuple[int, int, int]:
    """Return query heads, KV heads and head size."""
    heads = keys.count("num_attention_heads")
    groups = _groups(keys, family, heads)
    head_dim = keys.optional_count("head_dim")
    if head_dim is None:
        if hidden % heads:
            raise InvalidValueError(f"hidden_size {hidden} does not divide by num_attention_heads {heads}, and there is no head_dim")
        head_dim = hidden // heads
    if heads % groups:
        raise InvalidValueError(f"num_attention_heads {heads} does not divide by num_key_value_heads {groups}")
    return heads, groups, head_dim


def _groups(keys: Keys, family: Family, heads: int) -> int:
    if family.special == "falcon":
        new, multi = keys.flag("new_decoder_architecture"), keys.flag("multi_query")
        given = keys.optional_count("num_key_value_heads")
        return (given or heads) if new or not multi else 1
    if family.special == "multi_query":
        return 1 if keys.flag("multi_query") else heads
    return keys.optional_count("num_key_value_heads") or heads


class Assembler:
    """Builds the layers of one config, each from its kind, its MLP and its norms.

    Parameters
    ----------
    keys : Keys
        The config [-].
    family : Family
        The traits of its type [-].
    """

    def __init__(self, keys: Keys, family: Family) -> None:
        self.keys, self.family = keys, family
        self.num_layers = keys.count("num_hidden_layers")
        self.hidden = keys.count("hidden_size")
        self.norm_bias = trait(keys, family.norm_bias)
        self.gated = trait(keys, family.gated)
        self.mlp_bias = trait(keys, family.mlp_bias)
        self.heads, self.groups, self.head_dim = (
            (keys.count("num_attention_heads"), 1, 0) if family.latent else heads_of(keys, family, self.hidden)
        )
        if family.latent:
            keys.ignore("num_key_value_heads", "head_dim", "qk_head_dim")

    def layers(self) -> tuple[LayerGroup, ...]:
        """Return the layers in runs of one kind."""
        kinds = layer_kinds(self.keys, self.family, self.num_layers)
        sparse = self._sparse_layers()
        mixers = {kind: self._mixer(kind) for kind in dict.fromkeys(kinds)}
        mlps = {is_sparse: tuple(self._experts() if is_sparse else self._dense()) for is_sparse in set(sparse)}
        norms = tuple(blocks.norms(self.hidden, self._num_norms(), self.norm_bias))
        built = []
        for kind, is_sparse in zip(kinds, sparse, strict=True):
            spec, mixer = mixers[kind]
            built.append((spec, (*mixer, *mlps[is_sparse], *norms)))
        return runs(built)

    def _num_norms(self) -> int:
        family, keys = self.family, self.keys
        if family.special == "falcon":
            parallel = keys.flag("parallel_attn")
            given = keys.optional_count("num_ln_in_parallel_attn")
            if keys.flag("new_decoder_architecture"):
                return 1 if given == 1 else 2
            return 1 if parallel else 2
        if family.special == "stablelm":
            return 1 if keys.flag("use_parallel_residual") else 2
        return family.norms

    def _mixer(self, kind: str) -> Layer:
        if self.family.latent:
            return self._latent()
        if kind == "linear_attention":
            return _LINEAR[self.family.linear](self)
        return self._spec(kind), tuple(self._attention())

    def _spec(self, kind: str) -> LayerSpec:
        if kind == "sliding_attention":
            window = self.keys.count("sliding_window")
            return SlidingWindow(self.groups, self.head_dim, self.head_dim, window=window)
        if kind == "chunked_attention":
            chunk = self.keys.count("attention_chunk_size")
            return ChunkedAttention(self.groups, self.head_dim, self.head_dim, window=chunk)
        return FullAttention(self.groups, self.head_dim, self.head_dim)

    def _attention(self, groups: int | None = None) -> blocks.Weights:
        keys, family, size = self.keys, self.family, self.head_dim
        groups = groups or self.groups
        yield from blocks.attention(
            self.hidden,
            self.heads,
            groups,
            size,
            size,
            trait(keys, family.qkv_bias),
            trait(keys, family.output_bias),
            trait(keys, family.gate),
        )
        if family.qk_norm and (not family.qk_norm_if or keys.flag(family.qk_norm_if)):
            if family.qk_norm == "head":
                yield from blocks.norms(size, 2)
            elif family.qk_norm == "head_bias":
                yield from blocks.norms(size, 2, bias=True)
            elif family.qk_norm in ("width", "each_head"):
                yield from blocks.vector("norms", self.heads * size, sharding=Sharding.COLUMNS)
                yield from blocks.vector("norms", groups * size, sharding=Sharding.KV_HEADS)
        if family.sinks:
            yield from blocks.vector("attention", self.heads, sharding=Sharding.COLUMNS)

    def _latent(self) -> Layer:
        keys = self.keys
        rank, rope = keys.count("kv_lora_rank"), keys.count("qk_rope_head_dim", minimum=0)
        q_rank = keys.optional_count("q_lora_rank", minimum=0) or 0
        nope, v_dim = keys.count("qk_nope_head_dim"), keys.count("v_head_dim")
        bias = trait(keys, self.family.qkv_bias)
        weights = [*blocks.latent_attention(self.hidden, self.heads, q_rank, rank, nope, rope, v_dim, bias)]
        index_dim = 0
        if self.family.indexer:
            index_dim, index_heads = keys.count("index_head_dim"), keys.count("index_n_heads")
            if not q_rank:
                raise InvalidValueError("q_lora_rank is missing: the indexer reads the compressed queries")
            weights += blocks.indexer(self.hidden, q_rank, index_heads, index_dim)
        return LatentAttention(rank, rope, index_dim, nope + rope, v_dim), tuple(weights)

    def _sparse_layers(self) -> list[bool]:
        """Say of every layer whether its MLP is a mixture of experts."""
        family, keys, every = self.family, self.keys, range(self.num_layers)
        if family.experts is None:
            return [False] * self.num_layers
        listed = keys.names("mlp_layer_types", self.num_layers)
        if listed is not None:
            return [kind == "sparse" for kind in listed]
        return _DENSE[family.experts.dense](keys, every)

    def _dense(self) -> blocks.Weights:
        experts = self.family.experts
        key = experts.dense_width if experts else "intermediate_size"
        yield from blocks.mlp(self.hidden, self.dense_width(key), self.gated, self.mlp_bias)

    def dense_width(self, key: str = "intermediate_size") -> int:
        """Return the width of a dense MLP."""
        if self.family.width_factor:
            return self.keys.optional_count(key) or self.family.width_factor * self.hidden
        return self.keys.count(key)

    def _experts(self) -> blocks.Weights:
        experts, keys = self._layout(), self.keys
        count, chosen = keys.count("num_experts"), keys.count("num_experts_per_tok")
        width = keys.count(experts.width)
        if chosen > count:
            raise InvalidValueError(f"num_experts_per_tok {chosen} is more than the {count} experts there are")
        yield from blocks.router(self.hidden, count, experts.router_bias)
        yield from blocks.mlp(self.hidden, width, self.gated, experts.bias, "experts", count, chosen)
        shared = {
            "": lambda: 0,
            "count": lambda: (keys.optional_count("n_shared_experts", minimum=0) or 0) * width,
            "width": lambda: keys.optional_count(experts.shared_width, minimum=0) or 0,
            "same": lambda: width,
        }[experts.shared]()
        if shared:
            yield from blocks.mlp(self.hidden, shared, self.gated, part="shared experts")
        if shared and experts.shared_gate:
            yield from blocks.linear("router", 1, self.hidden, Sharding.COPIED, quantised=False)

    def _layout(self) -> Experts:
        if self.family.experts is None:
            raise UnsupportedError("this model type has no experts")
        return self.family.experts


def _first(keys: Keys, every: range) -> list[bool]:
    first, step = keys.count("first_k_dense_replace", minimum=0), keys.optional_count("moe_layer_freq") or 1
    if not keys.optional_count("num_experts"):
        return [False for _ in every]
    return [index >= first and index % step == 0 for index in every]


def _step(keys: Keys, every: range) -> list[bool]:
    step, dense = keys.count("decoder_sparse_step"), keys.numbers("mlp_only_layers") or []
    has_experts = bool(keys.optional_count("num_experts", minimum=0))
    return [has_experts and index not in dense and (index + 1) % step == 0 for index in every]


def _interleave(keys: Keys, every: range) -> list[bool]:
    listed, step = keys.numbers("moe_layers"), keys.count("interleave_moe_layer_step", minimum=0)
    chosen = set(listed if listed is not None else range(step - 1, len(every), step)) if step or listed else set()
    return [index in chosen for index in every]


def _period(keys: Keys, every: range) -> list[bool]:
    period, offset = keys.count("expert_layer_period"), keys.count("expert_layer_offset", minimum=0)
    has_experts = keys.count("num_experts") > 1
    return [has_experts and index % period == offset for index in every]


_DENSE: dict[str, Callable[[Keys, range], list[bool]]] = {
    "none": lambda _, every: [True for _ in every],
    "first": _first,
    "step": _step,
    "interleave": _interleave,
    "period": _period,
}


def _gated_delta_net(layer: Assembler) -> Layer:
    keys = layer.keys
    k_heads, v_heads = keys.count("linear_num_key_heads"), keys.count("linear_num_value_heads")
    k_dim, v_dim = keys.count("linear_key_head_dim"), keys.count("linear_value_head_dim")
    kernel = keys.count("linear_conv_kernel_dim")
    spec = RecurrentState(
        variant="gated delta net",
        conv_width=2 * k_heads * k_dim + v_heads * v_dim,
        conv_columns=kernel - 1,
        state_elements=v_heads * k_dim * v_dim,
        state_element_bytes=2,
        divisible=k_heads,
    )
    return spec, tuple(blocks.gated_delta_net(layer.hidden, k_heads, v_heads, k_dim, v_dim, kernel))


def _mamba1(layer: Assembler) -> Layer:
    keys, hidden = layer.keys, layer.hidden
    state, kernel = keys.count("mamba_d_state"), keys.count("mamba_d_conv")
    inner = keys.count("mamba_expand") * hidden
    rank = keys.value("mamba_dt_rank")
    rank = -(-hidden // 16) if rank in (None, "auto") else keys.count("mamba_dt_rank")
    conv_bias, bias = keys.flag("mamba_conv_bias"), keys.flag("mamba_proj_bias")
    spec = RecurrentState("Mamba 1 state", inner, kernel - 1, inner * state, 2, divisible=inner)
    weights = [*blocks.mamba1(hidden, inner, state, rank, kernel, conv_bias, bias)]
    weights += blocks.norms(rank, 1)
    weights += blocks.norms(state, 2)
    return spec, tuple(weights)


_LINEAR: dict[str, Callable[[Assembler], Layer]] = {
    "gated_delta_net": _gated_delta_net,
    "mamba1": _mamba1,
}


def block_configs(layer: Assembler, configs: Any) -> tuple[LayerGroup, ...]:
    """Return layers that a list describes one by one: KV heads, MLP width, or neither.

    References
    ----------
    The remote code of Nemotron-NAS; vLLM 0.33.0, ``model_executor/models/nemotron_nas.py``.
    """
    if not isinstance(configs, list) or len(configs) != layer.num_layers:
        raise InvalidValueError(f"block_configs must list the {layer.num_layers:,} layers")
    built: list[Layer] = []
    for index, config in enumerate(configs):
        attention, ffn = _part(config, "attention", index), _part(config, "ffn", index)
        spec: LayerSpec = NoCache()
        weights: list[WeightMatrix] = []
        if not attention.get("no_op"):
            ratio = attention.get("n_heads_in_group")
            if type(ratio) is not int or ratio < 1 or layer.heads % ratio:
                raise InvalidValueError(f"block_configs: layer {index}: n_heads_in_group {shown(ratio)} does not divide the heads")
            groups = layer.heads // ratio
            spec = FullAttention(groups, layer.head_dim, layer.head_dim)
            weights += layer._attention(groups)
            weights += blocks.norms(layer.hidden, 1)
        if not ffn.get("no_op"):
            multiplier = ffn.get("ffn_mult")
            if not isinstance(multiplier, int | float) or isinstance(multiplier, bool) or not 0 < multiplier < 1000:
                raise InvalidValueError(f"block_configs: layer {index}: ffn_mult {shown(multiplier)} is not a width")
            weights += blocks.mlp(layer.hidden, _ffn_width(multiplier, layer.hidden), gated=True)
            weights += blocks.norms(layer.hidden, 1)
        built.append((spec, tuple(weights)))
    return runs(built)


def _part(config: Any, name: str, index: int) -> dict[str, Any]:
    part = config.get(name) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        raise InvalidValueError(f"block_configs: layer {index}: {name} is missing")
    for key in ("replace_with_linear", "sparsify", "window_length", "num_sink_tokens", "unshifted_sink"):
        if part.get(key):
            raise UnsupportedError(f"block_configs: layer {index}: {name}: {key} is not understood")
    return part


def _ffn_width(multiplier: float, hidden: int) -> int:
    width = int(2 * multiplier * hidden / 3)
    return -(-width // 256) * 256


def runs(built: Sequence[Layer]) -> tuple[LayerGroup, ...]:
    """Join neighbouring layers of one kind."""
    groups: list[LayerGroup] = []
    for spec, weights in built:
        if groups and groups[-1].spec == spec and groups[-1].weights == weights:
            groups[-1] = LayerGroup(spec, groups[-1].count + 1, weights)
        else:
            groups.append(LayerGroup(spec, 1, weights))
    return tuple(groups)
