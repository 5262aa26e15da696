"""Model types of Mistral AI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.extras import Extra
from calculator.configs.families.deepseek import DEEPSEEK_V3
from calculator.configs.family import UNTIED, Family, transformers
from calculator.configs.schedules.rules import WINDOWS
from calculator.configs.traits import Experts

MISTRAL = Family({**UNTIED, "num_key_value_heads": 8, "sliding_window": 4096}, schedule=WINDOWS)

ROWS: dict[str, Family] = {
    "mistral": replace(MISTRAL, longest_context=131072, source=transformers("mistral")),
    "ministral": replace(MISTRAL, longest_context=131072, source=transformers("ministral")),
    "ministral3": Family(
        {**UNTIED, "num_key_value_heads": 8, "head_dim": 128},
        longest_context=262144, source=transformers("ministral3"),
        schedule=WINDOWS,
    ),
    "voxtral_realtime_text": replace(
        MISTRAL, longest_context=131072, source=transformers("voxtral_realtime"),
        extras=(Extra("norms", "32", "hidden"), Extra("norms", "hidden", "32")),
    ),
    "mixtral": Family(
        {**UNTIED, "num_key_value_heads": 8, "num_experts": 8, "num_experts_per_tok": 2},
        longest_context=131072, source=transformers("mixtral"),
        schedule=WINDOWS, experts=Experts(width="intermediate_size"),
    ),
    "mistral4": replace(
        DEEPSEEK_V3, longest_context=1048576, source=transformers("mistral4"),
        defaults={**UNTIED, "first_k_dense_replace": 0},
    ),
}  # fmt: skip
