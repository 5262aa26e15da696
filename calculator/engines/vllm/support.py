"""What vLLM runs where, read at 0.33.0; where the documentation and the source differ, the source decides.

Where a version is named, the packages of 0.10.2, 0.15.1, 0.17.1, 0.19.1, 0.23.0, 0.26.0 and 0.28.0 to 0.32.0 were read
too: what one has and the next has not is open between them.
"""

from __future__ import annotations

from calculator.engines.support import ANY, GGML_CACHE, GGUF, Formats, NoDevice, Refuses, Runs
from calculator.messages import phrase

CDNA = ("cdna2", "cdna3", "cdna4")
RDNA = ("rdna3", "rdna4")
XE = ("xe-hpg", "xe2")
_SM12X = ("rtx-", "gb10")
_SM11X = ("jetson-agx-thor",)
_NOT_SM10X = (*_SM12X, *_SM11X)
FROM_HOPPER = ("hopper", "blackwell")
FROM_ADA = ("ada", *FROM_HOPPER)
FROM_AMPERE = ("ampere", *FROM_ADA)
FROM_TURING = ("turing", *FROM_AMPERE)

_DEVICES = "documentation, getting_started/installation: compute capability 7.5 or higher; platforms/rocm.py"
_LAYERS = "0.33.0, layers/quantization, get_min_capability"
_ROCM = "0.33.0, platforms/rocm.py, supported_quantization"
_ATTENTION = "0.33.0, v1/attention/backends, supported_kv_cache_dtypes and supports_compute_capability"
_TABLE = "documentation of 0.9.2, features/quantization/supported_hardware"
_AS_FP16 = phrase("kept as fp16 there: the device has no bf16")
_NOT_64 = phrase(
    "but for heads of 64 elements and for attention sinks, where the device is not of compute capability 10"
)
_PLUG_IN = "not in its package, which has no layers/quantization/gguf.py; a plug-in is not read here"
_MARLIN = phrase("weights are stored so and multiplied in 16 bit")

