"""Model types of OpenAI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.family import Family, transformers
from calculator.configs.schedules.schedule import WINDOW, every
from calculator.configs.traits import Encoder, Experts

GPT2 = Family(
    gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, learned_positions=0, width_factor=4,
)  # fmt: skip

ROWS: dict[str, Family] = {
    "gpt2": replace(GPT2, source=transformers("gpt2"), aliases=("gpt-sw3",)),
    "gpt_oss": Family(
        source=transformers("gpt_oss"),
        schedule=every(WINDOW, 2), qkv_bias="attention_bias", output_bias="attention_bias", sinks="all",
        copies_kv_heads=False, experts=Experts(width="intermediate_size", router_bias=True, bias=True),
    ),
    "whisper": Family(
        {"decoder_layers": 4, "max_target_positions": 448}, source=transformers("whisper"),
        encoder=Encoder(
            positions="max_target_positions", source_positions="max_source_positions", key_bias=False,
            convolutions="num_mel_bins",
        ),
    ),
}  # fmt: skip
