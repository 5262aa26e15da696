"""What is particular to each model type, as data: one row a type.

A row names the defaults that the reference implementation (transformers 5.23.0, the type's own
``configuration_*.py``) has for keys that published configs leave out, and the traits of its
block. A trait that is a text names the config's key that decides. Types that share a row are
the same architecture under another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        How dense layers are told: ``none``, ``first``, ``step``, ``interleave``, ``period`` or ``list``.
    shared : str
        How shared experts are told: ``count`` (times the width), ``width`` (its own key), ``same`` or none.
    shared_width : str
        The key of the shared experts' width, for ``width``.
    shared_gate, router_bias, bias : bool
        Whether there is a gate for the shared expert, a bias on the router, and biases on experts.
    dense_width : str
        The key of the width of dense layers.
    """

    width: str = "moe_intermediate_size"
    dense: str = "none"
    shared: str = ""
    shared_width: str = ""
    shared_gate: bool = False
    router_bias: bool = False
    bias: bool = False
    dense_width: str = "intermediate_size"


@dataclass(frozen=True)
class Family:
    """The traits of a model type; the defaults here are those of the most common block."""

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
    sinks: bool = False
    width_factor: int = 0
    all_windowed: str = ""
    pattern: str = ""
    pattern_key: str = ""
    pattern_period: int = 0
    latent: bool = False
    indexer: bool = False
    linear: str = ""
    experts: Experts | None = None
    special: str = ""


