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
        {
            **UNTIED, "num_key_value_heads": 8, "attn_layer_period": 8, "attn_layer_offset": 4,
            "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 16, "num_experts_per_tok": 2,
            "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": "auto",
            "mamba_conv_bias": True,
        },
        longest_context=262144, source=transformers("jamba"),
        schedule=STATES_BETWEEN, state=State("mamba1", inner_norms=True),
        experts=Experts(width="intermediate_size", dense="period"),
    ),
    "persimmon": Family(
        {**UNTIED, "qk_layernorm": True},
        longest_context=16384, source=transformers("persimmon"),
        gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, qk_norm="head_bias",
        qk_norm_if="qk_layernorm",
    ),
    "openelm": Family(
        {**TIED, "head_dim": 128, "normalize_qk_projections": True, "ffn_with_glu": True, "ffn_dim_divisor": 256},
        source=PUBLISHED,
        builder=ListedSizes, gated="ffn_with_glu", qk_norm="head", qk_norm_if="normalize_qk_projections",
    ),
    "deci": replace(LLAMA, source=PUBLISHED, aliases=("deci_lm",), builder=ListedKVHeads),
    "afmoe": Family(
        {
            **UNTIED, "head_dim": 128, "sliding_window": 1024, "global_attn_every_n_layers": 4, "num_dense_layers": 1,
            "num_experts": 64, "num_experts_per_tok": 6, "n_shared_experts": 2, "moe_intermediate_size": 1408,
        },
        longest_context=16384, source=transformers("afmoe"),
        schedule=every(WINDOW, key="global_attn_every_n_layers"), qkv_bias="attention_bias",
        output_bias="attention_bias", norms=4, qk_norm="head", gate=True, gate_bias=False,
        experts=Experts(
            dense="first", dense_key="num_dense_layers", shared="count", correction=True,
            correction_counts=True, wide_router=True,
        ),
    ),
    "arcee": replace(
        LLAMA, longest_context=4096, source=transformers("arcee"), aliases=("cosmos3_edge_text",), gated=False,
    ),
    "baichuan": Family(UNTIED, longest_context=4096, source=PUBLISHED),
    "ernie4_5": Family(
        {"tie_word_embeddings": True, "num_key_value_heads": 2, "head_dim": 128},
        longest_context=131072, source=transformers("ernie4_5"), aliases=("paddleocr_vl_text",),
        qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias",
    ),
    "ernie4_5_moe": Family(
        {
            "tie_word_embeddings": True, "num_key_value_heads": 4, "moe_intermediate_size": 1536,
            "num_experts_per_tok": 6, "num_experts": 64, "n_shared_experts": 2, "moe_layer_start_index": 1,
            "moe_layer_end_index": -1, "moe_layer_interval": 1,
        },
        longest_context=131072, source=transformers("ernie4_5_moe"),
        qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", head_bias="use_bias",
        experts=Experts(
            dense="range", shared="count", shared_bias="use_bias", correction=True, correction_counts=True,
            wide_router=True,
        ),
    ),
    "ernie4_5_vl_moe_text": Family(
        {
            "tie_word_embeddings": True, "num_experts": 64, "moe_intermediate_size": [1536, 512],
            "moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1,
        },
        longest_context=131072, source=transformers("ernie4_5_vl_moe"), aliases=("ernie4_5_moe_vl",),
        builder=ExpertsByKindOfToken, qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias",
        experts=Experts(
            dense="range", shared="count", shared_bias="use_bias", correction=True, correction_counts=True,
            wide_router=True,
        ),
    ),
    "gpt_bigcode": replace(
        GPT2, longest_context=1024, source=transformers("gpt_bigcode"),
        defaults={**GPT2.defaults, "multi_query": True},
        builder=GPTBigCode,
    ),
    "starcoder2": Family(
        {"tie_word_embeddings": True, "num_key_value_heads": 2, "use_bias": True},
        longest_context=4096, source=transformers("starcoder2"),
        schedule=WINDOWS, gated=False, qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias",
        norm_bias=True,
    ),
    "bloom": Family(
        {"tie_word_embeddings": True},
        longest_context=2048, source=transformers("bloom"),
        gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, embedding_norm=True,
        width_factor=4,
    ),
    "seed_oss": Family(
        {**UNTIED, "num_key_value_heads": 8, "head_dim": 128, "attention_bias": True},
        longest_context=524288, source=transformers("seed_oss"),
        qkv_bias="attention_bias", output_bias="attention_out_bias", mlp_bias="mlp_bias",
    ),
    "dbrx": Family(
        UNTIED,
        longest_context=2048, source=transformers("dbrx"),
        builder=Dbrx, experts=Experts(width="ffn_hidden_size"),
    ),
    "mpt": Family(
        {"tie_word_embeddings": True, "expansion_ratio": 4},
        longest_context=2048, source=transformers("mpt"),
        gated=False, width_factor=4,
        required={"attn_config.attn_type": "multihead_attention", "expansion_ratio": 4, "no_bias": True},
    ),
    "gpt_neo": Family(
        {"tie_word_embeddings": True, "sliding_window": 256},
        longest_context=2048, source=transformers("gpt_neo"),
        schedule=WINDOWS_BY_REPEATS, gated=False, output_bias=True, mlp_bias=True, norm_bias=True,
        learned_positions=0, width_factor=4,
    ),
    "gptj": Family(
        UNTIED,
        longest_context=2048, source=transformers("gptj"),
        gated=False, mlp_bias=True, head_bias=True, norms=1, norm_bias=True, width_factor=4,
    ),
    "gpt_neox": Family(
        {**UNTIED, "attention_bias": True},
        longest_context=2048, source=transformers("gpt_neox"),
        gated=False, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias=True, norm_bias=True,
    ),
    "marian": replace(
        BART, longest_context=1024, source=transformers("marian"),
        encoder=Encoder(end_norm=False),
    ),
    "smollm3": Family(
        {"tie_word_embeddings": True, "num_key_value_heads": 4},
        longest_context=32768, source=transformers("smollm3"),
        schedule=WINDOWS_WITHOUT_ROPE, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
    ),
    "beam": Family(
        {**UNTIED, "first_k_dense_replace": 3},
        longest_context=8192, source=transformers("beam"),
        schedule=every(WINDOW, 6, last_full=True), qkv_bias="attention_bias", output_bias="attention_bias", norms=4,
        qk_norm="head", gate=True, gate_bias=False,
        experts=Experts(dense="first", correction=True, wide_router=True),
        extras=(Extra("attention", "heads", sharding=Sharding.COLUMNS),),
    ),
    "cwm": Family(
        UNTIED,
        longest_context=131072, source=transformers("cwm"),
        schedule=every(WINDOW, 4, at=0), mlp_bias="mlp_bias",
    ),
    "diffllama": Family(
        UNTIED,
        longest_context=2048, source=transformers("diffllama"),
        qkv_bias="attention_bias", output_bias="attention_bias",
        extras=(Extra("attention", "head_dim", copies=4),),
    ),
    "doge": Family(
        UNTIED,
        longest_context=2048, source=transformers("doge"),
        qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias", qk_norm="head",
        extras=(
            Extra("attention", "groups", "groups*head_dim", sharding=Sharding.COLUMNS), Extra("attention", "groups"),
            Extra("attention", "groups", when="attention_bias"), Extra("norms", "hidden", copies=2),
        ),
        required={"is_moe": False}, harmless=("keep_window_size", "num_experts", "num_experts_per_tok"),
    ),
    "flint": Family(
        {**UNTIED, "mlp_only_layers": [0, 1], "decoder_sparse_step": 1},
        longest_context=262144, source=transformers("flint"),
        schedule=every(WINDOW, 4, at=1, first=2, last_full=True), qkv_bias="attention_bias",
        output_bias="attention_bias", qk_norm="head", sinks="all",
        experts=Experts(dense="step", shared="width", shared_width="shared_expert_intermediate_size"),
    ),
    "hyperclovax": replace(
        LLAMA, longest_context=2048, source=transformers("hyperclovax"),
        defaults={**LLAMA.defaults, "use_post_norm": True},
        extras=(Extra("norms", "hidden", copies=2, when="use_post_norm"),),
    ),
    "exaone": Family(
        UNTIED, longest_context=2048, source=PUBLISHED,
    ),
    "axk1": replace(
        DEEPSEEK_V3, longest_context=32768, source=transformers("axk1"),
        defaults={**DEEPSEEK_V3.defaults, "first_k_dense_replace": 1, "num_experts": 192},
        extras=(Extra("norms", "hidden", where="sparse"),),
    ),
    "bailing_hybrid": Family(
        {**UNTIED, "first_k_dense_replace": 2, "layer_group_size": 6, "linear_conv_kernel_dim": 4},
        longest_context=262144, source=transformers("bailing_hybrid"),
        builder=GatedGroups, schedule=every(STATE, key="layer_group_size"), qkv_bias="attention_bias", latent=True,
        state=State("kimi_delta"),
        experts=Experts(
            dense="first", shared="count", shared_each="moe_shared_expert_intermediate_size", correction=True,
            wide_router=True,
        ),
        required={"use_bias": False, "use_qkv_bias": False},
    ),
    "aria_text": replace(
        LLAMA, longest_context=2048, source=transformers("aria"),
        experts=Experts(width="intermediate_size", shared="count", shared_bias="mlp_bias"),
    ),
    "biogpt": replace(
        GPT2, longest_context=1024, source=transformers("biogpt"), learned_positions=2, width_factor=0,
    ),
    "ctrl": Family(
        {"tie_word_embeddings": True},
        longest_context=256, source=transformers("ctrl"), gated=False, qkv_bias=True, output_bias=True, mlp_bias=True,
        head_bias=True, norm_bias=True,
    ),
    "gpt_neox_japanese": Family(
        {"tie_word_embeddings": True, "intermediate_multiple_size": 4},
        longest_context=2048, source=transformers("gpt_neox_japanese"), gated=False, norm_bias=True, width_factor=4,
        required={"intermediate_multiple_size": 4}, extras=(Extra("attention", "hidden", where="end"),),
    ),
    "openai-gpt": replace(
        GPT2, longest_context=512, source=transformers("openai"), has_norm_gain=False,
    ),
    "blenderbot-small": replace(
        BART, longest_context=512, source=transformers("blenderbot_small"),
        encoder=Encoder(embedding_norm=True, end_norm=False),
    ),
    "plbart": replace(
        BART, longest_context=1024, source=transformers("plbart"), aliases=("mvp",),
    ),
    "axk2": replace(
        DEEPSEEK_V3, longest_context=131072, source=transformers("axk2"),
        defaults={**UNTIED, "first_k_dense_replace": 1}, indexer=True,
        extras=(
            Extra("attention", "num_attention_heads*qk_nope_head_dim", "q_lora_rank", sharding=Sharding.COLUMNS),
            Extra("attention", "num_attention_heads*qk_rope_head_dim", "q_lora_rank", sharding=Sharding.COLUMNS),
            Extra("attention", "num_attention_heads*v_head_dim", "q_lora_rank", copies=2, sharding=Sharding.COLUMNS),
            Extra("norms", "gated_norm_rank", "hidden", copies=2),
            Extra("norms", "gated_norm_rank", "hidden", copies=2, where="sparse"),
        ),
    ),
}  # fmt: skip
