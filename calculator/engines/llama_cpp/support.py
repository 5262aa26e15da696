"""What llama.cpp runs where: its own kernels for CUDA and HIP take every GGUF type."""

from __future__ import annotations

from calculator.engines.support import Formats, Runs

EVERYWHERE = ("volta", "turing", "ampere", "ada", "hopper", "blackwell", "cdna2", "cdna3", "cdna4")

_WEIGHTS = "0c1e570, docs/build.md (CUDA, HIP) and ggml/src/ggml-common.h"
_CACHE = "0c1e570, common/arg.cpp, cache types"

SUPPORT = Formats(
    weights=(
        Runs(
            ("bf16", "fp16", "fp32", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k", "mxfp4"),
            EVERYWHERE,
            _WEIGHTS,
        ),
    ),
    kv=(Runs(("fp32", "fp16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"), EVERYWHERE, _CACHE),),
)
