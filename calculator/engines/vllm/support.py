"""What vLLM runs where, read at 0.33.0; where the documentation and the source differ, the source decides."""

from __future__ import annotations

from calculator.engines.support import Formats, Refuses, Runs

CDNA = ("cdna2", "cdna3", "cdna4")
FROM_HOPPER = ("hopper", "blackwell")
FROM_ADA = ("ada", *FROM_HOPPER)
FROM_AMPERE = ("ampere", *FROM_ADA)
FROM_TURING = ("turing", *FROM_AMPERE)

_DEVICES = "documentation, getting_started/installation: compute capability 7.5 or higher; platforms/rocm.py"
_LAYERS = "0.33.0, layers/quantization, get_min_capability"
_ROCM = "0.33.0, platforms/rocm.py, supported_quantization"
_ATTENTION = "0.33.0, v1/attention/backends, supported_kv_cache_dtypes and supports_compute_capability"
_TABLE = "documentation of 0.9.2, features/quantization/supported_hardware"
_AS_FP16 = "kept as fp16 there: the device has no bf16"
_MARLIN = "weights are stored so and multiplied in 16 bit"

SUPPORT = Formats(
    weights=(
        Runs(("bf16", "fp16", "fp32"), (*FROM_AMPERE, *CDNA), _DEVICES),
        Runs(("bf16", "fp16", "fp32"), ("turing",), _DEVICES, _AS_FP16),
        Runs(("bf16", "fp16", "fp32", "gptq-int4"), ("volta",), _TABLE, _AS_FP16, until=(0, 9, 2)),
        Runs(("fp8", "fp8-block"), FROM_ADA, f"{_LAYERS} of fp8.py"),
        Runs(("fp8", "fp8-block"), ("turing", "ampere"), f"{_LAYERS} of fp8.py (75)", _MARLIN),
        Runs(("int8",), FROM_TURING, f"{_LAYERS} of compressed_tensors_w8a8_int8.py (75)"),
        Runs(("awq-int4", "gptq-int4"), FROM_TURING, f"{_LAYERS} of auto_awq.py (75) and auto_gptq.py (60)"),
        Runs(("mxfp4",), FROM_AMPERE, f"{_LAYERS} of mxfp4.py (80)"),
        Runs(("nvfp4",), ("blackwell",), f"{_LAYERS} of modelopt.py"),
        Runs(("nvfp4",), ("turing", "ampere", "ada", "hopper"), f"{_LAYERS} of modelopt.py (75)", _MARLIN),
        Runs(("fp8", "fp8-block"), ("cdna3", "cdna4"), _ROCM),
        Runs(("awq-int4", "gptq-int4"), CDNA, _ROCM),
        Runs(("mxfp4",), ("cdna3", "cdna4"), _ROCM),
    ),
    kv=(
        Runs(("bf16", "fp16", "fp32"), (*FROM_AMPERE, *CDNA), _ATTENTION),
        Runs(("bf16", "fp16", "fp32"), ("turing",), _ATTENTION, _AS_FP16),
        Runs(("bf16", "fp16", "fp32"), ("volta",), _TABLE, _AS_FP16, until=(0, 9, 2)),
        Runs(("fp8_e4m3", "fp8_e5m2"), FROM_AMPERE, f"{_ATTENTION} of flashinfer.py (8.0) and triton_attn.py (8.9)"),
        Runs(("fp8_e4m3", "fp8_e5m2"), CDNA, f"{_ATTENTION} of rocm_attn.py"),
        Runs(("int8_per_token_head", "int4_per_token_head"), (*FROM_TURING, *CDNA), f"{_ATTENTION} of triton_attn.py"),
        Runs(("fp8_per_token_head",), (*FROM_ADA, *CDNA), f"{_ATTENTION} of triton_attn.py (8.9)"),
        Runs(("nvfp4",), FROM_AMPERE, f"{_ATTENTION} of flashinfer.py, _nvfp4_kv_on_fa2"),
        Runs(("fp8_ds_mla",), FROM_HOPPER, f"{_ATTENTION} of mla/flashmla_sparse.py (9, 10)", not_on=("rtx-",)),
    ),
    not_weights=(
        Refuses(("fp8", "fp8-block", "int8", "awq-int4", "nvfp4"), ("volta",), f"{_LAYERS} (75)", since=(0, 33, 0)),
        Refuses(("mxfp4",), ("volta", "turing"), f"{_LAYERS} of mxfp4.py (80)", since=(0, 33, 0)),
    ),
    not_kv=(
        Refuses(("fp8_e4m3", "fp8_e5m2", "nvfp4"), ("volta", "turing"), f"{_ATTENTION} (8.0)", since=(0, 33, 0)),
        Refuses(("int8_per_token_head", "int4_per_token_head"), ("volta",), f"{_ATTENTION} (7.5)", since=(0, 33, 0)),
        Refuses(
            ("fp8_per_token_head",),
            ("volta", "turing", "ampere"),
            f"{_ATTENTION} of triton_attn.py (8.9)",
            since=(0, 33, 0),
        ),
        Refuses(
            ("fp8_ds_mla",),
            ("volta", "turing", "ampere", "ada"),
            f"{_ATTENTION} of mla/flashmla_sparse.py (9, 10)",
            since=(0, 33, 0),
        ),
        Refuses(
            ("fp8_ds_mla",),
            ("blackwell",),
            f"{_ATTENTION} of mla/flashmla_sparse.py (9, 10)",
            since=(0, 33, 0),
            gpus=("rtx-",),
        ),
    ),
)
