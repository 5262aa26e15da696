"""Model types of Google."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import BART
from calculator.configs.family import TIED, Family, transformers
from calculator.configs.hooks.heads.gemma4 import JoinedKeys
from calculator.configs.hooks.widths.gemma3n import Streams
from calculator.configs.schedules.schedule import WINDOW, every
from calculator.configs.traits import Encoder, Experts

GEMMA = Family(
    {"tie_word_embeddings": True, "num_key_value_heads": 16, "head_dim": 256},
    qkv_bias="attention_bias", output_bias="attention_bias",
)  # fmt: skip
T5_ENCODER = Encoder(
    layers="num_layers", decoder_layers="num_decoder_layers", heads="num_heads", decoder_heads="num_heads",
    width="d_ff", decoder_width="d_ff", head_dim="d_kv", bias=False, relative_positions="first", positions="",
    always_tied=True,
)  # fmt: skip
T5 = Family(
    {**TIED, "feed_forward_proj": "relu", "relative_attention_num_buckets": 32, "d_kv": 64},
    encoder=T5_ENCODER,
)  # fmt: skip

ROWS: dict[str, Family] = {
    "gemma": replace(GEMMA, longest_context=8192, source=transformers("gemma")),
    "gemma2": replace(
        GEMMA, longest_context=8192, source=transformers("gemma2"),
        defaults={**GEMMA.defaults, "num_key_value_heads": 4, "sliding_window": 4096},
        schedule=every(WINDOW, 2), norms=4,
    ),
    "gemma3_text": replace(
        GEMMA, longest_context=131072, source=transformers("gemma3"), aliases=("gemma3",),
        defaults={
            **GEMMA.defaults, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262208,
            "sliding_window": 4096, "sliding_window_pattern": 6,
        },
        schedule=every(WINDOW, key="sliding_window_pattern"), norms=4, qk_norm="head",
        bidirectional="use_bidirectional_attention",
    ),
    "gemma3n_text": Family(
        {
            **TIED, "vocab_size": 262400, "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 35,
            "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256, "sliding_window": 512,
            "vocab_size_per_layer_input": 262144, "hidden_size_per_layer_input": 256, "altup_num_inputs": 4,
            "num_kv_shared_layers": 15, "laurel_rank": 64,
        },
        longest_context=32768, source=transformers("gemma3n"), aliases=("gemma3n",),
        builder=Streams, schedule=every(WINDOW, 5), qkv_bias="attention_bias", output_bias="attention_bias", norms=4,
        qk_norm="head", shared_cache="num_kv_shared_layers",
    ),
    "gemma4_text": Family(
        {
            **TIED, "vocab_size": 262144, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 30,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 512,
            "global_head_dim": 512, "vocab_size_per_layer_input": 262144, "hidden_size_per_layer_input": 256,
            "num_kv_shared_layers": 0,
        },
        longest_context=131072, source=transformers("gemma4"), aliases=("gemma4",),
        builder=JoinedKeys, schedule=every(WINDOW, 6, ends_full=True), qkv_bias="attention_bias",
        output_bias="attention_bias", norms=4, qk_norm="head",
        kinds={
            "full_attention": {
                "head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads",
                "if": "attention_k_eq_v",
            },
        },
        shared_cache="num_kv_shared_layers", experts=Experts(dense="switch", beside=True),
        required={"use_bidirectional_attention": "vision"},
    ),
    "t5": replace(T5, longest_context=512, source=transformers("t5")),
    "mt5": replace(
        T5, longest_context=512, source=transformers("mt5"),
        defaults={**T5.defaults, "feed_forward_proj": "gated-gelu"},
    ),
    "umt5": replace(
        T5, longest_context=512, source=transformers("umt5"),
        defaults={**T5.defaults, "feed_forward_proj": "gated-gelu"},
        encoder=replace(T5_ENCODER, relative_positions="every"),
    ),
    "pegasus": replace(BART, longest_context=1024, source=transformers("pegasus"), encoder=Encoder()),
    "vaultgemma": replace(
        GEMMA, longest_context=8192, source=transformers("vaultgemma"),
        schedule=every(WINDOW, 2),
    ),
    "gemma4_unified_text": Family(
        {**TIED, "global_head_dim": 512},
        longest_context=131072, source=transformers("gemma4_unified"), aliases=("gemma4_unified",),
        builder=JoinedKeys, schedule=every(WINDOW, 6, ends_full=True), qkv_bias="attention_bias",
        output_bias="attention_bias", norms=4, qk_norm="head",
        kinds={
            "full_attention": {
                "head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads",
                "if": "attention_k_eq_v",
            },
        },
        shared_cache="num_kv_shared_layers",
    ),
}  # fmt: skip
