"""What each method of quantisation makes of one matrix, in bytes by hand."""

import pytest

import calculator
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.configs.quantisation.modelopt import is_modelopt, modelopt
from calculator.configs.quantisation.patterns import MOST_ENTRIES, Place, listed, pattern, pattern_of_glob
from calculator.configs.quantisation.places import HEAD
from calculator.configs.quantisation.schemes import NotUnderstood
from calculator.configs.quantisation.stored import READERS

# a matrix of 512 outputs and 256 inputs: 131,072 weights; 1,024 groups of 128, 4,096 of 32, 8,192 of 16; 4 x 2 blocks
N, ROWS = 512 * 256, 512
LINEAR = Place("linear", ("model.layers.0.self_attn.q_proj",), ("model.layers.0.self_attn.qkv_proj",))
EXPERTS = Place("experts", ("model.layers.0.mlp.experts.0.up_proj",), ("model.layers.0.mlp.experts",))
ENDS = Place("head", HEAD), Place("embedding", ("model.embed_tokens",))
SIXTEEN = 2 * N


def size(scheme, place=LINEAR):
    form = scheme.choose(place)
    return form.bytes_of(512, 256) if form else SIXTEEN


def sizes(method, section):
    """Bytes of the matrix as a linear layer, an expert, the head and the embedding."""
    scheme = READERS[method](section)
    return [size(scheme, place) for place in (LINEAR, EXPERTS, *ENDS)]


# 4 bit in groups of 128: a 16 bit scale and a 4 bit zero point of each; without zero points the scale alone
INT4, INT4_SYMMETRIC = N // 2 + 1024 * 20 // 8, N // 2 + 1024 * 2
INT8 = N + 1024 * 24 // 8
MXFP4, MXFP8 = N // 2 + 4096, N + 4096
NVFP4 = N // 2 + 8192  # and a float32 scale or two
GPTQ = {"bits": 4, "group_size": 128}
BLOCK = {"weight_block_size": [128, 128]}


