"""Model types of Alibaba."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.family import PUBLISHED, UNTIED, Family, transformers
from calculator.configs.schedules.rules import WINDOWS_FROM_A_LAYER, WINDOWS_IF_USED, WINDOWS_REFUSED
from calculator.configs.schedules.schedule import STATE, every
from calculator.configs.traits import Experts, State

QWEN2 = Family(
    {**UNTIED, "num_key_value_heads": 32, "max_window_layers": 28},
    schedule=WINDOWS_FROM_A_LAYER, qkv_bias=True,
)  # fmt: skip
QWEN3 = Family(
    {**UNTIED, "num_key_value_heads": 32, "head_dim": 128, "max_window_layers": 28},
    schedule=WINDOWS_FROM_A_LAYER, qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head",
)  # fmt: skip
SHARED_EXPERT = Experts(shared="width", shared_width="shared_expert_intermediate_size", shared_gate=True)
LINEAR_SIZES = {
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
}  # fmt: skip
QWEN_HYBRID = Family(
    {**UNTIED, **LINEAR_SIZES, "num_key_value_heads": 4, "head_dim": 256, "full_attention_interval": 4},
    schedule=every(STATE, key="full_attention_interval"), qkv_bias="attention_bias", output_bias="attention_bias",
    qk_norm="head", gate=True, state=State("gated_delta_net", dtype="mamba_ssm_dtype"),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "qwen": Family(
        {**UNTIED, "no_bias": True},
        longest_context=8192, source=PUBLISHED,
        qkv_bias=True, required={"no_bias": True}, width_divisor=2,
    ),
    "qwen2": replace(
        QWEN2, longest_context=32768, source=transformers("qwen2"),
        aliases=(
            "mimo", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_5_omni_text",
            "qwen2_5_omni", "qwen2_5_omni_thinker", "qwen2_audio",
        ),
    ),
    "qwen2_moe": replace(
        QWEN2, longest_context=32768, source=transformers("qwen2_moe"),
        defaults={
            **QWEN2.defaults, "num_key_value_heads": 16, "decoder_sparse_step": 1, "qkv_bias": True,
            "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
        },
        schedule=WINDOWS_REFUSED, qkv_bias="qkv_bias", experts=replace(SHARED_EXPERT, dense="step"),
    ),
    "qwen3": replace(
        QWEN3, longest_context=32768, source=transformers("qwen3"), aliases=("qwen3_vl_text", "qwen3_asr", "qwen3_vl"),
    ),
    "qwen3_moe": replace(
        QWEN3, longest_context=32768, source=transformers("qwen3_moe"),
        aliases=("qwen3_vl_moe_text", "qwen3_omni_moe_text", "qwen3_omni_moe", "qwen3_omni_moe_thinker"),
        defaults={**UNTIED, "num_key_value_heads": 4, "decoder_sparse_step": 1, "max_window_layers": 28},
        schedule=WINDOWS_IF_USED, experts=Experts(dense="step"),
    ),
    "qwen3_next": replace(
        QWEN_HYBRID, longest_context=32768, source=transformers("qwen3_next"),
        defaults={
            **QWEN_HYBRID.defaults, "num_key_value_heads": 2, "decoder_sparse_step": 1, "num_experts": 512,
            "num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        },
        state=State("gated_delta_net"), experts=replace(SHARED_EXPERT, dense="step"),
    ),
    "qwen3_5_text": replace(
        QWEN_HYBRID, longest_context=32768, source=transformers("qwen3_5"), aliases=("qwen3_5",),
        defaults={
            **QWEN_HYBRID.defaults, "vocab_size": 248320, "hidden_size": 4096, "intermediate_size": 12288,
            "num_hidden_layers": 32, "num_attention_heads": 16,
        },
    ),
    "qwen3_5_moe_text": replace(
        QWEN_HYBRID, longest_context=32768, source=transformers("qwen3_5_moe"), aliases=("qwen3_5_moe",),
        defaults={
            **QWEN_HYBRID.defaults, "vocab_size": 248320, "hidden_size": 2048, "num_hidden_layers": 40,
            "num_attention_heads": 16, "num_key_value_heads": 2, "num_experts": 256, "num_experts_per_tok": 8,
            "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        },
        experts=SHARED_EXPERT,
    ),
}  # fmt: skip
