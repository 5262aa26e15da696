"""From the keys of a config and the traits of its type: the layers, what each keeps, and its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from calculator import blocks
from calculator.attention import (
    AttentionAndState,
    ChunkedAttention,
    FullAttention,
    LatentAttention,
    LayerSpec,
    NoCache,
    SharedCache,
    SlidingWindow,
)
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.family import Experts, Family
from calculator.hf_blocks import block_configs, ffn_widths, per_layer, runs, short_conv_width, with_shared_blocks
from calculator.hf_experts import sparse_layers
from calculator.hf_keys import Keys
from calculator.hf_schedule import layer_kinds, pattern_length
from calculator.hf_state_layers import state_layer, trait
from calculator.model import LayerGroup, Sharding, WeightMatrix

Layer = tuple[LayerSpec, tuple[WeightMatrix, ...]]
__all__ = ["Assembler", "block_configs", "trait"]


@dataclass(frozen=True)
class Heads:
    """Heads of a layer and their sizes: queries, KV heads, elements of a key and of a value."""

    query: int
    groups: int
    key: int
    value: int


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
        self.plain = self._heads("full_attention")
        self.heads, self.groups, self.head_dim = self.plain.query, self.plain.groups, self.plain.key
        self.biases = trait(keys, family.qkv_bias), trait(keys, family.output_bias)
        self.input_width = 2 * self.hidden if family.special == "shared_blocks" else self.hidden

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
        shared = self._shared_caches(kinds)
        shares_index = self._shared_indexers()
        by_kind = {kind: self._heads(kind) for kind in dict.fromkeys(kinds)}
        plans = [
            LayerPlan(kind, by_kind[kind], is_sparse, width, cache, index)
            for kind, is_sparse, width, cache, index in zip(kinds, sparse, widths, shared, shares_index, strict=True)
        ]
        if family.special == "openelm":
            plans = [replace(plan, heads=heads) for plan, heads in zip(plans, self._listed_heads(), strict=True)]
        return self._overridden(plans)

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

    def _heads(self, kind: str) -> Heads:
        """Return the heads of a kind of layer, by the keys that it has of its own or by the common ones."""
        keys, family = self.keys, self.family
        if not family.mlp:
            return Heads(0, 0, 0, 0)
        if family.latent:
            keys.ignore("num_key_value_heads", "head_dim", "qk_head_dim")
            return Heads(keys.count("num_attention_heads"), 1, 0, 0)
        if family.special == "openelm":
            return max(self._listed_heads(), key=lambda heads: heads.groups)
        own = {} if keys.has("per_layer_config") else family.kinds.get(kind, {})
        query = self._own(own, "num_attention_heads") or self._query_heads()
        groups = self._own(own, "num_key_value_heads") or self._groups(query)
        if kind == "sliding_attention" and "num_key_value_heads" in own and not keys.has(own["num_key_value_heads"]):
            groups *= family.windowed_groups_factor
        key = self._own(own, "head_dim") or self._head_dim(query)
        value = self._own(own, "v_head_dim") or (keys.optional_count("v_head_dim") if family.v_head_dim else None)
        return checked(Heads(query, groups, key, value or key))

    def _listed_heads(self) -> list[Heads]:
        """Return the heads of every layer, from lists."""
        keys, count = self.keys, self.num_layers
        query, groups = keys.numbers("num_query_heads") or [], keys.numbers("num_key_value_heads") or []
        if len(query) != count or len(groups) != count or min(*query, *groups) < 1:
            raise InvalidValueError(f"num_query_heads and num_kv_heads must list the heads of the {count:,} layers")
        size = keys.count("head_dim")
        return [checked(Heads(heads, kv_heads, size, size)) for heads, kv_heads in zip(query, groups, strict=True)]

    def _own(self, own: Mapping[str, str], name: str) -> int | None:
        if name not in own:
            return None
        switch = own.get("if")
        given = self.keys.optional_count(own[name])
        return given if name == "head_dim" or switch is None or self.keys.flag(switch) else None

    def _query_heads(self) -> int:
        keys = self.keys
        if self.family.experts and self.family.experts.in_attention:
            heads = keys.count("num_key_value_heads") * keys.count("num_experts_per_tok")
            if keys.optional_count("num_attention_heads") not in (None, heads):
                raise InvalidValueError(
                    f"num_attention_heads must be num_key_value_heads × num_experts_per_tok, {heads}"
                )
            return heads
        return keys.count("num_attention_heads")

    def _groups(self, heads: int) -> int:
        keys, special = self.keys, self.family.special
        given = keys.optional_count("num_key_value_heads")
        if special == "falcon":
            new, multi = keys.flag("new_decoder_architecture"), keys.flag("multi_query")
            return (given or heads) if new or not multi else 1
        if special == "multi_query":
            groups = 1 if keys.flag("multi_query") else heads
            if given not in (None, groups):
                raise InvalidValueError(f"contradictory: num_key_value_heads {given}, but multi_query means {groups}")
            return groups
        if special == "chatglm":
            return (given or heads) if keys.flag("multi_query_attention") else heads
        if special == "dbrx":
            nested = keys.nested("attn_config")
            return (nested.optional_count("kv_n_heads") if nested else None) or given or 1
        return given or heads

    def _head_dim(self, heads: int) -> int:
        keys, hidden = self.keys, self.hidden
        if self.family.special == "shared_blocks":
            keys.ignore("kv_channels", "attention_head_dim", "num_query_groups")
            return 2 * hidden // heads
        given = keys.optional_count("head_dim")
        if given is None and hidden % heads and not self.family.floor_head_dim:
            raise InvalidValueError(
                f"hidden_size {hidden} does not divide by num_attention_heads {heads}, and there is no head_dim"
            )
        if given is None and hidden < heads:
            raise InvalidValueError(f"hidden_size {hidden} is less than num_attention_heads {heads}")
        return given or hidden // heads

    def _shared_caches(self, kinds: Sequence[str]) -> list[bool]:
        """Say of every layer whether it reuses the cache of an earlier one."""
        keys, count, how = self.keys, self.num_layers, self.family.shared_cache
        if how == "num_kv_shared_layers":
            shared = keys.optional_count("num_kv_shared_layers", minimum=0) or 0
            first = count - shared
            if shared and (first < 1 or set(kinds[first:]) - set(kinds[:first])):
                raise InvalidValueError(
                    f"num_kv_shared_layers {shared} of {count} layers leaves a kind of layer without a cache to share"
                )
            return [index >= first for index in range(count)]
        if how == "use_cla":
            factor = keys.optional_count("cla_share_factor") or 1
            used = keys.flag("use_cla")
            return [used and index % factor != 0 for index in range(count)]
        return [False] * count

    def _shared_indexers(self) -> list[bool]:
        """Say of every layer whether it reuses the choice of an earlier layer's indexer."""
        keys, every = self.keys, range(self.num_layers)
        if not self.family.indexer:
            return [False for _ in every]
        listed, pattern = keys.names("indexer_types", self.num_layers), keys.value("index_topk_pattern")
        frequency = keys.optional_count("index_topk_freq", minimum=0) or 1
        offset = keys.optional_count("index_skip_topk_offset", minimum=0)
        offset = 2 if offset is None else offset
        keys.ignore("index_topk")
        if pattern is not None:
            if not isinstance(pattern, str) or len(pattern) != len(every) or not set(pattern) <= {"F", "S"}:
                raise InvalidValueError(f"index_topk_pattern must be a letter F or S a layer, not {shown(pattern)}")
            listed = listed or [{"F": "full", "S": "shared"}[letter] for letter in pattern]
        if listed is None:
            return [max(index - offset + 1, 0) % frequency != 0 for index in every]
        if not set(listed) <= {"full", "shared"} or listed[0] != "full":
            raise InvalidValueError("indexer_types must say full or shared of each layer, full of the first")
        return [kind == "shared" for kind in listed]

    def _widths(self) -> list[int]:
        """Return the width of the dense MLP of every layer, 0 where there is none."""
        count, experts = self.num_layers, self.family.experts
        if self.family.special == "openelm":
            return ffn_widths(self.keys, self.hidden, count)
        key = experts.dense_width if experts else "intermediate_size"
        given = self.keys.value(key)
        if isinstance(given, list):
            widths = self.keys.numbers(key) or []
            if len(widths) != count or min(widths) < 1:
                raise InvalidValueError(f"{key} must list a width for each of the {count:,} layers")
            return widths
        shared = self._shared_caches(["full_attention"] * count) if self.family.special == "gemma4" else []
        wide = bool(shared) and self.keys.flag("use_double_wide_mlp")
        width = self.dense_width(key, needed=False)
        return [width * (2 if wide and shared[index] else 1) for index in range(count)]

    def dense_width(self, key: str = "intermediate_size", needed: bool = True) -> int:
        """Return the width of a dense MLP; the largest where layers differ, 0 where there is none."""
        keys, family = self.keys, self.family
        key = "intermediate_size" if keys.value(key) is None else key
        if not family.mlp:
            keys.ignore("intermediate_size")
            return 0
        if family.special in ("openelm", "dbrx"):
            return max(self._widths()) if family.special == "openelm" else 0
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
            weights = self._experts() if plan.kind == "moe" else self._dense(plan.width)
            return [(NoCache(), (*weights, *norms))]
        spec, mixer = self._mixer(plan)
        if family.single or not family.mlp:
            return [(spec, (*mixer, *norms))]
        if family.special == "shared_blocks":
            return [(spec, (*mixer, *blocks.norms(self.hidden, 1)))]
        if family.special == "two_attentions":
            dense = tuple(self._dense(plan.width))
            return [(spec, (*mixer, *dense, *self._experts(), *norms)), (spec, (*mixer, *dense, *norms))]
        experts = family.experts
        beside = experts is not None and experts.beside
        mlp = [*self._experts()] if plan.sparse else [*self._dense(plan.width)]
        if plan.sparse and beside:
            mlp += [*self._dense(plan.width), *blocks.norms(self.hidden, 3)]
        return [(spec, (*mixer, *mlp, *norms, *per_layer(self)))]

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
            yield from self._expert_attention(heads)
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
        return self.family.special == "gemma4" and is_full and self.keys.flag("attention_k_eq_v")

    def _expert_attention(self, heads: Heads) -> blocks.Weights:
        keys, groups = self.keys, heads.groups * heads.key
        count, chosen = keys.count("num_experts"), keys.count("num_experts_per_tok")
        yield from blocks.linear("attention", groups, self.hidden, Sharding.KV_HEADS)
        yield from blocks.linear("attention", groups, self.hidden, Sharding.KV_HEADS)
        yield from blocks.router(self.hidden, count)
        yield from blocks.linear("experts", groups, self.hidden, Sharding.COLUMNS, False, count, chosen)
        yield from blocks.linear("experts", self.hidden, groups, Sharding.ROWS, False, count, chosen)
        yield from blocks.vector("attention", self.hidden)

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

    def _experts(self) -> blocks.Weights:
        experts, keys = self._layout(), self.keys
        nested = keys.nested("ffn_config") if self.family.special == "dbrx" else None
        source = nested or keys
        count, chosen = source.count("num_experts"), source.count("num_experts_per_tok")
        width = source.count(experts.width)
        if chosen > count:
            raise InvalidValueError(f"num_experts_per_tok {chosen} is more than the {count} experts there are")
        latent = (keys.optional_count(experts.latent_width) if experts.latent_width else None) or 0
        idle = (keys.optional_count(experts.idle, minimum=0) if experts.idle else None) or 0
        yield from blocks.router(self.hidden, count + idle, trait(keys, experts.router_bias))
        if experts.correction:
            yield from blocks.vector("router", count)
        if experts.beside:
            yield from blocks.vector("router", self.hidden + count)
        if latent:
            yield from blocks.linear("experts", latent, self.hidden, Sharding.COPIED, self.mlp_bias)
            yield from blocks.linear("experts", self.hidden, latent, Sharding.COPIED, self.mlp_bias)
        inputs = latent or self.hidden
        yield from blocks.mlp(inputs, width, self.gated, experts.bias, "experts", count, chosen)
        if idle:
            yield from blocks.linear("experts", 2 * width, inputs, Sharding.COLUMNS, False, idle, 0)
        if experts.in_attention:
            yield from blocks.vector("experts", self.hidden)
        yield from self._shared_experts(experts, width)

    def _shared_experts(self, experts: Experts, width: int) -> blocks.Weights:
        keys = self.keys
        shared = width if experts.shared == "same" else 0
        if experts.shared == "count":
            shared = (keys.optional_count("n_shared_experts", minimum=0) or 0) * width
        elif experts.shared == "width":
            shared = keys.optional_count(experts.shared_width, minimum=0) or 0
        if shared:
            bias = trait(keys, experts.shared_bias)
            yield from blocks.mlp(self.hidden, shared, self.gated, bias, part="shared experts")
        if shared and experts.shared_gate:
            yield from blocks.linear("router", 1, self.hidden, Sharding.COPIED, quantised=False)

    def _layout(self) -> Experts:
        if self.family.experts is None:
            raise UnsupportedError("this model type has no experts")
        return self.family.experts

    def extra_embedding(self) -> blocks.Weights:
        """Yield what some types hold before their layers besides the embedding: a second, smaller one a layer."""
        keys = self.keys
        if self.family.special not in ("gemma3n", "gemma4"):
            return
        small = keys.optional_count("hidden_size_per_layer_input", minimum=0) or 0
        vocab = keys.count("vocab_size_per_layer_input")
        if small:
            width = self.num_layers * small
            yield from blocks.linear("embedding", vocab, width, Sharding.COLUMNS, quantised=False)
            yield from blocks.linear("embedding", width, self.hidden, Sharding.COPIED)
            yield from blocks.norms(small, 1)
        if self.family.special == "gemma3n":
            streams = keys.count("altup_num_inputs")
            for _ in range(2 * (streams - 1)):
                yield from blocks.linear("embedding", self.hidden, self.hidden, Sharding.COPIED)