@pytest.mark.parametrize(
    ("method", "section", "linear", "experts"),
    [
        ("fp8", {}, N + 4, N + 4), ("fp8", {"activation_scheme": "static"}, N + 8, N + 8),
        ("fp8", {"activation_scheme": "dynamic"}, N + 4, N + 4), ("fp8", BLOCK, N + 4 * 8, N + 4 * 8),
        ("fp8", {"weight_block_size": [64, 32]}, N + 4 * 8 * 8, N + 4 * 8 * 8),
        ("fp8", {"weight_block_size": [1, 256]}, N + 4 * 512, N + 4 * 512),
        ("fp8", {**BLOCK, "store_dtype": "mxfp4"}, N + 8, MXFP4),
        ("fp8", {**BLOCK, "store_dtype": "nvfp4"}, N + 8, NVFP4 + 8),
        ("fp8", {"ignored_layers": ["model.layers.0.self_attn.q_proj"]}, SIXTEEN, N + 4),
        ("fp8", {"ignored_layers": ["model.layers.0.self_attn.qkv_proj"]}, SIXTEEN, N + 4),
        ("fp8", {"ignored_layers": ["q_proj"]}, N + 4, N + 4),
        ("fp8", {"ignored_layers": ["model.layers.0.mlp.experts.7.up_proj"]}, N + 4, SIXTEEN),
        ("fp8", {**BLOCK, "store_dtype": "mxfp4", "modules_to_not_convert": ["model.layers.0.mlp.experts"]},
         N + 8, SIXTEEN),
        ("fbgemm_fp8", {}, N + 4 * ROWS + 4, SIXTEEN),
        ("fbgemm_fp8", {"modules_to_not_convert": ["model.layers.0.self_attn.q_proj"]}, SIXTEEN, SIXTEEN),
        ("awq", {}, INT4, INT4), ("awq_marlin", {"bits": 4, "group_size": 128}, INT4, INT4),
        ("awq", {"w_bit": 4, "q_group_size": 64}, N // 2 + 2048 * 20 // 8, N // 2 + 2048 * 20 // 8),
        ("awq", {"zero_point": False}, INT4_SYMMETRIC, INT4_SYMMETRIC),
        ("awq", {"group_size": -1}, N // 2 + ROWS * 20 // 8, N // 2 + ROWS * 20 // 8),
        ("awq", {"modules_to_not_convert": ["self_attn"]}, SIXTEEN, INT4),
        ("gptq", GPTQ, INT4, INT4), ("gptq_marlin", {**GPTQ, "bits": 8}, INT8, INT8),
        ("gptq", {**GPTQ, "group_size": 32}, N // 2 + 4096 * 20 // 8, N // 2 + 4096 * 20 // 8),
        ("gptq", {**GPTQ, "modules_in_block_to_quantize": [["mlp.experts"], ["x"]]}, SIXTEEN, INT4),
        ("gptq", {**GPTQ, "dynamic": {r"-:.*experts.*": {}}}, INT4, SIXTEEN),
        ("gptq", {**GPTQ, "dynamic": {r"+:.*q_proj": {"bits": 8}}}, INT8, INT4),
        ("gptq", {**GPTQ, "dynamic": {r".*q_proj": {"group_size": -1}}}, N // 2 + ROWS * 20 // 8, INT4),
        ("gptq", {**GPTQ, "group_size": -1, "desc_act": True}, N // 2 + ROWS * 20 // 8, N // 2 + ROWS * 20 // 8),
        ("mxfp4", {}, SIXTEEN, MXFP4),
        ("auto-round", GPTQ, INT4, INT4), ("inc", {"bits": 4}, INT4, INT4),
        ("auto-round", {"bits": 8, "group_size": 64}, N + 2048 * 24 // 8, N + 2048 * 24 // 8),
        ("auto-round", {**GPTQ, "packing_format": "auto_awq"}, INT4, INT4),
        ("auto-round", {"bits": 16}, SIXTEEN, SIXTEEN), ("auto-round", {"bits": 4, "data_type": "mx_fp"}, MXFP4, MXFP4),
        ("auto-round", {"bits": 8, "data_type": "mx_fp_rceil"}, MXFP8, MXFP8),
        ("auto-round", {"bits": 8, "data_type": "fp", "group_size": [128, 64]}, N + 4 * 4 * 4, N + 4 * 4 * 4),
        ("auto-round", {"bits": 8, "data_type": "fp8", "group_size": (128, 128)}, N + 4 * 8, N + 4 * 8),
        ("auto-round", {**GPTQ, "extra_config": {"model.layers.0.self_attn.q_proj": {"bits": 16}}}, SIXTEEN, INT4),
        ("auto-round", {**GPTQ, "extra_config": {"self_attn.q_proj": {"bits": 8}}}, INT8, INT4),
        ("auto-round", {**GPTQ, "extra_config": {r".*experts.*": {"bits": 16}}}, INT4, SIXTEEN),
        ("auto-round", {**GPTQ, "extra_config": {"q_pro": {"bits": 16}, "xperts.0": {"bits": 16}}}, INT4, INT4),
        ("auto-round", {**GPTQ, "block_name_to_quantize": "vision.layers,model.layers"}, INT4, INT4),
        ("auto-round", {**GPTQ, "to_quant_block_names": ["vision.layers"]}, SIXTEEN, SIXTEEN),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix_by_each_method(method, section, linear, experts):
    assert sizes(method, section) == [linear, experts, SIXTEEN, SIXTEEN]


TINY = {
    "model_type": "mixtral", "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1, "vocab_size": 100,
    "num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 2, "num_experts_per_tok": 1,
    "max_position_embeddings": 1024, "torch_dtype": "bfloat16",
}  # fmt: skip
ATTENTION = [f"model.layers.0.self_attn.{each}_proj" for each in "qkvo"]
ALONE = {"targets": ["re:.*experts.*"], "weights": {"num_bits": 4, "group_size": 32}}


@pytest.mark.parametrize(
    ("section", "expert", "layer"),
    # three matrices of 64 x 32, 64 groups of 32 each; vLLM 0.33.0: one float32 scale of inputs for gate and up
    # (fp8.py), one shape of two 16 bit numbers (compressed_tensors_moe_wna16.py), biases of 16 bit (auto_gptq.py); and
    # the scales
    # of the cache that a layer has
    [
        ({"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ATTENTION},
         3 * (2048 + 4) + 2 * 4, 8),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"a": ALONE}},
         3 * (1024 + 64 * 2) + 2 * 4, 18),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32, "dynamic": {"-:.*self_attn.*": {}}},
         3 * (1024 + 64 * 20 // 8) + 2 * (32 + 32 + 64), 0),
        # static scales of inputs: one for gate and up (compressed_tensors_moe_w8a8_fp8.py, modelopt.py), dynamic: none
        ({"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"a": {
            "targets": ["re:.*experts.*"], "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"},
            "input_activations": {"num_bits": 8, "type": "float", "dynamic": False}}}}, 3 * (2048 + 4) + 2 * 4, 18),
        ({"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"a": {
            "targets": ["re:.*experts.*"], "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"},
            "input_activations": {"num_bits": 8, "type": "float", "dynamic": True}}}}, 3 * (2048 + 4), 18),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["*self_attn*", "lm_head"]},
         3 * (2048 + 4) + 2 * 4, 8),
    ],
)  # fmt: skip
def test_what_gate_and_up_of_an_expert_share_is_kept_once(section, expert, layer):
    plain, stored = (calculator.model_from_hf_config(TINY | more) for more in ({}, {"quantization_config": section}))
    (before,), (after,) = (weight_bytes_per_rank(model) for model in (plain, stored))
    assert after == before - 2 * 3 * 2048 * 2 + 2 * expert + layer


