"""Model types of Meta."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.openai import GPT2
from calculator.configs.family import Family, transformers
from calculator.configs.hooks.widths.opt import Opt
from calculator.configs.schedules.rules import CHUNKS_WITH_ROPE
from calculator.configs.traits import Encoder, Experts

LLAMA = Family(qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias")
BART = Family(
    {"decoder_layers": 12},
    encoder=Encoder(position_offset=2, embedding_norm=True, end_norm=False),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "llama": replace(LLAMA, source=transformers("llama"), aliases=("iquestcoder", "emu3_text_model")),
    "llama4_text": Family(
        source=transformers("llama4"), aliases=("llama4",),
        schedule=CHUNKS_WITH_ROPE, qkv_bias="attention_bias", output_bias="attention_bias",
        experts=Experts(
            width="intermediate_size", dense="interleave", shared="same", dense_width="intermediate_size_mlp",
        ),
    ),
    "opt": Family(
        source=transformers("opt"),
        builder=Opt, gated=False, qkv_bias="enable_bias", output_bias="enable_bias", mlp_bias="enable_bias",
        norm_bias=True, learned_positions=2, required={"layer_norm_elementwise_affine": True},
    ),
    "xglm": replace(GPT2, source=transformers("xglm"), learned_positions=None, width_factor=0),
    "bart": replace(BART, source=transformers("bart")),
    "mbart": replace(BART, source=transformers("mbart"), encoder=Encoder(position_offset=2, embedding_norm=True)),
    "m2m_100": replace(BART, source=transformers("m2m_100"), encoder=Encoder(positions="")),
    "blenderbot": replace(BART, source=transformers("blenderbot"), defaults={"decoder_layers": 24}, encoder=Encoder()),
}  # fmt: skip
