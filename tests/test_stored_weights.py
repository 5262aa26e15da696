"""Weights as a checkpoint's quantisation states them, module by module: sums by hand, and vLLM's own counts.

Counts of vLLM 0.33.0 are the bytes of the parameters that its model class of Llama 3.1 8B registers under each section.
"""

import pytest

import calculator
from calculator.architecture.weights import weight_bytes_per_rank

LLAMA = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
GROUPS = {"targets": ["Linear"], "input_activations": None}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True}
MX = {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32}


def compressed(weights, packing, **more):
    groups = {"group_0": {**GROUPS, "weights": weights}}
    return {
        "quant_method": "compressed-tensors",
        "format": packing,
        "ignore": ["lm_head"],
        "config_groups": groups,
        **more,
    }


def bytes_of(section, tensor_parallel_size=1, **changed):
    model = calculator.model_from_hf_config({**LLAMA, **changed, "quantization_config": section})
    return weight_bytes_per_rank(model, "auto", tensor_parallel_size)[0]


COUNTED = {
    "fp8, static, modules of other parts left out": (
        {"quant_method": "fp8", "activation_scheme": "static",
         "modules_to_not_convert": ["model.vision_tower", "model.multi_modal_projector", "lm_head"]}, 9_081_202_688),
    "modelopt, nested": (
        {"quant_method": "modelopt", "quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}},
        9_081_202_688),
    "gptq, whole rows": ({"quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": True, "sym": True},
                         5_594_980_352),
    "gptq, head": ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "lm_head": True}, 4_950_110_208),
    "auto-round": ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}, 5_727_854_592),
    "compressed-tensors, 4 bit integers": (compressed(INT4, "pack-quantized"), 5_700_594_240),
    "compressed-tensors, mxfp4": (compressed(MX, "mxfp4-pack-quantized"), 5_809_644_096),
}  # fmt: skip


@pytest.mark.parametrize(("section", "counted"), COUNTED.values(), ids=COUNTED)
def test_bytes_are_those_of_the_engine(section, counted):
    assert bytes_of(section) == counted


PLAIN, EMBEDDINGS = 8_030_261_248 * 2, 2 * 128256 * 4096 * 2
ATTENTION, MLP = 4096 * 4096 * 2 + 2 * 1024 * 4096, 3 * 4096 * 14336
"""Weights of one layer."""


def fp8_saves(weights, matrices, layers):
    """What fp8 saves of so many weights: a byte each, less a float32 scale a matrix."""
    return layers * (weights - 4 * matrices)


LEFT_OUT = {
    "names in full": (
        {"quant_method": "fp8", "modules_to_not_convert": [f"model.layers.0.self_attn.{p}_proj" for p in "qkvo"]},
        fp8_saves(MLP, 3, 32) + fp8_saves(ATTENTION, 4, 31)),
    "a part of a name is not a name": (
        {"quant_method": "fp8", "modules_to_not_convert": ["self_attn"]},
        fp8_saves(MLP, 3, 32) + fp8_saves(ATTENTION, 4, 32)),
    "a pattern": (
        {"quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["re:.*self_attn.*", "lm_head"],
         "config_groups": {"a": {**GROUPS, "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"}}}},
        fp8_saves(MLP, 3, 32)),
    "a wildcard": (
        {"quant_method": "modelopt", "quant_algo": "FP8_PB_WO", "exclude_modules": ["lm_head", "*self_attn*"]},
        32 * (MLP - 3 * 4 * 32 * 112)),
}  # fmt: skip


@pytest.mark.parametrize(("section", "saved"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_modules_that_are_left_out_stay_16_bit(section, saved):
    scales = {"fp8": 8, "compressed-tensors": 18, "modelopt": 8}[section["quant_method"]] * 32
    assert bytes_of(section) == PLAIN - saved + scales  # a layer's scales of its cache, as vLLM keeps them


def test_two_schemes_in_one_checkpoint():
    """NVFP4 of MLPs: half a byte, one byte a 16, two float32 a matrix; FP8 of attention: two float32 a matrix."""
    layers = {f"model.layers.{n}.mlp.{p}_proj": {"quant_algo": "NVFP4", "group_size": 16}
              for n in range(32) for p in ("gate", "up", "down")}  # fmt: skip
    layers |= {f"model.layers.{n}.self_attn.{p}_proj": {"quant_algo": "FP8"} for n in range(32) for p in "qkvo"}
    section = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    mlp, attention = MLP // 2 + MLP // 16 + 3 * 8, ATTENTION + 4 * 8
    assert bytes_of(section) == EMBEDDINGS + 65 * 4096 * 2 + 32 * (mlp + attention)
    model = calculator.model_from_hf_config({**LLAMA, "quantization_config": section})
    assert model.resolve_weight_dtype("auto") == "nvfp4"
    assert model.stored_as == "70.2 % nvfp4, 16.7 % fp8, 13.1 % 16 bit"


def test_other_bits_and_modules_left_out_by_rules():
    """GPTQ: layers 0 to 9 in 8 bit, attention of layer 31 not at all; scales and zero points as bits say."""
    rules = {r"+:.*\.layers\.[0-9]\..*": {"bits": 8}, r"-:.*\.layers\.31\.self_attn\..*": {}}
    section = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "dynamic": rules}

    def layer(weights, bits):
        return weights * bits // 8 + weights // 128 * (16 + bits) // 8

    layers = 10 * layer(ATTENTION + MLP, 8) + 22 * layer(MLP, 4) + 21 * layer(ATTENTION, 4) + 2 * ATTENTION
    assert bytes_of(section) == EMBEDDINGS + 65 * 4096 * 2 + layers


def test_a_rank_holds_its_part():
    """TP 8: fp8 of MLPs, a scale a matrix on every rank, attention in 16 bit."""
    section = {"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": ["lm_head", "*self_attn*"]}
    rank = EMBEDDINGS // 8 + 65 * 4096 * 2 + 32 * (ATTENTION * 2 // 8 + MLP // 8 + 3 * 8 + 8)
    assert bytes_of(section, 8) == rank


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"bits": 4, "group_size": 128}, "names no quant_method: 16 bit weights are taken"),
        ({"quant_method": "mxfp4"}, "mxfp4 is of experts alone: all other weights are 16 bit"),
    ],
)
def test_what_is_taken_is_said(section, said):
    model = calculator.model_from_hf_config({**LLAMA, "quantization_config": section})
    assert any(said in each for each in model.assumed)
    assert bytes_of(section) == PLAIN


