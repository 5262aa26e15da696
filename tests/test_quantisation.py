"""What a checkpoint's quantization_config asks for, in the words of those who write them."""

import pytest

import calculator

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
