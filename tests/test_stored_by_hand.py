"""What a section of quantisation makes of a whole model, in bytes by hand, and what its formats are called."""

import pytest

import calculator
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.patterns import Place
from calculator.configs.quantisation.stored import READERS

# a layer of four matrices of 64 x 64 and three of 96 x 64, with biases of queries, keys and values
DENSE = {
    "model_type": "qwen2", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "vocab_size": 100,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 1024, "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}  # fmt: skip
ATTENTION, ALL = 4 * 64 * 64, 4 * 64 * 64 + 3 * 96 * 64
PACKED = {"targets": ["re:.*self_attn.*"], "weights": {"num_bits": 4, "group_size": 32}}


@pytest.mark.parametrize(
    ("section", "saved", "name", "said"),
    [
        # a byte a weight and a float32 a matrix; four scales of 16 bit beside the cache; biases and norms stay
        ({"quant_method": "fp8"}, ALL - 7 * 4 - 8, "fp8", ""),
        # half a byte a weight, and 20 bits for 32 of them
        ({"quant_method": "awq", "bits": 4, "group_size": 32}, ALL * 3 // 2 - ALL // 32 * 20 // 8, "awq-int4-g32", ""),
        # 16 bits for 32; vLLM loads queries, keys and values as one, with one shape of two whole numbers of 8 bytes
        ({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"a": PACKED}},
         ATTENTION * 3 // 2 - ATTENTION // 32 * 2 - 2 * 16 - 18, "gptq-int4-g32",
         f"{100 * (1 - ATTENTION / 48_000):.1f} % 16 bit, {100 * ATTENTION / 48_000:.1f} % gptq-int4-g32"),
    ],
)  # fmt: skip
def test_a_whole_model_by_its_section(section, saved, name, said):
    plain = calculator.model_from_hf_config(DENSE)
    # 48,000 parameters: two tables of 100 x 64, the layer, three biases and three norms
    assert plain.num_parameters == 2 * 100 * 64 + ALL + 6 * 64 == 48_000
    stored = calculator.model_from_hf_config({**DENSE, "quantization_config": section})
    assert weight_bytes_per_rank(plain)[0] - weight_bytes_per_rank(stored)[0] == saved
    assert (stored.weight_dtype, stored.stored_as, stored.weights_from) == (name, said, "config")


@pytest.mark.parametrize(
    ("form", "taken"),
    # a matrix of 3 x 4,224, which 32, 64 and 128 divide and their neighbours do not
    [
        (layouts.mxfp8(), 3 * 4224 + 3 * 132), (layouts.mxfp4(), 3 * 2112 + 3 * 132),
        (layouts.nvfp4(2), 3 * 2112 + 3 * 264 + 8), (layouts.fp8_block(), 3 * 4224 + 33 * 4),
        (layouts.fp8_block(1, 64), 3 * 4224 + 3 * 66 * 4), (layouts.fp8(per_tensor=False), 3 * 4224 + 3 * 4),
        (READERS["awq"]({}).choose, 3 * 2112 + 3 * 33 * 20 / 8),
        (READERS["auto-round"]({"bits": 4}).choose, 3 * 2112 + 3 * 33 * 20 / 8),
    ],
)  # fmt: skip
def test_groups_of_a_wide_row(form, taken):
    made = form(Place("linear", ("a",))) if callable(form) else form
    assert made.bytes_of(3, 4224) == -(-taken // 1)


def test_what_packed_integers_are_called():
    names = {
        (method, bits, group): layouts.integers(method, bits, group, zeros=True).name
        for method, bits, group in (("awq", 4, 128), ("awq", 4, -1), ("awq", 4, 64), ("gptq", 4, 32), ("gptq", 8, 128))
    }
    assert names == {
        ("awq", 4, 128): "awq-int4", ("awq", 4, -1): "awq-int4", ("awq", 4, 64): "awq-int4-g64",
        ("gptq", 4, 32): "gptq-int4-g32", ("gptq", 8, 128): "int8",
    }  # fmt: skip
    assert [layouts.integers("gptq", bits, 128, zeros=True) for bits in (2, 3, 5, 16)] == [None] * 4
    assert layouts.integers("gptq", 4, 0, zeros=True) is None
    assert layouts.integers("gptq", 4, 1, zeros=False).bytes_of(2, 8) == 8 + 2 * 8 * 2
    # multiplied in 16 bit, though each weight has 8
    assert layouts.integers("gptq", 8, 128, zeros=False).bits == 8


@pytest.mark.parametrize(
    ("method", "section", "key"),
    [
        ("auto-round", {"bits": 4, "block_name_to_quantize": [3]}, "block_name_to_quantize"),
        ("gptq", {"bits": 4, "group_size": 128, "modules_in_block_to_quantize": [[3]]}, "modules_in_block_to_quantize"),
        ("fp8", {"ignored_layers": "lm_head"}, "ignored_layers"),
        ("fp8", {"modules_to_not_convert": {"a": 1}}, "ignored_layers"),
        ("fbgemm_fp8", {"modules_to_not_convert": "a"}, "modules_to_not_convert"),
        ("awq", {"modules_to_not_convert": [1]}, "modules_to_not_convert"),
        ("bitsandbytes", {"llm_int8_skip_modules": "a"}, "llm_int8_skip_modules"),
        ("compressed-tensors", {"ignore": "a"}, "ignore"),
        ("compressed-tensors", {"config_groups": {"a": {"targets": "Linear"}}}, "targets"),
        ("torchao", {"quant_type": {"default": {"_type": "Float8WeightOnlyConfig"}}, "modules_to_not_convert": 1},
         "modules_to_not_convert"),
        ("quark", {"export": {"kv_cache_group": "a"}, "global_quant_config": {}}, "kv_cache_group"),
        ("quark", {"export": {}, "global_quant_config": {}, "exclude": "a"}, "exclude"),
    ],
)  # fmt: skip
def test_a_list_that_is_none_is_named(method, section, key):
    with pytest.raises(calculator.InvalidValueError, match=f"{key} must be a list of names") as caught:
        READERS[method](section)
    assert caught.value.what == key
