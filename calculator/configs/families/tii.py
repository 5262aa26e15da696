"""Model types of the Technology Innovation Institute."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.ibm import MAMBA_2_SIZES
from calculator.configs.family import TIED, UNTIED, Family, transformers
from calculator.configs.hooks.heads.falcon import Falcon
from calculator.configs.schedules.rules import HYBRID, STATES
from calculator.configs.traits import State

MAMBA = Family(
    {**TIED, "state_size": 16, "expand": 2, "conv_kernel": 4, "use_conv_bias": True, "time_step_rank": "auto"},
    schedule=STATES, norms=1, mlp=False,
    state=State(
        "mamba1", "state_size", "conv_kernel", "expand", inner="intermediate_size", rank="time_step_rank",
        conv_bias="use_conv_bias", bias="use_bias", output_bias="use_bias",
    ),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "falcon": Family(
        {
            "tie_word_embeddings": True, "multi_query": True, "new_decoder_architecture": False,
            "parallel_attn": True, "bias": False, "alibi": False,
        },
        longest_context=2048, source=transformers("falcon"), aliases=("RefinedWeb", "RefinedWebModel"),
        builder=Falcon, gated=False, qkv_bias="bias", output_bias="bias", mlp_bias="bias", norm_bias=True,
        width_factor=4, parallel="parallel_attn",
    ),
    "falcon_mamba": replace(MAMBA, longest_context=2048, source=transformers("falcon_mamba")),
    "falcon_h1": Family(
        {**UNTIED, **MAMBA_2_SIZES, "num_key_value_heads": 8, "mamba_d_ssm": 1024},
        longest_context=8192, source=transformers("falcon_h1"),
        schedule=HYBRID, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
        harmless=("mamba_expand", "mamba_use_mlp", "ssm_in_multiplier", "ssm_out_multiplier", "ssm_multipliers"),
        state=State("mamba2", inner="mamba_d_ssm", output_bias="projectors_bias", gated_norm="mamba_rms_norm"),
    ),
}  # fmt: skip
