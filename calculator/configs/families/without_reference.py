"""Model types that vLLM serves by a class of its own and transformers has no config of.

Keys that a published config leaves out have no default here: what is missing is refused by its name.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.extras import Extra
from calculator.configs.families.meta import LLAMA
from calculator.configs.family import UNTIED, Family, Source
from calculator.configs.traits import Experts


def read_in(file: str) -> Source:
    """Return a file of vLLM's models."""
    return Source(f"vLLM 0.33.0 model_executor/models/{file}.py", "2026-11")


BAILING = Family(
    {**UNTIED, "num_shared_experts": 0, "first_k_dense_replace": 0},
    qkv_bias="use_bias or use_qkv_bias", output_bias="use_bias", mlp_bias="use_bias", qk_norm="head",
    qk_norm_if="use_qk_norm",
    experts=Experts(dense="first", shared="count", shared_each="moe_shared_expert_intermediate_size"),
    extras=(Extra("router", "num_experts", where="sparse", when="moe_router_enable_expert_bias"),),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "bailing_moe": replace(
        BAILING,
        source=read_in("bailing_moe"), aliases=("bailing_moe_v2", "sarvam_moe"), required={"use_rmsnorm": True},
    ),
    "param2moe": replace(BAILING, source=read_in("param2moe"), mlp_bias=False),
    "orion": replace(
        LLAMA, source=read_in("orion"), qkv_bias=False, output_bias=False, mlp_bias=False, norm_bias=True,
    ),
    "solar": replace(
        LLAMA, source=read_in("solar"), qkv_bias="attention_bias or bias", output_bias="attention_bias or bias",
    ),
    "telechat": replace(
        LLAMA, source=read_in("telechat2"), aliases=("telechat2",), qkv_bias=False, output_bias=True, mlp_bias=False,
        extras=(Extra("dense MLP", "hidden"),),
    ),
    "telechat3": replace(LLAMA, source=read_in("llama")),
    "TeleFLM": replace(LLAMA, source=read_in("teleflm"), aliases=("teleflm",)),
    "PanguEmbedded": replace(
        LLAMA, source=read_in("openpangu"), qkv_bias="qkv_bias or attention_bias or bias",
        output_bias="attention_bias or bias",
        required={"is_causal": True},
    ),
    "step1": replace(LLAMA, source=read_in("step1")),
}  # fmt: skip

CLASSES: dict[str, str] = {
    "DeciLMForCausalLM": "nemotron-nas", "MiniMaxM3SparseForCausalLM": "minimax_m3_vl_text",
    "MistralLarge3ForCausalLM": "deepseek_v3", "NemotronHPuzzleForCausalLM": "nemotron_h",
    "HCXVisionV2ForCausalLM": "hyperclovax_vision_v2", "TeleChat2ForCausalLM": "telechat",
}  # fmt: skip
"""vLLM's classes of types that go by another name."""