SUPPORT = Formats(
    weights=(
        Runs(("bf16", "fp16", "fp32"), (*FROM_AMPERE, *CDNA), _DEVICES),
        Runs(("bf16", "fp16", "fp32"), ("turing",), _DEVICES, _AS_FP16),
        Runs(("bf16", "fp16", "fp32", "gptq-int4"), ("volta",), _TABLE, _AS_FP16, until=(0, 9, 2)),
        Runs(("fp8", "fp8-block"), FROM_ADA, f"{_LAYERS} of fp8.py"),
        Runs(("fp8", "fp8-block"), ("ampere",), f"{_LAYERS} of fp8.py (75; 80 at 0.10.2)", _MARLIN),
        Runs(("fp8", "fp8-block"), ("turing",), f"{_LAYERS} of fp8.py (75 from 0.15.1)", _MARLIN, since=(0, 15, 1)),
        Runs(("nf4",), FROM_TURING, "0.26.0, layers/quantization/bitsandbytes.py (70)", until=(0, 26, 99)),
        Runs(GGUF, FROM_TURING, "0.23.0, layers/quantization/gguf.py (60)", until=(0, 23, 99)),
        Runs(("int8",), FROM_TURING, f"{_LAYERS} of compressed_tensors_w8a8_int8.py (75)"),
        Runs(
            ("awq-int4", "gptq-int4", "gptq-int8"), FROM_TURING,
            f"{_LAYERS} of auto_awq.py (75) and auto_gptq.py (60)",
        ),
        Runs(("mxfp4",), FROM_AMPERE, f"{_LAYERS} of mxfp4.py (80)"),
        Runs(("nvfp4",), ("blackwell",), f"{_LAYERS} of modelopt.py"),
        Runs(("nvfp4",), ("turing", "ampere", "ada", "hopper"), f"{_LAYERS} of modelopt.py (75)", _MARLIN),
        Runs(("fp8", "fp8-block"), ("cdna3", "cdna4"), _ROCM),
        Runs(("awq-int4", "gptq-int4", "gptq-int8"), CDNA, _ROCM),
        Runs(("mxfp4",), ("cdna3", "cdna4"), _ROCM),
        Runs(("bf16", "fp16", "fp32", "fp8", "fp8-block", "awq-int4", "gptq-int4"), RDNA, f"{_ROCM}; gfx11 and gfx12"),
        Runs(("bf16", "fp16", "fp8", "awq-int4", "gptq-int4", "mxfp4"), XE, "0.33.0, platforms/xpu.py"),
    ),
    kv=(
        Runs(("bf16", "fp16", "fp32"), (*FROM_AMPERE, *CDNA), _ATTENTION),
        Runs(("bf16", "fp16", "fp32"), ("turing",), _ATTENTION, _AS_FP16),
        Runs(("bf16", "fp16", "fp32"), ("volta",), _TABLE, _AS_FP16, until=(0, 9, 2)),
        Runs(("fp8_e4m3", "fp8_e5m2"), FROM_AMPERE, f"{_ATTENTION} of flashinfer.py (8.0) and triton_attn.py (8.9)"),
        Runs(("fp8_e4m3", "fp8_e5m2"), CDNA, f"{_ATTENTION} of rocm_attn.py"),
        Runs(("int8_per_token_head",), (*FROM_TURING, *CDNA), f"{_ATTENTION} of triton_attn.py", since=(0, 23, 0)),
        Runs(("int4_per_token_head",), (*FROM_TURING, *CDNA), f"{_ATTENTION} of triton_attn.py", since=(0, 26, 0)),
        Runs(("fp8_per_token_head",), (*FROM_ADA, *CDNA), f"{_ATTENTION} of triton_attn.py (8.9)", since=(0, 23, 0)),
        Runs(("nvfp4",), ("blackwell",), f"{_ATTENTION} of flashinfer.py (10.0)", not_on=_NOT_SM10X, since=(0, 23, 0)),
        Runs(
            ("nvfp4",), FROM_AMPERE, f"{_ATTENTION} of flashinfer.py, _nvfp4_kv_on_fa2 (8.x, 9.x, 12.x)",
            _NOT_64, not_on=_SM11X, since=(0, 32, 0),
        ),
        Runs(("fp8_ds_mla",), FROM_HOPPER, f"{_ATTENTION} of mla/flashmla_sparse.py (9, 10)", not_on=_NOT_SM10X),
        Runs(
            ("fp8_ds_mla",), ("blackwell",), f"{_ATTENTION} of mla/flashinfer_mla_sparse.py (12), from 0.26.0 on",
            not_on=_SM11X, since=(0, 26, 0),
        ),
        Runs(("bf16", "fp16", "fp8_e4m3", "fp8_e5m2"), RDNA, f"{_ATTENTION} of rocm_attn.py"),
        Runs(("bf16", "fp16"), XE, "0.33.0, platforms/xpu.py"),
    ),
    not_weights=(
        Refuses(
            (
                "bf16", "fp16", "fp32", "fp8", "fp8-block", "int8", "awq-int4", "gptq-int4", "gptq-int8", "mxfp4",
                "nvfp4", "nf4", *GGUF,
            ),
            ("pascal",), f"{_DEVICES}; 7.0 in older ones",
        ),
        Refuses(("fp8", "fp8-block"), ("volta",), f"{_LAYERS} of fp8.py (75; 80 at 0.10.2)"),
        Refuses(("fp8", "fp8-block"), ("turing",), "0.10.2, layers/quantization/fp8.py (80)", until=(0, 10, 99)),
        Refuses(("awq-int4",), ("volta",), f"{_LAYERS} of auto_awq.py, awq.py before (75)"),
        Refuses(("int8",), ("volta",), f"{_LAYERS} of compressed_tensors_w8a8_int8.py (75)"),
        Refuses(("nvfp4",), ("volta",), f"{_LAYERS} of modelopt.py (75; 80 and more at 0.10.2)"),
        Refuses(("mxfp4",), ("volta", "turing"), f"{_LAYERS} of mxfp4.py (80)"),
        Refuses(("nf4",), (ANY,), "0.28.0, layers/quantization has no bitsandbytes.py", since=(0, 28, 0)),
        Refuses(GGUF, (ANY,), f"0.26.0: {_PLUG_IN}", since=(0, 26, 0)),
    ),
    not_kv=(
        Refuses(GGML_CACHE, (ANY,), "config/cache.py, CacheDType: no type of GGML"),
        Refuses(("fp8_e4m3", "fp8_e5m2", "nvfp4"), ("volta", "turing"), f"{_ATTENTION} (8.0)", since=(0, 33, 0)),
        Refuses(("int8_per_token_head", "int4_per_token_head"), ("volta",), f"{_ATTENTION} (7.5)", since=(0, 33, 0)),
        Refuses(
            ("fp8_per_token_head",), ("volta", "turing", "ampere"), f"{_ATTENTION} of triton_attn.py (8.9)",
            since=(0, 33, 0),
        ),
        Refuses(
            ("int8_per_token_head", "int4_per_token_head", "fp8_per_token_head", "nvfp4"), (ANY,),
            "0.19.1, config/cache.py, CacheDType", until=(0, 19, 99),
        ),
        Refuses(("int4_per_token_head",), (ANY,), "0.23.0, config/cache.py, CacheDType", until=(0, 23, 99)),
        Refuses(
            ("nvfp4",), ("ampere", "ada", "hopper", *CDNA), "0.23.0 to 0.31.0, flashinfer.py: requires SM100",
            until=(0, 31, 99),
        ),
        Refuses(
            ("nvfp4",), ("blackwell",), "0.23.0 to 0.31.0, flashinfer.py: SM100", gpus=_NOT_SM10X, until=(0, 31, 99)
        ),
        Refuses(("nvfp4",), CDNA, f"{_ATTENTION}: flashinfer.py alone, of CUDA"),
        Refuses(
            ("fp8_ds_mla",), ("volta", "turing", "ampere", "ada"), f"{_ATTENTION} of mla/flashmla_sparse.py (9, 10)",
            since=(0, 33, 0),
        ),
    ),
    no_devices=(
        NoDevice(
            ("Huawei",),
            phrase(
                "vLLM-Ascend is a package of its own, whose rules for memory were not read: on a 310P the cache gets "
                "half of what is left"
            ),
            "vllm-project/vllm-ascend issue 14004",
        ),
        NoDevice(
            ("Intel",),
            phrase(
                "its package has CUDA, ROCm, XPU, TPU and CPU alone; Gaudi's plug-in is a package of its own, whose "
                "rules for memory were not read"
            ),
            "0.10.2 to 0.33.0, platforms",
            gpus=("gaudi",),
        ),
    ),
)  # fmt: skip
