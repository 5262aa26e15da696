"""Model types of Zhipu AI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.deepseek import DEEPSEEK_V3
from calculator.configs.family import PUBLISHED, UNTIED, Family, transformers
from calculator.configs.hooks.heads.chatglm import ChatGLM
from calculator.configs.traits import Experts

CORRECTED = Experts(dense="first", shared="count", correction=True, wide_router=True)
GLM4_MOE = Family(
    qkv_bias="attention_bias", qk_norm="head", qk_norm_if="use_qk_norm", floor_head_dim=True,
    experts=CORRECTED,
)  # fmt: skip

ROWS: dict[str, Family] = {
    "chatglm": Family(
        {"add_qkv_bias": True}, source=PUBLISHED,
        builder=ChatGLM, qkv_bias="add_qkv_bias or add_bias_linear", output_bias="add_bias_linear",
        mlp_bias="add_bias_linear",
    ),
    "glm": Family(source=transformers("glm"), qkv_bias="attention_bias"),
    "glm4": Family(
        {"attention_bias": True},  # of glm4v_text, whose class says nothing of it
        source=transformers("glm4"), aliases=("glm4v_text", "glm_image_text"), qkv_bias="attention_bias", norms=4,
    ),
    "glm_ocr_text": Family(UNTIED, source=transformers("glm_ocr"), norms=4),
    "glm4_moe": replace(GLM4_MOE, source=transformers("glm4_moe")),
    "glm4v_moe_text": replace(
        GLM4_MOE, source=transformers("glm4v_moe"),
        ),
    "glm4_moe_lite": replace(
        DEEPSEEK_V3, source=transformers("glm4_moe_lite"), defaults={"first_k_dense_replace": 1}, experts=CORRECTED,
    ),
    "glm_moe_dsa": replace(DEEPSEEK_V3, source=transformers("glm_moe_dsa"), indexer=True),
}  # fmt: skip
