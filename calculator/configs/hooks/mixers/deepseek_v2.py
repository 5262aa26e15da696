"""DeepSeek V2: the small models of its type, those that read images, have heads in place of latent attention.

References
----------
vLLM 0.33.0, ``model_executor/models/deepseek_v2.py``: ``use_mha``, where both parts of a key have no elements.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.layers import Assembler
from calculator.configs.family import Family
from calculator.configs.keys import Keys

PARTS = ("qk_nope_head_dim", "qk_rope_head_dim")


def latent_or_heads(keys: Keys, family: Family) -> Assembler:
    """Return the builder, of heads where the config switches latent attention off or gives a key no elements."""
    heads = keys.value("use_mla") is False or not any(keys.optional_count(part, minimum=0) for part in PARTS)
    if not heads:
        return Assembler(keys, family)
    keys.ignore(*PARTS, "v_head_dim")
    return Assembler(keys, replace(family, latent=False, output_bias="attention_bias"))