_MHA = {"tie_word_embeddings": False}
_LLAMA = Family(
    {"tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False},
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
)
_PLAIN = Family(_MHA)
_MISTRAL = Family({**_MHA, "num_key_value_heads": 8, "sliding_window": 4096}, all_windowed="sliding_window")
_QWEN2 = Family(
    {**_MHA, "num_key_value_heads": 32, "max_window_layers": 28},
    qkv_bias=True,
    pattern="from_max_window_layers",
)
_QWEN3 = Family(
    {**_MHA, "num_key_value_heads": 32, "head_dim": 128, "max_window_layers": 28},
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    qk_norm="head",
    pattern="from_max_window_layers",
)
_QWEN_EXPERTS = Experts(dense="step")
_SHARED_QWEN_EXPERTS = Experts(
    dense="step", shared="width", shared_width="shared_expert_intermediate_size", shared_gate=True
)
_GEMMA = Family({"tie_word_embeddings": True, "head_dim": 256}, qkv_bias="attention_bias", output_bias="attention_bias")
_DEEPSEEK = Family(
    {**_MHA, "first_k_dense_replace": 0},
    qkv_bias="attention_bias",
    latent=True,
    experts=Experts(dense="first", shared="count"),
)
_GPT2 = Family(
    {"tie_word_embeddings": True},
    gated=False,
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    norm_bias=True,
    learned_positions=0,
    width_factor=4,
)

FAMILIES: dict[str, Family] = {
    "llama": _LLAMA,
    "mistral": _MISTRAL,
    "ministral3": replace(_PLAIN, all_windowed="sliding_window"),
    "mixtral": Family(
        {**_MHA, "num_key_value_heads": 8}, all_windowed="sliding_window", experts=Experts(width="intermediate_size")
    ),
    "qwen2": _QWEN2,
    "qwen2_moe": replace(
        _QWEN2,
        defaults={
            **_QWEN2.defaults, "num_key_value_heads": 16, "decoder_sparse_step": 1, "qkv_bias": True,
            "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
        },
        qkv_bias="qkv_bias",
        experts=_SHARED_QWEN_EXPERTS,
    ),
    "qwen3": _QWEN3,
    "qwen3_moe": replace(
        _QWEN3,
        defaults={**_MHA, "num_key_value_heads": 4, "decoder_sparse_step": 1, "max_window_layers": 28},
        experts=_QWEN_EXPERTS,
    ),
    "qwen3_next": replace(
        _QWEN3,
        defaults={
            **_MHA, "num_key_value_heads": 2, "head_dim": 256, "decoder_sparse_step": 1, "full_attention_interval": 4,
            "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
            "linear_num_key_heads": 16, "linear_num_value_heads": 32,
        },
        gate=True,
        pattern="linear_attention",
        pattern_key="full_attention_interval",
        linear="gated_delta_net",
        experts=_SHARED_QWEN_EXPERTS,
    ),
    "qwen3_5_text": replace(
        _QWEN3,
        defaults={
            **_MHA, "num_key_value_heads": 4, "head_dim": 256, "full_attention_interval": 4,
            "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
            "linear_num_key_heads": 16, "linear_num_value_heads": 32,
        },
        gate=True,
        pattern="linear_attention",
        pattern_key="full_attention_interval",
        linear="gated_delta_net",
    ),
    "falcon": Family(
        {
            "tie_word_embeddings": True, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True,
            "bias": False, "alibi": False, "max_position_embeddings": 2048,
        },
        gated=False,
        qkv_bias="bias",
        output_bias="bias",
        mlp_bias="bias",
        norm_bias=True,
        width_factor=4,
        special="falcon",
    ),
    "gemma": _GEMMA,
    "gemma2": replace(
        _GEMMA,
        defaults={**_GEMMA.defaults, "num_key_value_heads": 4, "sliding_window": 4096},
        norms=4,
        pattern="sliding_attention",
        pattern_period=2,
    ),
    "gemma3_text": replace(
        _GEMMA,
        defaults={
            **_GEMMA.defaults, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262208,
            "sliding_window": 4096, "sliding_window_pattern": 6, "max_position_embeddings": 131072,
        },
        norms=4,
        qk_norm="head",
        pattern="sliding_attention",
        pattern_key="sliding_window_pattern",
    ),
    "phi": Family(
        _MHA,
        gated=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        head_bias=True,
        norms=1,
        norm_bias=True,
        qk_norm="head_bias",
        qk_norm_if="qk_layernorm",
    ),
    "phi3": Family(_MHA, all_windowed="sliding_window"),
    "phimoe": Family(
        {**_MHA, "num_key_value_heads": 8},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        head_bias="lm_head_bias",
        norm_bias=True,
        all_windowed="sliding_window",
        experts=Experts(width="intermediate_size"),
    ),
    "gpt2": _GPT2,
    "gpt_bigcode": replace(_GPT2, special="multi_query"),
    "gptj": Family(
        _MHA, gated=False, mlp_bias=True, head_bias=True, norms=1, norm_bias=True, width_factor=4
    ),
    "codegen": Family(
        _MHA, gated=False, mlp_bias=True, head_bias=True, norms=1, norm_bias=True, width_factor=4
    ),
    "gpt_neox": Family(
        {**_MHA, "attention_bias": True},
        gated=False,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias=True,
        norm_bias=True,
    ),
    "bloom": Family(
        {"tie_word_embeddings": True, "max_position_embeddings": 2048},
        gated=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm_bias=True,
        embedding_norm=True,
        width_factor=4,
    ),
    "opt": Family(
        {"tie_word_embeddings": True, "enable_bias": True, "do_layer_norm_before": True},
        gated=False,
        qkv_bias="enable_bias",
        output_bias="enable_bias",
        mlp_bias="enable_bias",
        norm_bias=True,
        learned_positions=2,
        special="opt",
    ),
    "starcoder2": Family(
        {"tie_word_embeddings": True, "num_key_value_heads": 2, "use_bias": True},
        gated=False,
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        norm_bias=True,
        all_windowed="sliding_window",
    ),
    "stablelm": Family(
        {**_MHA, "num_key_value_heads": 32}, qkv_bias="use_qkv_bias", norm_bias=True, special="stablelm"
    ),
    "cohere": Family(
        {"tie_word_embeddings": True},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=1,
        qk_norm="each_head",
        qk_norm_if="use_qk_norm",
    ),
    "cohere2": Family(
        {"tie_word_embeddings": True, "sliding_window": 4096, "sliding_window_pattern": 4},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=1,
        pattern="sliding_attention",
        pattern_key="sliding_window_pattern",
    ),
    "olmo": replace(_LLAMA, norms=0, has_norm_gain=False),
    "olmo2": replace(_LLAMA, qk_norm="width"),
    "olmo3": replace(
        _LLAMA,
        defaults={**_LLAMA.defaults, "sliding_window": 4096},
        qk_norm="width",
        pattern="sliding_attention",
        pattern_period=4,
    ),
    "olmoe": replace(
        _LLAMA, defaults={**_MHA, "num_experts": 64, "num_experts_per_tok": 8}, qk_norm="width",
        experts=Experts(width="intermediate_size"),
    ),
    "granite": _LLAMA,
    "granitemoe": replace(
        _LLAMA,
        defaults={**_MHA, "num_experts": 8, "num_experts_per_tok": 2},
        experts=Experts(width="intermediate_size"),
    ),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "deepseek_v32": replace(_DEEPSEEK, indexer=True),
    "glm_moe_dsa": replace(_DEEPSEEK, indexer=True),
    "glm4_moe_lite": _DEEPSEEK,
    "glm": Family({**_MHA, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True}, qkv_bias="attention_bias"),
    "glm4": Family(
        {**_MHA, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True}, qkv_bias="attention_bias", norms=4
    ),
    "glm4_moe": Family(
        {**_MHA, "num_key_value_heads": 8, "first_k_dense_replace": 1},
        qkv_bias="attention_bias",
        qk_norm="head",
        qk_norm_if="use_qk_norm",
        experts=Experts(dense="first", shared="count"),
    ),
    "gpt_oss": Family(
        {**_MHA, "num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128, "attention_bias": True},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        sinks=True,
        pattern="sliding_attention",
        pattern_period=2,
        experts=Experts(width="intermediate_size", router_bias=True, bias=True),
    ),
    "llama4_text": Family(
        {
            **_MHA, "num_key_value_heads": 8, "head_dim": 128, "attention_chunk_size": 8192,
            "interleave_moe_layer_step": 1, "intermediate_size_mlp": 16384,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        pattern="no_rope_layers",
        experts=Experts(
            width="intermediate_size", dense="interleave", shared="same", dense_width="intermediate_size_mlp"
        ),
    ),
    "jamba": Family(
        {
            **_MHA, "num_key_value_heads": 8, "attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2,
            "expert_layer_offset": 1, "num_experts": 16, "num_experts_per_tok": 2, "mamba_d_state": 16,
            "mamba_d_conv": 4, "mamba_expand": 2, "mamba_conv_bias": True,
        },
        pattern="attn_layer_period",
        linear="mamba1",
        experts=Experts(width="intermediate_size", dense="period"),
    ),
    "nemotron-nas": replace(_LLAMA, special="block_configs"),
}  # fmt: skip

ALIASES = {
    "qwen3_5": "qwen3_5_text",
    "gemma3": "gemma3_text",
    "llama4": "llama4_text",
    "granitemoeshared": "granitemoe",
    "RefinedWeb": "falcon",
    "RefinedWebModel": "falcon",
}
