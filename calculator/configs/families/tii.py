"""Model types of the Technology Innovation Institute."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.family import Family, transformers
from calculator.configs.hooks.heads.falcon import Falcon
from calculator.configs.schedules.rules import HYBRID, STATES
from calculator.configs.traits import State

MAMBA = Family(
    {"max_position_embeddings": 2048},
    schedule=STATES, norms=1, mlp=False,
    state=State(
        "mamba1", "state_size", "conv_kernel", "expand", inner="intermediate_size", rank="time_step_rank",
        conv_bias="use_conv_bias", bias="use_bias", output_bias="use_bias",
    ),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "falcon": Family(
        source=transformers("falcon"), aliases=("RefinedWeb", "RefinedWebModel"),
        builder=Falcon, gated=False, qkv_bias="bias", output_bias="bias", mlp_bias="bias", norm_bias=True,
        width_factor=4, parallel="parallel_attn",
    ),
    "falcon_mamba": replace(MAMBA, source=transformers("falcon_mamba")),
    "falcon_h1": Family(
        source=transformers("falcon_h1"),
        schedule=HYBRID, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
        harmless=("mamba_expand", "mamba_use_mlp", "ssm_in_multiplier", "ssm_out_multiplier", "ssm_multipliers"),
        state=State("mamba2", inner="mamba_d_ssm", output_bias="projectors_bias", gated_norm="mamba_rms_norm"),
    ),
}  # fmt: skip
