"""Model types with recurrent layers, shared caches, heads that differ by kind, or an encoder: one row a type.

As in ``families``: defaults and traits of transformers 5.23.0. How vLLM 0.33.0 keeps a recurrent state (which
key names its format, and what it is without one) is in the ``State`` of a row.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.family import Encoder, Experts, Family, State

_UNTIED = {"tie_word_embeddings": False}
_TIED = {"tie_word_embeddings": True}
_LINEAR_SIZES = {
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
    "linear_num_key_heads": 16, "linear_num_value_heads": 32,
}  # fmt: skip
_QWEN_EXPERTS = Experts(shared="width", shared_width="shared_expert_intermediate_size", shared_gate=True)
_QWEN_HYBRID = Family(
    {**_UNTIED, **_LINEAR_SIZES, "num_key_value_heads": 4, "head_dim": 256, "full_attention_interval": 4},
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    qk_norm="head",
    gate=True,
    pattern="linear_attention",
    pattern_key="full_attention_interval",
    state=State("gated_delta_net", dtype="mamba_ssm_dtype"),
)
_MAMBA_2_SIZES = {
    "mamba_n_heads": 128, "mamba_n_groups": 1, "mamba_d_state": 256, "mamba_d_head": "auto", "mamba_d_conv": 4,
    "mamba_expand": 2, "mamba_conv_bias": True,
}  # fmt: skip
_MAMBA = Family(
    {
        **_TIED, "state_size": 16, "expand": 2, "conv_kernel": 4, "use_conv_bias": True,
        "time_step_rank": "auto", "max_position_embeddings": 2048,
    },
    norms=1,
    mlp=False,
    pattern="all_linear",
    state=State(
        "mamba1", "state_size", "conv_kernel", "expand", inner="intermediate_size", rank="time_step_rank",
        conv_bias="use_conv_bias", bias="use_bias", output_bias="use_bias",
    ),
)  # fmt: skip
_T5_ENCODER = Encoder(
    layers="num_layers", decoder_layers="num_decoder_layers", heads="num_heads", decoder_heads="num_heads",
    width="d_ff", decoder_width="d_ff", head_dim="d_kv", bias=False, relative_positions="first", positions="",
    always_tied=True,
)  # fmt: skip
_T5 = Family(
    {
        **_TIED, "feed_forward_proj": "relu", "relative_attention_num_buckets": 32, "max_position_embeddings": 512,
        "d_kv": 64,
    },
    encoder=_T5_ENCODER,
)  # fmt: skip
_BART = Family(
    {**_TIED, "decoder_layers": 12},
    encoder=Encoder(position_offset=2, embedding_norm=True, end_norm=False),
)

HYBRIDS: dict[str, Family] = {
    "qwen3_next": replace(
        _QWEN_HYBRID,
        defaults={
            **_QWEN_HYBRID.defaults, "num_key_value_heads": 2, "decoder_sparse_step": 1, "num_experts": 512,
            "num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        },
        state=State("gated_delta_net"),
        experts=replace(_QWEN_EXPERTS, dense="step"),
    ),
    "qwen3_5_text": replace(
        _QWEN_HYBRID,
        defaults={
            **_QWEN_HYBRID.defaults, "vocab_size": 248320, "hidden_size": 4096, "intermediate_size": 12288,
            "num_hidden_layers": 32, "num_attention_heads": 16, "max_position_embeddings": 32768,
        },
    ),
    "qwen3_5_moe_text": replace(
        _QWEN_HYBRID,
        defaults={
            **_QWEN_HYBRID.defaults, "vocab_size": 248320, "hidden_size": 2048, "num_hidden_layers": 40,
            "num_attention_heads": 16, "num_key_value_heads": 2, "max_position_embeddings": 32768, "num_experts": 256,
            "num_experts_per_tok": 8, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        },
        experts=_QWEN_EXPERTS,
    ),
    "olmo_hybrid": Family(
        {**_UNTIED, "linear_conv_kernel_dim": 4},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="width",
        pattern="linear_attention",
        pattern_period=4,
        pattern_full_last="if none",
        state=State("gated_delta_net"),
    ),
    "jamba": Family(
        {
            **_UNTIED, "num_key_value_heads": 8, "attn_layer_period": 8, "attn_layer_offset": 4,
            "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 16, "num_experts_per_tok": 2,
            "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": "auto",
            "mamba_conv_bias": True,
        },
        pattern="attn_layer_period",
        state=State("mamba1", inner_norms=True),
        experts=Experts(width="intermediate_size", dense="period"),
    ),
    "mamba": _MAMBA,
    "falcon_mamba": _MAMBA,
    "mamba2": Family(
        {
            **_UNTIED, "num_heads": 128, "head_dim": 64, "state_size": 128, "expand": 2, "conv_kernel": 4,
            "n_groups": 8, "use_conv_bias": True, "max_position_embeddings": 2048,
        },
        norms=1,
        mlp=False,
        harmless=("chunk_size",),
        pattern="all_linear",
        state=State(
            "mamba2", "state_size", "conv_kernel", "expand", "num_heads", "head_dim", "n_groups",
            conv_bias="use_conv_bias", bias="use_bias", output_bias="use_bias",
        ),
    ),
    "bamba": Family(
        {**_UNTIED, **_MAMBA_2_SIZES, "num_key_value_heads": 8},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        pattern="all_linear",
        state=State("mamba2"),
    ),
    "granitemoehybrid": Family(
        {
            **_UNTIED, **_MAMBA_2_SIZES, "num_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 1024,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        pattern="all_linear",
        state=State("mamba2"),
        experts=Experts(
            width="intermediate_size", dense="any", dense_width="shared_intermediate_size", shared="width",
            shared_width="shared_intermediate_size",
        ),
    ),
    "falcon_h1": Family(
        {**_UNTIED, **_MAMBA_2_SIZES, "num_key_value_heads": 8, "mamba_d_ssm": 1024},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        both=True,
        harmless=("mamba_expand", "mamba_use_mlp", "ssm_in_multiplier", "ssm_out_multiplier", "ssm_multipliers"),
        state=State("mamba2", inner="mamba_d_ssm", output_bias="projectors_bias", gated_norm="mamba_rms_norm"),
    ),
    "nemotron_h": Family(
        {
            **_UNTIED, "num_key_value_heads": 8, "head_dim": 128, "ssm_state_size": 128, "mamba_num_heads": 128,
            "mamba_head_dim": 64, "n_groups": 8, "conv_kernel": 4, "expand": 2, "use_conv_bias": True,
            "mamba_ssm_cache_dtype": "float32", "num_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
            "moe_intermediate_size": 7688, "moe_shared_expert_intermediate_size": 7688,
        },
        gated=False,
        mlp_bias="mlp_bias",
        norms=1,
        single=True,
        required={"tie_word_embeddings": False},
        harmless=(
            "mamba_hidden_act", "mamba_dt_min", "mamba_dt_max", "mamba_dt_limit", "mamba_dt_init_floor", "chunk_size",
            "mamba_proj_bias", "mtp_layers_block_type", "sliding_window", "mtp_hybrid_override_pattern",
        ),
        pattern="listed",
        state=State(
            "mamba2", "ssm_state_size", "conv_kernel|mamba_d_conv", "expand|mamba_expand", "mamba_num_heads",
            "mamba_head_dim", "n_groups|mamba_n_groups", inner_is_heads=True,
            conv_bias="use_conv_bias|mamba_conv_bias", bias="use_bias", output_bias="use_bias",
            dtype="mamba_ssm_cache_dtype",
        ),
        experts=Experts(
            shared="width", shared_width="moe_shared_expert_intermediate_size", shared_bias="mlp_bias",
            latent_width="moe_latent_size",
        ),
    ),
    "zamba2": Family(
        {
            **_TIED, "mamba_d_state": 64, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_ngroups": 1,
            "n_mamba_heads": 8, "use_conv_bias": True, "num_mem_blocks": 1, "adapter_rank": 128,
        },
        norms=1,
        width_factor=4,
        pattern="listed",
        harmless=("chunk_size", "mamba_headdim", "use_long_context", "hybrid_layer_ids", "attention_hidden_size"),
        state=State(
            "mamba2", heads="n_mamba_heads", head_dim="mamba_headdim", groups="mamba_ngroups",
            conv_bias="use_conv_bias", bias="add_bias_linear", output_bias="add_bias_linear",
        ),
        required={"tie_word_embeddings": True},
        special="shared_blocks",
    ),
    "minimax": Family(
        {**_UNTIED, "num_key_value_heads": 8, "num_experts": 8, "num_experts_per_tok": 2},
        pattern="alternating",
        pattern_period=2,
        harmless=(
            "linear_attn_alpha_factor", "linear_attn_beta_factor", "full_attn_alpha_factor", "full_attn_beta_factor",
            "sliding_window", "layernorm_full_attention_alpha", "layernorm_full_attention_beta",
            "layernorm_linear_attention_alpha", "layernorm_linear_attention_beta",
        ),
        state=State("lightning"),
        experts=Experts(width="intermediate_size"),
    ),
    "kimi_linear": Family(
        {
            **_UNTIED, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
            "num_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1, "moe_intermediate_size": 1024,
            "first_k_dense_replace": 1, "linear_head_dim": 128, "linear_num_heads": 32, "linear_conv_kernel_dim": 4,
            "max_position_embeddings": 1048576,
        },
        qkv_bias="attention_bias",
        latent=True,
        pattern="two_lists",
        state=State("kimi_delta"),
        experts=Experts(dense="first", shared="count"),
    ),
    "lfm2": Family(
        {
            **_TIED, "num_key_value_heads": 8, "conv_L_cache": 3, "block_multiple_of": 256,
            "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True,
        },
        qk_norm="head",
        state=State("short_conv", kernel="conv_L_cache", bias="conv_bias"),
        harmless=("conv_L_cache", "conv_dim", "conv_dim_out", "conv_use_xavier_init"),
        special="short_conv",
    ),
    "lfm2_moe": Family(
        {
            **_TIED, "num_key_value_heads": 8, "conv_L_cache": 3, "num_dense_layers": 2, "num_experts": 32,
            "num_experts_per_tok": 4, "moe_intermediate_size": 1792,
        },
        qk_norm="head",
        pattern="listed",
        state=State("short_conv", kernel="conv_L_cache", bias="conv_bias"),
        experts=Experts(dense="first", dense_key="num_dense_layers"),
    ),
    "gemma3n_text": Family(
        {
            **_TIED, "vocab_size": 262400, "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 35,
            "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256, "max_position_embeddings": 32768,
            "sliding_window": 512, "vocab_size_per_layer_input": 262144, "hidden_size_per_layer_input": 256,
            "altup_num_inputs": 4, "num_kv_shared_layers": 15, "laurel_rank": 64,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=4,
        qk_norm="head",
        pattern="sliding_attention",
        pattern_period=5,
        shared_cache="num_kv_shared_layers",
        special="streams_and_layer_inputs",
    ),
    "gemma4_text": Family(
        {
            **_TIED, "vocab_size": 262144, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 30,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,
            "sliding_window": 512, "global_head_dim": 512, "vocab_size_per_layer_input": 262144,
            "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 0,
        },
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norms=4,
        qk_norm="head",
        pattern="sliding_attention",
        pattern_period=6,
        pattern_full_last="always",
        kinds={
            "full_attention": {
                "head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads",
                "if": "attention_k_eq_v",
            }
        },
        shared_cache="num_kv_shared_layers",
        experts=Experts(dense="switch", beside=True),
        required={"use_bidirectional_attention": "vision"},
        special="layer_inputs",
    ),
    "mimo_v2_flash": Family(
        {
            **_UNTIED, "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128, "sliding_window": 129,
            "num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "first_k_dense_replace": 1,
        },
        qkv_bias="attention_bias",
        sinks="windowed",
        v_head_dim=True,
        pattern="sliding_attention",
        pattern_period=6,
        pattern_full_first=True,
        kinds={
            "sliding_attention": {
                "num_attention_heads": "swa_num_attention_heads", "num_key_value_heads": "swa_num_key_value_heads",
                "head_dim": "swa_head_dim", "v_head_dim": "swa_v_head_dim",
            }
        },
        windowed_groups_factor=2,
        experts=Experts(dense="first", shared="count"),
        harmless=("attention_chunk_size",),
    ),
    "hunyuan_v1_dense": Family(
        {**_UNTIED, "use_qk_norm": True},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        qk_norm_if="use_qk_norm",
        shared_cache="use_cla",
    ),
    "hunyuan_v1_moe": Family(
        {**_UNTIED, "use_qk_norm": True, "num_experts": 1, "num_experts_per_tok": 1},
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        qk_norm_if="use_qk_norm",
        shared_cache="use_cla",
        experts=Experts(width="intermediate_size", shared="same"),
    ),
    "openelm": Family(
        {
            **_TIED, "head_dim": 128, "normalize_qk_projections": True, "ffn_with_glu": True, "ffn_dim_divisor": 256,
        },
        gated="ffn_with_glu",
        qk_norm="head",
        qk_norm_if="normalize_qk_projections",
        special="listed_heads",
    ),
    "t5": _T5,
    "mt5": replace(_T5, defaults={**_T5.defaults, "feed_forward_proj": "gated-gelu"}),
    "umt5": replace(
        _T5,
        defaults={**_T5.defaults, "feed_forward_proj": "gated-gelu"},
        encoder=replace(_T5_ENCODER, relative_positions="every"),
    ),
    "bart": _BART,
    "mbart": replace(_BART, encoder=Encoder(position_offset=2, embedding_norm=True)),
    "pegasus": replace(_BART, encoder=Encoder()),
    "blenderbot": replace(_BART, defaults={**_TIED, "decoder_layers": 24}, encoder=Encoder()),
    "m2m_100": replace(_BART, encoder=Encoder(positions="")),
    "marian": replace(_BART, encoder=Encoder(end_norm=False)),
    "whisper": Family(
        {
            **_TIED, "decoder_layers": 4, "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448,
            "max_position_embeddings": 448,
        },
        encoder=Encoder(
            positions="max_target_positions", source_positions="max_source_positions", key_bias=False,
            convolutions="num_mel_bins",
        ),
    ),
}  # fmt: skip
