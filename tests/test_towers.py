"""Encoders of images: their parameters as the reference instantiates them, and where they are counted."""

import pytest

import calculator

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
        ("pixtral", {}, 5120, 438_958_080),
        ("qwen2_vl_vision", {"hidden_size": 3584}, 8192, 675_759_104),
        ("qwen2_5_vl_vision", {"hidden_size": 1280, "out_hidden_size": 8192}, 8192, 700_147_712),
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
