"""Model types of Microsoft."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import Family, transformers
from calculator.configs.schedules.rules import WINDOWS
from calculator.configs.traits import Experts

ROWS: dict[str, Family] = {
    "phi": Family(
        source=transformers("phi"),
        gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, head_bias=True, norms=1, norm_bias=True,
        qk_norm="head_bias", qk_norm_if="qk_layernorm",
    ),
    "phi3": Family(source=transformers("phi3"), aliases=("phi4mm", "phi4_multimodal", "phi3_v"), schedule=WINDOWS),
    "phimoe": Family(
        source=transformers("phimoe"),
        schedule=WINDOWS, qkv_bias="attention_bias", output_bias="attention_bias", head_bias="lm_head_bias",
        norm_bias=True, experts=Experts(width="intermediate_size"),
    ),
    "bitnet": replace(LLAMA, source=transformers("bitnet"), mlp_bias=False, sub_norms=True),
}  # fmt: skip
