"""Encoders of images: their parameters as the reference instantiates them, and where they are counted."""

import json

import pytest
from golden import DATA

import calculator
from calculator.configs.towers import images, rows, sounds
from calculator.configs.towers.matrices import SYNONYMS

REFERENCE = json.loads((DATA / "reference_encoders.json").read_text(encoding="utf-8"))
GIB = 2**30
TEXT = {
    "model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8,
    "vocab_size": 100, "intermediate_size": 64, "max_position_embeddings": 1024,
}  # fmt: skip
SIGLIP = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "image_size": 896, "patch_size": 14,
    "vision_use_head": False,
}  # fmt: skip
LARGE_GEMMA_4 = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "head_dim": 72}


@pytest.mark.parametrize(
    ("kind", "config", "hidden", "parameters"),
    # transformers 5.23.0 on the meta device: the parameters of each class that are not the text decoder's
    [
        ("siglip_vision_model", SIGLIP, 2304, 419_521_392),
        ("siglip_vision_model", {}, 2304, 94_654_464),
        ("pixtral", {"patch_size": 14}, 5120, 438_958_080),
        ("pixtral", {}, 5120, 439_142_400),
        ("qwen2_vl_vision", {"hidden_size": 3584}, 8192, 675_759_104),
        ("qwen2_5_vl_vision", {"hidden_size": 1280, "out_hidden_size": 8192}, 8192, 700_147_712),
        ("qwen2_5_vl_vision", {}, 3584, 3_083_025_152),
        ("qwen3_vl_vision", {"out_hidden_size": 3584}, 4096, 566_949_104),
        ("qwen3_5_vision", {"depth": 27, "out_hidden_size": 3584}, 4096, 453_650_672),
        ("qwen3_5", {}, 3584, 453_650_672),
        ("llama4_vision_model", {"hidden_size": 1408, "image_size": 336, "vision_output_dim": 4096}, 5120, 871_932_416),
        ("llama4_vision_model", {}, 5120, 455_178_240),
        ("gemma4_vision", {}, 2304, 169_134_080),
        ("gemma4_vision", LARGE_GEMMA_4, 2304, 572_202_288),
    ],
)
def test_encoders_have_the_parameters_of_the_reference(kind, config, hidden, parameters):
    model = calculator.model_from_hf_config(
        {"text_config": {**TEXT, "hidden_size": hidden}, "vision_config": {"model_type": kind, **config}}
    )
    assert sum(matrix.num_parameters for matrix in model.towers["vision_config"]) == parameters


NARROW = {"hidden_size": 320, "intermediate_size": 700, "num_attention_heads": 4, "num_hidden_layers": 3}
SOUND = {"d_model": 320, "encoder_layers": 3, "encoder_ffn_dim": 700}


