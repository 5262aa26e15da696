"""Model types of makers of few types, from rednote to Zyphra."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.extras import Extra
from calculator.configs.families.deepseek import DEEPSEEK_V3
from calculator.configs.families.meta import LLAMA
from calculator.configs.families.tii import MAMBA
from calculator.configs.family import PUBLISHED, UNTIED, Family, transformers
from calculator.configs.hooks.heads.step import OtherSetting
from calculator.configs.hooks.mixers.zamba2 import SharedBlocks
from calculator.configs.hooks.shared.streams import MixedStreams
from calculator.configs.schedules.rules import STATES, WINDOWS_FROM_A_LAYER, WINDOWS_LISTED
from calculator.configs.schedules.schedule import WINDOW, every, listed
from calculator.configs.traits import Experts, State

ROWS: dict[str, Family] = {
    "dots1": Family(
        {"use_sliding_window": True}, source=transformers("dots1"),
        schedule=WINDOWS_FROM_A_LAYER, qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head",
        experts=Experts(dense="first", shared="count", correction=True),
    ),
    "codegen": Family(
        source=transformers("codegen"),
        gated=False, mlp_bias=True, head_bias=True, norms=1, norm_bias=True, width_factor=4,
    ),
    "internlm2": Family(
        {**UNTIED, "bias": True}, source=PUBLISHED, aliases=("internlm",), qkv_bias="bias", output_bias="bias",
    ),
    "internlm3": Family(
        source=transformers("internlm3"),
        qkv_bias="attention_bias|qkv_bias", output_bias="attention_bias|qkv_bias", mlp_bias="mlp_bias|bias",
    ),
    "stablelm": Family(
        source=transformers("stablelm"),
        qkv_bias="use_qkv_bias", norm_bias=True, qk_norm="each_head", qk_norm_if="qk_layernorm",
        parallel="use_parallel_residual",
    ),
    "mamba": replace(MAMBA, source=transformers("mamba")),
    "mamba2": Family(
        {"num_heads": 128, "max_position_embeddings": 2048}, source=transformers("mamba2"),
        schedule=STATES, norms=1, mlp=False, harmless=("chunk_size",),
        state=State(
            "mamba2", "state_size", "conv_kernel", "expand", "num_heads", "head_dim", "n_groups",
            conv_bias="use_conv_bias", bias="use_bias", output_bias="use_bias",
        ),
    ),
    "apertus": replace(
        LLAMA, source=transformers("apertus"), gated=False, qk_norm="head", mlp_bias=False, mlp_scalars=2,
    ),
    "hunyuan_v1_dense": Family(
        {"use_qk_norm": True}, source=transformers("hunyuan_v1_dense"), aliases=("hunyuan_vl_text",),
        qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head", qk_norm_if="use_qk_norm",
        shared_cache="use_cla",
    ),
    "hunyuan_v1_moe": Family(
        {"use_qk_norm": True}, source=transformers("hunyuan_v1_moe"), aliases=("hunyuan",),
        qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head", qk_norm_if="use_qk_norm",
        shared_cache="use_cla", experts=Experts(width="intermediate_size", shared="same"),
    ),
    "hy_v3": Family(
        {"first_k_dense_replace": 1}, source=transformers("hy_v3"),
        qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias", qk_norm="head",
        experts=Experts(
            dense="first", shared="count", shared_bias="mlp_bias", correction=True, wide_router=True,
        ),
    ),
    "solar_open": Family(
        source=transformers("solar_open"), qkv_bias="attention_bias", experts=Experts(shared="count", correction=True),
    ),
    "mimo_v2_flash": Family(
        {"first_k_dense_replace": 1}, source=transformers("mimo_v2_flash"), aliases=("mimo_v2",),
        schedule=every(WINDOW, 6, first=1), qkv_bias="attention_bias", sinks="windowed", v_head_dim=True,
        kinds={
            "sliding_attention": {
    "num_attention_heads": "swa_num_attention_heads", "num_key_value_heads": "swa_num_key_value_heads",
    "head_dim": "swa_head_dim", "v_head_dim": "swa_v_head_dim",
},
        },
        windowed_groups_factor=2, harmless=("attention_chunk_size",),
        experts=Experts(dense="first", shared="count", correction=True, wide_router="moe_router_dtype=float32|"),
    ),
    "zamba2": Family(
        source=transformers("zamba2"), builder=SharedBlocks, schedule=listed("hybrid"), norms=1, width_factor=4,
        harmless=("chunk_size",),
        state=State(
            "mamba2", heads="n_mamba_heads", head_dim="mamba_headdim", groups="mamba_ngroups",
            conv_bias="use_conv_bias", bias="add_bias_linear", output_bias="add_bias_linear",
        ),
        required={"tie_word_embeddings": True}, single=True,
    ),
    "step3p5": Family(
        {"gating": True, "first_k_dense_replace": 3},
        source=transformers("step3p7"), aliases=("step3p7", "step3p7_text", "step3p6"),
        builder=OtherSetting, schedule=WINDOWS_LISTED, qkv_bias="attention_bias", output_bias="attention_bias",
        mlp_bias="mlp_bias", qk_norm="head",
        experts=Experts(
            dense="enumerated", shared="width", shared_width="share_expert_dim", shared_bias="mlp_bias",
            correction=True, wide_router=True,
        ),
        harmless=("mtp_layer_types", "mtp_mlp_layer_types", "n_shared_experts"),
    ),
    "hy_v4": Family(
        {"first_k_dense_replace": 1, "index_topk_freq": 4}, source=transformers("hy_v4"),
        builder=MixedStreams, qkv_bias="attention_bias", latent=True, indexer=True,
        experts=Experts(dense="first", shared="count", correction=True, wide_router=True),
        extras=(
            Extra("attention", "num_attention_heads*v_head_dim", "hidden", sharding=Sharding.COLUMNS),
            Extra("attention", "num_attention_heads", sharding=Sharding.COLUMNS),
        ),
    ),
    "youtu": replace(DEEPSEEK_V3, source=transformers("youtu"), experts=None),
}  # fmt: skip
