"""Model types of the Allen Institute for AI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.families.meta import LLAMA
from calculator.configs.family import Family, transformers
from calculator.configs.hooks.widths.molmo2 import MoreWords
from calculator.configs.schedules.schedule import STATE, WINDOW, every
from calculator.configs.traits import Experts, State

OLMO = replace(LLAMA, mlp_bias=False)

ROWS: dict[str, Family] = {
    "molmo2_text": Family(source=transformers("molmo2"), builder=MoreWords, qkv_bias="attention_bias|qkv_bias"),
    "olmo": replace(OLMO, source=transformers("olmo"), norms=0, has_norm_gain=False),
    "olmo2": replace(OLMO, source=transformers("olmo2"), qk_norm="width"),
    "olmo3": replace(OLMO, source=transformers("olmo3"), schedule=every(WINDOW, 4), qk_norm="width"),
    "olmoe": replace(LLAMA, source=transformers("olmoe"), qk_norm="width", experts=Experts(width="intermediate_size")),
    "flex_olmo": replace(
        LLAMA, source=transformers("flex_olmo"), qk_norm="width", experts=Experts(width="intermediate_size"),
    ),
    "olmo_hybrid": Family(
        source=transformers("olmo_hybrid"),
        schedule=every(STATE, 4, one_full=True), qkv_bias="attention_bias", output_bias="attention_bias",
        qk_norm="width", state=State("gated_delta_net", narrow_decay=True),
    ),
}  # fmt: skip