@pytest.mark.parametrize(
    ("part", "kind", "config", "wrapper", "hidden", "parameters"),
    # transformers 5.23.0 on the meta device: all parameters of the wrapper that are not its text decoder's
    [
        ("vision", "internvl_vision", {}, "internvl", 4096, 337_509_376),
        (
            "vision", "internvl_vision",
            {**NARROW, "attention_bias": True, "use_qk_norm": True, "norm_type": "rms_norm", "image_size": [224, 224]},
            "internvl", 4096, 24_887_348,
        ),
        ("vision", "intern_vit_6b", {"qkv_bias": True}, "internvl_chat", 4096, 337_583_104),
        ("vision", "kimi_k25_vision", {}, "kimi_k25", 7168, 471_143_920),
        (
            "vision", "", {"vt_hidden_size": 1152, "vt_intermediate_size": 4304, "vt_num_hidden_layers": 27},
            "kimi_k25", 7168, 471_143_920,
        ),
        ("vision", "glm4v_vision", {}, "glm4v", 4096, 892_498_432),
        (
            "vision", "glm4v_vision",
            {**NARROW, "out_hidden_size": 640, "attention_bias": True, "image_size": 140},
            "glm4v", 4096, 6_060_800,
        ),
        ("vision", "glm_ocr_vision", {}, "glm_ocr", 1024, 434_120_192),
        ("vision", "idefics3_vision", {}, "idefics3", 4096, 171_270_144),
        ("vision", "paddleocr_vl_vision", {}, "paddleocr_vl", 1024, 438_947_440),
        ("vision", "siglip2_vision_model", {}, "lfm2_vl", 2560, 107_359_488),
        (
            "vision", "siglip2_vision_model", {**NARROW, "vision_use_head": False, "num_patches": 100},
            "lfm2_vl", 2560, 12_700_340,
        ),
        ("vision", "step3p5_vision", {}, "step3p7", 4096, 1_981_014_784),
        ("vision", "minimax_m3_vl_vision", {}, "minimax_m3_vl", 6144, 865_567_232),
        ("vision", "exaone4_5_vision", {}, "exaone4_5", 4096, 2_671_868_672),
        ("vision", "pixtral", {"image_size": 1540}, "lighton_ocr", 1024, 409_782_272),
        # each class alone, in a wrapper of its own; what joins it to 2,048 in Idefics is one matrix of 4 patches
        *(("vision", f"{kind}_vision", {"out_hidden_size": 3584}, kind, 2048, parameters) for kind, parameters in (
            ("qwen3_vl_moe", 566_949_104), ("cohere_compass", 566_949_104), ("qwen3_5_moe", 453_650_672),
            ("qwen2_5_vl", 3_083_025_152), ("qwen2_vl", 675_759_104),
        )),
        ("vision", "glm4v_moe_vision", {}, "glm4v_moe", 4096, 892_498_432),
        ("vision", "smolvlm_vision", {}, "smolvlm", 2048, 152_395_776 + 2048 * 4 * 1152),
        # beside the class's own: a norm of four patches and two matrices with biases
        ("vision", "qianfan_ocr_vision", {}, "qianfan_ocr", 4096, 304_012_288 + 2 * 4096 + 2 * 4096 * 4097),
        ("vision", "qwen2_5_omni_vision_encoder", {}, "qwen2_5_omni_thinker", 3584, 3_083_025_152),
        ("vision", "qwen3_omni_moe_vision_encoder", {}, "qwen3_omni_moe_thinker", 3584, 566_949_104),
        ("vision", "clip_vision_model", {}, "llava", 4096, 107_387_136),
        ("vision", "clip_vision_model", {}, "llava_next_video", 4096, 107_391_232),
        *(("vision", "siglip_vision_model", {}, kind, 2304, 94_654_464) for kind in ("gemma3", "shieldgemma2")),
        *(("vision", kind, {}, "kimi_k25", 7168, 471_143_920) for kind in ("moonvit", "kimi_k25")),
        ("audio", "qwen3_omni_moe_audio_encoder", {}, "qwen3_omni_moe_thinker", 2048, 649_894_784),
        ("audio", "qwen2_audio_encoder", {}, "qwen2_audio", 4096, 642_215_936),
        ("audio", "qwen2_audio_encoder", {**SOUND, "num_mel_bins": 80}, "qwen2_audio", 4096, 4_762_676),
        ("audio", "audioflamingo3_encoder", {}, "audioflamingo3", 4096, 658_997_248),
        ("audio", "voxtral_encoder", {}, "voxtral", 3072, 662_134_784),
        ("audio", "qwen2_5_omni_audio_encoder", {}, "qwen2_5_omni_thinker", 3584, 639_647_232),
        ("audio", "qwen3_asr_encoder", {}, "qwen3_asr", 2048, 319_051_904),
        (
            "audio", "qwen3_asr_encoder",
            {**SOUND, "output_dim": 256, "num_mel_bins": 80, "downsample_hidden_size": 96},
            "qwen3_asr", 2048, 3_243_316,
        ),
    ],
)  # fmt: skip
def test_encoders_of_their_own_build_have_the_parameters_of_the_reference(
    part, kind, config, wrapper, hidden, parameters
):
    encoder = {**config, **({"model_type": kind} if kind else {})}
    text = {**TEXT, "hidden_size": hidden, "tie_word_embeddings": False}
    outer = {"model_type": wrapper, "projector_hidden_size": 6144 if wrapper == "minimax_m3_vl" else 2560}
    merged = {"merged_hidden_size": 24576} if wrapper == "minimax_m3_vl" else {}
    model = calculator.model_from_hf_config({**outer, **merged, "text_config": text, f"{part}_config": encoder})
    assert sum(matrix.num_parameters for matrix in model.towers[f"{part}_config"]) == parameters


NOT_OF_THE_CLASS = {
    # of the wrapper; three colours stand in the code of the model
    ("pixtral", "spatial_merge_size"): 2, ("gemma4_vision", "in_channels"): 3,
    **{(kind, "in_channels"): 3 for kind in ("kimi_k25_vision", "kimi_k25", "moonvit")},
    ("intern_vit_6b", "attention_bias"): True,
}  # fmt: skip
LIKE = {"intern_vit_6b": "internvl_vision", "kimi_k25": "kimi_k25_vision", "moonvit": "kimi_k25_vision"}


