"""What formats, models and devices are called by torch, by checkpoints and in logs, name by name."""

import pytest

import calculator
from calculator.formats import names
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.logs.names import gpu_of, plain


@pytest.mark.parametrize(
    ("name", "ours"),
    [("float16", "fp16"), ("half", "fp16"), ("bfloat16", "bf16"), ("float32", "fp32"), ("fp16", "fp16")],
)
def test_formats_go_by_the_names_of_torch(name, ours):
    assert weight_format(name).name == storage_format(name).name == ours
    assert storage_format("fp8").name == "fp8_e4m3"


def test_tables_of_names_are_those_of_torch_and_of_the_tools():
    assert names.TORCH == {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32"}
    assert names.TORCH_NAMES == {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
    assert names.TORCH_CACHE == names.TORCH | {"float8_e4m3fn": "fp8_e4m3", "float8_e5m2": "fp8_e5m2"}
    assert names.STATE_BYTES == {"float32": 32 // 8, "float16": 16 // 8, "bfloat16": 16 // 8}
    assert names.STATE_FORMATS == ("auto", "float32", "float16", "bfloat16")
    assert {names.PLAIN} < set(names.SIXTEEN_BIT) == {"bf16", "fp16"}
    assert names.MODELOPT == {"FP8": "fp8", "NVFP4": "nvfp4", "FP8_PB_WO": "fp8-block"}
    assert names.KV_ALGORITHMS == {"FP8": "fp8_e4m3", "NVFP4": "nvfp4"}
    assert names.METHODS == {
        "fp8": "fp8", "awq": "awq-int4", "gptq": "gptq-int4", "bitsandbytes": "nf4", "mxfp4": "mxfp4",
        "modelopt": "fp8",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Llama-3.1-8B-NVFP4", "nvfp4"), ("gpt-oss-20b-MXFP4", "mxfp4"), ("Llama-w8a8", "int8"),
        ("Qwen-AWQ", "awq-int4"),
        ("Qwen-GPTQ-Int4", "gptq-int4"), ("Qwen-w4a16", "gptq-int4"), ("Qwen-INT4", "awq-int4"), ("L-bnb-4bit", "nf4"),
        ("Llama-FP8", "fp8"), ("w8a8-fp8", "int8"), ("Llama-3.1-8B", None), ("", None),
    ],
)  # fmt: skip
def test_a_format_in_the_name_of_a_checkpoint(name, ours):
    assert names.format_in_name(name) == ours


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("a-Q8_0.gguf", "q8_0"), ("Q6_K", "q6_k"), ("Q5_K_M", "q5_k_m"), ("q4_k_m", "q4_k_m"),
        ("Q4_K - Medium", "q4_k_m"),
        ("q4km", "q4_k_m"), ("Q3_K_M", "q3_k_m"), ("Q2_K", "q2_k"), ("Q2_K_M", "q2_k"), ("F16", "fp16"),
        ("BF16", "bf16"),
        ("Q4_K", None), ("Q4_K_S", None), ("Q4_0", None), ("Q6_K_L", None), ("aQ6_K", None), ("Q1_K", None),
    ],
)  # fmt: skip
def test_a_type_of_gguf_in_a_name(text, ours):
    assert names.format_of_gguf(text) == ours


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama3.18b"), ("Llama_3.1_8B_hf", "llama3.18b"),
        ("llama-31-8b", "llama3.18b"),
        ("a/b/Qwen3-8B-AWQ-INT4/", "qwen38b"), ("Qwen3-4B-Instruct-2507-FP8", "qwen34b"),
        ("gemma-3-27b-it", "gemma327b"),
        ("model-chat-base-thinking-gguf-fp16-bf16", "model"), ("x-gptq-g128-4bit-bnb-nvfp4-mxfp4", "x"),
        ("x-dynamic-quantized-unsloth-preview-marlin", "x"), ("x-w8a8-w4a16-8bit-block-a16-int8", "x"),
    ],
)  # fmt: skip
def test_a_model_s_name_without_what_was_done_to_it(name, bare):
    assert plain(name) == bare


@pytest.mark.parametrize(
    ("device", "memory_gib", "gpu"),
    [
        ("NVIDIA H100 80GB HBM3", None, "h100-sxm"), ("NVIDIA H100 PCIe", None, "h100-pcie"),
        ("H100 NVL", None, "h100-nvl"),
        ("NVIDIA A100", 39.4, "a100-40gb"), ("NVIDIA A100", 79.2, "a100-80gb-sxm"),
        ("NVIDIA A100 PCIe", 79.2, "a100-80gb-pcie"),
        ("NVIDIA L40S", None, "l40s"), ("RTX PRO 6000 Blackwell", None, "rtx-pro-6000-blackwell"),
        ("RTX 6000 Ada", None, "rtx-6000-ada"), ("AMD MI300X", 191.5, "mi300x"), ("a toaster", None, None),
        ("", 80.0, None),
    ],
)  # fmt: skip
def test_a_device_in_a_log_is_the_gpu_of_most_words_and_nearest_memory(device, memory_gib, gpu):
    assert gpu_of(device, memory_gib) == gpu


def test_names_that_are_none_are_refused():
    for make, name in ((weight_format, "float8"), (storage_format, "fp17")):
        with pytest.raises(calculator.CalculatorError, match=name):
            make(name)
