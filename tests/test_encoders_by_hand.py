"""Encoders of images matrix by matrix: what each is, what ranks do with it, and how it is joined to a text of 40."""

from collections import Counter

import pytest
from test_matrices_by_hand import line, lines

from calculator.configs.keys import Keys
from calculator.configs.towers import images
from calculator.configs.towers.matrices import tower_of
from calculator.configs.towers.rows import INTRINSIC, JOINTS, TYPES, named_size, tower_type
from calculator.configs.towers.shapes import Shape, blocks, linear, patches, side
from calculator.errors import InvalidValueError

# two layers of 16 and 24, patches of 2 x 2 of three colours in squares of 4: 12 numbers a patch, 4 patches
SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "patch_size": 2, "num_channels": 3,
         "image_size": 4}  # fmt: skip
QWEN = {**SMALL, "temporal_patch_size": 2, "spatial_merge_size": 2, "depth": 2}
del QWEN["num_hidden_layers"], QWEN["image_size"]
PATCH, BIAS = "16x12 =", "16 ="
MLP = "2/2*48x16 C; 2/2*16x16 R; 2/2*24x16 C; 2/2*16x24 R"
GATED = "2/2*48x16 C; 2/2*16x16 R; 2/2*48x16 C; 2/2*16x24 R"
# gains and biases of two norms, and the biases of both matrices that write, of each layer; those that are split
PLAIN = f"{MLP}; 12/12*16 =; 2/2*72 C"
# a norm, a matrix of four patches and one to 40, their biases
MERGER = "64x64 C; 40x64 R; 104 ="
CLIP = f"{PATCH}; 16x5 =; {PLAIN}; 3/3*16 =; 2/2*16 ="
ROWS = [
    ("qwen3_vl", {**QWEN, "num_position_embeddings": 9, "deepstack_visual_indexes": [0], "out_hidden_size": 40},
     "qwen3_vl",
     f"16x24 =; {BIAS}; 16x9 =; {PLAIN}; 2/2*64x64 C; 2/2*40x64 R; 2/2*104 =; 2/2*16 =; 2/2*64 ="),
    ("qwen3_5", {**QWEN, "num_position_embeddings": 9, "out_hidden_size": 40}, "qwen3_5",
     f"16x24 =; {BIAS}; 16x9 =; {PLAIN}; {MERGER}; 2/2*16 ="),
    ("qwen2_vl", {**QWEN, "hidden_size": 40, "embed_dim": 16}, "qwen2_vl",
     f"16x24 =; {PLAIN}; {MERGER}; 2/2*16 ="),
    ("qwen2_5_vl", {**QWEN, "out_hidden_size": 40}, "qwen2_5_vl",
     f"16x24 =; {GATED}; 8/8*16 =; 2/2*96 C; {MERGER}; 16 ="),
    # a head that attends by a probe like one layer more, with one norm
    ("siglip_vision_model", {**SMALL, "vision_use_head": True}, "gemma3",
     f"""{PATCH}; {BIAS}; 16x4 =; 3/3*48x16 C; 3/3*16x16 R; 3/3*24x16 C; 3/3*16x24 R; 17/17*16 =; 3/3*72 C; 40x16 =
     3/3*16 ="""),
    ("siglip_vision_model", {**SMALL, "vision_use_head": False}, "shieldgemma2",
     f"{PATCH}; {BIAS}; 16x4 =; {PLAIN}; 40x16 =; 3/3*16 ="),
    ("siglip_vision_model", {**SMALL, "vision_use_head": False}, "paligemma",
     f"{PATCH}; {BIAS}; 16x4 =; {PLAIN}; 2/2*16 =; 40x16 =; 40 ="),
    ("siglip_vision_model", {**SMALL, "vision_use_head": False}, "deepseek_vl",
     f"{PATCH}; {BIAS}; 16x4 =; {PLAIN}; 2/2*16 =; 40x16 =; 40 =; 40x40 =; 40 ="),
    ("siglip_vision_model", {**SMALL, "vision_use_head": False}, "cohere2_vision",
     f"{PATCH}; {BIAS}; 16x4 =; {PLAIN}; 2/2*16 =; 48x64 =; 48 =; 40x24 =; 40 ="),
    # a class before the patches and a norm before the layers
    ("clip_vision_model", SMALL, "llava", f"{CLIP}; 40x16 =; 40 =; 40x40 =; 40 ="),
    *(("clip_vision_model", SMALL, kind, f"{CLIP}; 40x16 =; 40 =; 40x40 =; 2/2*40 =")
      for kind in ("llava_next", "llava_next_video", "llava_onevision")),
    *(("pixtral", SMALL, kind, f"{PATCH}; {GATED}; 4/4*16 =; 16x64 =; 40x16 =; 40x40 =; 2/2*16 =")
      for kind in ("mistral3", "lighton_ocr")),
    ("llama4_vision_model", {**SMALL, "projector_input_dim": 20, "projector_output_dim": 28, "vision_output_dim": 36},
     "llama4",
     f"{PATCH}; 16x5 =; {PLAIN}; 20x24 C; 28x20 R; 40x36 =; 5/5*16 ="),
    ("gemma4_vision", {**SMALL, "position_embedding_size": 10, "head_dim": 8}, "gemma4",
     f"{PATCH}; 16x20 =; {GATED}; 8/8*16 =; 4/4*8 =; 40x16 ="),
]  # fmt: skip
OUTER = {"spatial_merge_size": 2, "downsample_factor": 2, "alignment_intermediate_size": 48}


