"""Model types of Zhipu AI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.deepseek import DEEPSEEK_V3
from calculator.configs.family import PUBLISHED, UNTIED, Family, transformers
from calculator.configs.hooks.heads.chatglm import ChatGLM
from calculator.configs.traits import Experts

CORRECTED = Experts(dense="first", shared="count", correction=True, wide_router=True)
GLM4_MOE = Family(
    {
        **UNTIED, "num_key_value_heads": 8, "first_k_dense_replace": 1, "num_experts": 128, "num_experts_per_tok": 8,
        "n_shared_experts": 1, "moe_intermediate_size": 1408,
    },
    qkv_bias="attention_bias", qk_norm="head", qk_norm_if="use_qk_norm", floor_head_dim=True,
    experts=CORRECTED,
)  # fmt: skip

ROWS: dict[str, Family] = {
    "chatglm": Family(
        {"tie_word_embeddings": False, "add_qkv_bias": True},
        source=PUBLISHED,
        builder=ChatGLM, qkv_bias="add_qkv_bias or add_bias_linear", output_bias="add_bias_linear",
        mlp_bias="add_bias_linear",
    ),
    "glm": Family(
        {**UNTIED, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True},
        longest_context=131072, source=transformers("glm"),
        qkv_bias="attention_bias",
    ),
    "glm4": Family(
        {**UNTIED, "num_key_value_heads": 2, "head_dim": 128, "attention_bias": True},
        longest_context=131072, source=transformers("glm4"), aliases=("glm4v_text", "glm_image_text"),
        qkv_bias="attention_bias", norms=4,
    ),
    "glm_ocr_text": Family(UNTIED, longest_context=131072, source=transformers("glm_ocr"), norms=4),
    "glm4_moe": replace(GLM4_MOE, longest_context=131072, source=transformers("glm4_moe")),
    "glm4v_moe_text": replace(
        GLM4_MOE, source=transformers("glm4v_moe"),
        defaults={**GLM4_MOE.defaults, "attention_bias": True},
    ),
    "glm4_moe_lite": replace(
        DEEPSEEK_V3, longest_context=202752, source=transformers("glm4_moe_lite"),
        defaults={
            **DEEPSEEK_V3.defaults, "first_k_dense_replace": 1, "q_lora_rank": 768, "v_head_dim": 256,
            "qk_nope_head_dim": 192, "num_experts": 64, "num_experts_per_tok": 4, "moe_intermediate_size": 1536,
        },
        experts=CORRECTED,
    ),
    "glm_moe_dsa": replace(
        DEEPSEEK_V3, longest_context=202752, source=transformers("glm_moe_dsa"),
        defaults={
            **DEEPSEEK_V3.defaults, "q_lora_rank": 2048, "v_head_dim": 256, "qk_nope_head_dim": 192,
            "index_head_dim": 128, "index_n_heads": 32,
        },
        indexer=True,
    ),
}  # fmt: skip
