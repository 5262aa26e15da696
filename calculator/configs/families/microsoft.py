"""Model types of Microsoft."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import UNTIED, Family, transformers
from calculator.configs.schedules.rules import WINDOWS
from calculator.configs.traits import Experts

ROWS: dict[str, Family] = {
    "phi": Family(
        UNTIED,
        longest_context=2048, source=transformers("phi"),
        gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, head_bias=True, norms=1, norm_bias=True,
        qk_norm="head_bias", qk_norm_if="qk_layernorm",
    ),
    "phi3": Family(
        UNTIED,
        longest_context=4096, source=transformers("phi3"), aliases=("phi4mm", "phi4_multimodal", "phi3_v"),
        schedule=WINDOWS,
    ),
    "phimoe": Family(
        {**UNTIED, "num_key_value_heads": 8, "num_experts": 16, "num_experts_per_tok": 2},
        longest_context=131072, source=transformers("phimoe"),
        schedule=WINDOWS, qkv_bias="attention_bias", output_bias="attention_bias", head_bias="lm_head_bias",
        norm_bias=True, experts=Experts(width="intermediate_size"),
    ),
    "bitnet": replace(
        LLAMA, longest_context=2048, source=transformers("bitnet"),
        defaults={**UNTIED, "num_key_value_heads": 5},
        mlp_bias=False, sub_norms=True,
    ),
}  # fmt: skip
