"""Model types of Google."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import BART
from calculator.configs.family import Family, transformers
from calculator.configs.hooks.heads.gemma4 import JoinedKeys
from calculator.configs.hooks.widths.gemma3n import Streams
from calculator.configs.schedules.schedule import WINDOW, every
from calculator.configs.traits import Encoder, Experts

GEMMA = Family(
    qkv_bias="attention_bias", output_bias="attention_bias",
)  # fmt: skip
GEMMA4 = Family(
    {"global_head_dim": 512},
    builder=JoinedKeys, schedule=every(WINDOW, 6, ends_full=True), qkv_bias="attention_bias",
    output_bias="attention_bias", norms=4, qk_norm="head",
    kinds={
        "full_attention": {
            "head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads",
            "if": "attention_k_eq_v",
        },
    },
    shared_cache="num_kv_shared_layers",
)  # fmt: skip
T5_ENCODER = Encoder(
    layers="num_layers", decoder_layers="num_decoder_layers", heads="num_heads", decoder_heads="num_heads",
    width="d_ff", decoder_width="d_ff", head_dim="d_kv", bias=False, relative_positions="first", positions="",
    always_tied=True,
)  # fmt: skip
T5 = Family(
    {"d_kv": 64, "max_position_embeddings": 512},
    encoder=T5_ENCODER,
)  # fmt: skip

ROWS: dict[str, Family] = {
    "gemma": replace(GEMMA, source=transformers("gemma")),
    "gemma2": replace(GEMMA, source=transformers("gemma2"), schedule=every(WINDOW, 2), norms=4),
    "gemma3_text": replace(
        GEMMA, source=transformers("gemma3"), aliases=("gemma3",), defaults={"sliding_window_pattern": 6},
        schedule=every(WINDOW, key="sliding_window_pattern"), norms=4, qk_norm="head",
        bidirectional="use_bidirectional_attention",
    ),
    "gemma3n_text": Family(
        source=transformers("gemma3n"), aliases=("gemma3n",),
        builder=Streams, schedule=every(WINDOW, 5), qkv_bias="attention_bias", output_bias="attention_bias", norms=4,
        qk_norm="head", shared_cache="num_kv_shared_layers",
    ),
    "gemma4_text": replace(
        GEMMA4, source=transformers("gemma4"), aliases=("gemma4",), experts=Experts(dense="switch", beside=True),
        required={"use_bidirectional_attention": "vision"},
    ),
    "t5": replace(T5, source=transformers("t5")),
    "mt5": replace(T5, source=transformers("mt5")),
    "umt5": replace(T5, source=transformers("umt5"), encoder=replace(T5_ENCODER, relative_positions="every")),
    "pegasus": replace(BART, source=transformers("pegasus"), encoder=Encoder()),
    "vaultgemma": replace(GEMMA, source=transformers("vaultgemma"), schedule=every(WINDOW, 2)),
    "gemma4_unified_text": replace(GEMMA4, source=transformers("gemma4_unified"), aliases=("gemma4_unified",)),
}  # fmt: skip
