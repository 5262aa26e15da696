"""Model types of Alibaba."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.family import PUBLISHED, UNTIED, Family, transformers
from calculator.configs.schedules.rules import WINDOWS_FROM_A_LAYER, WINDOWS_IF_USED, WINDOWS_REFUSED
from calculator.configs.schedules.schedule import STATE, every
from calculator.configs.traits import Experts, State

QWEN2 = Family(
    schedule=WINDOWS_FROM_A_LAYER, qkv_bias=True,
)  # fmt: skip
QWEN3 = Family(
    schedule=WINDOWS_FROM_A_LAYER, qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head",
)  # fmt: skip
SHARED_EXPERT = Experts(shared="width", shared_width="shared_expert_intermediate_size", shared_gate=True)
QWEN_HYBRID = Family(
    {"full_attention_interval": 4},
    schedule=every(STATE, key="full_attention_interval"), qkv_bias="attention_bias", output_bias="attention_bias",
    qk_norm="head", gate=True, state=State("gated_delta_net", dtype="mamba_ssm_dtype"),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "qwen": Family(
        {**UNTIED, "max_position_embeddings": 8192}, source=PUBLISHED,
        qkv_bias=True, required={"no_bias": True}, width_divisor=2,
    ),
    "qwen2": replace(
        QWEN2, source=transformers("qwen2"),
        aliases=(
            "mimo", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_5_omni_text",
            "qwen2_5_omni", "qwen2_5_omni_thinker", "qwen2_audio",
        ),
    ),
    "qwen2_moe": replace(
        QWEN2, source=transformers("qwen2_moe"),
        schedule=WINDOWS_REFUSED, qkv_bias="qkv_bias", experts=replace(SHARED_EXPERT, dense="step"),
    ),
    "qwen3": replace(QWEN3, source=transformers("qwen3"), aliases=("qwen3_vl_text", "qwen3_asr", "qwen3_vl")),
    "qwen3_moe": replace(
        QWEN3, source=transformers("qwen3_moe"),
        aliases=("qwen3_vl_moe_text", "qwen3_omni_moe_text", "qwen3_omni_moe", "qwen3_omni_moe_thinker"),
        schedule=WINDOWS_IF_USED, experts=Experts(dense="step"),
    ),
    "qwen3_next": replace(
        QWEN_HYBRID, source=transformers("qwen3_next"),
        state=State("gated_delta_net"), experts=replace(SHARED_EXPERT, dense="step"),
    ),
    "qwen3_5_text": replace(QWEN_HYBRID, source=transformers("qwen3_5"), aliases=("qwen3_5",)),
    "qwen3_5_moe_text": replace(
        QWEN_HYBRID, source=transformers("qwen3_5_moe"), aliases=("qwen3_5_moe",), experts=SHARED_EXPERT,
    ),
}  # fmt: skip
