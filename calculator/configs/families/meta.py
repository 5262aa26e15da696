"""Model types of Meta."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.openai import GPT2
from calculator.configs.family import TIED, UNTIED, Family, transformers
from calculator.configs.hooks.widths.opt import Opt
from calculator.configs.schedules.rules import CHUNKS_WITH_ROPE
from calculator.configs.traits import Encoder, Experts

LLAMA = Family(
    {"tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False},
    qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
)  # fmt: skip
BART = Family(
    {**TIED, "decoder_layers": 12},
    encoder=Encoder(position_offset=2, embedding_norm=True, end_norm=False),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "llama": replace(
        LLAMA, longest_context=2048, source=transformers("llama"), aliases=("iquestcoder", "emu3_text_model"),
    ),
    "llama4_text": Family(
        {
            **UNTIED, "num_key_value_heads": 8, "head_dim": 128, "attention_chunk_size": 8192,
            "interleave_moe_layer_step": 1, "intermediate_size_mlp": 16384, "num_experts": 16,
            "num_experts_per_tok": 1,
        },
        longest_context=131072, source=transformers("llama4"), aliases=("llama4",),
        schedule=CHUNKS_WITH_ROPE, qkv_bias="attention_bias", output_bias="attention_bias",
        experts=Experts(
            width="intermediate_size", dense="interleave", shared="same", dense_width="intermediate_size_mlp",
        ),
    ),
    "opt": Family(
        {"tie_word_embeddings": True, "enable_bias": True, "do_layer_norm_before": True},
        longest_context=2048, source=transformers("opt"),
        builder=Opt, gated=False, qkv_bias="enable_bias", output_bias="enable_bias", mlp_bias="enable_bias",
        norm_bias=True, learned_positions=2, required={"layer_norm_elementwise_affine": True},
    ),
    "xglm": replace(
        GPT2, longest_context=2048, source=transformers("xglm"),
        learned_positions=None, width_factor=0,
    ),
    "bart": replace(BART, longest_context=1024, source=transformers("bart")),
    "mbart": replace(
        BART, longest_context=1024, source=transformers("mbart"),
        encoder=Encoder(position_offset=2, embedding_norm=True),
    ),
    "m2m_100": replace(
        BART, longest_context=1024, source=transformers("m2m_100"),
        encoder=Encoder(positions=""),
    ),
    "blenderbot": replace(
        BART, longest_context=128, source=transformers("blenderbot"),
        defaults={**TIED, "decoder_layers": 24},
        encoder=Encoder(),
    ),
}  # fmt: skip
