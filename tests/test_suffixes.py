"""Every suffix of a repository's name, every publisher and every printed name once, beside what it means."""

import pytest

import calculator
from calculator.catalogue.model_names import MIRRORS, SUFFIXES, meaning
from calculator.catalogue.presets import model_names

# what repositories on the Hub with such names hold
HELD = {
    "fp8": "FP8 FP8-dynamic FP8-static FP8-Tensorwise FP8-KV W8A8-FP8 F8", "fp8-block": "FP8-BLOCK",
    "int8": "W8A8 quantized.w8a8 INT8 W8A8-INT8 INT8-W8A8",
    "awq-int4": "AWQ AWQ-INT4 AWQ-4bit INT4-AWQ 4bit-AWQ AWQ-g128-int4 AWQ-W4A16 W4A16-AWQ AWQ-Marlin "
                "AutoRound-AWQ",
    "gptq-int4": "GPTQ GPTQ-Int4 GPTQ-4bit Int4-GPTQ GPTQ-4bit-128g W4A16 quantized.w4a16 W4A16-G128 INT4 INT4-W4A16 "
                 "GPTQ-W4A16 GPTQ-W4A16-G128 AutoRound-INT4 INT4-AutoRound "
                 "AutoRound-4bit W4A16-AutoRound AutoRound-W4A16",
    "gptq-int8": "GPTQ-Int8 GPTQ-8bit Int8-GPTQ", "8 bit integers of AWQ": "AWQ-8bit",
    "8 bit integers with 16 bit activations": "W8A16 quantized.w8a16", "3 bit integers of GPTQ": "GPTQ-Int3",
    "nf4": "bnb-4bit unsloth-bnb-4bit bnb-nf4 NF4", "nvfp4": "NVFP4 NVFP4A16 NVFP4-v2 FP4", "mxfp4": "MXFP4",
    "bf16": "BF16", "fp16": "FP16 F16", "GGUF of a type that the name does not say": "GGUF",
    "a format that the name does not say": "quantized AutoRound", None: "qat qat-unquantized qat-q4-0-unquantized hf",
}  # fmt: skip
PUBLISHERS = (
    "unsloth NousResearch lmstudio-community bartowski RedHatAI neuralmagic nm-testing nvidia TheBloke ggml-org Qwen "
    "modelscope LLM-Research AI-ModelScope mlx-community hugging-quants huggyllama casperhansen solidrust cyankiwi "
    "cpatonn QuantTrio amd Intel"
)


def test_every_suffix_means_its_format():
    assert {suffix.lower() for suffixes in HELD.values() for suffix in suffixes.split()} <= set(SUFFIXES)
    for form, suffixes in HELD.items():
        for suffix in suffixes.split():
            found = meaning(f"anyone/Llama-3.1-8B-Instruct-{suffix}", model_names())
            assert (found.preset, found.weight_dtype) == ("llama-3.1-8b", form), suffix


def test_formats_behind_formats_and_of_makers():
    for name, form in (
        ("unsloth/Qwen3-8B-FP8", "fp8"), ("Qwen/Qwen3-8B-FP8", "fp8-block"), ("qwen3-8b-fp8", "fp8-block"),
        ("anyone/Qwen3-8B-AWQ-GGUF", "awq-int4"), ("anyone/Qwen3-8B-GGUF-AWQ", "awq-int4"),
        ("anyone/Qwen3-8B-qat-AWQ", "awq-int4"), ("llama-3.1-8b-instruct-fp8", "fp8"),
        ("meta-llama/Llama-3.1-8B-Instruct-FP8", "fp8 and 16 bit by a list that its config.json has"),
    ):  # fmt: skip
        assert meaning(name, model_names()).weight_dtype == form, name


def test_every_publisher_of_other_makers_models():
    assert {name.lower() for name in PUBLISHERS.split()} == MIRRORS
    for publisher in PUBLISHERS.split():
        assert meaning(f"{publisher}/Llama-3.1-8B-Instruct", model_names()).preset == "llama-3.1-8b", publisher
    assert meaning("someone/Llama-3.1-8B-Instruct", model_names()) is None


@pytest.mark.parametrize(
    ("printed", "device"),
    [
        ("Tesla V100-PCIE-16GB", "v100-16gb"), ("Tesla V100S-PCIE-32GB", "v100-32gb"),
        ("NVIDIA A100-PG509-200", "a100-40gb"),
        ("NVIDIA A100-SXM-64GB", "a100-80gb-sxm"), ("NVIDIA A100 80GB PCIe", "a100-80gb-pcie"),
        ("NVIDIA RTX 5000 Ada Generation", "rtx-5000-ada"), ("NVIDIA RTX 4000 SFF Ada Generation", "rtx-4000-ada"),
        ("RTX PRO 6000 BSE", "rtx-pro-6000-blackwell"), ("NVIDIA GeForce RTX 5090 D", "rtx-5090"),
        ("NVIDIA GeForce RTX 4090 D", "rtx-4090"), ("NVIDIA H100 80GB HBM2e", "h100-pcie"),
        ("NVIDIA H100 HBM3", "h100-sxm"),
        ("NVIDIA H100 NVL 94GB", "h100-nvl"), ("NVIDIA H200-NVL-141GB", "h200"), ("NVIDIA B200-SXM-180GB", "b200"),
        ("NVIDIA B300 288GB", "b300"), ("DGX Spark", "gb10"), ("AMD Instinct MI210", "mi210"),
        ("AMD Instinct MI250X/MI250", "mi250x-gcd"), ("AMD Instinct MI300X VF", "mi300x"),
        ("MI325X 256GB HBM3e", "mi325x"),
        ("AMD Instinct MI350X OAM", "mi350x"), ("AMD Instinct MI355X VF", "mi355x"),
        ("Radeon RX 7900 XTX", "rx-7900-xtx"),
        ("Radeon RX 7900 XT", "rx-7900-xt"), ("HL-225H", "gaudi2"), ("TPU v5litepod", "tpu-v5e"), ("TPU v5", "tpu-v5p"),
        ("Trillium", "tpu-v6e"), ("inf2", "inferentia2"), ("trn2", "trainium2"), ("910B2", "ascend-910b"),
        ("Atlas 300I Duo", "ascend-310p"), ("Intel(R) Arc(TM) A770 Graphics", "arc-a770"),
        ("Intel Arc B580", "arc-b580"),
        ("Intel(R) Arc(TM) Pro B60 Graphics", "arc-pro-b60"), ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
    ],
)  # fmt: skip
def test_a_printed_name_is_its_device(printed, device):
    assert calculator.load_gpu(printed).id == device
