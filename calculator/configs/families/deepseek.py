"""Model types of DeepSeek."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.family import PUBLISHED, UNTIED, Family, transformers
from calculator.configs.hooks.mixers.deepseek_v2 import latent_or_heads
from calculator.configs.hooks.mixers.deepseek_v4 import CompressedWithAge
from calculator.configs.traits import Experts

NO_AUXILIARY = "topk_method=noaux_tc|"
"""The way to choose experts that corrects their scores; the reference has no other where none is said."""
DEEPSEEK = Family(
    {**UNTIED, "first_k_dense_replace": 0},
    qkv_bias="attention_bias", latent=True, experts=Experts(dense="first", shared="count"),
)  # fmt: skip
DEEPSEEK_V3 = replace(
    DEEPSEEK,
    defaults={
        **UNTIED, "first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536, "num_experts": 256,
        "n_shared_experts": 1, "num_experts_per_tok": 8, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "moe_intermediate_size": 2048,
    },
    experts=Experts(dense="first", shared="count", correction=NO_AUXILIARY),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "deepseek_v2": replace(
        DEEPSEEK, longest_context=2048, source=transformers("deepseek_v2"), builder=latent_or_heads,
        defaults={
            **DEEPSEEK.defaults, "kv_lora_rank": 512, "q_lora_rank": 1536, "num_experts": 64, "n_shared_experts": 2,
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "moe_intermediate_size": 1407,
        },
        mlp_bias="mlp_bias", experts=Experts(dense="first", shared="count", shared_bias="mlp_bias"),
    ),
    "deepseek_v3": replace(DEEPSEEK_V3, longest_context=4096, source=transformers("deepseek_v3")),
    "deepseek_v32": replace(
        DEEPSEEK_V3, longest_context=163840, source=transformers("deepseek_v32"),
        defaults={**DEEPSEEK_V3.defaults, "index_head_dim": 128, "index_n_heads": 64},
        indexer=True,
    ),
    "deepseek": replace(
        DEEPSEEK, source=PUBLISHED, defaults={**UNTIED, "first_k_dense_replace": 0, "n_shared_experts": 0},
        latent=False, output_bias="attention_bias",
    ),
    "deepseek_ocr2_text": replace(
        DEEPSEEK, longest_context=2048, source=transformers("deepseek_ocr2"),
        defaults={**UNTIED, "n_shared_experts": 2, "moe_intermediate_size": 1407}, latent=False,
        output_bias="attention_bias", mlp_bias="mlp_bias",
        experts=Experts(dense="first", shared="count", shared_bias="mlp_bias"),
    ),
    "deepseek_v4": Family(
        UNTIED,
        longest_context=1048576, source=transformers("deepseek_v4"), builder=CompressedWithAge,
        experts=Experts(shared="count", correction=NO_AUXILIARY), harmless=("compress_rope_theta",),
    ),
}  # fmt: skip
