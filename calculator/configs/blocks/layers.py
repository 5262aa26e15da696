"""From the keys of a config and the traits of its type: the layers, what each keeps, and its weights."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture import blocks
from calculator.architecture.layers import NoCache
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.architecture.model import LayerGroup
from calculator.configs.blocks.builder import Layer, LayerPlan, check_understood, runs
from calculator.configs.blocks.experts import experts_of, sparse_layers
from calculator.configs.blocks.extras import end_extras, extras_of
from calculator.configs.blocks.heads import Heads, checked, head_size, heads_of, shared_caches, shared_indexers
from calculator.configs.blocks.mixers import attention_weights, mixer_of, reads_as_a_whole
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.schedules.listed import pattern_length
from calculator.configs.traits import trait
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say


class Assembler:
    """Builds the layers of one config, each from its kind, its MLP and its norms; ``hooks`` override its methods.

    Parameters
    ----------
    keys : Keys
        The config [-].
    family : Family
        The traits of its type [-].
    """

    def __init__(self, keys: Keys, family: Family) -> None:
        self.keys, self.family = keys, family
        self.check()
        self.num_layers = (
            keys.optional_count("num_hidden_layers") or pattern_length(keys) or keys.count("num_hidden_layers")
        )
        self.hidden = keys.count("hidden_size")
        self.norm_bias = trait(keys, family.norm_bias)
        self.gated = trait(keys, family.gated)
        self.mlp_bias = trait(keys, family.mlp_bias)
        self.plain = self.widest_heads()
        self.heads, self.head_dim = self.plain.query, self.plain.key
        self.bidirectional = reads_as_a_whole(keys, family)
        self.biases = trait(keys, family.qkv_bias), trait(keys, family.output_bias)

    def check(self) -> None:
        """Refuse what is not understood of the type."""
        check_understood(self.keys, self.family)

    def widest_heads(self) -> Heads:
        """Return the heads of full attention, of the widest layer where layers differ."""
        return heads_of(self, "full_attention")

    def kv_heads(self, heads: int) -> int:
        """Return the KV heads of a layer with so many query heads."""
        return self.keys.optional_count("num_key_value_heads") or heads

    def head_size(self, heads: int) -> int:
        """Return the elements of a head of a layer with so many query heads."""
        return head_size(self.keys, self.family, self.hidden, heads)

    def index_head_dim(self) -> int:
        """Return the elements of an index key."""
        return self.keys.count("index_head_dim")

    def expert_keys(self) -> Keys:
        """Return the keys that say how many experts there are, and how wide."""
        return self.keys

    def layers(self) -> tuple[LayerGroup, ...]:
        """Return the layers in runs of one kind."""
        return runs(self.each_layer())

    def each_layer(self) -> list[Layer]:
        """Return the layers one by one."""
        built: dict[LayerPlan, list[Layer]] = {}
        layers: list[Layer] = []
        for plan in self._plans():
            if plan not in built:
                built[plan] = list(self.build(plan))
            layers += built[plan]
        return layers

    def _plans(self) -> list[LayerPlan]:
        """Say of every layer what it is."""
        keys, family, count = self.keys, self.family, self.num_layers
        kinds = family.schedule.of(keys, count, has_state=family.state is not None)
        sparse, widths = sparse_layers(keys, family, count), self.widths()
        shared, shares_index = shared_caches(keys, family, kinds), shared_indexers(keys, family, count)
        rows = zip(kinds, self.layer_heads(kinds), sparse, widths, shared, shares_index, strict=True)
        return self._overridden([LayerPlan(*row) for row in rows])

    def layer_heads(self, kinds: list[str]) -> list[Heads]:
        """Return the heads of every layer, by its kind."""
        by_kind = {kind: heads_of(self, kind) for kind in dict.fromkeys(kinds)}
        return [by_kind[kind] for kind in kinds]

    def _overridden(self, plans: list[LayerPlan]) -> list[LayerPlan]:
        """Apply ``per_layer_config``: heads and sizes that single layers have of their own."""
        given = self.keys.nested("per_layer_config")
        for name in given.all_names() if given else ():
            part = given.nested(name) if given else None
            if not name.isdecimal() or len(name) > 6 or int(name) >= len(plans) or part is None:
                raise InvalidValueError(
                    say(
                        "layers.per_layer_config_not",
                        "per_layer_config: {name} is not a layer with keys of its own",
                        name=shown(name),
                    ),
                    what="per_layer_config",
                )
            plan = plans[int(name)]
            head_dim = part.optional_count("head_dim") or plan.heads.key
            groups = part.optional_count("num_key_value_heads") or plan.heads.groups
            other = sorted(set(part.all_names()) - {"head_dim", "num_key_value_heads"})
            if other:
                raise UnsupportedError(
                    say(
                        "layers.per_layer_config_layer",
                        "per_layer_config: {other} of layer {name} is not understood",
                        other=shown(other[0]),
                        name=name,
                    ),
                    what="per_layer_config",
                )
            heads = checked(
                Heads(plan.heads.query, groups, head_dim, head_dim), f"num_key_value_heads of layer {name},"
            )
            plans[int(name)] = replace(plan, heads=heads)
        return plans

    def widths(self) -> list[int]:
        """Return the width of the dense MLP of every layer, 0 where there is none."""
        count, experts = self.num_layers, self.family.experts
        key = experts.dense_width if experts else "intermediate_size"
        if isinstance(self.keys.value(key), list):
            widths = self.keys.numbers(key) or []
            if len(widths) != count or min(widths) < 1:
                raise InvalidValueError(
                    say(
                        "layers.must_list_width_each",
                        "{key_} must list a width for each of the {count:,} layers",
                        key_=key,
                        count=count,
                    ),
                    what=key,
                )
            return widths
        return [self.dense_width(key, needed=False)] * count

    def dense_width(self, key: str = "intermediate_size", needed: bool = True) -> int:
        """Return the width of a dense MLP; the largest where layers differ, 0 where there is none."""
        keys, family = self.keys, self.family
        key = "intermediate_size" if keys.value(key) is None else key
        if not family.mlp:
            keys.ignore("intermediate_size")
            return 0
        if isinstance(keys.value(key), list):
            return max(keys.numbers(key) or [0])
        if family.width_factor:
            return keys.optional_count(key) or family.width_factor * self.hidden
        width = keys.count(key) if needed else keys.optional_count(key, minimum=0) or 0
        return width // family.width_divisor

    def widest_mlp(self) -> int:
        """Return the width of the widest dense MLP, 0 where there is none."""
        return 0 if self.family.experts and not self.keys.has("intermediate_size") else self.dense_width()

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return what a layer of the config is: mostly one, with its weights."""
        family, norms = self.family, self.norms()
        if family.single and plan.kind in ("mlp", "moe"):
            weights = experts_of(self) if plan.kind == "moe" else self.dense(plan.width)
            return [(NoCache(), (*weights, *norms))]
        spec, mixer = mixer_of(self, plan)
        mixer = (*mixer, *extras_of(self, plan))
        if family.single or not family.mlp:
            return [(spec, (*mixer, *norms))]
        mlp = [*experts_of(self)] if plan.sparse else [*self.dense(plan.width)]
        if plan.sparse and family.experts is not None and family.experts.beside:
            mlp += [*self.dense(plan.width), *blocks.norms(self.hidden, 3)]
        return [(spec, (*mixer, *mlp, *norms, *self.more()))]

    def norms(self) -> tuple[WeightMatrix, ...]:
        """Return the norms of a layer."""
        return tuple(blocks.norms(self.hidden, self.num_norms(), self.norm_bias))

    def num_norms(self) -> int:
        """Return the number of norms of a layer."""
        if self.family.parallel and self.keys.flag(self.family.parallel):
            return 1
        return self.family.norms

    def attention(self, plan: LayerPlan) -> blocks.Weights:
        """Yield the weights of a layer's attention."""
        yield from attention_weights(self, plan)

    def keys_are_values(self, plan: LayerPlan) -> bool:  # noqa: ARG002
        """Say whether a layer projects keys and values as one."""
        return False

    def dense(self, width: int) -> blocks.Weights:
        """Yield the weights of a dense MLP."""
        if width < 1:
            raise InvalidValueError(
                say("layers.intermediate_size_missing", "intermediate_size is missing"), what="intermediate_size"
            )
        yield from blocks.mlp(self.hidden, width, self.gated, self.mlp_bias)
        if self.family.sub_norms:
            yield from blocks.norms(width, 1)
        yield from blocks.vector("dense MLP", self.family.mlp_scalars)

    def more(self) -> blocks.Weights:
        """Yield what a layer holds besides mixer, MLP and norms."""
        yield from ()

    def embedding(self, vocab: int, positions: int, tied: bool) -> blocks.Weights:  # noqa: ARG002
        """Yield the embedding and what else stands before the layers."""
        yield from blocks.linear(
            "embedding", vocab, self.hidden, Sharding.COLUMNS, quantised=False, module="embed_tokens"
        )
        if self.family.learned_positions is not None:
            yield from blocks.vector("embedding", (positions + self.family.learned_positions) * self.hidden)
        if self.family.embedding_norm:
            yield from blocks.norms(self.hidden, 1, bias=True)

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield the last norm, and the head where it is not the embedding."""
        yield from blocks.norms(self.hidden, 1 if self.family.has_norm_gain else 0, self.norm_bias)
        head_bias = trait(self.keys, self.family.head_bias)
        if not tied:
            vocab = -(-vocab // self.family.head_multiple) * self.family.head_multiple
            yield from blocks.linear("head", vocab, self.hidden, Sharding.COLUMNS, quantised=False, module="lm_head")
        if head_bias:
            yield from blocks.vector("head", vocab, sharding=Sharding.COLUMNS)
        yield from end_extras(self)
