"""Model types of makers of few types, from Kyutai to OpenBMB."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.extras import Extra
from calculator.configs.families.meta import LLAMA
from calculator.configs.family import PUBLISHED, UNTIED, Family, read_in, transformers
from calculator.configs.hooks.mixers.inkling import ShortConvolutions
from calculator.configs.hooks.mixers.longcat_flash import NgramEmbeddings, TwoAttentions
from calculator.configs.hooks.mixers.minimax_m3 import IndexBesideHeads
from calculator.configs.hooks.shared.listed_heads import ListedHeads
from calculator.configs.hooks.widths.lfm2 import CutWidth
from calculator.configs.schedules.rules import (
    CONVOLUTIONS_BY_FOURS,
    CONVOLVED_WINDOWS,
    INDEXED_BY_LIST,
    STATES_BY_LISTS,
    STATES_BY_TURNS,
    WINDOWS_LISTED,
)
from calculator.configs.schedules.schedule import WINDOW, every, listed
from calculator.configs.traits import Experts, State

IDLE_EXPERTS = Experts(idle="zero_expert_num", router_bias="router_bias", correction=True, wide_router=True)
LONGCAT_FLASH = Family(
    builder=TwoAttentions, qkv_bias="attention_bias", latent=True,
    harmless=("mla_scale_kv_lora",),
    experts=IDLE_EXPERTS,
)  # fmt: skip

ROWS: dict[str, Family] = {
    "inkling_text": Family(
        {**UNTIED, "d_rel": 16, "rel_extent": 1024, "conv_kernel_size": 4, "dense_mlp_idx": 0},
        source=transformers("inkling"), aliases=("inkling_model",),
        builder=ShortConvolutions, schedule=CONVOLVED_WINDOWS, qk_norm="head", copies_kv_heads=False,
        kinds={
            "hybrid_sliding": {
                "num_attention_heads": "swa_num_attention_heads", "num_key_value_heads": "swa_num_key_value_heads",
                "head_dim": "swa_head_dim",
            },
        },
        # the router scores shared experts too
        experts=Experts(dense="first", dense_key="dense_mlp_idx", shared="count", idle="n_shared_experts"),
        extras=(
            Extra("attention", "heads*d_rel", "hidden", sharding=Sharding.COLUMNS),
            Extra("router", "1", where="sparse"), Extra("dense MLP", "1", where="dense"),
            Extra("norms", "hidden", where="end"),
        ),
        required={"use_embed_norm": True, "shared_expert_sink": True, "q_bias": False, "o_bias": False},
        harmless=("mtp_local_layer_ids", "swa_v_head_dim", "v_head_dim"),
    ),
    "helium": replace(LLAMA, source=transformers("helium"), output_bias=False),
    "exaone4": Family(
        {"sliding_window_pattern": 4}, source=transformers("exaone4"), aliases=("exaone4_5_text", "exaone4_5",),
        schedule=every(WINDOW, key="sliding_window_pattern"), qk_norm="head",
    ),
    "exaone_moe": Family(
        {"sliding_window_pattern": 4}, source=transformers("exaone_moe"),
        schedule=every(WINDOW, key="sliding_window_pattern"), qk_norm="head",
        experts=Experts(dense="first", shared="count", correction=True),
    ),
    "lfm2": Family(
        {"block_ffn_dim_multiplier": 1.0}, source=transformers("lfm2"),
        builder=CutWidth, qk_norm="head", state=State("short_conv", kernel="conv_L_cache", bias="conv_bias"),
        harmless=("conv_L_cache",),
    ),
    "lfm2_moe": Family(
        source=transformers("lfm2_moe"),
        schedule=listed(), qk_norm="head", state=State("short_conv", kernel="conv_L_cache", bias="conv_bias"),
        experts=Experts(dense="first", dense_key="num_dense_layers", correction="use_expert_bias"),
    ),
    "longcat_flash": replace(LONGCAT_FLASH, source=transformers("longcat_flash")),
    "longcat_flash_ngram": replace(
        LONGCAT_FLASH, defaults=UNTIED, source=read_in("longcat_flash_ngram"), builder=NgramEmbeddings,
        experts=replace(IDLE_EXPERTS, correction_counts=True),
    ),
    "minimax": Family(
        source=transformers("minimax"), aliases=("minimax_text_01", "minimax_m1"), schedule=STATES_BY_TURNS,
        harmless=(
            "linear_attn_alpha_factor", "linear_attn_beta_factor",
            "sliding_window", "layernorm_full_attention_alpha", "layernorm_full_attention_beta",
        ),
        state=State("lightning"), experts=Experts(width="intermediate_size"),
    ),
    "minimax_m2": Family(
        source=transformers("minimax_m2"),
        qk_norm="width", harmless=("layernorm_full_attention_beta",),
        experts=Experts(width="intermediate_size", correction=True, wide_router=True),
    ),
    "kimi_linear": Family(
        {"first_k_dense_replace": 1}, source=transformers("kimi_linear"),
        schedule=STATES_BY_LISTS, qkv_bias="attention_bias", latent=True, state=State("kimi_delta"),
        experts=Experts(dense="first", shared="count", latent_width="routed_expert_hidden_size", correction=True),
        extras=(
            Extra("norms", "routed_expert_hidden_size", where="sparse", when="latent_moe_use_norm"),
            Extra("attention", "num_attention_heads*v_head_dim", "hidden", where="attention",
                  when="mla_use_output_gate", sharding=Sharding.COLUMNS),
            Extra("streams", "hidden", copies=4, when="attn_res_block_size?"),
            Extra("streams", "hidden", copies=2, where="end", when="attn_res_block_size?"),
        ),
    ),
    "jetmoe": Family(source=transformers("jetmoe"), experts=Experts(width="intermediate_size", in_attention=True)),
    "minicpm": Family(
        {"tie_word_embeddings": True}, source=PUBLISHED, qkv_bias="attention_bias", output_bias="attention_bias",
    ),
    "minicpm3": Family(source=transformers("minicpm3"), qkv_bias="attention_bias", mlp_bias="mlp_bias", latent=True),
    "jais2": replace(LLAMA, source=transformers("jais2"), gated=False, norm_bias=True),
    "kolibri1": Family(
        source=transformers("kolibri1"), schedule=every(WINDOW, 5), norms=4, qk_norm="head",
        experts=Experts(shared="width", shared_width="shared_expert_intermediate_size", correction=True),
    ),
    "laguna": Family(
        {"first_k_dense_replace": 1}, source=transformers("laguna"),
        builder=ListedHeads, schedule=WINDOWS_LISTED, qkv_bias="attention_bias", output_bias="attention_bias",
        qk_norm="head",
        experts=Experts(
            dense="first", shared="width", shared_width="shared_expert_intermediate_size", correction=True,
            correction_counts=True,
        ),
    ),
    "lfm3": Family(
        source=transformers("lfm3"),
        schedule=CONVOLUTIONS_BY_FOURS, qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head",
        state=State("short_conv", kernel="conv_L_cache", bias="conv_bias"), harmless=("conv_L_cache",),
        extras=(
            Extra("norms", "hidden", copies=2, when="use_sandwich_norm"),
            Extra("attention", "heads", "hidden", where="attention", when="use_attention_gate",
                  sharding=Sharding.COLUMNS),
        ),
    ),
    "mellum": Family(
        source=transformers("mellum"),
        schedule=WINDOWS_LISTED, qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head",
        experts=Experts(), harmless=("mtp_layer_types", "mtp_mlp_layer_types"),
    ),
    "nanochat": Family(
        source=transformers("nanochat"),
        gated=False, qkv_bias="attention_bias", output_bias="attention_bias", norms=0, has_norm_gain=False,
    ),
    "minimax_m3_vl_text": Family(
        source=transformers("minimax_m3_vl"), aliases=("minimax_m3_vl", "minimax_m3"),
        builder=IndexBesideHeads, schedule=INDEXED_BY_LIST, qk_norm="head",
        harmless=(
            "sparse_attention_config", "index_n_heads", "index_head_dim", "index_block_size", "index_topk_blocks",
            "index_local_blocks",
        ),
        experts=Experts(
            width="intermediate_size", dense="listed", shared="width", shared_width="shared_intermediate_size",
            dense_width="dense_intermediate_size", correction=True, wide_router=True,
        ),
    ),
}  # fmt: skip
