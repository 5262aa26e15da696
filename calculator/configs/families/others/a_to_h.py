"""Model types of makers of few types, from AI21 to Hugging Face."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.extras import Extra
from calculator.configs.families.deepseek import DEEPSEEK_V3
from calculator.configs.families.meta import BART, LLAMA
from calculator.configs.families.openai import GPT2
from calculator.configs.family import PUBLISHED, TIED, UNTIED, Family, transformers
from calculator.configs.hooks.heads.deci import ListedKVHeads
from calculator.configs.hooks.heads.gpt_bigcode import GPTBigCode
from calculator.configs.hooks.heads.openelm import ListedSizes
from calculator.configs.hooks.mixers.bailing import GatedGroups
from calculator.configs.hooks.widths.dbrx import Dbrx
from calculator.configs.hooks.widths.ernie4_5_vl import ExpertsByKindOfToken
from calculator.configs.schedules.rules import STATES_BETWEEN, WINDOWS, WINDOWS_BY_REPEATS, WINDOWS_WITHOUT_ROPE
from calculator.configs.schedules.schedule import STATE, WINDOW, every
from calculator.configs.traits import Encoder, Experts, State

ROWS: dict[str, Family] = {
    "jamba": Family(
        source=transformers("jamba"), schedule=STATES_BETWEEN, state=State("mamba1", inner_norms=True),
        experts=Experts(width="intermediate_size", dense="period"),
    ),
    "persimmon": Family(
        source=transformers("persimmon"),
        gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, qk_norm="head_bias",
        qk_norm_if="qk_layernorm",
    ),
    "openelm": Family(
        {**TIED, "head_dim": 128, "normalize_qk_projections": True, "ffn_with_glu": True, "ffn_dim_divisor": 256},
        source=PUBLISHED,
        builder=ListedSizes, gated="ffn_with_glu", qk_norm="head", qk_norm_if="normalize_qk_projections",
    ),
    "deci": replace(LLAMA, defaults=UNTIED, source=PUBLISHED, aliases=("deci_lm",), builder=ListedKVHeads),
    "afmoe": Family(
        {"global_attn_every_n_layers": 4}, source=transformers("afmoe"),
        schedule=every(WINDOW, key="global_attn_every_n_layers"), qkv_bias="attention_bias",
        output_bias="attention_bias", norms=4, qk_norm="head", gate=True, gate_bias=False,
        experts=Experts(
            dense="first", dense_key="num_dense_layers", shared="count", correction=True,
            correction_counts=True, wide_router=True,
        ),
    ),
    "arcee": replace(LLAMA, source=transformers("arcee"), aliases=("cosmos3_edge_text",), gated=False),
    "baichuan": Family({**UNTIED, "max_position_embeddings": 4096}, source=PUBLISHED),
    "ernie4_5": Family(
        source=transformers("ernie4_5"), aliases=("paddleocr_vl_text",),
        qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias",
    ),
    "ernie4_5_moe": Family(
        source=transformers("ernie4_5_moe"),
        qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", head_bias="use_bias",
        experts=Experts(
            dense="range", shared="count", shared_bias="use_bias", correction=True, correction_counts=True,
            wide_router=True,
        ),
    ),
    "ernie4_5_vl_moe_text": Family(
        {
            "moe_intermediate_size": [1536, 512], "moe_layer_start_index": 1, "moe_layer_end_index": -1,
            "moe_layer_interval": 1,
        },
        source=transformers("ernie4_5_vl_moe"), aliases=("ernie4_5_moe_vl",),
        builder=ExpertsByKindOfToken, qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias",
        experts=Experts(
            dense="range", shared="count", shared_bias="use_bias", correction=True, correction_counts=True,
            wide_router=True,
        ),
    ),
    "gpt_bigcode": replace(GPT2, source=transformers("gpt_bigcode"), builder=GPTBigCode),
    "starcoder2": Family(
        source=transformers("starcoder2"),
        schedule=WINDOWS, gated=False, qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", norm_bias=True,
    ),
    "bloom": Family(
        {"max_position_embeddings": 2048}, source=transformers("bloom"),
        gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, embedding_norm=True,
        width_factor=4,
    ),
    "seed_oss": Family(
        source=transformers("seed_oss"),
        qkv_bias="attention_bias", output_bias="attention_out_bias", mlp_bias="mlp_bias",
    ),
    "dbrx": Family(source=transformers("dbrx"), builder=Dbrx, experts=Experts(width="ffn_hidden_size")),
    "mpt": Family(
        source=transformers("mpt"), gated=False, width_factor=4,
        required={"attn_config.attn_type": "multihead_attention", "expansion_ratio": 4, "no_bias": True},
    ),
    "gpt_neo": Family(
        source=transformers("gpt_neo"),
        schedule=WINDOWS_BY_REPEATS, gated=False, output_bias=True, mlp_bias=True, norm_bias=True,
        learned_positions=0, width_factor=4,
    ),
    "gptj": Family(
        source=transformers("gptj"),
        gated=False, mlp_bias=True, head_bias=True, norms=1, norm_bias=True, width_factor=4,
    ),
    "gpt_neox": Family(
        source=transformers("gpt_neox"),
        gated=False, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias=True, norm_bias=True,
    ),
    "marian": replace(BART, source=transformers("marian"), encoder=Encoder(end_norm=False)),
    "smollm3": Family(
        source=transformers("smollm3"),
        schedule=WINDOWS_WITHOUT_ROPE, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
    ),
    "beam": Family(
        {"first_k_dense_replace": 3}, source=transformers("beam"),
        schedule=every(WINDOW, 6, last_full=True), qkv_bias="attention_bias", output_bias="attention_bias", norms=4,
        qk_norm="head", gate=True, gate_bias=False, experts=Experts(dense="first", correction=True, wide_router=True),
        extras=(Extra("attention", "heads", sharding=Sharding.COLUMNS),),
    ),
    "cwm": Family(source=transformers("cwm"), schedule=every(WINDOW, 4, at=0), mlp_bias="mlp_bias"),
    "diffllama": Family(
        source=transformers("diffllama"), qkv_bias="attention_bias", output_bias="attention_bias",
        extras=(Extra("attention", "head_dim", copies=4),),
    ),
    "doge": Family(
        source=transformers("doge"),
        qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias", qk_norm="head",
        extras=(
            Extra("attention", "groups", "groups*head_dim", sharding=Sharding.COLUMNS), Extra("attention", "groups"),
            Extra("attention", "groups", when="attention_bias"), Extra("norms", "hidden", copies=2),
        ),
        required={"is_moe": False}, harmless=("keep_window_size", "num_experts"),
    ),
    "flint": Family(
        {"mlp_only_layers": [0, 1]}, source=transformers("flint"),
        schedule=every(WINDOW, 4, at=1, first=2, last_full=True), qkv_bias="attention_bias",
        output_bias="attention_bias", qk_norm="head", sinks="all",
        experts=Experts(dense="step", shared="width", shared_width="shared_expert_intermediate_size"),
    ),
    "hyperclovax": replace(
        LLAMA, source=transformers("hyperclovax"), extras=(Extra("norms", "hidden", copies=2, when="use_post_norm"),),
    ),
    "exaone": Family({**UNTIED, "max_position_embeddings": 2048}, source=PUBLISHED),
    "axk1": replace(
        DEEPSEEK_V3, source=transformers("axk1"), defaults={"first_k_dense_replace": 1},
        extras=(Extra("norms", "hidden", where="sparse"),),
    ),
    "bailing_hybrid": Family(
        source=transformers("bailing_hybrid"),
        builder=GatedGroups, schedule=every(STATE, key="layer_group_size"), qkv_bias="attention_bias", latent=True,
        state=State("kimi_delta"),
        experts=Experts(
            dense="first", shared="count", shared_each="moe_shared_expert_intermediate_size", correction=True,
            wide_router=True,
        ),
        required={"use_bias": False, "use_qkv_bias": False},
    ),
    "aria_text": replace(
        LLAMA, source=transformers("aria"),
        experts=Experts(width="intermediate_size", shared="count", shared_bias="mlp_bias"),
    ),
    "biogpt": replace(GPT2, source=transformers("biogpt"), learned_positions=2, width_factor=0),
    "ctrl": Family(
        source=transformers("ctrl"), gated=False, qkv_bias=True, output_bias=True, mlp_bias=True,
        head_bias=True, norm_bias=True,
    ),
    "gpt_neox_japanese": Family(
        source=transformers("gpt_neox_japanese"), gated=False, norm_bias=True, width_factor=4,
        required={"intermediate_multiple_size": 4}, extras=(Extra("attention", "hidden", where="end"),),
    ),
    "openai-gpt": replace(GPT2, source=transformers("openai"), has_norm_gain=False),
    "blenderbot-small": replace(
        BART, source=transformers("blenderbot_small"), encoder=Encoder(embedding_norm=True, end_norm=False),
    ),
    "plbart": replace(BART, source=transformers("plbart"), aliases=("mvp",)),
    "axk2": replace(
        DEEPSEEK_V3, source=transformers("axk2"), defaults={"first_k_dense_replace": 1}, indexer=True,
        extras=(
            Extra("attention", "num_attention_heads*qk_nope_head_dim", "q_lora_rank", sharding=Sharding.COLUMNS),
            Extra("attention", "num_attention_heads*qk_rope_head_dim", "q_lora_rank", sharding=Sharding.COLUMNS),
            Extra("attention", "num_attention_heads*v_head_dim", "q_lora_rank", copies=2, sharding=Sharding.COLUMNS),
            Extra("norms", "gated_norm_rank", "hidden", copies=2),
            Extra("norms", "gated_norm_rank", "hidden", copies=2, where="sparse"),
        ),
    ),
}  # fmt: skip
