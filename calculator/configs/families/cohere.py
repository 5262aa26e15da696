"""Model types of Cohere."""

from __future__ import annotations

from calculator.configs.family import Family, transformers
from calculator.configs.schedules.rules import WINDOWS_AFTER_DENSE
from calculator.configs.schedules.schedule import WINDOW, every
from calculator.configs.traits import Experts

ROWS: dict[str, Family] = {
    "cohere": Family(
        source=transformers("cohere"),
        qkv_bias="attention_bias", output_bias="attention_bias", norms=1, qk_norm="each_head", qk_norm_if="use_qk_norm",
    ),
    "cohere2": Family(
        {"sliding_window_pattern": 4}, source=transformers("cohere2"), aliases=("cohere_compass_text",),
        schedule=every(WINDOW, key="sliding_window_pattern"), qkv_bias="attention_bias", output_bias="attention_bias",
        norms=1,
    ),
    "cohere2_moe": Family(
        {"sliding_window_pattern": 4, "prefix_dense_sliding_window_pattern": 1, "first_k_dense_replace": 0},
        source=transformers("cohere2_moe"),
        schedule=WINDOWS_AFTER_DENSE, qkv_bias="attention_bias", output_bias="attention_bias", norms=1,
        experts=Experts(
            width="intermediate_size", dense="first", shared="count", dense_width="prefix_dense_intermediate_size",
        ),
    ),
}  # fmt: skip
