"""Model types of NVIDIA."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import UNTIED, Family, Source, transformers
from calculator.configs.hooks.heads.nemotron_nas import BlockConfigs
from calculator.configs.schedules.schedule import listed
from calculator.configs.traits import Experts, State

ROWS: dict[str, Family] = {
    "nemotron": replace(LLAMA, source=transformers("nemotron"), gated=False, norm_bias=True),
    "nemotron_h": Family(
        source=transformers("nemotron_h"),
        schedule=listed("mlp", "moe"), gated=False, mlp_bias="mlp_bias", norms=1, single=True,
        required={"tie_word_embeddings": False},
        harmless=(
            "mamba_hidden_act", "mamba_dt_min", "mamba_dt_max", "mamba_dt_limit", "mamba_dt_init_floor", "chunk_size",
            "mamba_proj_bias", "sliding_window",
        ),
        state=State(
            "mamba2", "ssm_state_size", "conv_kernel|mamba_d_conv", "expand|mamba_expand", "mamba_num_heads",
            "mamba_head_dim", "n_groups|mamba_n_groups", inner_is_heads=True,
            conv_bias="use_conv_bias|mamba_conv_bias", bias="use_bias", output_bias="use_bias",
            dtype="mamba_ssm_cache_dtype",
        ),
        experts=Experts(
            shared="width", shared_width="moe_shared_expert_intermediate_size", shared_bias="mlp_bias",
            latent_width="moe_latent_size", correction=True,
        ),
    ),
    "nemotron-nas": replace(
        LLAMA, defaults=UNTIED,
        source=Source(
            "the remote code of Nemotron-NAS; vLLM 0.33.0 model_executor/models/nemotron_nas.py", "2026-11",
        ),
        builder=BlockConfigs,
    ),
}  # fmt: skip