def test_4_bit_floats_whose_scales_are_quantised_once_more():
    # bitsandbytes: a byte for 64 weights, and a float32 for 256 of these
    linear, experts, *ends = sizes("bitsandbytes", {"load_in_4bit": True, "llm_int8_skip_modules": ["experts"]})
    assert linear == pytest.approx(N // 2 + N / 64 + 4 * N / 64 / 256, rel=2e-5)
    assert [experts, *ends] == [SIXTEEN, SIXTEEN, SIXTEEN]


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_the_head_is_packed_where_it_is_said(method):
    assert sizes(method, {**GPTQ, "lm_head": True})[2:] == [INT4, SIXTEEN]
    assert sizes(method, {**GPTQ, "lm_head": False})[2:] == [SIXTEEN, SIXTEEN]


def test_a_head_of_its_own_configuration():
    assert sizes("auto-round", {**GPTQ, "extra_config": {"lm_head": {"bits": 8}}})[2:] == [INT8, SIXTEEN]


def compressed(weights, inputs=None, packing="float-quantized", **more):
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, **more.pop("group", {})}
    return {"format": packing, "config_groups": {"a": group}, **more}


F8, I8 = {"num_bits": 8, "type": "float"}, {"num_bits": 8, "type": "int"}
I4 = {"num_bits": 4, "type": "int", "group_size": 128}
DYNAMIC, STATIC = {"dynamic": True}, {"dynamic": False}


