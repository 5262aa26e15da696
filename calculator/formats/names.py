"""The names that a format goes by elsewhere, and ours: torch's, those of checkpoints and of their files.

What an engine's command line and log call a format is in the engine's folder.
"""

from __future__ import annotations

import re

TORCH = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32"}
"""Formats that a model is computed in, by torch's names."""
TORCH_NAMES = {ours: name for name, ours in TORCH.items()}
TORCH_CACHE = {**TORCH, "float8_e4m3fn": "fp8_e4m3", "float8_e5m2": "fp8_e5m2"}
"""Types of torch that a KV cache is kept in."""
ALIASES = {"float32": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"}
"""What is taken in place of our name of a weight format."""
KV_ALIASES = {"fp8": "fp8_e4m3", **ALIASES}
STATE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of an element of a recurrent state, by the names of its formats [bytes]."""
STATE_FORMATS = ("auto", *STATE_BYTES)
SIXTEEN_BIT = ("bf16", "fp16")
PLAIN = "bf16"
"""What a model is stored in that names no 16 bit format."""

MODELOPT = {"FP8": "fp8", "NVFP4": "nvfp4", "FP8_PB_WO": "fp8-block"}
"""``quant_algo`` of a checkpoint of ModelOpt."""
KV_ALGORITHMS = {"FP8": "fp8_e4m3", "NVFP4": "nvfp4"}
"""``kv_cache_quant_algo`` of a checkpoint."""
METHODS = {
    "fp8": "fp8", "awq": "awq-int4", "gptq": "gptq-int4", "bitsandbytes": "nf4", "mxfp4": "mxfp4", "modelopt": "fp8",
}  # fmt: skip
"""``quant_method`` of a checkpoint, where nothing more is said of it."""
_PARTS_OF_NAMES = (
    ("nvfp4", "nvfp4"), ("mxfp4", "mxfp4"), ("w8a8", "int8"), ("awq", "awq-int4"), ("gptq", "gptq-int4"),
    ("w4a16", "gptq-int4"), ("int4", "awq-int4"), ("bnb-4bit", "nf4"), ("fp8", "fp8"),
)  # fmt: skip
_GGUF = re.compile(r"(?<![a-z0-9])(?:(bf16|f16|q8_0|q6_k)|q([2-5])_?k(_?m| - medium)?)(?![a-z0-9_])")


def format_in_name(name: str) -> str | None:
    """Return the weight format that a checkpoint's name holds; None for none."""
    return next((form for part, form in _PARTS_OF_NAMES if part in name.lower()), None)


def format_of_gguf(text: str) -> str | None:
    """Return the weight format that a GGUF file's type or name says; None for none known here."""
    found = _GGUF.search(text.lower())
    if not found:
        return None
    if found[1]:
        return {"f16": "fp16"}.get(found[1], found[1])
    if found[2] == "2":
        return "q2_k"
    return f"q{found[2]}_k_m" if found[3] else None
