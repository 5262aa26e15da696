"""What SGLang runs where, read at 0.5.23."""

from __future__ import annotations

from calculator.engines.support import ANY, GGML_CACHE, GGUF, Formats, NoDevice, Refuses, Runs
from calculator.messages import phrase

CDNA = ("cdna3", "cdna4")
FROM_HOPPER = ("hopper", "blackwell")
FROM_ADA = ("ada", *FROM_HOPPER)
FROM_AMPERE = ("ampere", *FROM_ADA)

_DEVICES = "README of 0.5.23, hardware: A100, RTX 30/40/50, H100, B200; Instinct MI300X to MI355X"
_LAYERS = "0.5.23, srt/layers/quantization, get_min_capability"
_ROCM = "0.5.23, srt/configs/model_config.py, rocm_supported_quantization"
_KV = "0.5.23, srt/mem_cache/kv_cache_dtype.py"
_FP4_KV = "0.5.23, srt/arg_groups/kv_cache_hook.py: Blackwell SM100 or SM120"
_MARLIN = phrase("weights are stored so and multiplied in 16 bit")

SUPPORT = Formats(
    weights=(
        Runs(("bf16", "fp16", "fp32"), (*FROM_AMPERE, *CDNA), _DEVICES),
        Runs(("fp8", "fp8-block"), FROM_ADA, f"{_LAYERS} of fp8.py"),
        Runs(("fp8", "fp8-block"), ("ampere",), f"{_LAYERS} of fp8.py (80)", _MARLIN),
        Runs(("int8",), FROM_AMPERE, f"{_LAYERS} of w8a8_int8.py (75)"),
        Runs(
            ("awq-int4", "gptq-int4", "gptq-int8"), FROM_AMPERE,
            f"{_LAYERS} of awq/awq.py (75, 80) and gptq/gptq.py (60, 80)",
        ),
        Runs(("nf4",), FROM_AMPERE, f"{_LAYERS} of bitsandbytes.py (70)", since=(0, 5, 14)),
        Runs(GGUF, FROM_AMPERE, f"{_LAYERS} of gguf.py (60)", since=(0, 5, 6)),
        Runs(("mxfp4",), FROM_AMPERE, f"{_LAYERS} of mxfp4.py (80)"),
        Runs(("nvfp4",), ("blackwell",), f"{_LAYERS} of modelopt_quant.py"),
        Runs(("nvfp4",), ("ampere", "ada", "hopper"), f"{_LAYERS} of modelopt_quant.py (80)", _MARLIN),
        Runs(("fp8", "fp8-block", "awq-int4", "mxfp4"), CDNA, _ROCM),
    ),
    kv=(
        Runs(("bf16", "fp16"), (*FROM_AMPERE, *CDNA), _KV),
        Runs(("fp8_e4m3", "fp8_e5m2"), (*FROM_AMPERE, *CDNA), _KV),
        Runs(("nvfp4",), ("blackwell",), _FP4_KV),
        Runs(("fp8_ds_mla",), FROM_HOPPER, _KV),
    ),
    not_weights=(
        Refuses(
            (
                "bf16", "fp16", "fp32", "fp8", "fp8-block", "int8", "awq-int4", "gptq-int4", "gptq-int8", "mxfp4",
                "nvfp4", "nf4", *GGUF,
            ),
            ("pascal",), _DEVICES,
        ),
        Refuses(("mxfp4",), ("volta", "turing"), f"{_LAYERS} of mxfp4.py (80)", since=(0, 5, 23)),
        Refuses(("nf4", *GGUF), CDNA, _ROCM, since=(0, 5, 23)),
        Refuses(("fp8", "fp8-block"), ("volta", "turing"), f"{_LAYERS} of fp8.py (80)", since=(0, 5, 23)),
        Refuses(("nvfp4",), ("volta", "turing"), f"{_LAYERS} of modelopt_quant.py (80)", since=(0, 5, 23)),
        Refuses(GGUF, (ANY,), "0.4.9, srt/layers/quantization has no gguf.py", until=(0, 4, 9)),
    ),
    not_kv=(
        Refuses(GGML_CACHE, (ANY,), f"{_KV}: no type of GGML"),
        Refuses(
            ("int8_per_token_head", "int4_per_token_head", "fp8_per_token_head"), (ANY,),
            f"{_KV}: none of a token and head",
        ),
        Refuses(("nvfp4",), (ANY,), "0.4.9, srt/server_args.py, kv-cache-dtype", until=(0, 4, 9)),
        Refuses(("nvfp4",), ("volta", "turing", "ampere", "ada", "hopper"), _FP4_KV, since=(0, 5, 23)),
        Refuses(("nvfp4",), CDNA, _FP4_KV, since=(0, 5, 23)),
    ),
    no_devices=(
        NoDevice(
            ("AWS",), phrase("its package has CUDA, ROCm, XPU, NPU, MUSA, CPU and Metal alone"), "0.5.23, srt/platforms"
        ),
        NoDevice(
            ("Intel",), phrase("its package has CUDA, ROCm, XPU, NPU, MUSA, CPU and Metal alone"),
            "0.5.23, srt/platforms", gpus=("gaudi",),
        ),
    ),
)  # fmt: skip