@pytest.mark.parametrize(("kind", "config", "wrapper", "expected"), ROWS)
def test_every_matrix_of_an_encoder(kind, config, wrapper, expected):
    outer = {"model_type": wrapper, **(OUTER if wrapper in ("cohere2_vision", "mistral3", "lighton_ocr") else {})}
    made = tower_of({"model_type": kind, **config}, outer, 40)
    found = Counter(line(each).replace("image-encoder ", "").replace(" 16", "") for each in made if each.elements)
    assert found == lines(expected)


def test_an_mlp_is_a_multiple_of_the_width_where_no_other_is_said():
    config = {key: value for key, value in QWEN.items() if key != "intermediate_size"} | {
        "embed_dim": 16,
        "hidden_size": 40,
    }
    for ratio, inner in ((2, 32), (3, 48)):
        made = tower_of({"model_type": "qwen2_vl", **config, "mlp_ratio": ratio}, {"model_type": "qwen2_vl"}, 40)
        assert f"image-encoder 2/2*16x{inner} R 16" in [line(each) for each in made]


def test_encoders_by_their_names_and_by_what_wraps_them():
    assert set(INTRINSIC) == {"merger", "adapter"}
    assert tower_type({"model_type": "qwen2_vl_vision"}) is TYPES["qwen2_vl"] is tower_type({}, "qwen2_vl")
    for kind in (None, 5, "none"):
        assert tower_type({"model_type": kind}) is None
        assert tower_of({"model_type": kind}, {}, 40) is None
    # an encoder without a joint of its own, in a wrapper that is known to have another, or that nobody knows
    assert tower_type({"model_type": "siglip_vision_model"}, "idefics3") is None
    assert tower_type({"model_type": "siglip_vision_model"}, "unknown").joint == "projection"
    assert tower_type({"model_type": "siglip_vision_model"}, ["gemma3"]).joint == "projection"
    assert tower_type({"model_type": "llama4_vision_model"}, "llava").joint == "adapter"
    assert {kind: tower_type({"model_type": "clip_vision_model"}, kind).joint for kind in JOINTS} == dict(JOINTS)


@pytest.mark.parametrize(
    ("config", "key", "size"),
    [
        ({"model_type": "qwen2_vl"}, "hidden_size", 3_584), ({"model_type": "qwen2_vl"}, "embed_dim", 1_280),
        ({"model_type": "qwen2_vl"}, "depth", 7), ({"model_type": "qwen2_vl", "depth": 3}, "depth", 3),
        ({"model_type": "qwen2_vl", "depth": "3"}, "depth", 7), ({"model_type": "qwen2_vl"}, "patch_size", 7),
        ({"model_type": "none", "patch_size": 4}, "patch_size", 4), ({}, "patch_size", 7),
        ({"model_type": "siglip_vision_model"}, "num_hidden_layers", 12),
        ({"model_type": "qwen2_vl", "depth": True}, "depth", 7),
    ],
)  # fmt: skip
def test_a_size_by_the_key_of_the_reference(config, key, size):
    assert named_size(config, key, 7) == size


# Shapes that encoders share


def shapes(made):
    return Counter(
        (one.outputs, one.inputs, one.copies, one.sharding.name[:4]) for one in made if one.outputs and one.copies
    )


@pytest.mark.parametrize(
    ("more", "read", "vectors"),
    # queries, keys and values of 16, biased all, two of three, or none; groups of 4 for keys and values
    [
        ({}, (48, 24), 48 + 24), ({"ups": 2}, (48, 48), 48 + 48), ({"biased": 0}, (48, 24), 0),
        ({"biased": 2}, (48, 24), 32 + 24),
        ({"groups": 4}, (24, 24), 24 + 24), ({"groups": 4, "biased": 2, "ups": 2}, (24, 48), 32 + 48),
    ],
)  # fmt: skip
def test_layers_of_an_encoder(more, read, vectors):
    expected = Counter(
        {(read[0], 16, 3, "COLU"): 1, (16, 16, 3, "ROWS"): 1, (16, 24, 3, "ROWS"): 1, (16, 1, 15, "COPI"): 1}
    )
    expected[(read[1], 16, 3, "COLU")] += 1
    if vectors:
        expected[(vectors, 1, 3, "COLU")] += 1
    assert shapes(blocks(16, 24, 3, 5, **more)) == expected


def test_projections_and_patches():
    assert list(linear(5, 7)) == [Shape(5, 7), Shape(5)]
    assert [one.copies for one in linear(5, 7, bias=False)] == [1, 0]
    colours = Keys({"in_channels": 3, "patch_size": [2, 2], "temporal_patch_size": 2}, {})
    assert next(patches(colours, 16)) == Shape(16, 24)
    assert list(patches(Keys({"in_channels": 3, "patch_size": 2}, {}), 16)) == [Shape(16, 12), Shape(16)]


@pytest.mark.parametrize(("value", "expected"), [(1, 1), (999_999, 999_999), ([7, 7], 7), ([7], 7)])
def test_the_side_of_a_square(value, expected):
    assert side(Keys({"a": value}, {}), "a") == expected


@pytest.mark.parametrize("value", [0, 10**6, -1, [7, 8], [], "7", 7.0, True, [7.0, 7.0], None])
def test_what_is_no_side_of_a_square(value):
    with pytest.raises(InvalidValueError, match="a must be the side of a square") as caught:
        side(Keys({"a": value}, {}), "a")
    assert caught.value.what == "a"


@pytest.mark.parametrize(
    ("said", "ratio"),
    [(0.5, 0.5), (1, 1.0), (0.25, 0.25), (0.01, 0.5), (0.011, 0.011), (1.01, 0.5), (0, 0.5), ("x", 0.5), (None, 0.5)],
)
def test_patches_that_are_joined(said, ratio):
    assert images._ratio(Keys({"downsample_ratio": said}, {})) == ratio
