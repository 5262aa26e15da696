"""What a checkpoint's quantization_config asks for, in the words of those who write them."""

import pytest

import calculator
from calculator.architecture.weights import weight_bytes_per_rank

SMALL = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip


def formats(section: object) -> tuple[str, str]:
    model = calculator.model_from_hf_config({**SMALL, "quantization_config": section})
    return model.resolve_weight_dtype("auto"), model.resolve_kv_dtype("auto")


@pytest.mark.parametrize(
    ("section", "weights", "cache"),
    [
        (None, "bf16", "bf16"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq-int4", "bf16"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, "gptq-int4-g32", "bf16"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block", "bf16"),
        ({"quant_method": "fp8"}, "fp8", "bf16"),
        ({"quant_method": "mxfp4"}, "bf16", "bf16"),  # experts alone, and there are none
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4", "bf16"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}, "nvfp4", "fp8_e4m3"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}},
                "kv_cache_scheme": {"num_bits": 8, "type": "float"},
            },
            "fp8",
            "fp8_e4m3",
        ),
    ],
)
def test_a_checkpoint_asks_for_formats(section: object, weights: str, cache: str) -> None:
    assert formats(section) == (weights, cache)


def test_a_scheme_that_is_not_understood_is_refused_where_weights_are_needed() -> None:
    model = calculator.model_from_hf_config({**SMALL, "quantization_config": {"quant_method": "aqlm"}})
    assert calculator.kv_cache_bytes(model, 1, 1) == 2 * 2 * 2 * 64 * 2
    with pytest.raises(
        calculator.UnsupportedError, match="stored as quantization_config aqlm, which is not understood"
    ):
        calculator.plan(model, gpu="l4")
    assert calculator.plan(model, gpu="l4", weight_dtype="bf16").fits


def test_packed_sparse_weights_are_refused_and_no_16_bit() -> None:
    sparse = {"format": "sparse-24-bitmask", "sparsity_structure": "2:4"}
    section = {"quant_method": "compressed-tensors", "config_groups": {}, "sparsity_config": sparse}
    with pytest.raises(calculator.UnsupportedError, match="compressed-tensors with sparse weights"):
        calculator.plan(calculator.model_from_hf_config({**SMALL, "quantization_config": section}), gpu="l4")


def test_a_section_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(calculator.InvalidValueError, match="quantization_config must be a mapping, not 'awq'"):
        formats("awq")


FP8 = {"dtype": "fp8_e4m3", "is_dynamic": False, "qscheme": "per_tensor", "symmetric": True}
EACH = {"bias": None, "input_tensors": FP8, "output_tensors": None, "weight": FP8}
MXFP4 = {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "scale_format": "e8m0", "is_dynamic": False}
AS_BLOCKS = {"weight": MXFP4, "input_tensors": {**MXFP4, "is_dynamic": True}}
INT4 = {"weight": {"dtype": "uint4", "qscheme": "per_group", "group_size": 128, "symmetric": True}}
LINEAR = 2 * 256 * 256 + 2 * 128 * 256 + 3 * 512 * 256  # q and o, k and v, the MLP: 589,824 of a layer
BESIDE = 2 * 2 * 256 + 8  # two norms in 16 bit, four scales of the cache in 16 bit
ENDS = 2 * 1000 * 256 * 2 + 2 * 256  # embedding, head and the last norm in 16 bit


def of_quark(**said):
    section = {"quant_method": "quark", "export": {"kv_cache_group": [], "pack_method": "reorder"},
               "global_quant_config": EACH, "layer_quant_config": {}, "exclude": ["lm_head"], **said}  # fmt: skip
    return calculator.model_from_hf_config({**SMALL, "quantization_config": section})


