"""What is particular to each model type, as data: one row a type.

A row names the defaults that the reference implementation (transformers 5.23.0, the type's own
``configuration_*.py``) has for keys that published configs leave out, and the traits of its
block. A trait that is a text names the config's key that decides. Types that share a row are
the same architecture under another name. Types with recurrent layers, shared caches or an
encoder are in ``families_hybrid``.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families_hybrid import HYBRIDS
from calculator.configs.family import Experts, Family, Trait

__all__ = ["ALIASES", "FAMILIES", "Experts", "Family", "Trait"]

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
_GEMMA = Family(
    {"tie_word_embeddings": True, "num_key_value_heads": 16, "head_dim": 256},
    qkv_bias="attention_bias",
    output_bias="attention_bias",
)
_DEEPSEEK = Family(
    {**_MHA, "first_k_dense_replace": 0},
    qkv_bias="attention_bias",
    latent=True,
    experts=Experts(dense="first", shared="count"),
)
_DEEPSEEK_V3 = replace(
    _DEEPSEEK,
    defaults={
        **_MHA,
        "first_k_dense_replace": 3,
        "kv_lora_rank": 512,
        "q_lora_rank": 1536,
        "num_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "moe_intermediate_size": 2048,
    },
)
_GLM4_MOE = Family(
    {
        **_MHA,
        "num_key_value_heads": 8,
        "first_k_dense_replace": 1,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "moe_intermediate_size": 1408,
    },
    qkv_bias="attention_bias",
    qk_norm="head",
    qk_norm_if="use_qk_norm",
    floor_head_dim=True,
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

_ROWS: dict[str, Family] = {
    **HYBRIDS,
    "llama": _LLAMA,
    "mistral": _MISTRAL,
    "ministral3": Family({**_MHA, "num_key_value_heads": 8, "head_dim": 128}, all_windowed="sliding_window"),
    "mixtral": Family(
        {**_MHA, "num_key_value_heads": 8, "num_experts": 8, "num_experts_per_tok": 2},
        all_windowed="sliding_window",
        experts=Experts(width="intermediate_size"),
    ),
    "qwen2": _QWEN2,
    "qwen2_moe": replace(
        _QWEN2,
        defaults={
            **_QWEN2.defaults, "num_key_value_heads": 16, "decoder_sparse_step": 1, "qkv_bias": True,
            "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
        },
        pattern="never_used",
        qkv_bias="qkv_bias",
        experts=_SHARED_QWEN_EXPERTS,
    ),
    "qwen3": _QWEN3,
    "qwen3_moe": replace(
        _QWEN3,
        defaults={**_MHA, "num_key_value_heads": 4, "decoder_sparse_step": 1, "max_window_layers": 28},
        pattern="all_if_used",
        experts=_QWEN_EXPERTS,
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
        special="parallel_norms",
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
        {**_MHA, "num_key_value_heads": 8, "num_experts": 16, "num_experts_per_tok": 2},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        head_bias="lm_head_bias",
        norm_bias=True,
        all_windowed="sliding_window",
        experts=Experts(width="intermediate_size"),
    ),
    "gpt2": _GPT2,
    "gpt_bigcode": replace(_GPT2, defaults={**_GPT2.defaults, "multi_query": True}, special="multi_query"),
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
        required={"layer_norm_elementwise_affine": True},
        special="norms_before",
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
        {**_MHA, "num_key_value_heads": 32},
        qkv_bias="use_qkv_bias",
        norm_bias=True,
        qk_norm="each_head",
        qk_norm_if="qk_layernorm",
        special="parallel_residual",
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
    "granitemoeshared": replace(
        _LLAMA,
        defaults={**_MHA, "num_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 0},
        experts=Experts(width="intermediate_size", shared="width", shared_width="shared_intermediate_size"),
    ),
    "flex_olmo": replace(
        _LLAMA, defaults={**_MHA, "num_experts": 7, "num_experts_per_tok": 5}, qk_norm="width",
        experts=Experts(width="intermediate_size"),
    ),
    "deepseek_v2": replace(
        _DEEPSEEK,
        defaults={
            **_DEEPSEEK.defaults, "kv_lora_rank": 512, "q_lora_rank": 1536, "num_experts": 64, "n_shared_experts": 2,
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "moe_intermediate_size": 1407,
        },
        mlp_bias="mlp_bias",
        experts=Experts(dense="first", shared="count", shared_bias="mlp_bias"),
    ),
    "deepseek_v3": _DEEPSEEK_V3,
    "kimi_k2": _DEEPSEEK_V3,
    "deepseek_v32": replace(
        _DEEPSEEK_V3, defaults={**_DEEPSEEK_V3.defaults, "index_head_dim": 128, "index_n_heads": 64}, indexer=True
    ),
    "glm_moe_dsa": replace(
        _DEEPSEEK_V3,
        defaults={
            **_DEEPSEEK_V3.defaults, "q_lora_rank": 2048, "v_head_dim": 256, "qk_nope_head_dim": 192,
            "index_head_dim": 128, "index_n_heads": 32,
        },
        indexer=True,
    ),
    "glm4_moe_lite": replace(
        _DEEPSEEK_V3,
        defaults={
            **_DEEPSEEK_V3.defaults, "first_k_dense_replace": 1, "q_lora_rank": 768, "v_head_dim": 256,
            "qk_nope_head_dim": 192, "num_experts": 64, "num_experts_per_tok": 4, "moe_intermediate_size": 1536,
        },
    ),
    "minicpm3": Family(
        {
            "tie_word_embeddings": True, "kv_lora_rank": 256, "q_lora_rank": 768, "qk_nope_head_dim": 64,
            "qk_rope_head_dim": 32,
        },
        qkv_bias="attention_bias",
        mlp_bias="mlp_bias",
        latent=True,
    ),
    "longcat_flash": Family(
        {
            **_MHA, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
            "v_head_dim": 128, "num_experts": 512, "zero_expert_num": 256, "num_experts_per_tok": 12,
            "moe_intermediate_size": 2048,
        },
        qkv_bias="attention_bias",
        latent=True,
        harmless=("mla_scale_kv_lora", "mla_scale_q_lora"),
        experts=Experts(idle="zero_expert_num", router_bias="router_bias"),
        special="two_attentions",
    ),
    "glm4_moe": _GLM4_MOE,
    "glm4v_moe_text": replace(_GLM4_MOE, defaults={**_GLM4_MOE.defaults, "attention_bias": True}),
    "dots1": Family(
        {
            **_MHA, "num_key_value_heads": 32, "first_k_dense_replace": 0, "max_window_layers": 62,
            "sliding_window": 4096, "use_sliding_window": True,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        pattern="from_max_window_layers",
        experts=Experts(dense="first", shared="count"),
    ),
    "solar_open": Family(
        {
            **_MHA, "num_key_value_heads": 8, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8,
            "n_shared_experts": 1, "moe_intermediate_size": 1280,
        },
        qkv_bias="attention_bias",
        experts=Experts(shared="count"),
    ),
    "minimax_m2": Family(
        {
            **_MHA, "num_key_value_heads": 8, "head_dim": 128, "num_experts": 256, "num_experts_per_tok": 8,
        },
        qk_norm="width",
        harmless=("layernorm_full_attention_beta", "layernorm_linear_attention_beta"),
        experts=Experts(width="intermediate_size"),
    ),
    "ernie4_5": Family(
        {"tie_word_embeddings": True, "num_key_value_heads": 2, "head_dim": 128},
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
    ),
    "ernie4_5_moe": Family(
        {
            "tie_word_embeddings": True, "num_key_value_heads": 4, "moe_intermediate_size": 1536,
            "num_experts_per_tok": 6, "num_experts": 64, "n_shared_experts": 2, "moe_layer_start_index": 1,
            "moe_layer_end_index": -1, "moe_layer_interval": 1,
        },
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        head_bias="use_bias",
        experts=Experts(dense="range", shared="count", shared_bias="use_bias", correction=True),
    ),
    "afmoe": Family(
        {
            **_MHA, "head_dim": 128, "sliding_window": 1024, "global_attn_every_n_layers": 4, "num_dense_layers": 1,
            "num_experts": 64, "num_experts_per_tok": 6, "n_shared_experts": 2, "moe_intermediate_size": 1408,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=4,
        qk_norm="head",
        gate=True,
        gate_bias=False,
        pattern="sliding_attention",
        pattern_key="global_attn_every_n_layers",
        experts=Experts(dense="first", dense_key="num_dense_layers", shared="count", correction=True),
    ),
    "hy_v3": Family(
        {
            **_MHA, "num_key_value_heads": 8, "head_dim": 128, "num_experts": 192, "num_experts_per_tok": 8,
            "n_shared_experts": 1, "moe_intermediate_size": 1536, "first_k_dense_replace": 1,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        qk_norm="head",
        experts=Experts(dense="first", shared="count", shared_bias="mlp_bias"),
    ),
    "dbrx": Family(_MHA, experts=Experts(width="ffn_hidden_size"), special="nested_configs"),
    "jetmoe": Family(
        {
            "tie_word_embeddings": True, "num_key_value_heads": 16, "head_dim": 128, "num_experts": 8,
            "num_experts_per_tok": 2,
        },
        experts=Experts(width="intermediate_size", in_attention=True),
    ),
    "cohere2_moe": Family(
        {
            "tie_word_embeddings": True, "head_dim": 128, "sliding_window": 4096, "sliding_window_pattern": 4,
            "prefix_dense_sliding_window_pattern": 1, "num_experts": 8, "num_experts_per_tok": 2,
            "n_shared_experts": 0, "first_k_dense_replace": 0,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=1,
        pattern="after_dense",
        experts=Experts(
            width="intermediate_size", dense="first", shared="count", dense_width="prefix_dense_intermediate_size"
        ),
    ),
    "exaone4": Family(
        {**_MHA, "num_key_value_heads": 32, "sliding_window": 4096, "sliding_window_pattern": 4},
        qk_norm="head",
        pattern="sliding_attention",
        pattern_key="sliding_window_pattern",
    ),
    "exaone_moe": Family(
        {
            **_MHA, "num_key_value_heads": 32, "sliding_window": 4096, "sliding_window_pattern": 4,
            "first_k_dense_replace": 1, "num_experts": 64, "num_experts_per_tok": 8, "n_shared_experts": 1,
            "moe_intermediate_size": 1024,
        },
        qk_norm="head",
        pattern="sliding_attention",
        pattern_key="sliding_window_pattern",
        experts=Experts(dense="first", shared="count"),
    ),
    "smollm3": Family(
        {"tie_word_embeddings": True, "num_key_value_heads": 4},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        pattern="windowed_without_rope",
    ),
    "seed_oss": Family(
        {**_MHA, "num_key_value_heads": 8, "head_dim": 128, "attention_bias": True},
        qkv_bias="attention_bias",
        output_bias="attention_out_bias",
        mlp_bias="mlp_bias",
    ),
    "arcee": replace(_LLAMA, gated=False),
    "helium": replace(
        _LLAMA, defaults={**_MHA, "num_key_value_heads": 20, "head_dim": 128}, output_bias=False
    ),
    "apertus": replace(_LLAMA, gated=False, qk_norm="head", mlp_bias=False, mlp_scalars=2),
    "bitnet": replace(_LLAMA, defaults={**_MHA, "num_key_value_heads": 5}, mlp_bias=False, sub_norms=True),
    "nemotron": replace(_LLAMA, gated=False, norm_bias=True),
    "ministral": Family({**_MHA, "num_key_value_heads": 8, "sliding_window": 4096}, all_windowed="sliding_window"),
    "internlm2": Family({**_MHA, "bias": True}, qkv_bias="bias", output_bias="bias"),
    "internlm3": Family(
        {**_MHA, "num_key_value_heads": 2, "head_dim": 128},
        qkv_bias="attention_bias|qkv_bias",
        output_bias="attention_bias|qkv_bias",
        mlp_bias="mlp_bias|bias",
    ),
    "persimmon": Family(
        {**_MHA, "qk_layernorm": True},
        gated=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm_bias=True,
        qk_norm="head_bias",
        qk_norm_if="qk_layernorm",
    ),
    "mpt": Family(
        {"tie_word_embeddings": True, "max_position_embeddings": 2048, "expansion_ratio": 4},
        gated=False,
        width_factor=4,
        required={"attn_config.attn_type": "multihead_attention", "expansion_ratio": 4, "no_bias": True},
    ),
    "gpt_neo": Family(
        {"tie_word_embeddings": True, "sliding_window": 256},
        gated=False,
        output_bias=True,
        mlp_bias=True,
        norm_bias=True,
        learned_positions=0,
        width_factor=4,
        pattern="attention_types",
    ),
    "xglm": replace(_GPT2, learned_positions=None, width_factor=0),
    "baichuan": Family({**_MHA, "max_position_embeddings": 4096}),
    "qwen": Family(
        {**_MHA, "max_position_embeddings": 8192, "no_bias": True},
        qkv_bias=True,
        required={"no_bias": True},
        special="halved_width",
    ),
    "chatglm": Family(
        {"tie_word_embeddings": False, "add_qkv_bias": True},
        qkv_bias="add_qkv_bias or add_bias_linear",
        output_bias="add_bias_linear",
        mlp_bias="add_bias_linear",
        special="multi_query_attention",
    ),
    "minicpm": Family({"tie_word_embeddings": True}, qkv_bias="attention_bias", output_bias="attention_bias"),
    "glm": Family(
        {**_MHA, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True}, qkv_bias="attention_bias"
    ),
    "glm4": Family(
        {**_MHA, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True}, qkv_bias="attention_bias", norms=4
    ),
    "gpt_oss": Family(
        {
            **_MHA, "num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128, "attention_bias": True,
            "num_experts": 128, "num_experts_per_tok": 4,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        sinks="all",
        copies_kv_heads=False,
        pattern="sliding_attention",
        pattern_period=2,
        experts=Experts(width="intermediate_size", router_bias=True, bias=True),
    ),
    "llama4_text": Family(
        {
            **_MHA, "num_key_value_heads": 8, "head_dim": 128, "attention_chunk_size": 8192,
            "interleave_moe_layer_step": 1, "intermediate_size_mlp": 16384, "num_experts": 16, "num_experts_per_tok": 1,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        pattern="no_rope_layers",
        experts=Experts(
            width="intermediate_size", dense="interleave", shared="same", dense_width="intermediate_size_mlp"
        ),
    ),
    "nemotron-nas": replace(_LLAMA, special="block_configs"),
}  # fmt: skip

_LONGEST = {
    128: ("blenderbot"),
    1024: ("bart mbart pegasus m2m_100 marian gpt2 gpt_bigcode"),
    2048: (
        "granitemoehybrid hunyuan_v1_dense hunyuan_v1_moe llama falcon phi gptj codegen gpt_neox opt olmo olmo2 olmo3 "
        "granite granitemoe granitemoeshared deepseek_v2 dots1 dbrx exaone4 exaone_moe bitnet mpt gpt_neo xglm"
    ),
    4096: ("nemotron_h zamba2 phi3 starcoder2 stablelm olmoe flex_olmo deepseek_v3 jetmoe arcee helium nemotron"),
    8192: ("falcon_h1 gemma gemma2 cohere cohere2 cohere2_moe"),
    16384: ("afmoe persimmon"),
    32768: (
        "qwen3_next qwen3_5_text qwen3_5_moe_text gemma3n_text qwen2 qwen2_moe qwen3 qwen3_moe minicpm3 smollm3 "
        "internlm3"
    ),
    65536: ("olmo_hybrid apertus"),
    128000: ("lfm2 lfm2_moe"),
    131072: (
        "minimax gemma4_text mimo_v2_flash mistral mixtral gemma3_text phimoe longcat_flash glm4_moe solar_open "
        "ernie4_5 ernie4_5_moe hy_v3 ministral glm glm4 gpt_oss llama4_text"
    ),
    163840: ("deepseek_v32"),
    196608: ("minimax_m2"),
    202752: ("glm_moe_dsa glm4_moe_lite"),
    262144: ("jamba bamba ministral3"),
    524288: ("seed_oss"),
    1048576: ("kimi_linear"),
}
"""The reference's own longest context, by the types that have it where a config names none [tokens]."""


def _with_longest(kind: str, row: Family) -> Family:
    """Return the row with the reference's longest context among its defaults."""
    longest = next((tokens for tokens, kinds in _LONGEST.items() if kind in kinds.split()), None)
    return row if longest is None else replace(row, defaults={"max_position_embeddings": longest, **row.defaults})


FAMILIES = {kind: _with_longest(kind, row) for kind, row in _ROWS.items()}

ALIASES = {
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "minimax_text_01": "minimax",
    "minimax_m1": "minimax",
    "hunyuan": "hunyuan_v1_moe",
    "mimo": "qwen2",
    "mimo_v2": "mimo_v2_flash",
    "internlm": "internlm2",
    "phi4mm": "phi3",
    "qwen2_vl": "qwen2",
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "glm4v_text": "glm4",
    "phi4_multimodal": "phi3",
    "gemma3": "gemma3_text",
    "llama4": "llama4_text",
    "RefinedWeb": "falcon",
    "RefinedWebModel": "falcon",
}