def check_understood(keys: Keys, family: Family) -> None:
    """Refuse what would change the weights or the cache of a type that does not know it."""
    keys.ignore(*family.harmless)
    experts = keys.value("num_experts") if family.experts is None else None
    if isinstance(experts, int) and experts > 1:
        raise UnsupportedError(f"num_experts {experts}: a mixture of experts is not understood for this model type")
    if family.tied is not None and keys.flag("tie_word_embeddings") is not family.tied:
        wanted = "true" if family.tied else "false"
        raise UnsupportedError(f"tie_word_embeddings other than {wanted} is not understood for this model type")
    if family.special == "no_chunks":
        keys.ignore("attention_chunk_size")
    if family.special == "gemma4" and keys.value("use_bidirectional_attention") == "all":
        raise UnsupportedError("use_bidirectional_attention all is not understood: it halves the window")
    if family.special == "halved_width" and not keys.flag("no_bias"):
        raise UnsupportedError("no_bias false is not understood for this model type")
    if family.special == "mpt":
        nested = keys.nested("attn_config")
        kind = nested.value("attn_type") if nested else None
        if kind not in (None, "multihead_attention") or keys.value("expansion_ratio") != 4:
            raise UnsupportedError(
                "attn_type other than multihead_attention, or expansion_ratio other than 4, is not understood"
            )
    if family.special == "chatglm" and not (keys.has("multi_query_attention") and keys.has("kv_channels")):
        raise UnsupportedError(
            "without multi_query_attention and kv_channels this is the first ChatGLM, which is not understood"
        )


def checked(heads: Heads) -> Heads:
    """Return the heads if query heads divide into the KV heads."""
    if heads.query % heads.groups:
        raise InvalidValueError(
            f"num_attention_heads {heads.query} does not divide by num_key_value_heads {heads.groups}"
        )
    return heads
