"""From the keys of a config and the traits of its type: the layers, what each keeps, and its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calculator.architecture import blocks
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import (
    ChunkedAttention,
    FullAttention,
    LayerSpec,
    NoCache,
    SharedCache,
    SlidingWindow,
)
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import LayerGroup
from calculator.architecture.recurrent import AttentionAndState
from calculator.configs.experts import expert_attention, experts_of, sparse_layers
from calculator.configs.family import Family
from calculator.configs.heads import (
    Heads,
    check_understood,
    checked,
    heads_of,
    listed_heads,
    shared_caches,
    shared_indexers,
)
from calculator.configs.keys import Keys
from calculator.configs.schedule import layer_kinds, pattern_length
from calculator.configs.special_blocks import (
    block_configs,
    extra_embedding,
    ffn_widths,
    per_layer,
    runs,
    short_conv_width,
    with_shared_blocks,
)
from calculator.configs.state_layers import state_layer, trait
from calculator.errors import InvalidValueError, UnsupportedError, shown

Layer = tuple[LayerSpec, tuple[WeightMatrix, ...]]
__all__ = ["Assembler", "block_configs", "trait"]


@dataclass(frozen=True)
class LayerPlan:
    """All that tells one layer of a config from another; equal plans are built once."""

    kind: str
    heads: Heads
    sparse: bool
    width: int
    shares_cache: bool = False
    shares_index: bool = False


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
        check_understood(keys, family)
        self.num_layers = (
            keys.optional_count("num_hidden_layers") or pattern_length(keys) or keys.count("num_hidden_layers")
        )
        self.hidden = keys.count("hidden_size")
        self.norm_bias = trait(keys, family.norm_bias)
        self.gated = trait(keys, family.gated)
        self.mlp_bias = trait(keys, family.mlp_bias)
        self.plain = self._widest_heads()
        self.heads, self.groups, self.head_dim = self.plain.query, self.plain.groups, self.plain.key
        self.biases = trait(keys, family.qkv_bias), trait(keys, family.output_bias)
        self.input_width = 2 * self.hidden if family.special == "shared_blocks" else self.hidden

    def _widest_heads(self) -> Heads:
        """Return the heads of full attention, of the widest layer where a list gives them."""
        if self.family.special == "listed_heads":
            return max(listed_heads(self.keys, self.num_layers), key=lambda heads: heads.groups)
        return heads_of(self.keys, self.family, self.hidden, "full_attention")

    def layers(self) -> tuple[LayerGroup, ...]:
        """Return the layers in runs of one kind."""
        built: dict[LayerPlan, list[Layer]] = {}
        layers: list[Layer] = []
        for plan in self._plans():
            if plan not in built:
                built[plan] = list(self._build(plan))
            layers += built[plan]
        if self.family.special == "shared_blocks":
            layers = with_shared_blocks(self, layers)
        return runs(layers)

    def _plans(self) -> list[LayerPlan]:
        """Say of every layer what it is."""
        count, family = self.num_layers, self.family
        kinds = layer_kinds(self.keys, family, count)
        sparse, widths = sparse_layers(self.keys, family, count), self._widths()
        shared = shared_caches(self.keys, family, kinds)
        shares_index = shared_indexers(self.keys, family, count)
        by_kind = {kind: self._heads(kind) for kind in dict.fromkeys(kinds)}
        plans = [
            LayerPlan(kind, by_kind[kind], is_sparse, width, cache, index)
            for kind, is_sparse, width, cache, index in zip(kinds, sparse, widths, shared, shares_index, strict=True)
        ]
        if family.special == "listed_heads":
            plans = [
                replace(plan, heads=heads) for plan, heads in zip(plans, listed_heads(self.keys, count), strict=True)
            ]
        return self._overridden(plans)

    def _heads(self, kind: str) -> Heads:
        return (
            self.plain if self.family.special == "listed_heads" else heads_of(self.keys, self.family, self.hidden, kind)
        )

    def _overridden(self, plans: list[LayerPlan]) -> list[LayerPlan]:
        """Apply ``per_layer_config``: heads and sizes that single layers have of their own."""
        given = self.keys.nested("per_layer_config")
        for name in given.all_names() if given else ():
            part = given.nested(name) if given else None
            if not name.isdecimal() or len(name) > 6 or int(name) >= len(plans) or part is None:
                raise InvalidValueError(f"per_layer_config: {shown(name)} is not a layer with keys of its own")
            plan = plans[int(name)]
            head_dim = part.optional_count("head_dim") or plan.heads.key
            groups = part.optional_count("num_key_value_heads") or plan.heads.groups
            other = sorted(set(part.all_names()) - {"head_dim", "num_key_value_heads"})
            if other:
                raise UnsupportedError(f"per_layer_config: {shown(other[0])} of layer {name} is not understood")
            heads = checked(Heads(plan.heads.query, groups, head_dim, head_dim))
            plans[int(name)] = replace(plan, heads=heads)
        return plans

    def _widths(self) -> list[int]:
        """Return the width of the dense MLP of every layer, 0 where there is none."""
        count, experts = self.num_layers, self.family.experts
        if self.family.special == "listed_heads":
            return ffn_widths(self.keys, self.hidden, count)
        key = experts.dense_width if experts else "intermediate_size"
        given = self.keys.value(key)
        if isinstance(given, list):
            widths = self.keys.numbers(key) or []
            if len(widths) != count or min(widths) < 1:
                raise InvalidValueError(f"{key} must list a width for each of the {count:,} layers")
            return widths
        shared = shared_caches(self.keys, self.family, ["full_attention"] * count)
        wide = self.family.special == "layer_inputs" and self.keys.flag("use_double_wide_mlp")
        width = self.dense_width(key, needed=False)
        return [width * (2 if wide and shared[index] else 1) for index in range(count)]

    def dense_width(self, key: str = "intermediate_size", needed: bool = True) -> int:
        """Return the width of a dense MLP; the largest where layers differ, 0 where there is none."""
        keys, family = self.keys, self.family
        key = "intermediate_size" if keys.value(key) is None else key
        if not family.mlp:
            keys.ignore("intermediate_size")
            return 0
        if family.special in ("listed_heads", "nested_configs"):
            return max(self._widths()) if family.special == "listed_heads" else 0
        if isinstance(keys.value(key), list):
            return max(keys.numbers(key) or [0])
        if family.special == "short_conv":
            return short_conv_width(keys)
        if family.width_factor:
            return keys.optional_count(key) or family.width_factor * self.hidden
        if family.special == "halved_width":
            return keys.count(key) // 2
        return keys.count(key) if needed else keys.optional_count(key, minimum=0) or 0

    def _build(self, plan: LayerPlan) -> list[Layer]:
        family = self.family
        norms = tuple(blocks.norms(self.hidden, self._num_norms(), self.norm_bias))
        if family.single and plan.kind in ("mlp", "moe"):
            weights = experts_of(self) if plan.kind == "moe" else self._dense(plan.width)
            return [(NoCache(), (*weights, *norms))]
        spec, mixer = self._mixer(plan)
        if family.single or not family.mlp:
            return [(spec, (*mixer, *norms))]
        if family.special == "shared_blocks":
            return [(spec, (*mixer, *blocks.norms(self.hidden, 1)))]
        if family.special == "two_attentions":
            dense = tuple(self._dense(plan.width))
            return [(spec, (*mixer, *dense, *experts_of(self), *norms)), (spec, (*mixer, *dense, *norms))]
        experts = family.experts
        beside = experts is not None and experts.beside
        mlp = [*experts_of(self)] if plan.sparse else [*self._dense(plan.width)]
        if plan.sparse and beside:
            mlp += [*self._dense(plan.width), *blocks.norms(self.hidden, 3)]
        return [(spec, (*mixer, *mlp, *norms, *per_layer(self)))]

    def _num_norms(self) -> int:
        family, keys = self.family, self.keys
        if family.special == "parallel_norms":
            parallel = keys.flag("parallel_attn")
            given = keys.optional_count("num_ln_in_parallel_attn")
            if keys.flag("new_decoder_architecture"):
                return 1 if given == 1 else 2
            return 1 if parallel else 2
        if family.special == "parallel_residual":
            return 1 if keys.flag("use_parallel_residual") else 2
        return family.norms

    def _mixer(self, plan: LayerPlan) -> Layer:
        if plan.kind == "linear_attention":
            return state_layer(self.keys, self.family, self.hidden)
        if self.family.latent:
            return self._latent(plan.shares_index)
        spec, weights = self._spec(plan), tuple(self._attention(plan))
        if plan.kind == "hybrid":
            state, more = state_layer(self.keys, self.family, self.hidden)
            heads = plan.heads
            both = AttentionAndState(heads.groups, heads.key, heads.value, state=state)
            return both, (*more, *(() if self.family.special == "shared_blocks" else weights))
        return spec, weights

    def _spec(self, plan: LayerPlan) -> LayerSpec:
        heads = plan.heads
        query = heads.query if heads.query != self.heads else None
        if plan.shares_cache:
            return SharedCache()
        if plan.kind == "sliding_attention":
            window = self.keys.count("sliding_window")
            return SlidingWindow(heads.groups, heads.key, heads.value, query, window=window)
        if plan.kind == "chunked_attention":
            chunk = self.keys.count("attention_chunk_size")
            return ChunkedAttention(heads.groups, heads.key, heads.value, query, window=chunk)
        return FullAttention(heads.groups, heads.key, heads.value, query)

    def _attention(self, plan: LayerPlan) -> blocks.Weights:
        keys, family, heads = self.keys, self.family, plan.heads
        qkv_bias, output_bias = trait(keys, family.qkv_bias), trait(keys, family.output_bias)
        if family.experts and family.experts.in_attention:
            yield from expert_attention(self, heads)
            return
        yield from blocks.attention(
            self.hidden,
            heads.query,
            heads.groups,
            heads.key,
            heads.value,
            qkv_bias,
            output_bias,
            trait(keys, family.gate),
            keys_are_values=self._keys_are_values(plan),
            queries_only=plan.shares_cache,
            gate_bias=family.gate_bias,
        )
        if family.qk_norm and (not family.qk_norm_if or keys.flag(family.qk_norm_if)):
            cached_only = plan.shares_cache and family.shared_cache == "num_kv_shared_layers"
            if family.qk_norm in ("head", "head_bias"):
                yield from blocks.norms(heads.key, 1 if cached_only else 2, bias=family.qk_norm == "head_bias")
            elif family.qk_norm in ("width", "each_head"):
                yield from blocks.vector("norms", heads.query * heads.key, sharding=Sharding.COLUMNS)
                yield from blocks.vector("norms", heads.groups * heads.key, sharding=Sharding.KV_HEADS)
        if family.sinks == "all" or (family.sinks == "windowed" and plan.kind == "sliding_attention"):
            yield from blocks.vector("attention", heads.query, sharding=Sharding.COLUMNS)
        if family.sub_norms:
            yield from blocks.norms(self.hidden, 1)

    def _keys_are_values(self, plan: LayerPlan) -> bool:
        is_full = plan.kind == "full_attention"
        return self.family.special == "layer_inputs" and is_full and self.keys.flag("attention_k_eq_v")

    def _latent(self, shares_index: bool) -> Layer:
        keys = self.keys
        rank, rope = keys.count("kv_lora_rank"), keys.count("qk_rope_head_dim", minimum=0)
        q_rank = keys.optional_count("q_lora_rank", minimum=0) or 0
        nope = keys.count("qk_nope_head_dim")
        v_dim = keys.optional_count("v_head_dim") or max(1, self.hidden // self.heads)
        bias = trait(keys, self.family.qkv_bias)
        weights = [*blocks.latent_attention(self.hidden, self.heads, q_rank, rank, nope, rope, v_dim, bias)]
        index_dim = 0
        if self.family.indexer:
            index_dim, index_heads = keys.count("index_head_dim"), keys.count("index_n_heads")
            if not q_rank:
                raise InvalidValueError("q_lora_rank is missing: the indexer reads the compressed queries")
            if not shares_index:
                weights += blocks.indexer(self.hidden, q_rank, index_heads, index_dim)
        return LatentAttention(rank, rope, index_dim, nope + rope, v_dim, shares_index), tuple(weights)

    def _dense(self, width: int) -> blocks.Weights:
        if width < 1:
            raise InvalidValueError("intermediate_size is missing")
        yield from blocks.mlp(self.hidden, width, self.gated, self.mlp_bias)
        if self.family.sub_norms:
            yield from blocks.norms(width, 1)
        yield from blocks.vector("dense MLP", self.family.mlp_scalars)

    def extra_embedding(self) -> blocks.Weights:
        """Yield what some types hold before their layers besides the embedding."""
        return extra_embedding(self)
