"""Types of image encoders, a row of data each: what the reference implementation takes, and how it is built.

References
----------
transformers 5.23.0, the parameters of the classes of these model types on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from calculator.configs.reference import wrapper_of


@dataclass(frozen=True, slots=True)
class Tower:
    """One type of image encoder.

    Attributes
    ----------
    defaults : mapping
        What the reference implementation takes where the config is silent.
    width, out, depth : str
        The keys of its hidden size, of that of what a merger writes, and of its layers.
    gated, biased : bool
        Whether an MLP has a third matrix, and matrices biases.
    norm : int
        Vectors of a norm: a gain, or a gain and a bias [-].
    norms : int
        Norms of a layer [-].
    head_norms : bool
        Whether queries and keys are normed by head.
    patch_bias : bool
        Whether the patches' matrix has a bias.
    classes : bool
        Whether an embedding of the class stands before the patches, and a norm before the layers.
    joint : str
        How its output meets the text decoder.
    """

    defaults: Mapping[str, Any]
    width: str = "hidden_size"
    out: str = "out_hidden_size"
    depth: str = "num_hidden_layers"
    gated: bool = False
    biased: bool = True
    norm: int = 2
    norms: int = 2
    head_norms: bool = False
    patch_bias: bool = True
    classes: bool = False
    joint: str = "merger"


_QWEN = {
    "num_hidden_layers": 32, "in_channels": 3, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2,
}  # fmt: skip
_QWEN_3 = _QWEN | {
    "num_hidden_layers": 27, "hidden_size": 1152, "intermediate_size": 4304, "patch_size": 16,
    "num_position_embeddings": 2304,
}  # fmt: skip
_DEEP = {"deepstack_visual_indexes": [8, 16, 24]}
_SIGLIP = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "in_channels": 3, "image_size": 224,
    "patch_size": 16, "vision_use_head": True,
}  # fmt: skip
_CLIP = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "in_channels": 3, "image_size": 224,
    "patch_size": 32,
}  # fmt: skip
_PIXTRAL = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "in_channels": 3, "patch_size": 16,
    "spatial_merge_size": 2,
}  # fmt: skip
_LLAMA_4 = {
    "hidden_size": 768, "intermediate_size": 5632, "num_hidden_layers": 34, "in_channels": 3, "image_size": 448,
    "patch_size": 14, "vision_output_dim": 7680, "projector_input_dim": 4096, "projector_output_dim": 4096,
}  # fmt: skip
_GEMMA_4 = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 16, "in_channels": 3, "patch_size": 16,
    "head_dim": 64, "position_embedding_size": 10_240,
}  # fmt: skip

_THIRD = Tower(_QWEN_3, depth="depth")
TYPES: Mapping[str, Tower] = MappingProxyType(
    {
        "qwen2_vl": Tower(
            _QWEN | {"embed_dim": 1280, "hidden_size": 3584, "mlp_ratio": 4},
            "embed_dim", "hidden_size", "depth", patch_bias=False,
        ),
        "qwen2_5_vl": Tower(
            _QWEN | {"hidden_size": 3584, "intermediate_size": 3420},
            depth="depth", gated=True, norm=1, patch_bias=False,
        ),
        "qwen3_vl": Tower(_QWEN_3 | _DEEP, depth="depth"),
        "qwen3_vl_moe": Tower(_QWEN_3 | _DEEP, depth="depth"),
        "cohere_compass": Tower(_QWEN_3 | _DEEP, depth="depth"),
        "qwen3_5": _THIRD,
        "qwen3_5_moe": _THIRD,
        "siglip_vision_model": Tower(_SIGLIP, joint="projection"),
        "clip_vision_model": Tower(_CLIP, patch_bias=False, classes=True, joint="two layers"),
        "qwen2_5_omni_vision_encoder": Tower(
            _QWEN | {"hidden_size": 3584, "intermediate_size": 3420},
            depth="depth", gated=True, norm=1, patch_bias=False,
        ),
        "qwen3_omni_moe_vision_encoder": Tower(_QWEN_3 | _DEEP, depth="depth"),
        "pixtral": Tower(_PIXTRAL, gated=True, biased=False, norm=1, patch_bias=False, joint="patch merger"),
        "llama4_vision_model": Tower(_LLAMA_4, patch_bias=False, joint="adapter"),
        "gemma4_vision": Tower(
            _GEMMA_4, gated=True, biased=False, norm=1, norms=4, head_norms=True, patch_bias=False, joint="projection"
        ),
    }
)  # fmt: skip


INTRINSIC = ("merger", "adapter")
"""Joints that belong to the encoder itself, whatever wraps it."""
JOINTS: Mapping[str, str] = MappingProxyType(
    {
        "gemma3": "projection", "shieldgemma2": "projection", "gemma4": "projection", "paligemma": "linear",
        "mistral3": "patch merger", "deepseek_vl": "two layers", "llava": "two layers",
        "llava_next": "two layers and a newline", "llava_next_video": "two layers and a newline",
        "llava_onevision": "two layers and a newline", "cohere2_vision": "gated", "lighton_ocr": "patch merger",
    }
)  # fmt: skip
"""How wrappers join an encoder that has no joint of its own."""


def tower_type(config: Mapping[str, Any], wrapper: object = None) -> Tower | None:
    """Return the type of an image encoder by its ``vision_config`` and by what wraps it; None where it is not known."""
    kind = config.get("model_type") or wrapper
    row = TYPES.get(kind.removesuffix("_vision")) or TYPES.get(kind) if isinstance(kind, str) else None
    if row is None or row.joint in INTRINSIC or wrapper is None:
        return row
    joint = JOINTS.get(wrapper, "") if isinstance(wrapper, str) else ""
    if not joint:
        return None if wrapper_of(wrapper) else row
    return replace(row, joint=joint)


def named_size(config: Mapping[str, Any], key: str, otherwise: int) -> int:
    """Return what the reference's config object of an encoder has under this very key, synonyms left aside [-]."""
    row = tower_type(config)
    defaults = row.defaults if row and key in (row.width, row.out, row.depth) else {}
    value = config.get(key, defaults.get(key, otherwise))
    return value if type(value) is int else otherwise
