"""What checkpoints and engines call the modules of a layer; only names that a section uses are tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from calculator.architecture.matrices import WeightMatrix
from calculator.configs.quantisation.patterns import Place

PREFIXES = (
    "model.layers", "model.language_model.layers", "language_model.model.layers", "language_model.layers",
    "model.decoder.layers", "decoder.layers", "backbone.layers", "transformer.h", "transformer.layers", "layers",
)  # fmt: skip
"""Where the layers of a text decoder are."""
CONTAINERS: Mapping[str, tuple[str, ...]] = {
    "self_attn": ("self_attn", "attention", "attn", "self_attention", "mixer"),
    "self_attn.indexer": ("self_attn.indexer", "attn.indexer"),
    "mlp": ("mlp", "feed_forward", "block_sparse_moe", "mixer", "ffn"),
    "mlp.experts": (
        "mlp.experts", "block_sparse_moe.experts", "feed_forward.experts", "mixer.experts", "ffn.experts",
        "moe.experts",
    ),
    "mlp.shared_experts": (
        "mlp.shared_experts", "mlp.shared_expert", "feed_forward.shared_expert", "mixer.shared_experts",
        "ffn.shared_experts", "block_sparse_moe.shared_experts", "mlp.shared_mlp", "shared_mlp",
    ),
    "mlp.gate": (
        "mlp.gate", "mlp", "mlp.experts", "mlp.moe_statics", "mlp.router", "block_sparse_moe", "feed_forward",
        "mixer.gate", "moe",
    ),
    "mixer": ("mixer", "mamba", "ssm", "linear_attn"),
    "linear_attn": ("linear_attn", "self_attn"),
}  # fmt: skip
"""What holds a module, by the name used here."""
LEAVES: Mapping[str, tuple[str, ...]] = {
    "gate_proj": ("gate_proj", "w1"),
    "up_proj": ("up_proj", "w3", "fc1"),
    "down_proj": ("down_proj", "w2", "fc2"),
    "q_proj": ("q_proj", "wq"),
    "k_proj": ("k_proj", "wk"),
    "v_proj": ("v_proj", "wv"),
    "o_proj": ("o_proj", "wo", "out_proj", "dense"),
    "e_score_correction": ("e_score_correction", "expert", "router"),
    "in_proj_qkvz": ("in_proj_qkvz", "in_proj_qkv", "in_proj_z"),
    "in_proj_ba": ("in_proj_ba", "in_proj_b", "in_proj_a"),
}
"""What a module is called in it."""
WHOLES: Mapping[str, tuple[str, ...]] = {
    "q_proj": ("qkv_proj", "query_key_value"), "k_proj": ("qkv_proj", "query_key_value"),
    "v_proj": ("qkv_proj", "query_key_value"), "gate_proj": ("gate_up_proj",), "up_proj": ("gate_up_proj",),
    "q_a_proj": ("fused_qkv_a_proj",), "kv_a_proj_with_mqa": ("fused_qkv_a_proj",),
}  # fmt: skip
"""What an engine loads it as part of, in the same place."""
HEAD = ("lm_head", "language_model.lm_head", "model.lm_head", "output", "head")
EMBEDDING = ("model.embed_tokens", "model.language_model.embed_tokens", "language_model.model.embed_tokens")
CLASSES = {
    "linear": "QKVParallelLinear MergedColumnParallelLinear RowParallelLinear ReplicatedLinear",
    "experts": "Linear RoutedExperts",
    "head": "ParallelLMHead",
    "embedding": "VocabParallelEmbedding",
}
"""An engine's classes of a module, which targets of compressed-tensors name."""


class Places:
    """The names of the modules of a model, of those spellings that a section of quantisation uses.

    Parameters
    ----------
    used : iterable of str
        All names and patterns of the section [-].
    """

    def __init__(self, used: Iterable[str]) -> None:
        # in patterns, dots and the like are escaped; one name is enough to keep a spelling
        self._used = "\n".join(used).replace("\\", "")
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._prefixes = self._kept(PREFIXES)

    def _kept(self, spellings: tuple[str, ...]) -> tuple[str, ...]:
        if spellings not in self._known:
            self._known[spellings] = tuple(each for each in spellings if each == spellings[0] or each in self._used)
        return self._known[spellings]

    def of(self, matrix: WeightMatrix, layer: int) -> Place | None:
        """Return the place of a matrix of a layer; None for one without a name."""
        if not matrix.module:
            return None
        container, _, leaf = matrix.module.rpartition(".")
        containers = self._kept(CONTAINERS.get(container, (container,)))
        leaves = self._kept(LEAVES.get(leaf, (leaf,)))
        stems = [f"{prefix}.{layer}.{held}" for prefix, held in product(self._prefixes, containers)]
        if matrix.part == "experts":
            names = [f"{stem}.0.{name}" for stem, name in product(stems, leaves)]
            fused = [f"{stem}.{whole}" for stem in stems for whole in (*WHOLES.get(leaf, ()), leaf)]
            return Place("experts", tuple(names), (*stems, *fused))
        names = [f"{stem}.{name}" for stem, name in product(stems, leaves)]
        wholes = [f"{stem}.{whole}" for stem, whole in product(stems, WHOLES.get(leaf, ()))]
        return Place("linear", tuple(names), tuple(wholes))