@pytest.mark.parametrize(
    ("section", "linear"),
    [
        (compressed({**F8, "strategy": "tensor"}), N + 4), (compressed(F8, STATIC), N + 8),
        (compressed({**F8, "strategy": "tensor"}, DYNAMIC), N + 4),
        (compressed({**F8, "strategy": "channel"}, DYNAMIC), N + 4 * ROWS),
        (compressed({**F8, "strategy": "channel"}, STATIC), N + 4 * ROWS + 4),
        (compressed({**F8, "strategy": "block", "block_structure": [128, 64]}), N + 4 * 4 * 4),
        (compressed({**F8, "strategy": "group", "group_size": 32}), MXFP8),
        (compressed({"num_bits": 4, "type": "float", "group_size": 32}), MXFP4),
        (compressed({"num_bits": 4, "type": "float", "group_size": 16}), NVFP4 + 4),
        (compressed({"num_bits": 4, "type": "float", "group_size": 16}, DYNAMIC), NVFP4 + 8),
        (compressed({**I8, "strategy": "channel"}, DYNAMIC, "int-quantized"), N + 4 * ROWS),
        (compressed({"num_bits": 8}, DYNAMIC, "int-quantized"), N + 4 * ROWS),
        (compressed({**I8, "strategy": "tensor"}, DYNAMIC, "int-quantized"), N + 4),
        (compressed({**I8, "strategy": "tensor"}, STATIC, "int-quantized"), N + 8),
        (compressed({**I8, "strategy": "tensor"}, {"dynamic": False, "symmetric": False}, "int-quantized"), N + 9),
        (compressed({**I8, "strategy": "channel"}, {"dynamic": False, "symmetric": True}, "int-quantized"),
         N + 4 * ROWS + 4),
        # packed: the shape in two whole numbers of 8 bytes beside it
        (compressed(I4, None, "pack-quantized"), INT4_SYMMETRIC + 16),
        (compressed({**I4, "symmetric": False}, None, "pack-quantized"), INT4 + 16),
        (compressed({**I4, "strategy": "channel"}, None, "pack-quantized"), N // 2 + 2 * ROWS + 16),
        (compressed({"num_bits": 4}, None, "pack-quantized"), N // 2 + 2 * ROWS + 16),
        (compressed({**I8, "strategy": "channel"}, DYNAMIC, "pack-quantized"), N + 2 * ROWS + 16),
        (compressed({**I8, "group_size": 128}, None, "pack-quantized"), N + 1024 * 2 + 16),
        # 4 bit integers for 8 bit activations, a byte each
        (compressed({**I4, "strategy": "group"}, DYNAMIC, "int-quantized"), N + 1024 * 2),
        (compressed({**I8, "strategy": "channel"}, DYNAMIC, "x", group={"format": "int-quantized"}), N + 4 * ROWS),
        (compressed({**I8, "strategy": "channel"}, DYNAMIC, "x", group={"format": "pack-quantized"}),
         N + 2 * ROWS + 16),
        (compressed(F8, group={"targets": ["re:.*self_attn.*"]}), N + 4),
        (compressed(F8, group={"targets": ["re:self_attn"]}), SIXTEEN),
        (compressed(F8, group={"targets": ["model.layers.0.self_attn.q_proj"]}), N + 4),
        (compressed(F8, group={"targets": ["QKVParallelLinear"]}), N + 4),
        (compressed(F8, group={"targets": ["LlamaAttention"]}), SIXTEEN),
        (compressed(F8, group={"targets": ["LlamaAttention", "Linear"]}), N + 4),
        (compressed(F8, group={"targets": ["RoutedExperts"]}), SIXTEEN),
        (compressed(F8, ignore=["re:.*q_proj"]), SIXTEEN), (compressed(F8, sparsity_config={"format": "dense"}), N + 4),
        (compressed(F8, sparsity_config={}), N + 4),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix_by_compressed_tensors(section, linear):
    scheme = READERS["compressed-tensors"](section)
    assert size(scheme) == linear
    assert [size(scheme, place) for place in ENDS] == [SIXTEEN, SIXTEEN]


def test_targets_are_tried_by_name_before_class_and_the_first_is_taken():
    groups = {"a": {"targets": ["Linear"], "weights": F8}, "b": {"targets": ["re:.*q_proj"], "weights": I4}}
    scheme = READERS["compressed-tensors"]({"config_groups": groups, "format": "pack-quantized"})
    assert (size(scheme), size(scheme, EXPERTS)) == (INT4_SYMMETRIC + 16, N + 4)
    groups = {"a": {"weights": F8}, "b": {"targets": ["lm_head"], "weights": F8}}
    scheme = READERS["compressed-tensors"]({"config_groups": groups})
    assert (size(scheme), size(scheme, ENDS[0]), size(scheme, ENDS[1])) == (N + 4, N + 4, SIXTEEN)
    assert scheme.used == ("Linear", "lm_head")


@pytest.mark.parametrize(
    ("said", "cache", "scales"),
    [
        (None, None, 18), ({"num_bits": 8, "type": "float"}, "fp8_e4m3", 18),
        ({"num_bits": 8}, "kv_cache_scheme 8 bit int", 18),
        ({"num_bits": 4, "type": "float"}, "kv_cache_scheme 4 bit float", 18),
        ({"num_bits": 8, "type": "float", "strategy": "attn_head"}, "fp8_e4m3", 0),
        ({"num_bits": 8, "type": "float", "strategy": "tensor"}, "fp8_e4m3", 18),
    ],
)  # fmt: skip
def test_a_cache_by_compressed_tensors(said, cache, scales):
    scheme = READERS["compressed-tensors"](compressed(F8, kv_cache_scheme=said))
    assert (scheme.kv_cache_dtype, scheme.layer_bytes) == (cache, scales)


@pytest.mark.parametrize(
    ("section", "linear"),
    [
        ({"quant_algo": "FP8"}, N + 8), ({"quant_algo": "fp8"}, N + 8),
        ({"quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"}, N + 4 * ROWS), ({"quant_algo": "FP8_PB_WO"}, N + 4 * 8),
        ({"quant_algo": "FP8_BLOCK_SCALES"}, N + 4 * 8), ({"quant_algo": "MXFP8"}, MXFP8),
        ({"quant_algo": "NVFP4"}, NVFP4 + 8), ({"quant_algo": "W4A16_NVFP4"}, NVFP4 + 4),
        ({"quant_algo": "NVFP4", "group_size": 32}, N // 2 + 4096 + 8),
        ({"quant_algo": "NVFP4", "group_size": 4096}, N // 2 + ROWS + 8),
        ({"quant_algo": "NVFP4", "config_groups": {"a": {"input_activations": None}}}, NVFP4 + 4),
        ({"quant_algo": "NVFP4", "config_groups": {"a": {"input_activations": {}}}}, NVFP4 + 8),
        ({"quantization": {"quant_algo": "FP8", "exclude_modules": ["*self_attn*"]}}, SIXTEEN),
        ({"quant_algo": "FP8", "ignore": ["self_attn"]}, SIXTEEN),
        ({"quant_algo": "FP8", "exclude_modules": ["model.layers.?.self_attn.q_proj"]}, SIXTEEN),
        ({"quant_algo": "FP8", "exclude_modules": ["model.layers.[1-9].self_attn.q_proj"]}, N + 8),
        ({"quant_algo": "FP8", "exclude_modules": ["model.layers.0.self_attn*"]}, SIXTEEN),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {LINEAR.names[0]: {"quant_algo": "FP8"}}}, N + 8),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"model.layers.0.x": {"quant_algo": "FP8"}}}, SIXTEEN),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {LINEAR.wholes[0]: {"quant_algo": "NVFP4"}}}, NVFP4 + 8),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix_by_modelopt(section, linear):
    assert size(modelopt(section)) == linear


def test_what_modelopt_leaves_out_has_no_format_of_its_own():
    layers = {LINEAR.names[0]: {"quant_algo": "FP8"}}
    mixed = {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers, "exclude_modules": ["self_attn"]}
    assert size(modelopt(mixed)) == SIXTEEN


def test_experts_of_modelopt_are_known_by_one_of_them():
    layers = {"model.layers.0.mlp.experts.3.down_proj": {"quant_algo": "NVFP4"}}
    scheme = modelopt({"quant_algo": "MIXED_PRECISION", "quantized_layers": layers, "exclude_modules": ["self_attn"]})
    assert [size(scheme, place) for place in (LINEAR, EXPERTS)] == [SIXTEEN, NVFP4 + 8]
    assert [size(modelopt({"quant_algo": "FP8"}), place) for place in ENDS] == [N + 8, SIXTEEN]


@pytest.mark.parametrize(
    ("said", "cache", "known"),
    [
        ({}, None, True), ({"kv_cache_quant_algo": "FP8"}, "fp8_e4m3", True),
        ({"kv_cache_quant_algo": "fp8"}, "fp8_e4m3", True),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, "fp8_e4m3", True),
        ({"kv_cache_scheme": {"num_bits": 4, "type": "float"}}, "nvfp4", True),
        ({"kv_cache_quant_algo": "NVFP4"}, "nvfp4", True), ({"kv_cache_quant_algo": "INT4"}, None, False),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "int"}}, None, False),
    ],
)  # fmt: skip
def test_a_cache_by_modelopt(said, cache, known):
    scheme = modelopt({"quant_algo": "FP8", **said})
    assert (scheme.kv_cache_dtype, not scheme.assumed) == (cache, known)
    mixed = {"quant_algo": "MIXED_PRECISION", "quantized_layers": {"a.b": {"quant_algo": "FP8"}}, **said}
    assert (scheme.layer_bytes, modelopt(mixed).layer_bytes) == (8, 8 if cache else 0)


