"""DeepSeek V4: latent vectors that are compressed with age, several residual streams, experts in every layer.

References
----------
transformers 5.23.0, ``models/deepseek_v4/modeling_deepseek_v4.py`` and ``configuration_deepseek_v4.py``.
"""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.configs.blocks.builder import Layer
from calculator.configs.blocks.experts import experts_of
from calculator.configs.blocks.heads import Heads
from calculator.configs.blocks.layers import Assembler
from calculator.configs.hooks.shared.streams import hyper_connections, hyper_head
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

RATIOS = {"sliding_attention": 0, "compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
HASHED, HASHED_BY_DEFAULT = "hash_moe", 3
"""How ``mlp_layer_types`` names a layer that is routed by a table, and how many of the first are where nothing says."""
SIZES = (512, 64)
"""Elements of a latent vector and of its rotary part for which the layout of a row is known."""


class CompressedWithAge(Assembler):
    """Each layer keeps a window of latent vectors, and older ones as its own ratio says."""

    def widest_heads(self) -> Heads:
        """Return the query heads; all share one latent vector."""
        self.keys.ignore("num_key_value_heads")
        size = self.keys.count("head_dim")
        return Heads(self.keys.count("num_attention_heads"), 1, size, size)

    def widest_mlp(self) -> int:
        """Return 0: every MLP is a mixture of experts."""
        self.keys.value("intermediate_size")
        return 0

    def each_layer(self) -> list[Layer]:
        """Return the layers."""
        kinds = list(zip(self._ratios(), self._hashed(), strict=True))
        built = {kind: self._layer(*kind) for kind in dict.fromkeys(kinds)}
        return [built[kind] for kind in kinds]

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield what joins the streams, the last norm and the head."""
        yield from hyper_head(self.hidden, self.keys.count("hc_mult"))
        yield from super().end(vocab, tied)

    def _ratios(self) -> list[int]:
        """Return of every layer how many tokens it compresses into a row, 0 for none."""
        keys, count = self.keys, self.num_layers
        given, named, rates = (
            keys.numbers("compress_ratios"),
            keys.names("layer_types", count),
            keys.value("compress_rates"),
        )
        own = {name: RATIOS[name] for name in RATIOS} | (rates if isinstance(rates, dict) else {})
        if named is not None:
            if not set(named) <= set(RATIOS):
                raise UnsupportedError(
                    say("deepseek_v4.layer_types_must", "layer_types must be of {names}", names=", ".join(RATIOS)),
                    what="layer_types",
                    allowed=tuple(RATIOS),
                )
            ratios = [own[name] for name in named]
        elif given is not None:
            ratios = given[:count]
        else:
            turns = [
                RATIOS["compressed_sparse_attention" if i % 2 else "heavily_compressed_attention"] for i in range(count)
            ]
            ratios = [RATIOS["heavily_compressed_attention"]] * 2 + turns
            ratios = ratios[:count]
        if len(ratios) != count or not set(ratios) <= set(RATIOS.values()):
            raise InvalidValueError(
                say(
                    "deepseek_v4.compress_ratios_must_list",
                    "compress_ratios must list 0, 4 or 128 for each of the {count:,} layers, not {ratios}",
                    count=count,
                    ratios=shown(ratios[:9]),
                ),
                what="compress_ratios",
            )
        return ratios

    def _hashed(self) -> list[bool]:
        """Return of every layer whether a table says which experts a token of the vocabulary is routed to."""
        given = self.keys.optional_count("num_hash_layers", minimum=0)
        listed = self.keys.names("mlp_layer_types", self.num_layers)
        if listed is not None:
            return [kind == HASHED for kind in listed]
        return [index < (HASHED_BY_DEFAULT if given is None else given) for index in range(self.num_layers)]

    def _routed(self, is_hashed: bool) -> blocks.Weights:
        """Yield the router and the experts; a table of experts by token stands in place of corrected scores."""
        if not is_hashed:
            yield from experts_of(self)
            return
        yield from (matrix for matrix in experts_of(self) if matrix.module != blocks.CORRECTION)
        rows, columns = self.keys.count("vocab_size"), self.keys.count("num_experts_per_tok")
        yield WeightMatrix(
            "router", rows, columns, 1, 1, Sharding.COPIED, quantised=False, value_bytes=blocks.WIDE, is_parameter=False
        )

    def _layer(self, ratio: int, is_hashed: bool) -> Layer:
        keys, hidden, heads, size = self.keys, self.hidden, self.heads, self.head_dim
        rank, groups, inner = keys.count("q_lora_rank"), keys.count("o_groups"), keys.count("o_lora_rank")
        rope = keys.optional_count("qk_rope_head_dim") or self._rotated(size)
        if (size, rope) != SIZES:
            raise UnsupportedError(
                say(
                    "deepseek_v4.head_dim_which_rotated",
                    "head_dim {size} of which {rope} are rotated: how a row of it is laid out is known for "
                    "{sizes} and {sizes_2} alone",
                    size=size,
                    rope=rope,
                    sizes=SIZES[0],
                    sizes_2=SIZES[1],
                ),
                what="head_dim",
                asked=size,
                allowed=SIZES[0],
            )
        if (heads * size) % groups:
            raise InvalidValueError(
                say(
                    "deepseek_v4.o_groups_does_not",
                    "o_groups {groups} does not divide {heads} heads of {size}",
                    groups=groups,
                    heads=heads,
                    size=size,
                ),
                what="o_groups",
            )
        weights = [
            *blocks.linear("attention", rank, hidden, Sharding.COPIED),
            *blocks.norms(rank, 1),
            *blocks.linear("attention", heads * size, rank, Sharding.COLUMNS),
            *blocks.linear("attention", size, hidden, Sharding.COPIED),
            *blocks.norms(size, 1),
            *blocks.linear("attention", groups * inner, heads * size // groups, Sharding.COLUMNS),
            *blocks.linear("attention", hidden, groups * inner, Sharding.ROWS),
            *blocks.vector("attention", heads, sharding=Sharding.COLUMNS, value_bytes=blocks.WIDE),
        ]
        overlaps = ratio == RATIOS["compressed_sparse_attention"]
        index = keys.count("index_head_dim") if overlaps else 0
        if ratio:
            weights += self._compressor(size, ratio, 2 if overlaps else 1)
        if index:
            index_heads = keys.count("index_n_heads")
            weights += self._compressor(index, ratio, 2, "indexer")
            weights += blocks.linear("indexer", index_heads * index, rank, Sharding.COPIED)
            weights += blocks.linear("indexer", index_heads, hidden, Sharding.COPIED, quantised=False)
        keys.ignore("index_topk", "index_n_heads", "index_head_dim")
        streams = keys.count("hc_mult")
        weights += [
            *self._routed(is_hashed),
            *self.norms(),
            *hyper_connections(hidden, streams, (2 + streams) * streams, 3),
        ]
        window = keys.count("sliding_window")
        return CompressedAttention(size, rope, window, ratio, overlaps, index), tuple(weights)

    def _rotated(self, size: int) -> int:
        share = self.keys.value("partial_rotary_factor")
        return int(size * share) if isinstance(share, int | float) and not isinstance(share, bool) else size // 8

    def _compressor(self, size: int, ratio: int, times: int, part: str = "attention") -> blocks.Weights:
        # 16 bit in any checkpoint: vLLM 0.33.0, models/deepseek_v4/compressor.py, quant_config=None
        yield from blocks.linear(part, times * size, self.hidden, Sharding.COPIED, False, 2, 2, quantised=False)
        yield from blocks.vector(part, ratio * times * size, value_bytes=blocks.WIDE)
        yield from blocks.norms(size, 1)
