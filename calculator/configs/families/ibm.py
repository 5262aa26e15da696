"""Model types of IBM."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import UNTIED, Family, transformers
from calculator.configs.schedules.rules import STATES
from calculator.configs.schedules.schedule import WINDOW, every
from calculator.configs.traits import Experts, State

MAMBA_2_SIZES = {
    "mamba_n_heads": 128, "mamba_n_groups": 1, "mamba_d_state": 256, "mamba_d_head": "auto", "mamba_d_conv": 4,
    "mamba_expand": 2, "mamba_conv_bias": True,
}  # fmt: skip

ROWS: dict[str, Family] = {
    "granite": replace(
        LLAMA, longest_context=2048, source=transformers("granite"),
        aliases=("granite4_vision_text", "granite_docling_text"),
    ),
    "granitemoe": replace(
        LLAMA, longest_context=2048, source=transformers("granitemoe"),
        defaults={**UNTIED, "num_experts": 8, "num_experts_per_tok": 2},
        experts=Experts(width="intermediate_size"),
    ),
    "granitemoeshared": replace(
        LLAMA, longest_context=2048, source=transformers("granitemoeshared"),
        defaults={**UNTIED, "num_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 0},
        experts=Experts(width="intermediate_size", shared="width", shared_width="shared_intermediate_size"),
    ),
    "granitemoehybrid": Family(
        {**UNTIED, **MAMBA_2_SIZES, "num_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 1024},
        longest_context=2048, source=transformers("granitemoehybrid"),
        schedule=STATES, qkv_bias="attention_bias", output_bias="attention_bias", state=State("mamba2"),
        experts=Experts(
            width="intermediate_size", dense="any", dense_width="shared_intermediate_size", shared="width",
            shared_width="shared_intermediate_size",
        ),
    ),
    "bamba": Family(
        {**UNTIED, **MAMBA_2_SIZES, "num_key_value_heads": 8},
        longest_context=262144, source=transformers("bamba"),
        schedule=STATES, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
        state=State("mamba2"),
    ),
    "granite_swa": replace(
        LLAMA, longest_context=8192, source=transformers("granite_swa"),
        schedule=every(WINDOW, 4, at=0), sinks="all",
    ),
    "granitemoe_swa": replace(
        LLAMA, longest_context=2048, source=transformers("granitemoe_swa"),
        schedule=every(WINDOW, 4, at=0), sinks="all",
        experts=Experts(width="intermediate_size", shared="width", shared_width="shared_intermediate_size"),
    ),
}  # fmt: skip