@pytest.mark.parametrize("kind", [*rows.TYPES, *images.TYPES, *sounds.TYPES])
def test_what_is_left_out_is_what_the_class_has(kind):
    """data/make_encoders.py: every size of every class that a row of ours has."""
    row = next(table[kind] for table in (rows.TYPES, images.TYPES, sounds.TYPES) if kind in table)
    name = LIKE.get(kind, kind)
    found = REFERENCE.get(f"{name}_vision") or REFERENCE[name]
    said = {SYNONYMS.get(key, key): value for key, value in found.items()} | found
    for key, value in row.defaults.items():
        expected = NOT_OF_THE_CLASS.get((kind, key), said.get(key))
        is_square = key in ("patch_size", "image_size") and isinstance(expected, list)
        assert value == (expected[0] if is_square else expected), key


def test_queries_of_aria_join_the_patches_of_idefics():
    # transformers 5.23.0 on the meta device: 152,395,776 of the encoder, 32,420,224 of AriaProjector
    text = {**TEXT, "hidden_size": 4096, "tie_word_embeddings": False}
    outer = {"model_type": "aria", "projector_patch_to_query_dict": {"1225": 128, "4900": 256}, "text_config": text}
    model = calculator.model_from_hf_config({**outer, "vision_config": {"model_type": "idefics3_vision"}})
    assert sum(matrix.num_parameters for matrix in model.towers["vision_config"]) == 152_395_776 + 32_420_224


def test_a_published_model_with_its_encoder():
    # transformers 5.23.0: 27,432,406,640 parameters, of which 27,009,346,304 are the text decoder's
    model = calculator.load_model("gemma-3-27b")
    assert model.num_parameters == 27_009_346_304
    assert sum(matrix.num_parameters for matrix in model.towers["vision_config"]) == 27_432_406_640 - 27_009_346_304


def test_encoders_are_among_the_weights_where_the_engine_loads_them():
    asked = {"gpu": "h200", "seq_len": 8192}
    plain = calculator.plan("gemma-3-27b", language_model_only=True, **asked)
    whole = calculator.plan("gemma-3-27b", **asked)
    assert plain.per_gpu.weights_bytes == 2 * 27_009_346_304
    assert whole.per_gpu.weights_bytes == 2 * 27_432_406_640
    assert any("0.79 GiB are among the weights" in note for note in whole.notes)
    # 0.05 to 0.29 GiB logged beside the rest for nine models, 2.9 for two whose images may be of any size
    activation, plainer = whole.per_gpu.lines["activation"], plain.per_gpu.lines["activation"]
    assert activation.bytes - plainer.bytes == round(0.2 * GIB)
    assert activation.high - plainer.high == 3.5 * GIB
    apart = calculator.plan("gemma-3-27b", engine="llama.cpp", **asked)
    assert apart.per_gpu.weights_bytes == plain.per_gpu.weights_bytes
    assert any("apart" in note for note in apart.notes)
    with pytest.raises(calculator.UnsupportedError, match="language_model_only: SGLang"):
        calculator.plan("gemma-3-27b", engine="sglang", language_model_only=True, **asked)


def test_ranks_share_the_blocks_of_an_encoder():
    # two starts of vLLM 0.12 on two H100s: 29.31 GiB with the encoder, 28.46 without; the tables of its rotary
    # embedding (0.25 GiB) and its buffers (0.09 GiB) are not weights
    whole = calculator.plan("qwen3-vl-30b-a3b", gpu="h100-sxm", tensor_parallel_size=2, engine_version="0.12")
    plain = calculator.plan("qwen3-30b-a3b", gpu="h100-sxm", tensor_parallel_size=2, engine_version="0.12")
    more = (whole.per_gpu.weights_bytes - plain.per_gpu.weights_bytes) / GIB
    assert more == pytest.approx(29.31 - 28.46 - 0.25 - 0.09, abs=0.02)


@pytest.mark.parametrize("config", [{"model_type": "of no kind"}, {"model_type": "pixtral", "patch_size": "x"}, [1], 7])
def test_an_encoder_that_is_not_understood_is_said_not_to_be_counted(config):
    model = calculator.model_from_hf_config({"text_config": {**TEXT, "hidden_size": 64}, "vision_config": config})
    assert model.towers == {"vision_config": ()}
    assert "vision_config: its weights are not counted" in model.assumed
    notes = calculator.plan(model, gpu="h200").notes
    assert any("not understood" in note for note in notes)
