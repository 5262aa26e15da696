"""Types of encoders of images that are each built in a way of its own: their matrices, and what joins them to the text.

References
----------
transformers 5.23.0, the parameters of the classes of these model types on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping

from calculator.configs.keys import Keys
from calculator.configs.towers.shapes import Kind, Shape, Shapes, blocks, linear, patches, side, sizes

MOON = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "patch_size": 14, "in_channels": 3,
    "pos_emb_height": 64, "pos_emb_width": 64,
}  # fmt: skip
INTERN = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "patch_size": 14, "in_channels": 3,
    "image_size": 448,
}  # fmt: skip
GLM = {
    "hidden_size": 1536, "num_hidden_layers": 24, "in_channels": 3, "image_size": 336, "patch_size": 14,
    "temporal_patch_size": 2, "spatial_merge_size": 2, "out_hidden_size": 4096, "intermediate_size": 13696,
}  # fmt: skip
SIGLIP = {
    "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12, "in_channels": 3, "image_size": 224,
    "patch_size": 32,
}  # fmt: skip


def _intern(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    """InternViT: scales behind attention and MLP, a class before the patches; four patches are joined."""
    width, inner, layers = sizes(keys)
    norms = 1 if keys.value("norm_type") == "rms_norm" else 2
    yield from patches(keys, width)
    yield Shape(width, (side(keys, "image_size") // side(keys, "patch_size")) ** 2 + 2)
    yield from blocks(width, inner, layers, 2 * norms + 4 + 2 * keys.flag("use_qk_norm"), biased=0)
    yield Shape(inner + 3 * width * keys.flag("attention_bias"), 1, layers)
    merged = width * round(1 / _ratio(outer)) ** 2
    yield Shape(merged, 1, 2)
    yield from linear(hidden, merged)
    yield from linear(hidden, hidden)


def _ratio(outer: Keys) -> float:
    value = outer.value("downsample_ratio")
    return float(value) if isinstance(value, int | float) and 0.01 < value <= 1 else 0.5


def _moon(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    """MoonViT: a table of positions for a square; four patches are joined."""
    width, inner, layers = sizes(keys)
    yield from patches(keys, width)
    yield Shape(width, keys.count("pos_emb_height") * keys.count("pos_emb_width"))
    yield from blocks(width, inner, layers, 6)
    yield from (Shape(width, 1, 2), Shape(outer.optional_count("projection_hidden_size") or width, 1, 2))
    yield from linear(4 * width, 4 * width)
    yield from linear(hidden, 4 * width)


def _glm(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """GLM-4.1V and later: an MLP as wide as what is written, whose own gated MLP is as wide as the config says."""
    width, layers, out = keys.count("hidden_size"), keys.count("num_hidden_layers"), keys.count("out_hidden_size")
    biased, inner = keys.flag("attention_bias"), keys.count("intermediate_size")
    yield from patches(keys, width)
    yield Shape(width, (side(keys, "image_size") // side(keys, "patch_size")) ** 2 + 2)
    yield from blocks(width, out, layers, 2, ups=2, biased=0)
    yield Shape(3 * width * biased, 1, layers)
    yield from _merger(keys, width, out, inner)


def _glm_ocr(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """GLM-OCR: biases, and norms on queries and keys; positions are rotated."""
    width, inner, layers = sizes(keys)
    heads, out, biased = keys.count("num_attention_heads"), keys.count("out_hidden_size"), keys.flag("attention_bias")
    yield from patches(keys, width)
    yield from blocks(width, inner, layers, 2 + 2 * biased, ups=2, biased=3 * biased)
    yield Shape(width // heads, 1, 2 * layers)
    yield Shape(width)
    yield from _merger(keys, width, out, out * keys.count("in_channels"))


def _merger(keys: Keys, width: int, out: int, inner: int) -> Shapes:
    yield from linear(out, width * keys.count("spatial_merge_size") ** 2)
    yield from (Shape(out, out), Shape(out, 1, 2), Shape(inner, out, 2), Shape(out, inner))


def _idefics(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    """Idefics 3 and SmolVLM: SigLIP without a head; a matrix joins squares of patches, in Aria queries attend."""
    width, inner, layers = sizes(keys)
    yield from patches(keys, width)
    yield Shape(width, (side(keys, "image_size") // side(keys, "patch_size")) ** 2)
    yield from blocks(width, inner, layers, 6)
    yield Shape(width, 1, 2)
    queries = outer.value("projector_patch_to_query_dict")
    if isinstance(queries, Mapping) and (counts := [value for value in queries.values() if type(value) is int]):
        yield from _queries(width, hidden, max(1, *counts))
    else:
        yield Shape(hidden, width * (outer.optional_count("scale_factor") or 2) ** 2)


def _queries(width: int, hidden: int, most: int) -> Shapes:
    """Aria: learned queries attend to patches behind three matrices of their own, then a norm and two matrices."""
    yield Shape(width, most)
    yield Shape(width, width, 3)
    yield from (*linear(3 * width, width), *linear(width, width), *linear(width, width))
    yield Shape(width, 1, 6)
    yield from (Shape(hidden, width), Shape(hidden, hidden))


def _paddle(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """PaddleOCR-VL: SigLIP without a head; a norm and two matrices join four patches."""
    width, inner, layers = sizes(keys)
    merged = width * keys.count("spatial_merge_size") ** 2
    yield from patches(keys, width)
    yield Shape(width, (side(keys, "image_size") // side(keys, "patch_size")) ** 2)
    yield from blocks(width, inner, layers, 6)
    yield Shape(width, 1, 4)
    yield from linear(merged, merged)
    yield from linear(hidden, merged)


def _siglip_2(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    """SigLIP 2 as LFM2-VL has it: a table of positions of a stated length, perhaps a head that attends."""
    width, inner, layers = sizes(keys)
    yield from patches(keys, width)
    yield Shape(width, keys.count("num_patches"))
    yield from blocks(width, inner, layers, 6)
    yield Shape(width, 1, 2)
    if keys.flag("vision_use_head"):
        # a probe that attends like one layer more, with one norm
        yield from blocks(width, inner, 1, 4)
        yield Shape(width)
    merged, between = width * outer.count("downsample_factor") ** 2, outer.count("projector_hidden_size")
    yield Shape(merged, 1, 2 * (outer.value("projector_use_layernorm") is not False))
    bias = outer.value("projector_bias") is not False
    yield from linear(between, merged, bias)
    yield from linear(hidden, between, bias)


def _step(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    """Step's perception encoder: scales behind attention and MLP, and two convolutions that halve the image."""
    width, inner, layers = sizes(keys)
    yield from patches(keys, width, bias=False)
    yield Shape(width, (side(keys, "image_size") // side(keys, "patch_size")) ** 2)
    yield from blocks(width, inner, layers, 8)
    yield Shape(width, 1, 2)
    yield from linear(2 * width, 9 * width)
    yield from linear(4 * width, 18 * width)
    yield from linear(hidden, 4 * width, outer.flag("projector_bias"))


def _minimax(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    """MiniMax M3: CLIP with rotated positions; two matrices for a patch, two for four of them."""
    width, inner, layers = sizes(keys)
    between, merged = outer.count("projector_hidden_size"), outer.count("merged_hidden_size")
    yield from patches(keys, width, bias=False)
    yield from blocks(width, inner, layers, 6)
    yield Shape(width, 1, 2)
    yield from linear(between, width)
    yield from linear(hidden, between)
    yield from linear(between, merged)
    yield from linear(hidden, between)


def _exaone(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """EXAONE 4.5: Qwen 2.5's encoder with fewer heads of keys and values."""
    width, inner, layers = sizes(keys)
    size = width // keys.count("num_attention_heads")
    merged = width * keys.count("spatial_merge_size") ** 2
    yield from patches(keys, width, bias=False)
    yield from blocks(width, inner, layers, 4, ups=2, groups=size * keys.count("num_key_value_heads"))
    yield Shape(width)
    yield from linear(merged, merged)
    yield from linear(keys.count("out_hidden_size"), merged)


TYPES: Mapping[str, Kind] = {
    "internvl_vision": Kind(INTERN, _intern),
    "qianfan_ocr_vision": Kind({**INTERN, "attention_bias": True}, _intern),
    "intern_vit_6b": Kind({**INTERN, "attention_bias": True}, _intern),
    "kimi_k25_vision": Kind(MOON, _moon),
    "kimi_k25": Kind(MOON, _moon),
    "moonvit": Kind(MOON, _moon),
    "glm4v_vision": Kind(GLM, _glm),
    "glm4v_moe_vision": Kind(GLM, _glm),
    "glm_ocr_vision": Kind(
        {
            **GLM, "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "out_hidden_size": 1536,
            "attention_bias": True,
        },
        _glm_ocr,
    ),
    "idefics3_vision": Kind(SIGLIP, _idefics),
    "smolvlm_vision": Kind(SIGLIP, _idefics),
    "paddleocr_vl_vision": Kind(
        {**SIGLIP, "intermediate_size": 4304, "num_hidden_layers": 27, "image_size": 384, "patch_size": 14,
         "spatial_merge_size": 2},
        _paddle,
    ),
    "siglip2_vision_model": Kind(
        {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "in_channels": 3, "patch_size": 16,
         "num_patches": 256, "vision_use_head": True},
        _siglip_2,
    ),
    "step3p5_vision": Kind(
        {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 47, "in_channels": 3,
         "image_size": 728, "patch_size": 14},
        _step,
    ),
    "minimax_m3_vl_vision": Kind(
        {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "in_channels": 3, "patch_size": 14,
         "temporal_patch_size": 2},
        _minimax,
    ),
    "exaone4_5_vision": Kind(
        {"hidden_size": 3584, "intermediate_size": 3420, "num_hidden_layers": 32, "in_channels": 3, "patch_size": 14,
         "temporal_patch_size": 2, "spatial_merge_size": 2, "out_hidden_size": 3584, "num_attention_heads": 16,
         "num_key_value_heads": 8},
        _exaone,
    ),
}  # fmt: skip