@pytest.mark.parametrize(
    ("said", "layers"),
    [
        ({}, 2 * (LINEAR + 7 * 8)),  # a scale of weights and one of inputs, 4 bytes each, of seven matrices
        ({"global_quant_config": AS_BLOCKS}, 2 * (LINEAR // 2 + LINEAR // 32)),
        # a scale of 16 bit and a zero point of 4 a group of 128
        ({"global_quant_config": INT4}, 2 * (LINEAR // 2 + LINEAR // 128 * 20 // 8)),
        ({"exclude": ["lm_head", "re:model.layers.1.*"]}, LINEAR + 7 * 8 + 2 * LINEAR),
        ({"layer_quant_config": {"*.0.mlp.*": AS_BLOCKS}}, 2 * (LINEAR + 7 * 8) - (393_216 + 24) + 393_216 * 17 // 32),
        ({"export": {"kv_cache_group": ["*k_proj"], "pack_method": "order"},
          "layer_quant_config": {"*k_proj": {**EACH, "output_tensors": FP8}}}, 2 * (LINEAR + 7 * 8)),
    ],
)  # fmt: skip
def test_quark_as_vllm_loads_it(said, layers):
    plan = calculator.plan(of_quark(**said), gpu="mi300x")
    assert plan.per_gpu.weights_bytes == layers + 2 * BESIDE + ENDS
    assert plan.request.kv_cache_dtype == "bf16"


def test_quark_that_vllm_refuses():
    with pytest.raises(calculator.UnsupportedError, match="layer_quant_config has no one scheme for the outputs"):
        of_quark(export={"kv_cache_group": ["*k_proj", "*v_proj"]})
    outputs = of_quark(global_quant_config={**EACH, "output_tensors": FP8})
    with pytest.raises(calculator.UnsupportedError, match="quark with quantised outputs, which is not understood"):
        calculator.plan(outputs, gpu="mi300x")


def test_experts_in_fp4_beside_block_fp8() -> None:
    # vLLM 0.33.0 models/deepseek_v4/quant_config.py: expert_dtype fp4 is MXFP4 experts, the rest stays block fp8.
    # 256 experts of 3 × 4,096 × 2,048 in 43 layers: 17 bytes for 32 weights in place of 1 byte and 4 bytes a block
    model = calculator.load_model("deepseek-v4-flash")
    config = dict(model.fields)
    whole = {name: value for name, value in config.items() if name != "expert_dtype"}
    small, large = (calculator.model_from_hf_config(fields) for fields in (config, whole))
    experts = 43 * 256 * 3 * 4096 * 2048
    # beside fp4 a block's scale is a power of two, of 1 byte for 4: shared experts; queries by 1,024, keys of 512,
    # outputs by 8 groups of 1,024 in every layer, and the queries of an index of 64 x 128 in 21
    shared = 43 * 3 * 4096 * 2048
    attention = 43 * (1024 * 4096 + 64 * 512 * 1024 + 512 * 4096 + 64 * 512 * 1024 + 4096 * 8 * 1024)
    attention += 21 * 64 * 128 * 1024
    saved = experts + 4 * experts // 128**2 - 17 * experts // 32 + 3 * (shared + attention) // 128**2
    sizes = [calculator.plan(one, gpu="b300", seq_len=4096).per_gpu.weights_bytes for one in (large, small)]
    assert sizes[0] - sizes[1] == saved


def test_a_logged_start_of_a_checkpoint_whose_kv_heads_stood_twice() -> None:
    # vllm-project/vllm#6746, TP 8: Llama 3.1 405B FP8 of July 2024, 16 KV heads (#6689, #7139). FBGEMM leaves
    # attention, two MLPs and the head in 16 bit. What a log counts besides: sines and cosines of 131,072 positions by
    # 128 elements in 16 bit, and what an allocator rounds up
    kept = [f"model.layers.{layer}.self_attn.{each}_proj" for layer in range(126) for each in "qkvo"]
    kept += [f"model.layers.{layer}.mlp.{each}_proj" for layer in (0, 125) for each in ("gate", "up", "down")]
    section = {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": kept}
    config = {
        "model_type": "llama", "num_hidden_layers": 126, "hidden_size": 16384, "intermediate_size": 53248,
        "num_attention_heads": 128, "num_key_value_heads": 16, "vocab_size": 128256, "max_position_embeddings": 131072,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    model = calculator.model_from_hf_config({**config, "quantization_config": section})
    (size,) = weight_bytes_per_rank(model, "auto", 8)
    assert size + 131_072 * 128 * 2 == pytest.approx(57.752 * 2**30, rel=5e-5)


# matrices of two layers; embedding and head; five norms
WEIGHTS, EDGES, NORMS = 2 * LINEAR, 2 * 1000 * 256, 5 * 256
GPTQ = {"bits": 4, "group_size": 128}
WHOLE = WEIGHTS + EDGES + NORMS


@pytest.mark.parametrize(
    ("section", "method", "dtype", "words"),
    [
        ({"quant_method": "gptq", **GPTQ}, "gptq", "gptq-int4", ""),
        ({"quant_method": "gptq_marlin", **GPTQ, "dynamic": {"-:compressed": {}}}, "gptq_marlin", "gptq-int4", ""),
        ({"quant_method": "COMPRESSED_TENSORS", "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}}},
         "compressed-tensors", "fp8", ""),
        ({"quant_method": "auto_round", **GPTQ}, "auto-round", "gptq-int4", ""),
        ({"quant_algo": "FP8", "producer": {"name": "modelopt"}, "ignore": ["lm_head"]}, "modelopt", "fp8", ""),
        # the head in its own format; attention of both layers in 16 bit; all in 16 bit
        ({"quant_method": "gptq", **GPTQ, "lm_head": True}, "gptq", "gptq-int4",
         f"{100 * (WEIGHTS + EDGES / 2) / WHOLE:.1f} % gptq-int4, {100 * (EDGES / 2 + NORMS) / WHOLE:.1f} % 16 bit"),
        ({"quant_method": "fp8", "modules_to_not_convert": [f"model.layers.{n}.self_attn.{p}_proj"
                                                            for n in (0, 1) for p in "qkvo"]}, "fp8", "fp8",
         f"{100 * (WHOLE - 6 * 512 * 256) / WHOLE:.1f} % 16 bit, {100 * 6 * 512 * 256 / WHOLE:.1f} % fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4", None, ""),
    ],
)  # fmt: skip
def test_a_model_says_how_its_weights_are_stored(section, method, dtype, words):
    model = calculator.model_from_hf_config({**SMALL, "quantization_config": section})
    assert (model.quant_method, model.weight_dtype) == (method, dtype)
    assert model.stored_as == words
    assert model.weights_from == ("config" if dtype else "")
