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


# as nvidia-smi, rocm-smi, npu-smi, torch and engines' logs print them
PRINTED = {
    "h800-sxm": "NVIDIA H800|NVIDIA H800 SXM5 80GB|NVIDIA H800 80GB HBM3",
    "h800-pcie": "NVIDIA H800 PCIe|NVIDIA H800 80GB PCIe", "a800-80gb-sxm": "NVIDIA A800-SXM4-80GB",
    "a800-80gb-pcie": "NVIDIA A800 80GB PCIe|NVIDIA A800-PCIE-80GB",
    "a800-40gb": "NVIDIA A800-SXM4-40GB|NVIDIA A800 40GB Active|NVIDIA A800-PCIE-40GB",
    "h20-141gb": "NVIDIA H20-3e|NVIDIA H20 141GB", "p40": "Tesla P40|NVIDIA Tesla P40",
    "rtx-8000-turing": "Quadro RTX 8000|NVIDIA Quadro RTX 8000",
    "rtx-6000-turing": "Quadro RTX 6000|NVIDIA Quadro RTX 6000|Quadro RTX 6000 Passive",
    "rtx-5000-turing": "Quadro RTX 5000|NVIDIA Quadro RTX 5000",
    "jetson-agx-thor": "NVIDIA Thor|NVIDIA Jetson AGX Thor Developer Kit|NVIDIA Jetson T5000",
    "rx-9070-xt": "AMD Radeon RX 9070 XT|Radeon RX 9070 XT", "rx-9070": "AMD Radeon RX 9070|Radeon RX 9070",
    "radeon-ai-pro-r9700": "AMD Radeon AI PRO R9700", "radeon-pro-w7900": "AMD Radeon PRO W7900|Radeon PRO W7900",
    "mi300a": "AMD Instinct MI300A|AMD Instinct MI300A Accelerator", "gaudi3": "Gaudi 3|HL-325|HL-325L|HL-328",
    "v100-16gb": "Tesla V100-SXM2-16GB|Tesla V100-PCIE-16GB|Tesla V100-FHHL-16GB",
    "v100-32gb": "Tesla V100-SXM2-32GB|Tesla V100-SXM3-32GB|Tesla V100-PCIE-32GB|Tesla V100S-PCIE-32GB|"
                 "Tesla V100-SXM2-32GB-LS",
    "a100-40gb": "NVIDIA A100-SXM4-40GB|NVIDIA A100-PCIE-40GB|NVIDIA A100-PG509-200|A100 40GB SXM",
    "a100-80gb-sxm": "NVIDIA A100-SXM4-80GB|NVIDIA A100-SXM-80GB|NVIDIA A100-SXM-64GB",
    "a100-80gb-pcie": "NVIDIA A100 80GB PCIe|NVIDIA A100-PCIE-80GB", "rtx-6000-ada": "NVIDIA RTX 6000 Ada Generation",
    "rtx-5000-ada": "NVIDIA RTX 5000 Ada Generation",
    "rtx-4000-ada": "NVIDIA RTX 4000 Ada Generation|NVIDIA RTX 4000 SFF Ada Generation",
    "rtx-pro-6000-blackwell": "NVIDIA RTX PRO 6000 Blackwell Workstation Edition|RTX PRO 6000 BSE|NVIDIA RTX PRO 6000|"
                              "NVIDIA RTX PRO 6000 Blackwell Server Edition|"
                              "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
    "rtx-5090": "NVIDIA GeForce RTX 5090 D", "rtx-4090": "NVIDIA GeForce RTX 4090 D",
    "h100-pcie": "NVIDIA H100 PCIe|NVIDIA H100 80GB PCIe|NVIDIA H100 80GB HBM2e",
    "h100-sxm": "NVIDIA H100 80GB HBM3|NVIDIA H100 SXM5 80GB|NVIDIA H100 SXM5|NVIDIA H100 HBM3",
    "h100-nvl": "NVIDIA H100 NVL|NVIDIA H100 NVL 94GB",
    "h200": "NVIDIA H200|NVIDIA H200 NVL|NVIDIA H200 SXM|NVIDIA H200 141GB HBM3e|NVIDIA H200-SXM-141GB|"
            "NVIDIA H200-NVL-141GB",
    "gh200-96gb": "NVIDIA GH200 480GB|NVIDIA GH200 96GB HBM3",
    "b200": "NVIDIA B200|NVIDIA B200 SXM|NVIDIA B200-SXM-180GB|NVIDIA B200 HBM3e",
    "b300": "NVIDIA B300 SXM6 AC|NVIDIA B300 SXM|NVIDIA B300 288GB",
    "gb10": "NVIDIA GB10|DGX Spark|NVIDIA GB10 (DGX Spark)|NVIDIA GB10 Superchip", "mi210": "AMD Instinct MI210",
    "mi250x-gcd": "AMD Instinct MI250X|AMD Instinct MI250X/MI250|AMD Instinct MI250|MI250X GCD",
    "mi300x": "AMD Instinct MI300X|AMD Instinct MI300X OAM|AMD Instinct MI300X VF|AMD Instinct MI300X HF|"
              "AMD Instinct MI300X 192GB HBM3|AMD MI300X_OAM",
    "mi325x": "AMD Instinct MI325X|AMD Instinct MI325X OAM|AMD Instinct MI325X VF|MI325X 256GB HBM3e",
    "mi350x": "AMD Instinct MI350X|AMD Instinct MI350X OAM",
    "mi355x": "AMD Instinct MI355X|AMD Instinct MI355X OAM|AMD Instinct MI355X VF",
    "rx-7900-xtx": "AMD Radeon RX 7900 XTX|Radeon RX 7900 XTX", "rx-7900-xt": "AMD Radeon RX 7900 XT|Radeon RX 7900 XT",
    "gaudi2": "Gaudi 2|HL-225|HL-225H", "tpu-v5e": "TPU v5 lite|TPU v5e|TPU v5litepod", "tpu-v5p": "TPU v5|TPU v5p",
    "tpu-v6e": "TPU v6 lite|TPU v6e|Trillium", "inferentia2": "inf2|AWS Inferentia2",
    "trainium2": "trn2|AWS Trainium2",
    "ascend-910b": "Ascend 910B|910B|910B1|910B2|910B3|Ascend910B3|Ascend910B2|Ascend910B1",
    "ascend-310p": "Ascend 310P|310P|310P3|Ascend310P3|Atlas 300I Duo",
    "arc-a770": "Intel(R) Arc(TM) A770 Graphics|Intel Arc A770|Arc A770",
    "arc-b580": "Intel(R) Arc(TM) B580 Graphics|Intel Arc B580",
    "arc-pro-b60": "Intel(R) Arc(TM) Pro B60 Graphics|Intel Arc Pro B60",
}  # fmt: skip


@pytest.mark.parametrize("device", PRINTED)
def test_a_printed_name_is_its_device(device):
    for name in PRINTED[device].split("|"):
        assert calculator.load_gpu(name).id == device, name
        assert calculator.load_gpu(name.upper()).id == device, name
