"""What llama.cpp runs where: its own kernels for CUDA, HIP and Metal take every GGUF type, no others any."""

from __future__ import annotations

from calculator.engines.support import ANY, Formats, NoDevice, Refuses, Runs
from calculator.messages import phrase

EVERYWHERE = (
    "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell", "cdna2", "cdna3", "cdna4", "rdna3", "rdna4",
    "apple", "xe-hpg", "xe2",
)  # fmt: skip

_WEIGHTS = "0c1e570, docs/build.md (CUDA, HIP, Metal, SYCL) and ggml/src/ggml-common.h"
_CACHE = "0c1e570, common/arg.cpp, cache types"

SUPPORT = Formats(
    weights=(
        Runs(
            ("bf16", "fp16", "fp32", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k", "mxfp4"),
            EVERYWHERE,
            _WEIGHTS,
        ),
    ),
    not_weights=(
        Refuses(
            ("fp8", "fp8-block", "int8", "awq-int4", "gptq-int4", "gptq-int8", "nf4"),
            (ANY,),
            "0c1e570, ggml/src/ggml-common.h: a GGUF file has none of these types; they are converted",
        ),
    ),
    not_kv=(
        Refuses(
            (
                "fp8_e4m3", "fp8_e5m2", "int8_per_token_head", "int4_per_token_head", "fp8_per_token_head", "nvfp4",
                "fp8_ds_mla",
            ),
            (ANY,),
            _CACHE,
        ),
    ),
    no_devices=(
        NoDevice(("Google", "AWS"), phrase("it has no backend for them"), "0c1e570, docs/build.md"),
        NoDevice(("Intel",), phrase("it has no backend for them"), "0c1e570, docs/build.md", gpus=("gaudi",)),
    ),
    kv=(Runs(("fp32", "fp16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"), EVERYWHERE, _CACHE),),
)  # fmt: skip
