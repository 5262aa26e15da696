"""What TensorRT-LLM runs where, by its own table of hardware."""

from __future__ import annotations

from calculator.engines.support import ANY, GGML_CACHE, GGUF, Formats, NoDevice, Refuses, Runs
from calculator.messages import phrase

FROM_ADA = ("ada", "hopper", "blackwell")
FROM_AMPERE = ("ampere", *FROM_ADA)

_DEVICES = "documentation, supported-hardware: Ampere, Ada Lovelace, Hopper, Blackwell"
_TABLE = "documentation, features/quantization, hardware support matrix"
_OLDER = "documentation of 0.18.2, reference/support-matrix, precision"
_SMALL = ("rtx-", "gb10")
"""Blackwell of SM120, which the table lists apart."""

SUPPORT = Formats(
    weights=(
        Runs(("bf16", "fp16", "fp32"), FROM_AMPERE, _DEVICES),
        Runs(("fp8",), FROM_ADA, _TABLE),
        Runs(("fp8-block",), ("hopper", "blackwell"), _TABLE, not_on=_SMALL),
        Runs(("awq-int4", "gptq-int4"), ("ampere", "ada", "hopper"), _TABLE),
        Runs(("int8",), ("ampere", "ada", "hopper"), _OLDER),
        Runs(("mxfp4", "nvfp4"), ("blackwell",), _TABLE),
        Runs(("mxfp4",), ("hopper",), "public speeds of gpt-oss on H100 and H200; the table has none there"),
    ),
    kv=(
        Runs(("bf16", "fp16"), FROM_AMPERE, _DEVICES),
        Runs(("fp8_e4m3",), FROM_AMPERE, _TABLE),
        Runs(("nvfp4",), ("blackwell",), _TABLE),
    ),
    not_weights=(
        Refuses(
            (
                "bf16", "fp16", "fp32", "fp8", "fp8-block", "int8", "awq-int4", "gptq-int4", "mxfp4", "nvfp4",
            ),
            ("pascal",), _DEVICES,
        ),
        Refuses((*GGUF, "nf4"), (ANY,), f"{_TABLE}: the recipes name neither GGUF nor bitsandbytes"),
        Refuses(("fp8", "fp8-block"), ("ampere",), _TABLE),
        Refuses(("fp8-block",), ("ada",), _TABLE),
        Refuses(("nvfp4",), ("ampere", "ada", "hopper"), _TABLE),
    ),
    not_kv=(
        Refuses(("nvfp4",), ("ampere", "ada", "hopper"), _TABLE),
        Refuses(
            (*GGML_CACHE, "int8_per_token_head", "int4_per_token_head", "fp8_per_token_head", "fp8_e5m2"), (ANY,),
            f"{_TABLE}: KV formats are FP8 (E4M3) and NVFP4",
        ),
    ),
    no_devices=(
        NoDevice(
            ("AMD", "Intel", "Google", "AWS", "Apple", "Huawei"),
            phrase("it is made of CUDA and TensorRT, for NVIDIA's alone"),
            _DEVICES,
        ),
    ),
)  # fmt: skip