def test_who_wrote_a_section_of_modelopt():
    assert is_modelopt({}, "modelopt")
    assert is_modelopt({}, "modelopt_fp4")
    assert is_modelopt({"producer": {"name": "modelopt"}}, "")
    assert not is_modelopt({"producer": {"name": "modelopt"}}, "fp8")
    assert not is_modelopt({"producer": {"name": "x"}}, "")


def ao(kind, version=2, **data):
    return {"quant_type": {"default": {"_type": kind, "_version": version, "_data": data}}}


ROW, TENSOR = ({"_type": each, "_version": 1, "_data": {}} for each in ("PerRow", "PerTensor"))
FLOAT = {"_type": "Float8WeightOnlyConfig", "_version": 2, "_data": {}}


@pytest.mark.parametrize(
    ("section", "linear"),
    # torchao 0.18.0: a float32 scale a row or a matrix; integers of 8 bit have a zero point of a byte beside it, those
    # of 4 bit a scale and a zero point of 16 bit a group
    [
        (ao("Float8DynamicActivationFloat8WeightConfig", granularity=[TENSOR, ROW]), N + 4 * ROWS),
        (ao("Float8DynamicActivationFloat8WeightConfig"), N + 4), (ao("Float8WeightOnlyConfig"), N + 4 * ROWS),
        (ao("Int8WeightOnlyConfig"), N + 5 * ROWS),
        (ao("Int8DynamicActivationInt8WeightConfig", granularity=TENSOR), N + 5),
        (ao("Int4WeightOnlyConfig", group_size=64), N // 2 + 2048 * 4),
        (ao("Int4WeightOnlyConfig") | {"modules_to_not_convert": ["layers.0"]}, SIXTEEN),
        (ao("Int4WeightOnlyConfig") | {"modules_to_not_convert": ["layers.1", "proj"]}, N // 2 + 1024 * 4),
        (ao("ModuleFqnToConfig", module_fqn_to_config={"_default": FLOAT}), N + 4 * ROWS),
        (ao("FqnToConfig", fqn_to_config={"re:.*q_proj": FLOAT}), N + 4 * ROWS),
        (ao("FqnToConfig", fqn_to_config={"re:.*k_proj": FLOAT}), SIXTEEN),
        (ao("FqnToConfig", fqn_to_config={"_default": FLOAT, "q_proj": None}), SIXTEEN),
        (ao("FqnToConfig", fqn_to_config={"_default": None, LINEAR.names[0]: FLOAT}), N + 4 * ROWS),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix_by_torchao(section, linear):
    scheme = READERS["torchao"](section)
    # experts and ends are none of its linear layers
    assert [size(scheme, place) for place in (LINEAR, EXPERTS, *ENDS)] == [linear, SIXTEEN, SIXTEEN, SIXTEEN]


Q8 = {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}
QI8 = {"dtype": "int8", "qscheme": "per_tensor", "symmetric": True}
QX = {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "scale_format": "e8m0"}
QB = {"dtype": "fp8_e4m3", "qscheme": "per_block", "block_size": [128, 128], "symmetric": True}
QN = [{"dtype": "fp4", "qscheme": "per_group", "group_size": 16}, Q8]
LATE = {"is_dynamic": True}
QI8_LATE = QI8 | LATE | {"qscheme": "per_channel"}
QW4 = [Q8, {"dtype": "int4", "qscheme": "per_channel", "symmetric": True, "ch_axis": 0}]


@pytest.mark.parametrize(
    ("weight", "inputs", "linear", "experts"),
    [
        (Q8, Q8, N + 8, N + 8), (Q8, Q8 | LATE, N + 4, N + 4), ([Q8], [Q8], N + 8, N + 8),
        (Q8 | {"qscheme": "per_channel"}, Q8 | LATE, N + 4 * ROWS, N + 4 * ROWS),
        (Q8 | {"qscheme": "per_channel"}, Q8, N + 4 * ROWS + 4, N + 4 * ROWS + 4), (Q8, None, None, None),
        (Q8 | LATE, Q8, None, None), (QB, Q8 | LATE, N + 4 * 8, N + 4 * 8), (QB, Q8, None, None),
        (QB | {"scale_type": "float8_e8m0fnu"}, Q8 | LATE, N + 8, N + 8),
        (QB | {"block_size": [64, 128]}, Q8 | LATE, None, None), (QB | {"symmetric": False}, Q8 | LATE, None, None),
        (QX, QX | LATE, MXFP4, MXFP4), (QX, QX, MXFP4 + 4, MXFP4 + 4), (QX, None, MXFP4, MXFP4),
        (QX | {"dtype": "fp8_e4m3"}, QX | LATE, MXFP8, MXFP8), (QX | {"dtype": "fp8_e4m3"}, QX, None, None),
        (QX | {"group_size": 16}, None, None, None), (QX | {"scale_format": "x"}, None, None, None),
        (QX | {"dtype": "fp6"}, None, None, None), (QN, QN, NVFP4 + 8, NVFP4 + 8), (QN, [Q8, Q8], None, None),
        (QN, Q8, None, None), (QN[:1] + QN[:1], QN, None, None),
        # a zero point of a byte stands beside each scale of int8; of an expert's inputs there is one whatever they are
        (QI8, QI8_LATE, N + 5, N + 6), (QI8 | {"qscheme": "per_channel"}, QI8_LATE, N + 5 * ROWS, N + 5 * ROWS + 1),
        (QI8, QI8, N + 10, None), (QI8 | {"qscheme": "per_channel"}, QI8, N + 5 * ROWS + 5, None),
        (QI8, QI8 | LATE, None, None), (QI8 | {"symmetric": False}, QI8_LATE, None, None),
        # experts of 4 bit integers whose scales, a float32 an output and one a matrix, are of 8 bit floats
        (QW4, Q8, None, N // 2 + 4 * ROWS + 4), (QW4, [Q8 | LATE], None, N // 2 + 4 * ROWS + 4),
        (QW4, None, None, None), (QW4, Q8 | {"qscheme": "per_channel"}, None, None),
        ([*QW4[:1], QW4[1] | {"ch_axis": 1}], Q8, None, None),
        ({"dtype": "int4", "group_size": 64, "symmetric": True}, None, N // 2 + 2048 * 20 // 8,
         N // 2 + 2048 * 20 // 8),
        ({"dtype": "uint4", "group_size": 128, "symmetric": False}, None, INT4, INT4),
        ({"dtype": "uint4", "group_size": 128}, None, None, None),
        ({"dtype": "uint4", "group_size": 128, "symmetric": True}, Q8, None, None),
    ],
)  # fmt: skip
def test_bytes_of_a_matrix_by_quark(weight, inputs, linear, experts):
    config = {"weight": weight, "input_tensors": inputs}
    section = {"export": {"pack_method": "reorder"}, "global_quant_config": config}
    scheme = READERS["quark"](section)
    for place, expected in ((LINEAR, linear), (EXPERTS, experts)):
        if expected is None:
            with pytest.raises(NotUnderstood, match=f"quark .* of {place.kind}"):
                size(scheme, place)
        else:
            assert size(scheme, place) == expected
    assert [size(scheme, place) for place in ENDS] == [SIXTEEN, SIXTEEN]
    assert scheme.layer_bytes == 8  # four scales in 16 bit


@pytest.mark.parametrize(
    ("more", "linear", "experts"),
    [
        ({"layer_quant_config": {"*.0.self_attn.*": {"weight": QX}}}, MXFP4, N + 8),
        ({"layer_quant_config": {"model.layers.0.mlp.experts.0.up_proj": {"weight": QX}}}, N + 8, MXFP4),
        ({"layer_quant_config": {"*.1.*": {"weight": QX}}}, N + 8, N + 8),
        ({"exclude": ["model.layers.0.mlp.experts.5.up_proj"]}, N + 8, SIXTEEN),
        ({"exclude": ["model.layers.0.mlp.expert"]}, N + 8, N + 8), ({"exclude": ["re:.*q_proj"]}, SIXTEEN, N + 8),
    ],
)  # fmt: skip
def test_layers_of_quark_by_name(more, linear, experts):
    config = {"weight": Q8, "input_tensors": Q8}
    scheme = READERS["quark"]({"export": {}, "global_quant_config": config, **more})
    assert [size(scheme, place) for place in (LINEAR, EXPERTS)] == [linear, experts]


def test_packing_of_quark():
    for packed, understood in (("order", True), ("reorder", True), ("x", False)):
        config = {"weight": {"dtype": "int4", "group_size": 128, "symmetric": True}}
        scheme = READERS["quark"]({"export": {"pack_method": packed}, "global_quant_config": config})
        if understood:
            assert size(scheme) == INT4
        else:
            with pytest.raises(NotUnderstood, match="quark int4 of linear"):
                size(scheme)


@pytest.mark.parametrize(
    ("method", "section", "said"),
    [
        ("fp8", {"weight_block_size": [128]}, "two whole numbers"),
        ("fp8", {"weight_block_size": [0, 128]}, "two whole"),
        ("awq", {"bits": 8}, "awq of 8 bit in groups of 128"),
        ("awq", {"group_size": 0}, "awq of 4 bit in groups of 0"),
        ("gptq", {**GPTQ, "sym": False}, "gptq of 4 bit, not symmetric"),
        ("gptq", {"bits": 2, "group_size": 128}, "2 bit"),
        ("gptq", {**GPTQ, "desc_act": True}, "ordered by activations"),
        ("gptq", {"bits": 4}, "whose group_size is None"),
        ("gptq", {**GPTQ, "dynamic": []}, None), ("gptq", {**GPTQ, "dynamic": ["x"]}, "mapping of patterns"),
        ("gptq", {**GPTQ, "dynamic": {"x": {"sym": False}}}, "not symmetric"),
        ("gptq", {"bits": True, "group_size": 128}, "whose bits is True"),
        ("gptq", {"bits": 4, "group_size": 2**31 + 1}, "whose group_size is"),
        ("auto-round", {"bits": 3}, "auto-round of 3 bit int"),
        ("auto-round", {"bits": 4, "data_type": "fp"}, "4 bit fp"),
        ("auto-round", {"bits": 4, "extra_config": ["x"]}, "mapping of modules"),
        ("compressed-tensors", {"config_groups": {"a": 3}}, "are no schemes"),
        ("compressed-tensors", {"config_groups": {"a": {"weights": None}}}, "a scheme without weights"),
        ("compressed-tensors", compressed({**F8, "strategy": "group", "group_size": 64}), "8 bit float group"),
        ("compressed-tensors", compressed({"num_bits": 4, "type": "float", "group_size": 64}), "4 bit float"),
        ("compressed-tensors", compressed({"num_bits": 3, "group_size": 128}), "3 bit int"),
        ("compressed-tensors", compressed({"num_bits": "8"}), "8 bit int"),
        ("compressed-tensors", compressed({**I8, "symmetric": False}, DYNAMIC, "int-quantized"), "no compatible"),
        ("compressed-tensors", compressed({**I8, "group_size": 128}, None, "int-quantized"), "no compatible scheme"),
        ("compressed-tensors", compressed({"num_bits": 4, "type": "float", "group_size": 16}, F8), "must be NVFP4"),
        ("awq", {"bits": 8}, "vLLM 0.33 raises, Unsupported num_bits = 8"),

        ("torchao", {"quant_type": "int4_weight_only"}, "no single default"),
        ("torchao", ao("Int8DynamicActivationIntxWeightConfig"), "torchao Int8DynamicActivationIntx"),
        ("torchao", ao("Int8WeightOnlyConfig", version=1), "has been removed"),
        ("compressed-tensors", compressed(F8, sparsity_config={"format": "dense", "targets": ["x"]}), "sparse weights"),
        ("quark", {"export": {}}, "without export or global"), ("quark", {"global_quant_config": {}}, "without export"),
        ("quark", {"export": {}, "global_quant_config": {}, "layer_quant_config": {"a": 3}}, "mapping of layers"),
    ],
)  # fmt: skip
def test_what_a_section_must_say(method, section, said):
    if said is None:
        assert sizes(method, section)[0] == INT4
    else:
        with pytest.raises(calculator.CalculatorError, match=said):
            READERS[method](section)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"quant_algo": "NVFP4", "group_size": 0}, "NVFP4"), ({"quant_algo": "NVFP4", "group_size": 4097}, "NVFP4"),
        ({"quant_algo": "W8A8_SQ"}, "modelopt W8A8_SQ"), ({}, "without a quant_algo"),
        ({"quant_algo": "MIXED_PRECISION"}, "needs quantized_layers"),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"a": 3}}, "is no format of a module"),
    ],
)  # fmt: skip
def test_what_a_section_of_modelopt_must_say(section, said):
    with pytest.raises(calculator.CalculatorError, match=said):
        modelopt(section)


def test_patterns_and_lists_are_bounded():
    assert len(listed(["a"] * MOST_ENTRIES, "x")) == 50_000
    with pytest.raises(calculator.InvalidValueError, match="more than 50,000 entries"):
        listed(["a"] * 50_001, "x")
    for made, star in ((pattern, ".*"), (pattern_of_glob, "*")):
        made("a" * 300)
        made(star * 6)
        with pytest.raises(calculator.InvalidValueError, match="longer than 300 characters"):
            made("b" * 301)
        with pytest.raises(calculator.InvalidValueError, match="quantization_config"):
            made(star * 7)


@pytest.mark.parametrize(("store", "experts"), [(None, 8), ("mxfp4", 8)])
def test_scales_of_a_cache_that_fp8_is_loaded_with(store, experts):
    assert READERS["fp8"]({"store_dtype": store}).layer_bytes == experts
