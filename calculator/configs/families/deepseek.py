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
    qkv_bias="attention_bias", latent=True, experts=Experts(dense="first", shared="count"),
)  # fmt: skip
DEEPSEEK_V3 = replace(
    DEEPSEEK, experts=Experts(dense="first", shared="count", correction=NO_AUXILIARY),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "deepseek_v2": replace(
        DEEPSEEK, source=transformers("deepseek_v2"), builder=latent_or_heads,
        mlp_bias="mlp_bias", experts=Experts(dense="first", shared="count", shared_bias="mlp_bias"),
    ),
    "deepseek_v3": replace(DEEPSEEK_V3, source=transformers("deepseek_v3"), aliases=("kimi_k2",)),
    "deepseek_v32": replace(DEEPSEEK_V3, source=transformers("deepseek_v32"), indexer=True),
    "deepseek": replace(
        DEEPSEEK, source=PUBLISHED, defaults={**UNTIED, "first_k_dense_replace": 0},
        latent=False, output_bias="attention_bias",
    ),
    "deepseek_ocr2_text": replace(
        DEEPSEEK, source=transformers("deepseek_ocr2"), latent=False, output_bias="attention_bias", mlp_bias="mlp_bias",
        experts=Experts(dense="first", shared="count", shared_bias="mlp_bias"),
    ),
    "deepseek_v4": Family(
        source=transformers("deepseek_v4"), builder=CompressedWithAge,
        experts=Experts(shared="count", correction=NO_AUXILIARY), harmless=("compress_rope_theta",),
    ),
}  # fmt: skip