REFUSED = {
    "groups of 256": ({"quant_method": "gptq", "bits": 4, "group_size": 256, "sym": True}, "groups of 256: Marlin has"),
    "no such method": ({"quant_method": "ptpc_fp8"}, "ptpc_fp8, which is not understood: vLLM 0.33 raises, it has no"),
    "8 bit awq": ({"quant_method": "awq", "bits": 8, "group_size": 128}, "raises, Unsupported num_bits = 8"),
    "hqq": ({"quant_method": "hqq"}, "quantization_config hqq, which is not understood: vLLM 0.33 raises"),
    "3 bit": ({"quant_method": "gptq", "bits": 3, "group_size": 128, "sym": True}, "stored as gptq of 3 bit"),
    "exl3": ({"quant_method": "exl3", "bits": 4}, "stored as quantization_config exl3, which is not understood"),
    "ordered": ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True}, "ordered by activations"),
    "blocks of no size": (compressed({"num_bits": 8, "type": "float", "strategy": "block"}, "float-quantized"),
                          "blocks without a block_structure"),
    "bitsandbytes": ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "does not load .* bitsandbytes"),
    "FBGEMM": ({"quant_method": "fbgemm_fp8"}, "deprecated and refused"),
    "half of a projection": ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.3.mlp.up_proj"]},
                             "layer 3 stores gate_proj and up_proj in different formats"),
    "a module of no type": ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.3.hyena.filter"]},
                            "names the module 'model.layers.3.hyena.filter'"),
    "endless": ({"quant_method": "compressed-tensors", "config_groups": {}, "ignore": ["re:(a+)+$"]}, "take endless"),
    "no pattern": ({"quant_method": "compressed-tensors", "config_groups": {}, "ignore": ["re:(["]}, "no regular"),
    "no list": ({"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": "lm_head"}, "list of names"),
}  # fmt: skip


@pytest.mark.parametrize(("section", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_or_not_loaded_is_refused_with_the_reason(section, said):
    with pytest.raises(calculator.CalculatorError, match=said) as refused:
        calculator.plan(calculator.model_from_hf_config({**LLAMA, "quantization_config": section}), gpu="h100-sxm")
    assert "such as fp32" not in str(refused.value)


def test_an_engine_of_another_version_loads_it():
    model = calculator.model_from_hf_config({**LLAMA, "quantization_config": {"quant_method": "fbgemm_fp8"}})
    assert calculator.plan(model, gpu="h100-sxm", engine_version="0.8.5").weights_from == "config"


def test_given_bytes_are_shared_by_the_formula():
    model = calculator.model_from_hf_config({**LLAMA, "quantization_config": {"quant_method": "exl3"}})
    plan = calculator.plan(model, gpu="h100-sxm", tensor_parallel_size=2, checkpoint_bytes=6 * 10**9)
    whole, rank = PLAIN, PLAIN // 2 + 65 * 4096
    assert plan.per_gpu.weights_bytes == -(-6 * 10**9 * rank // whole)
    assert plan.weights_from == "given"


@pytest.mark.parametrize(
    ("section", "kv"),
    [
        ({"quant_method": "fp8", "kv_cache_scheme": "static"}, "bf16"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "NVFP4"}, "nvfp4"),
        (
            {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}},
            "fp8_e4m3",
        ),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "INT3"}, "bf16"),
        (
            {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}},
            "fp8_e4m3",
        ),
    ],
)
def test_formats_of_the_cache_are_taken_as_the_engine_takes_them(section, kv):
    model = calculator.model_from_hf_config({**LLAMA, "quantization_config": section})
    assert model.resolve_kv_dtype("auto") == kv
