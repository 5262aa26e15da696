"""Model types of the Allen Institute for AI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import UNTIED, Family, transformers
from calculator.configs.hooks.widths.molmo2 import MoreWords
from calculator.configs.schedules.schedule import STATE, WINDOW, every
from calculator.configs.traits import Experts, State

ROWS: dict[str, Family] = {
    "molmo2_text": Family(
        {**UNTIED, "additional_vocab_size": 128, "qk_norm_type": "qwen3"},
        longest_context=36864, source=transformers("molmo2"), builder=MoreWords, qkv_bias="attention_bias|qkv_bias",
    ),
    "olmo": replace(
        LLAMA, longest_context=2048, source=transformers("olmo"),
        norms=0, has_norm_gain=False,
    ),
    "olmo2": replace(LLAMA, longest_context=2048, source=transformers("olmo2"), qk_norm="width"),
    "olmo3": replace(
        LLAMA, longest_context=2048, source=transformers("olmo3"),
        defaults={**LLAMA.defaults, "sliding_window": 4096},
        schedule=every(WINDOW, 4), qk_norm="width",
    ),
    "olmoe": replace(
        LLAMA, longest_context=4096, source=transformers("olmoe"),
        defaults={**UNTIED, "num_experts": 64, "num_experts_per_tok": 8},
        qk_norm="width", experts=Experts(width="intermediate_size"),
    ),
    "flex_olmo": replace(
        LLAMA, longest_context=4096, source=transformers("flex_olmo"),
        defaults={**UNTIED, "num_experts": 7, "num_experts_per_tok": 5},
        qk_norm="width", experts=Experts(width="intermediate_size"),
    ),
    "olmo_hybrid": Family(
        {**UNTIED, "linear_conv_kernel_dim": 4},
        longest_context=65536, source=transformers("olmo_hybrid"),
        schedule=every(STATE, 4, one_full=True), qkv_bias="attention_bias", output_bias="attention_bias",
        qk_norm="width", state=State("gated_delta_net", narrow_decay=True),
    ),
}  # fmt: skip
