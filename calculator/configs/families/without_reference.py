"""Model types that vLLM serves by a class of its own and transformers has no config of.

Keys that a published config leaves out have no default here: what is missing is refused by its name.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.extras import Extra
from calculator.configs.families.deepseek import DEEPSEEK
from calculator.configs.families.meta import LLAMA
from calculator.configs.family import TIED, UNTIED, Family, Source, read_in
from calculator.configs.hooks.heads.pangu import LearnedTokens
from calculator.configs.hooks.heads.step import SharedQueries
from calculator.configs.hooks.mixers.bailing import NormedGroups
from calculator.configs.hooks.mixers.rnj1 import ChunksAsWindows
from calculator.configs.hooks.widths.k2_horizon import MixedValues
from calculator.configs.schedules.rules import KEPT_WHOLE
from calculator.configs.schedules.schedule import CHUNK, STATE, WINDOW, every, listed
from calculator.configs.traits import Experts, State

EXPERTS = Experts(
    dense="first", shared="count", shared_each="moe_shared_expert_intermediate_size",
    correction="moe_router_enable_expert_bias", correction_counts=True, wide_router="router_dtype=fp32",
)  # fmt: skip
PLAIN = replace(LLAMA, defaults=UNTIED)
BAILING = Family(
    {**UNTIED, "first_k_dense_replace": 0},
    qkv_bias="use_bias or use_qkv_bias", output_bias="use_bias", mlp_bias="use_bias", qk_norm="head",
    qk_norm_if="use_qk_norm",
    experts=EXPERTS,
)  # fmt: skip
BAILING_STATE = State("lightning", bias="use_bias or use_qkv_bias", output_bias="use_bias")

ROWS: dict[str, Family] = {
    "bailing_moe": replace(
        BAILING,
        source=read_in("bailing_moe"), aliases=("bailing_moe_v2", "sarvam_moe"), required={"use_rmsnorm": True},
    ),
    "param2moe": replace(
        BAILING, source=read_in("param2moe"), mlp_bias=False, copies_kv_heads=False,
        experts=replace(EXPERTS, wide_router=True),
        defaults={**BAILING.defaults, "moe_router_enable_expert_bias": True},
    ),
    "bailing_moe_v2_5": replace(
        BAILING, source=read_in("bailing_moe_linear"), builder=NormedGroups,
        defaults={
            **BAILING.defaults, "router_dtype": "fp32", "layer_group_size": 1, "group_norm_size": 1,
            "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        },
        schedule=every(STATE, key="layer_group_size"), qkv_bias=False, latent=True, qk_norm="", state=BAILING_STATE,
        extras=(Extra("norms", "head_dim", copies=2, where=STATE, when="use_qk_norm"),),
    ),
    "bailing_moe_linear": replace(
        BAILING, source=Source("SGLang 0.5.23 srt/models/bailing_moe_linear.py", "2026-11"), builder=NormedGroups,
        aliases=("bailing_moe_linear_v2",),
        defaults={**BAILING.defaults, "router_dtype": "fp32", "layer_group_size": 1, "group_norm_size": 1},
        schedule=every(STATE, key="layer_group_size"), state=BAILING_STATE, required={"full_attention_type": "gqa"},
        extras=(Extra("norms", "head_dim", copies=2, where=STATE, when="use_qk_norm"),),
    ),
    "pangu_pro_moe_v2": Family(
        UNTIED,
        source=read_in("openpangu"), builder=LearnedTokens, schedule=KEPT_WHOLE, v_head_dim=True,
        qkv_bias="qkv_bias or attention_bias or bias", output_bias="attention_bias or bias", mlp_bias="mlp_bias",
        copies_kv_heads=False,
        experts=Experts(
            dense="first", shared="count", correction="router_enable_expert_bias", correction_counts=True,
        ),
        extras=(Extra("norms", "hidden", copies=2, when="sandwich_norm"),),
    ),
    "k2_horizon": Family(
        UNTIED,
        source=read_in("k2_horizon"), builder=MixedValues, qkv_bias="attention_bias", output_bias="attention_bias",
        qk_norm="each_head", qk_norm_if="query_key_norm", harmless=("rope_head_dim",),
        experts=Experts(dense="step", shared="count", router_bias="moe_gate_bias"),
        extras=(
            Extra("attention", "heads*head_dim", "hidden", when="attention_gate_func?", sharding=Sharding.COLUMNS),
        ),
    ),
    "rnj1": Family(
        TIED, source=read_in("rnj1"), builder=ChunksAsWindows, schedule=listed(CHUNK), qkv_bias="attention_bias",
        output_bias="attention_bias", norms=4, qk_norm="head",
        harmless=("sliding_window_pattern", "use_bidirectional_attention"),
    ),
    "orion": replace(PLAIN, source=read_in("orion"), qkv_bias=False, output_bias=False, mlp_bias=False, norm_bias=True),
    "solar": replace(
        PLAIN, source=read_in("solar"), qkv_bias="attention_bias or bias", output_bias="attention_bias or bias",
    ),
    "telechat": replace(
        PLAIN, source=read_in("telechat2"), aliases=("telechat2",), qkv_bias=False, output_bias=True, mlp_bias=False,
        extras=(Extra("dense MLP", "hidden"),),
    ),
    "telechat3": replace(PLAIN, source=read_in("llama")),
    "TeleFLM": replace(PLAIN, source=read_in("teleflm"), aliases=("teleflm",)),
    "PanguEmbedded": replace(
        PLAIN, source=read_in("openpangu"), qkv_bias="qkv_bias or attention_bias or bias",
        output_bias="attention_bias or bias", required={"is_causal": True},
    ),
    "step1": replace(PLAIN, source=read_in("step1")),
    "step3_text": Family(
        {**UNTIED, "num_key_value_heads": 1}, source=read_in("step3_text"), builder=SharedQueries,
        experts=Experts(dense="enumerated", shared="width", shared_width="share_expert_dim"),
        required={"num_key_value_heads": 1}, harmless=("max_position_embedding",),
    ),
    "plamo3": Family(
        UNTIED, source=read_in("plamo3"), schedule=every(WINDOW, key="sliding_window_pattern"), norms=4, qk_norm="head",
        head_multiple=16,
    ),
    "sarvam_mla": replace(
        DEEPSEEK, source=read_in("sarvam"), qkv_bias=False,
        defaults={
            **UNTIED, "first_k_dense_replace": 1, "n_shared_experts": 1, "moe_router_enable_expert_bias": True,
        },
        experts=EXPERTS, required={"moe_layer_freq": 1},
    ),
    "pangu_ultra_moe": replace(
        DEEPSEEK, source=read_in("openpangu"), defaults=UNTIED, qkv_bias=False, mlp_bias="mlp_bias",
        extras=(Extra("norms", "hidden", copies=2, when="sandwich_norm"),),
        experts=Experts(
            dense="first", shared="count", correction="router_enable_expert_bias", correction_counts=True,
        ),
        required={"param_sink_number": 0},
    ),
}  # fmt: skip

CLASSES: dict[str, str] = {
    "DeciLMForCausalLM": "nemotron-nas", "MiniMaxM3SparseForCausalLM": "minimax_m3_vl_text",
    "MistralLarge3ForCausalLM": "deepseek_v3", "NemotronHPuzzleForCausalLM": "nemotron_h",
    "HCXVisionV2ForCausalLM": "hyperclovax_vision_v2", "TeleChat2ForCausalLM": "telechat",
    "Step3TextForCausalLM": "step3_text", "SarvamMLAForCausalLM": "sarvam_mla",
    "PanguUltraMoEForCausalLM": "pangu_ultra_moe", "BailingMoeV3ForCausalLM": "bailing_hybrid",
    "IQuestLoopCoderForCausalLM": "iquestloopcoder",
}  # fmt: skip
"""vLLM's classes of types that go by another name."""
