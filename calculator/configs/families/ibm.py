"""Model types of IBM."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import Family, transformers
from calculator.configs.schedules.rules import STATES
from calculator.configs.schedules.schedule import WINDOW, every
from calculator.configs.traits import Experts, State

ROWS: dict[str, Family] = {
    "granite": replace(LLAMA, source=transformers("granite"), aliases=("granite4_vision_text", "granite_docling_text")),
    "granitemoe": replace(LLAMA, source=transformers("granitemoe"), experts=Experts(width="intermediate_size")),
    "granitemoeshared": replace(
        LLAMA, source=transformers("granitemoeshared"),
        experts=Experts(width="intermediate_size", shared="width", shared_width="shared_intermediate_size"),
    ),
    "granitemoehybrid": Family(
        source=transformers("granitemoehybrid"),
        schedule=STATES, qkv_bias="attention_bias", output_bias="attention_bias", state=State("mamba2"),
        experts=Experts(
            width="intermediate_size", dense="any", dense_width="shared_intermediate_size", shared="width",
            shared_width="shared_intermediate_size",
        ),
    ),
    "bamba": Family(
        source=transformers("bamba"),
        schedule=STATES, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias",
        state=State("mamba2"),
    ),
    "granite_swa": replace(LLAMA, source=transformers("granite_swa"), schedule=every(WINDOW, 4, at=0), sinks="all"),
    "granitemoe_swa": replace(
        LLAMA, source=transformers("granitemoe_swa"), schedule=every(WINDOW, 4, at=0), sinks="all",
        experts=Experts(width="intermediate_size", shared="width", shared_width="shared_intermediate_size"),
    ),
}  # fmt: skip
